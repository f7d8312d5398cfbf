"""What could be promised: /inventory/availability and /inventory/{product_id}/availability"""

from typing import Any

from flask_restx import Resource

from app.controllers.calls import read
from app.controllers.inventory_items import ns
from app.errors import InventoryItemNotFound
from app.models.allocation import Line
from app.schemas.availability import AvailabilityAsked, AvailabilityOverall, AvailabilityQuery, AvailabilityView
from app.services import availability


@ns.route("/availability")
class Availability(Resource):
    @read(ns, body=AvailabilityAsked(), returns=AvailabilityOverall(), message="Availability")
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Whether each line of a basket, and all of it, could be promised now"""
        lines = [Line(item["product_id"], item["quantity"], item["location"]) for item in body["items"]]
        return availability.check(lines)


@ns.route("/<product:product_id>/availability")
class AvailabilityOfProduct(Resource):
    @read(
        ns, query=AvailabilityQuery(), returns=AvailabilityView(), message="Availability",
        errors=[InventoryItemNotFound],
    )  # fmt: skip
    def get(self, product_id: str, query: dict[str, Any]) -> dict[str, Any]:
        """Whether so many units could be promised now"""
        return availability.of(Line(product_id, query["quantity"], query.get("location")))
