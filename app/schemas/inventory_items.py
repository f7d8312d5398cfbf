"""Inventory as clients write and read it."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.models.locations import DEFAULT
from app.models.stock_movements import SIGNS
from app.schemas.fields import Code, Instant, ProductId, QueryFlag, Reference, Search, Text, Whole
from app.schemas.pages import PageQuery
from config import MAX_QUANTITY

CHANGES = [str(kind) for kind in SIGNS]


class ItemView(Schema):
    """One product at one location."""

    product_id = fields.Str()
    location = fields.Str()
    quantity = fields.Int(metadata={"description": "on hand"})
    reserved_quantity = fields.Int(metadata={"description": "held by live reservations"})
    available_quantity = fields.Int()
    minimum_stock_level = fields.Int()
    maximum_stock_level = fields.Int(allow_none=True)
    is_low_stock = fields.Function(
        lambda row: row.available_quantity <= row.minimum_stock_level,
        metadata={"type": "boolean", "description": "available is at or below the minimum"},
    )
    version = fields.Int()
    archived = fields.Function(lambda row: row.archived_at is not None, metadata={"type": "boolean"})
    created_at = Instant()
    updated_at = Instant()


class Levels(Schema):
    minimum_stock_level = Whole()
    maximum_stock_level = Whole(allow_none=True)

    @validates_schema
    def in_order(self, data: dict[str, Any], **kwargs: Any) -> None:
        least, most = data.get("minimum_stock_level", 0), data.get("maximum_stock_level")
        if most is not None and most < least:
            raise ValidationError("Must not be below minimum_stock_level.", "maximum_stock_level")


class ItemNew(Levels):
    EXAMPLE: ClassVar = {"product_id": "KEYBOARD-1", "quantity": 45, "location": "default", "minimum_stock_level": 5}

    product_id = ProductId(required=True)
    quantity = Whole(load_default=0)
    location = Code(load_default=DEFAULT, metadata={"example": DEFAULT})


class ItemChange(Levels):
    """Absolute values; setting `quantity` needs If-Match or `expected_quantity`."""

    EXAMPLE: ClassVar = {"quantity": 39, "expected_quantity": 40, "reason": "stocktaking"}

    location = Code(load_default=DEFAULT, metadata={"example": DEFAULT})
    quantity = Whole()
    expected_quantity = Whole()
    reason = Text(255)

    @validates_schema
    def something(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data.keys() & {"quantity", "minimum_stock_level", "maximum_stock_level"}:
            raise ValidationError("Send quantity, minimum_stock_level or maximum_stock_level.")


class ItemAdjust(Schema):
    EXAMPLE: ClassVar = {"quantity": -1, "movement_type": "damage", "reason": "dropped"}

    quantity = Whole(-MAX_QUANTITY, MAX_QUANTITY, required=True, metadata={"description": "signed change, not 0"})
    movement_type = fields.Str(required=True, validate=validate.OneOf(CHANGES))
    location = Code(load_default=DEFAULT, metadata={"example": DEFAULT})
    reference_id = Reference(allow_none=True, load_default=None)
    reason = Text(255, allow_none=True, load_default=None)

    @validates_schema(skip_on_field_errors=True)
    def sign_fits(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data["quantity"] == 0:
            raise ValidationError("Must not be 0.", "quantity")
        sign = SIGNS[data["movement_type"]]
        if sign * data["quantity"] < 0:
            way = "above" if sign > 0 else "below"
            raise ValidationError(f"Must be {way} 0 for {data['movement_type']}.", "quantity")


class ItemTransfer(Schema):
    EXAMPLE: ClassVar = {"from_location": "default", "to_location": "store-281", "quantity": 5}

    from_location = Code(required=True, metadata={"example": "default"})
    to_location = Code(required=True, metadata={"example": "store-281"})
    quantity = Whole(1, required=True)
    reason = Text(255, allow_none=True, load_default=None)

    @validates_schema(skip_on_field_errors=True)
    def two_places(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data["from_location"] == data["to_location"]:
            raise ValidationError("Must be another location.", "to_location")


class ItemLine(Schema):
    product_id = Code(required=True)
    quantity = Whole(1, required=True)
    location = Code(allow_none=True, load_default=None)


class ItemQuery(PageQuery):
    product_id = fields.List(Code(), metadata={"description": "repeatable", "collectionFormat": "multi"})
    location = Code()
    low_stock = QueryFlag()
    out_of_stock = QueryFlag()
    has_reservations = QueryFlag()
    q = Search()
    sort = fields.Str(
        load_default="product_id",
        validate=validate.OneOf(
            [sign + name for name in ("product_id", "quantity", "created_at", "updated_at") for sign in ("", "-")]
        ),
    )


class PlaceQuery(Schema):
    location = Code()


class PlacePageQuery(PageQuery, PlaceQuery):
    """A list of all locations or of one."""


class ArchiveQuery(Schema):
    location = Code(load_default=DEFAULT)
