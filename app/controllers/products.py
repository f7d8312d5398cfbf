"""Products of the catalogue: /products/"""

from typing import Any

from flask_restx import Namespace, Resource

from app.controllers import preconditions
from app.controllers.calls import read, write
from app.controllers.skus import require_stock_permission
from app.errors import (
    AlreadyExists,
    InvalidBarcode,
    InvalidCursor,
    InvalidIfMatch,
    PageTooDeep,
    ParentDeleted,
    ProductNotFound,
    SkuInUse,
    UnknownCategory,
    UnknownLocation,
    VersionConflict,
    VersionMismatch,
    VersionRequired,
)
from app.models.api_keys import Permission
from app.repositories import products as product_rows
from app.schemas import products as shapes
from app.services import products
from app.utils.replies import Reply

ns = Namespace("products", description="What people recognise and look for; each is sold as one or more SKUs")
# A hundred SKUs with attributes of their own do not fit into the usual body.
MAX_BODY = 1_048_576
VERSION_ERRORS = [VersionMismatch, InvalidIfMatch]
IF_MATCH = {"If-Match": "the version the change was decided on"}


def _reply(catalog_product_id: int, message: str) -> Reply:
    view = product_rows.view(catalog_product_id)
    return Reply(view, message, etag=str(view["version"]))


@ns.route("/")
class Products(Resource):
    @read(ns, query=shapes.ProductListQuery(), returns=shapes.CatalogueProductView(), many=True, message="Products",
          errors=[InvalidCursor, PageTooDeep])  # fmt: skip
    def get(self, query: dict[str, Any]) -> Reply:
        """List products with their SKUs, all of them or those of a category and below"""
        asked, sort = query.pop("asked"), query.pop("sort")
        page = product_rows.page(product_rows.Filters(**query), sort, asked)
        return Reply(page.rows, meta=page.meta)

    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        body=shapes.ProductNew(),
        returns=shapes.CatalogueProductView(),
        status=201,
        max_body=MAX_BODY,
        errors=[AlreadyExists, UnknownCategory, InvalidBarcode, UnknownLocation],
    )
    def post(self, body: dict[str, Any]) -> Reply:
        """Make a product with its SKUs and, which needs stock:write, their opening stock: all of it or nothing"""
        require_stock_permission(body["skus"])
        reply = _reply(products.create(body).id, "Product created")
        reply.headers["Location"] = f"/api/v1/products/{reply.data['id']}"
        return reply


@ns.route("/<row:catalog_product_id>")
class ProductById(Resource):
    @read(ns, returns=shapes.CatalogueProductView(), errors=[ProductNotFound])
    def get(self, catalog_product_id: int) -> Reply:
        """Show a product with its SKUs"""
        return _reply(catalog_product_id, "Product")

    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        body=shapes.ProductChange(),
        returns=shapes.CatalogueProductView(),
        headers=IF_MATCH,
        errors=[ProductNotFound, UnknownCategory, VersionRequired, VersionConflict, *VERSION_ERRORS],
    )
    def put(self, catalog_product_id: int, body: dict[str, Any]) -> Reply:
        """Change a product's name, description, category or attributes"""
        version = body.pop("version", None)
        products.update(catalog_product_id, body, version=version, versions=preconditions.versions())
        return _reply(catalog_product_id, "Product changed")

    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        returns=shapes.CatalogueProductView(),
        headers=IF_MATCH,
        errors=[ProductNotFound, SkuInUse, *VERSION_ERRORS],
    )
    def delete(self, catalog_product_id: int) -> Reply:
        """Take a product off sale with all its SKUs, none of which may have stock or live reservations"""
        products.delete(catalog_product_id, versions=preconditions.versions())
        return _reply(catalog_product_id, "Product deleted")


@ns.route("/<row:catalog_product_id>/restore")
class ProductRestore(Resource):
    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        returns=shapes.CatalogueProductView(),
        headers=IF_MATCH,
        errors=[ProductNotFound, ParentDeleted, AlreadyExists, *VERSION_ERRORS],
    )
    def post(self, catalog_product_id: int) -> Reply:
        """Bring a product back with the SKUs that were deleted with it"""
        products.restore(catalog_product_id, versions=preconditions.versions())
        return _reply(catalog_product_id, "Product restored")
