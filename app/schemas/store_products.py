"""What a store has, with what the catalogue says of it."""

from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.models.inventory_items import StockStatus
from app.schemas.categories import ROW
from app.schemas.fields import Amount, Currency, Instant, QueryWhole, Search, Text, Whole
from app.schemas.inventory_items import ItemView, PlacePageQuery
from config import MAX_QUANTITY

SORTABLE = ("product_id", "name", "price", "quantity", "available_quantity")
SORTS = [sign + name for name in SORTABLE for sign in ("", "-")]


class CategoryOfItem(Schema):
    id = fields.Int()
    name = fields.Str()


class _Category(fields.Nested):
    """From the row's `category_id` and `category_name`."""

    def get_value(self, obj: Any, *args: Any, **kwargs: Any) -> Any:
        return None if obj.category_id is None else {"id": obj.category_id, "name": obj.category_name}


class StoreItemView(ItemView):
    """One product at one location as a shopper sees it; null is what the catalogue does not say."""

    catalog_product_id = fields.Int(allow_none=True, metadata={"description": "null: not in the catalogue"})
    name = fields.Str(allow_none=True)
    description = fields.Str(allow_none=True)
    category = _Category(CategoryOfItem, allow_none=True)
    price = Amount(allow_none=True)
    currency = fields.Str(allow_none=True)
    unit = fields.Str(allow_none=True)
    barcode = fields.Str(allow_none=True)
    sku_archived_at = Instant(allow_none=True, metadata={"description": "when the SKU was deleted"})
    status = fields.Str(
        validate=validate.OneOf([*StockStatus]),
        metadata={"description": "low_stock: some are available, but no more than the minimum"},
    )


class StoreQuery(PlacePageQuery):
    """Prices are compared within one currency."""

    category = QueryWhole(**ROW, metadata={"description": "a category's id, which stands for all below it too"})
    search = Search(metadata={"description": "characters of the code, words of name or description, or a barcode"})
    status = fields.Str(validate=validate.OneOf([*StockStatus]))
    currency = Currency(metadata={"description": "of min_price and max_price, USD unless given"})
    min_price = Amount()
    max_price = Amount()
    sort = fields.Str(load_default="product_id", validate=validate.OneOf(SORTS))

    @validates_schema
    def in_order(self, data: dict[str, Any], **kwargs: Any) -> None:
        if "min_price" in data and "max_price" in data and data["min_price"] > data["max_price"]:
            raise ValidationError("Must not be below min_price.", "max_price")

    @post_load
    def in_a_currency(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {"currency": "USD"} | data if data.keys() & {"min_price", "max_price"} else data


class SearchQuery(PlacePageQuery):
    q = Search(required=True, metadata={"description": "characters of the code, words, or a barcode"})


class AvailableQuery(Schema):
    quantity = QueryWhole(1, MAX_QUANTITY, load_default=1)


class StockChange(Schema):
    EXAMPLE: ClassVar = {"quantity_change": -1, "reason": "broken in the shop window"}

    quantity_change = Whole(
        -MAX_QUANTITY,
        MAX_QUANTITY,
        required=True,
        validate=[validate.NoneOf([0], error="Must not be 0.")],
        metadata={"description": "signed change, not 0"},
    )
    reason = Text(255, allow_none=True, load_default=None)
