"""Inventory: /inventory/"""

from typing import Any

from flask import Response
from flask_restx import Namespace, Resource

from app.controllers import preconditions
from app.controllers.calls import read, write
from app.errors import (
    AlreadyExists,
    BelowReserved,
    InsufficientStock,
    Invalid,
    InvalidCursor,
    InvalidIfMatch,
    InventoryItemNotFound,
    ItemArchived,
    ItemNotEmpty,
    PageTooDeep,
    QuantityLimit,
    UnknownLocation,
    VersionMismatch,
    VersionRequired,
)
from app.extensions import settings
from app.models.stock_movements import MovementType
from app.repositories import inventory_items as item_rows
from app.repositories.reservations import seconds_to_next_expiry
from app.schemas import explanations as views
from app.schemas import inventory_items as shapes
from app.schemas.stock_movements import MovementView
from app.services import explanations, inventory_items
from app.services.stock import STOCK, item_tag
from app.utils import clock
from app.utils.cache import Entry
from app.utils.replies import Reply, cached, list_key, render, send

ns = Namespace("inventory", description="Units on hand, promised and available")
ITEMS, PRODUCT, PAST = shapes.ItemView(many=True), views.ProductView(), views.PastProductView()
LIST_ERRORS = [InvalidCursor, PageTooDeep]


def _item(product_id: str, location: str, message: str) -> Reply:
    row = item_rows.get(product_id, location, clock.now())
    return Reply(row, message, etag=str(row.version))


@ns.route("/")
class Inventory(Resource):
    @read(ns, query=shapes.ItemQuery(), returns=shapes.ItemView(), many=True, errors=LIST_ERRORS)
    def get(self, query: dict[str, Any]) -> Response:
        """List inventory items, one per product and location"""
        asked, sort = query.pop("asked"), query.pop("sort")
        query["product_id"] = tuple(sorted(query.get("product_id", ())))

        def fill() -> Entry:
            now = clock.now()
            page = item_rows.page(item_rows.Filters(**query), sort, asked, now)
            body = render(ITEMS, page.rows, message="Inventory", meta=page.meta)
            return Entry(body, seconds=seconds_to_next_expiry(now))

        return cached(list_key(), STOCK, fill, seconds=settings().list_cache_seconds)

    @write(
        ns, body=shapes.ItemNew(), returns=shapes.ItemView(), status=201,
        errors=[AlreadyExists, UnknownLocation],
    )  # fmt: skip
    def post(self, body: dict[str, Any]) -> Reply:
        """Create an inventory item; its opening stock is an inbound movement"""
        inventory_items.run(inventory_items.Create(**body))
        reply = _item(body["product_id"], body["location"], "Inventory item created")
        reply.headers["Location"] = f"/api/v1/inventory/{body['product_id']}?location={body['location']}"
        return reply


@ns.route("/<product:product_id>")
class InventoryOfProduct(Resource):
    @read(
        ns,
        query=views.ProductQuery(),
        returns=views.ProductView(),
        headers={"If-None-Match": "answers 304 while nothing has changed"},
        errors=[InventoryItemNotFound],
    )
    def get(self, product_id: str, query: dict[str, Any]) -> Response:
        """Show a product's stock, now or as of a moment"""
        location = query.get("location")
        if "as_of" in query:
            past = explanations.as_of(product_id, location, query["as_of"])
            return send(render(PAST, past, message="Inventory as of then"))

        def fill() -> Entry:
            seen = explanations.snapshot(product_id, location)
            body = render(PRODUCT, seen.view, message="Inventory")
            return Entry(body, seen.etag, seen.settled, seen.seconds)

        # No code contains the sign between the two, so no two of these keys are alike.
        key = f"stock:{product_id}@{location or ''}"
        return cached(key, item_tag(product_id), fill, seconds=settings().cache_default_timeout)

    @write(
        ns,
        body=shapes.ItemChange(),
        returns=shapes.ItemView(),
        headers={"If-Match": "the version the change was decided on"},
        errors=[
            InventoryItemNotFound,
            VersionRequired,
            VersionMismatch,
            InvalidIfMatch,
            BelowReserved,
            ItemArchived,
            Invalid,
        ],
    )
    def put(self, product_id: str, body: dict[str, Any]) -> Reply:
        """Set counted quantity and stock levels; a quantity needs If-Match or expected_quantity"""
        inventory_items.run(change_of(product_id, body, preconditions.versions()))
        return _item(product_id, body["location"], "Inventory item changed")

    @write(
        ns,
        query=shapes.ArchiveQuery(),
        returns=shapes.ItemView(),
        errors=[InventoryItemNotFound, ItemNotEmpty, ItemArchived],
    )
    def delete(self, product_id: str, query: dict[str, Any]) -> Reply:
        """Archive an item that has neither stock nor live reservations"""
        inventory_items.run(inventory_items.Archive(product_id=product_id, location=query["location"]))
        return _item(product_id, query["location"], "Inventory item archived")


def change_of(product_id: str, body: dict[str, Any], versions: frozenset[int] | None) -> inventory_items.Change:
    absolute = ("quantity", "minimum_stock_level", "maximum_stock_level")
    return inventory_items.Change(
        product_id=product_id,
        location=body["location"],
        values={name: body[name] for name in absolute if name in body},
        expected_quantity=body.get("expected_quantity"),
        versions=versions,
        reason=body.get("reason"),
    )


@ns.route("/<product:product_id>/adjust")
class InventoryAdjust(Resource):
    @write(
        ns,
        body=shapes.ItemAdjust(),
        returns=MovementView(),
        message="Stock adjusted",
        errors=[InventoryItemNotFound, InsufficientStock, QuantityLimit, ItemArchived],
    )
    def post(self, product_id: str, body: dict[str, Any]) -> Any:
        """Change stock by a signed number of units, never below what is reserved"""
        kind = MovementType(body.pop("movement_type"))
        return inventory_items.run(inventory_items.Adjust(product_id=product_id, movement_type=kind, **body))


@ns.route("/<product:product_id>/transfer")
class InventoryTransfer(Resource):
    @write(
        ns,
        body=shapes.ItemTransfer(),
        returns=MovementView(),
        many=True,
        message="Stock transferred",
        errors=[InventoryItemNotFound, InsufficientStock, QuantityLimit, ItemArchived, UnknownLocation],
    )
    def post(self, product_id: str, body: dict[str, Any]) -> list[Any]:
        """Move available units to another location: both movements, out first"""
        return inventory_items.transfer(
            product_id,
            source=body["from_location"],
            target=body["to_location"],
            quantity=body["quantity"],
            reason=body["reason"],
        )
