"""SKUs: /skus/"""

from typing import Any

from flask_restx import Namespace, Resource

from app.controllers import auth, preconditions
from app.controllers.calls import read, write
from app.errors import (
    AlreadyExists,
    InvalidBarcode,
    InvalidCursor,
    InvalidIfMatch,
    PageTooDeep,
    ParentDeleted,
    SkuInUse,
    SkuNotFound,
    UnknownLocation,
    UnknownProduct,
    VersionConflict,
    VersionMismatch,
    VersionRequired,
)
from app.models.api_keys import Permission
from app.models.skus import Sku
from app.repositories import skus as sku_rows
from app.schemas import skus as shapes
from app.schemas.pages import PageQuery
from app.services import skus
from app.utils.replies import Reply

ns = Namespace("skus", description="What is sold: a price, a barcode, and the code that the stock is counted under")
LIST_ERRORS = [InvalidCursor, PageTooDeep]
VERSION_ERRORS = [VersionMismatch, InvalidIfMatch]
IF_MATCH = {"If-Match": "the version the change was decided on"}


def require_stock_permission(rows: list[dict[str, Any]]) -> None:
    """Whoever may write the catalogue alone may not bring units in by it."""
    if any("opening_stock" in row for row in rows):
        auth.require(Permission.STOCK_WRITE)


def _reply(sku: Sku, message: str) -> Reply:
    return Reply(sku, message, etag=str(sku.version))


@ns.route("/")
class Skus(Resource):
    @read(ns, query=shapes.SkuQuery(), returns=shapes.SkuView(), many=True, message="SKUs", errors=LIST_ERRORS)
    def get(self, query: dict[str, Any]) -> Reply:
        """List SKUs by code, all of them or those of one product"""
        page = sku_rows.page(
            query["asked"],
            catalog_product_id=query.get("catalog_product_id"),
            include_deleted=query["include_deleted"],
        )
        return Reply(page.rows, meta=page.meta)

    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        body=shapes.SkuNew(),
        returns=shapes.SkuView(),
        status=201,
        errors=[AlreadyExists, UnknownProduct, InvalidBarcode, UnknownLocation],
    )
    def post(self, body: dict[str, Any]) -> Reply:
        """Put a SKU of a product on sale; opening stock, which needs stock:write, makes its inventory item too"""
        require_stock_permission([body])
        sku = skus.create(body)
        reply = _reply(sku, "SKU created")
        reply.headers["Location"] = f"/api/v1/skus/{sku.sku_code}"
        return reply


@ns.route("/<product:sku_code>")
class SkuByCode(Resource):
    @read(ns, returns=shapes.SkuView(), errors=[SkuNotFound])
    def get(self, sku_code: str) -> Reply:
        """Show a SKU"""
        return _reply(sku_rows.get(sku_code), "SKU")

    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        body=shapes.SkuChange(),
        returns=shapes.SkuView(),
        headers=IF_MATCH,
        errors=[SkuNotFound, AlreadyExists, InvalidBarcode, VersionRequired, VersionConflict, *VERSION_ERRORS],
    )
    def put(self, sku_code: str, body: dict[str, Any]) -> Reply:
        """Change price, unit, barcode or attributes; the former price is kept"""
        version = body.pop("version", None)
        return _reply(skus.update(sku_code, body, version=version, versions=preconditions.versions()), "SKU changed")

    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        returns=shapes.SkuView(),
        headers=IF_MATCH,
        errors=[SkuNotFound, SkuInUse, *VERSION_ERRORS],
    )
    def delete(self, sku_code: str) -> Reply:
        """Take a SKU off sale that has neither stock nor live reservations; its barcode is free then"""
        return _reply(skus.delete(sku_code, versions=preconditions.versions()), "SKU deleted")


@ns.route("/<product:sku_code>/restore")
class SkuRestore(Resource):
    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        returns=shapes.SkuView(),
        headers=IF_MATCH,
        errors=[SkuNotFound, AlreadyExists, ParentDeleted, *VERSION_ERRORS],
    )
    def post(self, sku_code: str) -> Reply:
        """Put a deleted SKU on sale again"""
        return _reply(skus.restore(sku_code, versions=preconditions.versions()), "SKU restored")


@ns.route("/<product:sku_code>/prices")
class SkuPrices(Resource):
    @read(
        ns,
        query=PageQuery(),
        returns=shapes.PriceView(),
        many=True,
        message="Prices",
        errors=[SkuNotFound, *LIST_ERRORS],
    )
    def get(self, sku_code: str, query: dict[str, Any]) -> Reply:
        """What a SKU cost and costs, the newest change first"""
        page = sku_rows.prices(sku_rows.get(sku_code), query["asked"])
        return Reply(page.rows, meta=page.meta)
