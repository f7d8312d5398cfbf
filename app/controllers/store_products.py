"""What each store has, with names and prices: /inventory/products and the lists beside it"""

from typing import Any

from flask import Response
from flask_restx import Resource

from app.controllers.calls import read, write
from app.controllers.inventory_items import LIST_ERRORS, ns
from app.errors import (
    BarcodeNotFound,
    InsufficientStock,
    InvalidBarcode,
    InventoryItemNotFound,
    ItemArchived,
    QuantityLimit,
)
from app.extensions import settings
from app.models import barcodes
from app.models.allocation import Line
from app.models.stock_movements import MovementType
from app.repositories import store_products as store_rows
from app.repositories.reservations import seconds_to_next_expiry
from app.repositories.store_products import Filters
from app.schemas import store_products as shapes
from app.schemas.availability import AvailabilityView
from app.schemas.inventory_items import PlacePageQuery
from app.schemas.stock_movements import MovementView
from app.services import availability, explanations, inventory_items
from app.services.stock import STOCK, item_tag
from app.utils import clock
from app.utils.cache import Entry
from app.utils.replies import cached, list_key, render

ITEM, ITEMS = shapes.StoreItemView(), shapes.StoreItemView(many=True)


def _list(filters: Filters, asked: Any, message: str, sort: str = "product_id") -> Response:
    """A page of items, cached until the next change, the next expiry or a few seconds."""

    def fill() -> Entry:
        now = clock.now()
        page = store_rows.page(filters, sort, asked, now)
        return Entry(render(ITEMS, page.rows, message=message, meta=page.meta), seconds=seconds_to_next_expiry(now))

    return cached(list_key(), STOCK, fill, seconds=settings().list_cache_seconds)


@ns.route("/products")
class StoreProducts(Resource):
    @read(ns, query=shapes.StoreQuery(), returns=shapes.StoreItemView(), many=True, errors=LIST_ERRORS)
    def get(self, query: dict[str, Any]) -> Response:
        """List what the stores have, with names and prices"""
        asked, sort = query.pop("asked"), query.pop("sort")
        return _list(Filters(**query), asked, "Products in stores", sort)


@ns.route("/products/<code:location>/<product:product_id>")
class StoreProduct(Resource):
    @read(
        ns,
        returns=shapes.StoreItemView(),
        headers={"If-None-Match": "answers 304 while nothing has changed"},
        errors=[InventoryItemNotFound],
    )
    def get(self, location: str, product_id: str) -> Response:
        """Show one product of one store"""

        def fill() -> Entry:
            now = clock.now()
            row = store_rows.get(product_id, location, now)
            # What lapsed holds give back changes without the item's version.
            settled = not (row.lapsed or row.archived_at)
            body = render(ITEM, row, message="Product in store")
            tag = explanations.etag([row], None if row.catalog_product_id is None else body.decode())
            return Entry(body, tag, settled, seconds_to_next_expiry(now))

        key = f"store:{product_id}@{location}"
        return cached(key, item_tag(product_id), fill, seconds=settings().cache_default_timeout)


@ns.route("/products/<code:location>/<product:product_id>/stock")
class StoreProductStock(Resource):
    @write(
        ns,
        body=shapes.StockChange(),
        returns=MovementView(),
        message="Stock changed",
        errors=[InventoryItemNotFound, InsufficientStock, QuantityLimit, ItemArchived],
    )
    def put(self, location: str, product_id: str, body: dict[str, Any]) -> Any:
        """Change a store's stock by a signed number of units, never below what is reserved"""
        return inventory_items.run(
            inventory_items.Adjust(
                product_id=product_id,
                location=location,
                quantity=body["quantity_change"],
                movement_type=MovementType.ADJUSTMENT,
                reason=body["reason"],
            )
        )


@ns.route("/products/<code:location>/<product:product_id>/availability")
class StoreProductAvailability(Resource):
    @read(
        ns, query=shapes.AvailableQuery(), returns=AvailabilityView(), message="Availability",
        errors=[InventoryItemNotFound],
    )  # fmt: skip
    def get(self, location: str, product_id: str, query: dict[str, Any]) -> dict[str, Any]:
        """Whether a store could promise so many units now"""
        return availability.of(Line(product_id, query["quantity"], location))


@ns.route("/low-stock")
class LowStock(Resource):
    @read(ns, query=PlacePageQuery(), returns=shapes.StoreItemView(), many=True, errors=LIST_ERRORS)
    def get(self, query: dict[str, Any]) -> Response:
        """Items whose available units are at or below their minimum"""
        return _list(Filters(location=query.get("location"), low_stock=True), query["asked"], "Low stock")


@ns.route("/search")
class InventorySearch(Resource):
    @read(ns, query=shapes.SearchQuery(), returns=shapes.StoreItemView(), many=True, errors=LIST_ERRORS)
    def get(self, query: dict[str, Any]) -> Response:
        """Items found by characters of their code, by words of their product or by barcode"""
        return _list(Filters(location=query.get("location"), search=query["q"]), query["asked"], "Search results")


@ns.route("/barcode/<string:barcode>")
class InventoryByBarcode(Resource):
    @read(
        ns,
        query=PlacePageQuery(),
        returns=shapes.StoreItemView(),
        many=True,
        errors=[BarcodeNotFound, InvalidBarcode, *LIST_ERRORS],
    )
    def get(self, barcode: str, query: dict[str, Any]) -> Response:
        """Items of the SKU that has this barcode; of two where eight digits are right in two ways"""
        gtins = barcodes.candidates(barcode)
        store_rows.require_barcode(barcode, gtins)
        return _list(Filters(location=query.get("location"), gtins=tuple(gtins)), query["asked"], "Found by barcode")
