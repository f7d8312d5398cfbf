"""Sums over the stock as clients read them."""

from marshmallow import Schema, fields

from app.schemas.explanations import Units
from app.schemas.fields import Amount


class Worth(Schema):
    currency = fields.Str(metadata={"example": "USD"})
    amount = Amount()


VALUE = {"description": "units on hand at their price, one amount per currency; items without a price are left out"}


class Totals(Units):
    items = fields.Int()
    low_stock = fields.Int()
    out_of_stock = fields.Int()
    value = fields.List(fields.Nested(Worth), metadata=VALUE)


class LocationTotals(Totals):
    location = fields.Str()


class CategoryTotals(Schema):
    """What hangs right in the category, not what hangs below it."""

    category_id = fields.Int(allow_none=True, metadata={"description": "null: in no category"})
    name = fields.Str(attribute="category_name", allow_none=True)
    items = fields.Int()
    quantity = fields.Int(metadata={"description": "on hand"})
    available_quantity = fields.Int()
    value = fields.List(fields.Nested(Worth), metadata=VALUE)


class Summary(Totals):
    products = fields.Int()
    locations = fields.List(fields.Nested(LocationTotals))
    by_category = fields.List(fields.Nested(CategoryTotals))


class CategoryInStock(Schema):
    """A category that has available units right in it."""

    category_id = fields.Int(attribute="id")
    name = fields.Str()
    parent_id = fields.Int(allow_none=True)
    products = fields.Int(metadata={"description": "product ids with available units"})
    available_quantity = fields.Int()


class UnitView(Schema):
    unit = fields.Str(metadata={"example": "each"})
    products = fields.Int(metadata={"description": "product ids that are sold in it"})
    quantity = fields.Int(metadata={"description": "on hand"})
