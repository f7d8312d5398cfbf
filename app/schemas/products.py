"""Products of the catalogue as clients write and read them."""

from typing import ClassVar

from marshmallow import Schema, fields, validate

from app.models.products import DESCRIPTION_LENGTH, NAME_LENGTH
from app.schemas.categories import ROW
from app.schemas.fields import Document, Instant, QueryFlag, QueryWhole, Search, Text, Whole
from app.schemas.pages import PageQuery
from app.schemas.skus import SkuOfProduct, SkuView

MOST_SKUS = 100
SORTS = ["name", "-name", "created_at", "-created_at"]


class ProductChange(Schema):
    """What may change; `version` is the one the change was decided on, unless If-Match names it."""

    EXAMPLE: ClassVar = {"name": "T-shirt, organic", "version": 1}

    name = Text(NAME_LENGTH)
    description = Text(DESCRIPTION_LENGTH, may_be_blank=True)
    category_id = Whole(**ROW, allow_none=True, metadata={"description": "null: in no category"})
    attributes = Document()
    version = Whole(1)


class ProductNew(Schema):
    EXAMPLE: ClassVar = {
        "name": "T-shirt",
        "description": "Plain, of organic cotton",
        "skus": [{"sku_code": "TSHIRT-S", "price": "19.99", "barcode": "4006381333931", "opening_stock": 40}],
    }

    name = Text(NAME_LENGTH, required=True)
    description = Text(DESCRIPTION_LENGTH, may_be_blank=True, load_default="")
    category_id = Whole(**ROW, allow_none=True, load_default=None, metadata={"description": "null: in no category"})
    attributes = Document(load_default=dict)
    skus = fields.List(fields.Nested(SkuOfProduct), load_default=list, validate=validate.Length(max=MOST_SKUS))


class CategoryOfProduct(Schema):
    id = fields.Int()
    name = fields.Str()
    path = fields.List(fields.Str(), metadata={"description": "names from the top down to its own"})


class CatalogueProductView(Schema):
    id = fields.Int(metadata={"description": "the catalog_product_id of its SKUs"})
    name = fields.Str()
    description = fields.Str()
    category_id = fields.Int(allow_none=True)
    category = fields.Nested(CategoryOfProduct, allow_none=True)
    attributes = fields.Dict()
    skus = fields.List(fields.Nested(SkuView), metadata={"description": "of a deleted product those deleted with it"})
    version = fields.Int()
    archived_at = Instant(allow_none=True)
    created_at = Instant()
    updated_at = Instant()


class ProductListQuery(PageQuery):
    category = QueryWhole(**ROW, metadata={"description": "a category's id, which stands for all below it too"})
    q = Search()
    include_deleted = QueryFlag(load_default=False)
    sort = fields.Str(load_default="name", validate=validate.OneOf(SORTS))
