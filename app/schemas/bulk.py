"""Many inventory operations in one request, and what became of each."""

from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, validate

from app.models.locations import DEFAULT
from app.schemas.fields import Code, Flag, ProductId, Reference, Text, Whole
from app.schemas.inventory_items import CHANGES, ArchiveQuery, ItemAdjust, ItemChange, ItemNew
from config import MAX_QUANTITY


class BulkOperation(Schema):
    """What a row may say; each `op` takes what the call of the same meaning takes."""

    op = fields.Str(required=True, validate=validate.OneOf(["create", "adjust", "set", "archive"]))
    product_id = ProductId(required=True)
    location = Code(metadata={"example": DEFAULT})
    quantity = Whole(-MAX_QUANTITY, MAX_QUANTITY)
    movement_type = fields.Str(validate=validate.OneOf(CHANGES))
    minimum_stock_level = Whole()
    maximum_stock_level = Whole(allow_none=True)
    expected_quantity = Whole()
    reference_id = Reference(allow_none=True)
    reason = Text(255, allow_none=True)


class BulkCreate(ItemNew):
    op = fields.Str()


class BulkAdjust(ItemAdjust):
    op = fields.Str()
    product_id = ProductId(required=True)


class BulkSet(ItemChange):
    op = fields.Str()
    product_id = ProductId(required=True)


class BulkArchive(ArchiveQuery):
    op = fields.Str()
    product_id = ProductId(required=True)


class RawRow(fields.Nested):
    """Documented like its schema, but let through as it is: a bad row is that row's problem, not the request's."""

    def _deserialize(  # type: ignore[override]
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        return value


class BulkAsked(Schema):
    EXAMPLE: ClassVar = {
        "operations": [
            {"op": "create", "product_id": "MOUSE-1", "quantity": 10},
            {"op": "adjust", "product_id": "KEYBOARD-1", "quantity": 5, "movement_type": "inbound"},
        ],
        "atomic": False,
    }

    operations = fields.List(RawRow(BulkOperation), required=True, validate=validate.Length(1, 1000))
    atomic = Flag(load_default=False)


class BulkRow(Schema):
    index = fields.Int()
    op = fields.Str(allow_none=True)
    product_id = fields.Str(allow_none=True)
    location = fields.Str(allow_none=True)
    status = fields.Int()
    data = fields.Dict(allow_none=True)
    problem = fields.Dict(allow_none=True)


class BulkView(Schema):
    results = fields.List(fields.Nested(BulkRow))
    succeeded = fields.Int()
    failed = fields.Int()
