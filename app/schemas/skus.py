"""SKUs as clients write and read them."""

from typing import ClassVar

from marshmallow import Schema, fields

from app.models.locations import DEFAULT
from app.schemas.categories import ROW
from app.schemas.fields import Amount, Code, Currency, Document, Instant, ProductId, QueryFlag, QueryWhole, Text, Whole
from app.schemas.pages import PageQuery

BARCODE = {"description": "EAN-13, EAN-8, UPC-A or UPC-E with its leading zeros", "example": "4006381333931"}
OPENING = {"description": "units on hand; also 0 makes the inventory item, leaving it out makes none"}


class SkuChange(Schema):
    """What may change; `version` is the one the change was decided on, unless If-Match names it."""

    EXAMPLE: ClassVar = {"price": "119.99", "version": 1}

    price = Amount()
    currency = Currency()
    unit = Text(32, metadata={"example": "each"})
    barcode = fields.Str(allow_none=True, metadata=BARCODE)
    attributes = Document()
    version = Whole(1)


class SkuOfProduct(Schema):
    """A SKU that comes into being with its product."""

    sku_code = ProductId(required=True)
    price = Amount(required=True)
    currency = Currency(load_default="USD")
    unit = Text(32, load_default="each")
    barcode = fields.Str(allow_none=True, load_default=None, metadata=BARCODE)
    attributes = Document(load_default=dict)
    opening_stock = Whole(metadata=OPENING)
    location = Code(load_default=DEFAULT, metadata={"example": DEFAULT, "description": "of the opening stock"})


class SkuNew(SkuOfProduct):
    EXAMPLE: ClassVar = {"catalog_product_id": 1, "sku_code": "TSHIRT-L", "price": "19.99", "opening_stock": 40}

    catalog_product_id = Whole(**ROW, required=True)


class SkuView(Schema):
    sku_code = fields.Str(metadata={"description": "the product_id of the stock"})
    catalog_product_id = fields.Int()
    price = Amount()
    currency = fields.Str()
    unit = fields.Str()
    barcode = fields.Str(allow_none=True)
    attributes = fields.Dict()
    version = fields.Int()
    archived_at = Instant(allow_none=True)
    created_at = Instant()
    updated_at = Instant()


class PriceView(Schema):
    """A change of price; the first one has no old price."""

    old_price = Amount(allow_none=True)
    old_currency = fields.Str(allow_none=True)
    new_price = Amount()
    new_currency = fields.Str()
    actor = fields.Str()
    request_id = fields.Str(allow_none=True)
    created_at = Instant()


class SkuQuery(PageQuery):
    catalog_product_id = QueryWhole(**ROW)
    include_deleted = QueryFlag(load_default=False)
