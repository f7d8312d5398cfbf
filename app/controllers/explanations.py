"""Why a number is what it is, and the totals: /inventory/{product_id}/explain and /inventory/summary"""

from typing import Any

from flask import Response
from flask_restx import Resource

from app.controllers.calls import read
from app.controllers.inventory_items import ns
from app.errors import InventoryItemNotFound
from app.extensions import settings
from app.repositories.reservations import seconds_to_next_expiry
from app.schemas.explanations import Explanation, Summary
from app.schemas.inventory_items import PlaceQuery
from app.services import explanations
from app.services.stock import STOCK
from app.utils import clock
from app.utils.cache import Entry
from app.utils.replies import cached, list_key, render

SUMMARY = Summary()


@ns.route("/<product:product_id>/explain")
class InventoryExplanation(Resource):
    @read(
        ns, query=PlaceQuery(), returns=Explanation(), message="Explanation",
        errors=[InventoryItemNotFound],
    )  # fmt: skip
    def get(self, product_id: str, query: dict[str, Any]) -> dict[str, Any]:
        """Why the number is what it is: on hand, who holds what until when, the last movements"""
        return explanations.explain(product_id, query.get("location"))


@ns.route("/summary")
class InventorySummary(Resource):
    @read(ns, query=PlaceQuery(), returns=Summary())
    def get(self, query: dict[str, Any]) -> Response:
        """Totals over all items and per location"""

        def fill() -> Entry:
            now = clock.now()
            totals = explanations.totals(query.get("location"), now)
            return Entry(render(SUMMARY, totals, message="Summary"), seconds=seconds_to_next_expiry(now))

        return cached(list_key(), STOCK, fill, seconds=settings().list_cache_seconds)
