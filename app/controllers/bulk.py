"""Many inventory operations in one call: /inventory/bulk"""

from typing import Any

from flask_restx import Resource
from marshmallow import Schema, fields, validate

from app.controllers.calls import write
from app.controllers.inventory_items import change_of, ns
from app.errors import DomainError, ValidationFailed
from app.models.stock_movements import MovementType
from app.schemas import bulk as shapes
from app.services import inventory_items
from app.services.inventory_items import Adjust, Archive, BulkRefused, Create, Operation, Outcome
from app.utils import problems
from app.utils.openapi import load

MAX_BODY = 1_048_576


class Op(Schema):
    class Meta:
        unknown = "include"

    op = fields.Str(required=True, validate=validate.OneOf(["create", "adjust", "set", "archive"]))


OP = Op()
SHAPES: dict[str, Schema] = {
    "create": shapes.BulkCreate(),
    "adjust": shapes.BulkAdjust(),
    "set": shapes.BulkSet(),
    "archive": shapes.BulkArchive(),
}


@ns.route("/bulk")
class InventoryBulk(Resource):
    @write(
        ns, body=shapes.BulkAsked(), returns=shapes.BulkView(), message="Bulk done", max_body=MAX_BODY,
        errors=[BulkRefused],
    )  # fmt: skip
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Up to 1,000 operations in order, each with its own status; with atomic all or none"""
        read = [_read(row) for row in body["operations"]]
        wrong = next((index for index, row in enumerate(read) if isinstance(row, DomainError)), None)
        if body["atomic"] and wrong is not None:
            raise BulkRefused(f"row {wrong}: not acceptable", index=wrong, refused=read[wrong])
        done = iter(
            inventory_items.bulk([row for row in read if not isinstance(row, DomainError)], atomic=body["atomic"])
        )
        results = [
            _refused(index, raw, row) if isinstance(row, DomainError) else _result(index, raw, next(done))
            for index, (raw, row) in enumerate(zip(body["operations"], read, strict=True))
        ]
        failed = sum(result["problem"] is not None for result in results)
        return {"results": results, "succeeded": len(results) - failed, "failed": failed}


def _read(row: dict[str, Any]) -> Operation | ValidationFailed:
    """The operation a row asks for, or what is wrong with the row."""
    try:
        op = load(OP, row)["op"]
        values = load(SHAPES[op], row)
    except ValidationFailed as error:
        return error
    del values["op"]
    match op:
        case "create":
            return Create(**values)
        case "adjust":
            return Adjust(**values | {"movement_type": MovementType(values["movement_type"])})
        case "set":
            return change_of(values["product_id"], values, None)
    return Archive(**values)


def _result(index: int, row: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    if outcome.error is not None:
        return _refused(index, row, outcome.error)
    stock, movement = outcome.stock, outcome.movement
    assert stock is not None
    data = {
        "quantity": movement.quantity_after if movement else stock.quantity,
        "reserved_quantity": movement.reserved_after if movement else stock.reserved_quantity,
        "version": movement.sequence if movement else stock.version,
        "changed": movement is not None,
    }
    status = 201 if isinstance(outcome.operation, Create) else 200
    return _named(index, row) | {"location": stock.location, "status": status, "data": data, "problem": None}


def _refused(index: int, row: dict[str, Any], error: DomainError) -> dict[str, Any]:
    status = problems.status_of(type(error))
    return _named(index, row) | {"status": status, "data": None, "problem": problems.body_of(error)}


def _named(index: int, row: dict[str, Any]) -> dict[str, Any]:
    """What a caller needs to find the row again, as far as it said so."""
    said = {
        name: row.get(name) if isinstance(row.get(name), str) else None for name in ("op", "product_id", "location")
    }
    return {"index": index} | said
