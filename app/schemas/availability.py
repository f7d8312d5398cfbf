"""Questions about what could be promised, and their answers."""

from typing import ClassVar

from marshmallow import Schema, fields, validate

from app.schemas.fields import Instant, QueryWhole
from app.schemas.inventory_items import ItemLine, PlaceQuery
from config import MAX_QUANTITY


class AvailabilityQuery(PlaceQuery):
    quantity = QueryWhole(1, MAX_QUANTITY, load_default=1)


class AvailabilityAsked(Schema):
    EXAMPLE: ClassVar = {"items": [{"product_id": "KEYBOARD-1", "quantity": 5}]}

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
