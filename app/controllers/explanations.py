"""Why a number is what it is: /inventory/{product_id}/explain"""

from typing import Any

from flask_restx import Resource

from app.controllers.calls import read
from app.controllers.inventory_items import ns
from app.errors import InventoryItemNotFound
from app.schemas.explanations import Explanation
from app.schemas.inventory_items import PlaceQuery
from app.services import explanations


@ns.route("/<product:product_id>/explain")
class InventoryExplanation(Resource):
    @read(
        ns, query=PlaceQuery(), returns=Explanation(), message="Explanation",
        errors=[InventoryItemNotFound],
    )  # fmt: skip
    def get(self, product_id: str, query: dict[str, Any]) -> dict[str, Any]:
        """Why the number is what it is: on hand, who holds what until when, the last movements"""
        return explanations.explain(product_id, query.get("location"))
