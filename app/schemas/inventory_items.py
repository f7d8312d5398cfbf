"""Inventory as clients write and read it."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.models.locations import DEFAULT
from app.models.stock_movements import SIGNS
from app.schemas.fields import Code, Instant, ProductId, QueryFlag, QueryWhole, Reference, Search, Text, Whole
from app.schemas.pages import PageQuery
from app.schemas.stock_movements import MovementView
from config import MAX_QUANTITY

CHANGES = [str(kind) for kind in SIGNS]


class ItemView(Schema):
    """One product at one location."""

    product_id = fields.Str()
    location = fields.Str()
    quantity = fields.Int()
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


class ProductView(Schema):
    """One product over all its locations."""

    product_id = fields.Str()
    quantity = fields.Int()
    reserved_quantity = fields.Int()
    available_quantity = fields.Int()
    is_low_stock = fields.Bool(metadata={"description": "low at one location at least"})
    next_release_at = Instant(allow_none=True)
    archived = fields.Bool()
    locations = fields.List(fields.Nested(ItemView))
    product = fields.Dict(allow_none=True, metadata={"description": "details from the product service, or null"})


class BalanceView(Schema):
    """What the ledger says one location had."""

    location = fields.Str()
    quantity = fields.Int()
    reserved_quantity = fields.Int()
    available_quantity = fields.Int()
    sequence = fields.Int()
    changed_at = Instant()


class PastProductView(Schema):
    product_id = fields.Str()
    as_of = Instant()
    quantity = fields.Int()
    reserved_quantity = fields.Int()
    available_quantity = fields.Int()
    locations = fields.List(fields.Nested(BalanceView))


class Levels(Schema):
    minimum_stock_level = Whole()
    maximum_stock_level = Whole(allow_none=True)

    @validates_schema
    def in_order(self, data: dict[str, Any], **kwargs: Any) -> None:
        least, most = data.get("minimum_stock_level", 0), data.get("maximum_stock_level")
        if most is not None and most < least:
            raise ValidationError("Must not be below minimum_stock_level.", "maximum_stock_level")


class ItemNew(Levels):
    product_id = ProductId(required=True)
    quantity = Whole(load_default=0)
    location = Code(load_default=DEFAULT, metadata={"example": DEFAULT})


class ItemChange(Levels):
    """Absolute values; setting `quantity` needs If-Match or `expected_quantity`."""

    location = Code(load_default=DEFAULT, metadata={"example": DEFAULT})
    quantity = Whole()
    expected_quantity = Whole()
    reason = Text(255)

    @validates_schema
    def something(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data.keys() & {"quantity", "minimum_stock_level", "maximum_stock_level"}:
            raise ValidationError("Send quantity, minimum_stock_level or maximum_stock_level.")


class ItemAdjust(Schema):
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


class AvailabilityAsked(Schema):
    items = fields.List(fields.Nested(ItemLine), required=True, validate=validate.Length(1, 100))


class AvailabilityView(Schema):
    product_id = fields.Str()
    location = fields.Str(allow_none=True)
    quantity = fields.Int(metadata={"description": "how many were asked for"})
    available = fields.Bool()
    available_quantity = fields.Int()
    shortage = fields.Int()
    single_location = fields.Bool(metadata={"description": "one location could serve all of it"})
    next_release_at = Instant(allow_none=True)
    next_release_quantity = fields.Int()


class AvailabilityOverall(Schema):
    available = fields.Bool()
    items = fields.List(fields.Nested(AvailabilityView))


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


class SearchQuery(PageQuery):
    q = Search(required=True)
    location = Code()


class LowStockQuery(PageQuery):
    location = Code()


class PlaceQuery(Schema):
    location = Code()


class ProductQuery(PlaceQuery):
    as_of = Instant()


class AvailabilityQuery(PlaceQuery):
    quantity = QueryWhole(1, MAX_QUANTITY, load_default=1)


class ArchiveQuery(Schema):
    location = Code(load_default=DEFAULT)


class HoldLine(Schema):
    """A live reservation in an explanation."""

    reservation_id = fields.Str(attribute="id")
    location = fields.Str()
    quantity = fields.Int()
    order_id = fields.Str()
    customer_id = fields.Str()
    expires_at = Instant()
    notes = fields.Str(allow_none=True)


class Denied(Schema):
    product_id = fields.Str()
    location = fields.Str(metadata={"description": "empty: any location"})
    refusals = fields.Int()
    units = fields.Int()


class Explanation(Schema):
    product_id = fields.Str()
    text = fields.Str(metadata={"description": "the sum in words"})
    quantity = fields.Int()
    reserved_quantity = fields.Int()
    available_quantity = fields.Int()
    locations = fields.List(fields.Nested(ItemView))
    reservations = fields.List(fields.Nested(HoldLine))
    movements = fields.List(fields.Nested(MovementView))
    denied = fields.List(fields.Nested(Denied))


class LocationTotals(Schema):
    location = fields.Str()
    items = fields.Int()
    quantity = fields.Int()
    reserved_quantity = fields.Int()
    available_quantity = fields.Int()
    low_stock = fields.Int()
    out_of_stock = fields.Int()


class Summary(Schema):
    products = fields.Int()
    items = fields.Int()
    quantity = fields.Int()
    reserved_quantity = fields.Int()
    available_quantity = fields.Int()
    low_stock = fields.Int()
    out_of_stock = fields.Int()
    locations = fields.List(fields.Nested(LocationTotals))


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
    operations = fields.List(RawRow(BulkOperation), required=True, validate=validate.Length(1, 1000))
    atomic = fields.Bool(load_default=False, truthy={True}, falsy={False})


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
