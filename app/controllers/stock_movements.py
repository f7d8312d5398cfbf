"""The ledger: /movements/ and /inventory/{product_id}/movements"""

from typing import Any

from flask_restx import Namespace, Resource

from app.controllers.calls import read
from app.controllers.inventory_items import ns as inventory
from app.errors import InvalidCursor, InventoryItemNotFound, PageTooDeep
from app.repositories import inventory_items as item_rows
from app.repositories import stock_movements as movement_rows
from app.schemas.stock_movements import AllMovementsQuery, MovementQuery, MovementView
from app.utils import clock
from app.utils.replies import Reply

ns = Namespace("movements", description="The append-only ledger of stock movements")
ERRORS = [InvalidCursor, PageTooDeep]


def _movements(query: dict[str, Any]) -> Reply:
    asked, after = query.pop("asked"), query.pop("after")
    filters = movement_rows.Filters(**query)
    if after is None:
        page = movement_rows.page(filters, asked)
        return Reply(page.rows, "Movements", meta=page.meta)
    rows = movement_rows.feed(filters, after=after, limit=asked.per_page, now=clock.now())
    last = rows[-1].id if rows else after
    meta = {"page": None, "per_page": asked.per_page, "total": None, "pages": None, "next_cursor": str(last)}
    return Reply(rows, "Movements", meta=meta)


@ns.route("/")
class Movements(Resource):
    @read(ns, query=AllMovementsQuery(), returns=MovementView(), many=True, errors=ERRORS)
    def get(self, query: dict[str, Any]) -> Reply:
        """The ledger, newest first; with after= the change feed, oldest first and without a gap"""
        return _movements(query)


@inventory.route("/<product:product_id>/movements")
class MovementsOfProduct(Resource):
    @read(
        inventory,
        query=MovementQuery(),
        returns=MovementView(),
        many=True,
        errors=[InventoryItemNotFound, *ERRORS],
    )
    def get(self, product_id: str, query: dict[str, Any]) -> Reply:
        """The ledger of one product"""
        if not item_rows.find(product_id, None, clock.now()):
            raise item_rows.not_found(product_id, None)
        return _movements(query | {"product_id": product_id})
