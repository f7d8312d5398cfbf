"""Sums over the stock: /inventory/summary, /inventory/categories and /inventory/units"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Response
from flask_restx import Resource
from marshmallow import Schema

from app.controllers.calls import read
from app.controllers.inventory_items import LIST_ERRORS, ns
from app.extensions import settings
from app.repositories import stock_totals as total_rows
from app.repositories.pages import Page
from app.repositories.reservations import seconds_to_next_expiry
from app.schemas import stock_totals as shapes
from app.schemas.inventory_items import PlacePageQuery, PlaceQuery
from app.services import stock_totals
from app.services.stock import STOCK
from app.utils import clock
from app.utils.cache import Entry
from app.utils.replies import cached, list_key, render

SUMMARY, CATEGORIES, UNITS = shapes.Summary(), shapes.CategoryInStock(many=True), shapes.UnitView(many=True)


def _summed(schema: Schema, message: str, ask: Callable[[datetime], Any]) -> Response:
    """Sums or a page of them, cached until the next change, the next expiry or a few seconds."""

    def fill() -> Entry:
        now = clock.now()
        found = ask(now)
        data, meta = (found.rows, found.meta) if isinstance(found, Page) else (found, None)
        return Entry(render(schema, data, message=message, meta=meta), seconds=seconds_to_next_expiry(now))

    return cached(list_key(), STOCK, fill, seconds=settings().list_cache_seconds)


@ns.route("/summary")
class InventorySummary(Resource):
    @read(ns, query=PlaceQuery(), returns=shapes.Summary())
    def get(self, query: dict[str, Any]) -> Response:
        """Totals over all items, per location and per category, with what they are worth"""
        return _summed(SUMMARY, "Summary", lambda now: stock_totals.totals(query.get("location"), now))


@ns.route("/categories")
class InventoryCategories(Resource):
    @read(ns, query=PlacePageQuery(), returns=shapes.CategoryInStock(), many=True, errors=LIST_ERRORS)
    def get(self, query: dict[str, Any]) -> Response:
        """Categories with something available, by name"""

        def ask(now: datetime) -> Page:
            return total_rows.categories_in_stock(query.get("location"), query["asked"], now)

        return _summed(CATEGORIES, "Categories in stock", ask)


@ns.route("/units")
class InventoryUnits(Resource):
    @read(ns, query=PlacePageQuery(), returns=shapes.UnitView(), many=True, errors=LIST_ERRORS)
    def get(self, query: dict[str, Any]) -> Response:
        """The units that the items are sold in"""
        return _summed(UNITS, "Units", lambda now: total_rows.units(query.get("location"), query["asked"], now))
