"""A product over its locations: now, at a past moment, as a sum in words; and the totals of everything."""

from marshmallow import Schema, fields

from app.schemas.fields import Instant
from app.schemas.inventory_items import ItemView, PlaceQuery
from app.schemas.stock_movements import MovementView


class Units(Schema):
    quantity = fields.Int(metadata={"description": "on hand"})
    reserved_quantity = fields.Int(metadata={"description": "held by live reservations"})
    available_quantity = fields.Int()


class ProductUnits(Schema):
    product_id = fields.Str()
    quantity = fields.Int(metadata={"description": "on hand, over all locations"})
    reserved_quantity = fields.Int(metadata={"description": "held by live reservations"})
    available_quantity = fields.Int()


class ProductQuery(PlaceQuery):
    as_of = Instant()


class PlaceView(ItemView):
    """One location of the product. As of a moment: its last ledger row then."""

    sequence = fields.Int(metadata={"description": "only as of a moment"})
    changed_at = Instant(metadata={"description": "only as of a moment"})


class ProductView(ProductUnits):
    """One product over all its locations. As of a moment, what the ledger says of it then."""

    as_of = Instant(metadata={"description": "only when asked for"})
    is_low_stock = fields.Bool(metadata={"description": "low at one location at least"})
    next_release_at = Instant(allow_none=True)
    archived = fields.Bool()
    locations = fields.List(fields.Nested(PlaceView))
    product = fields.Dict(
        allow_none=True, metadata={"description": "details from the product service or the catalogue, or null"}
    )


class BalanceView(Units):
    """What the ledger says one location had."""

    location = fields.Str()
    sequence = fields.Int()
    changed_at = Instant()


class PastProductView(ProductUnits):
    as_of = Instant()
    locations = fields.List(fields.Nested(BalanceView))


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


class Explanation(ProductUnits):
    text = fields.Str(metadata={"description": "the sum in words"})
    locations = fields.List(fields.Nested(ItemView))
    reservations = fields.List(fields.Nested(HoldLine))
    movements = fields.List(fields.Nested(MovementView))
    denied = fields.List(fields.Nested(Denied))
