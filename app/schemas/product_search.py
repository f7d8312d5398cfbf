"""What people search for, and what is found."""

from marshmallow import fields

from app.schemas.categories import ROW
from app.schemas.fields import QueryWhole, Reference, Search
from app.schemas.pages import PageQuery
from app.schemas.products import CatalogueProductView


class ProductSearchQuery(PageQuery):
    """Numbered pages alone: the best come first, and nobody reads further than a few pages."""

    class Meta:
        exclude = ("cursor",)

    q = Search(required=True, metadata={"description": "words, the beginning of a code, or a barcode"})
    category = QueryWhole(**ROW, metadata={"description": "a category's id, which stands for all below it too"})
    user_id = Reference(metadata={"description": "whose cart and orders the flags tell of"})


class ProductFound(CatalogueProductView):
    in_cart = fields.Bool(metadata={"description": "whether the user has one of its SKUs in the cart"})
    previously_purchased = fields.Bool(metadata={"description": "whether the user has bought one of its SKUs before"})
