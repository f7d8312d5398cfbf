"""Search: /products/search"""

from typing import Any

from flask_restx import Resource

from app.controllers.calls import read
from app.controllers.products import ns
from app.errors import PageTooDeep
from app.schemas.product_search import ProductFound, ProductSearchQuery
from app.services import product_search
from app.utils.replies import Reply


@ns.route("/search")
class ProductSearch(Resource):
    @read(ns, query=ProductSearchQuery(), returns=ProductFound(), many=True, errors=[PageTooDeep])
    def get(self, query: dict[str, Any]) -> Reply:
        """Search by words of name and description, by code or barcode; the best come first, counted by category"""
        page = product_search.search(**query)
        return Reply(page.rows, "Products found", meta=page.meta)
