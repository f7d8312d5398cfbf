"""The table of contents: every namespace of the API, and where it hangs."""

from flask import Blueprint, Flask, redirect
from werkzeug.wrappers import Response

from app.controllers import (
    audit,
    availability,
    bulk,
    explanations,
    health,
    inventory_items,
    locations,
    metrics,
    reservations,
    stock_movements,
)
from app.utils import edge, problems

BASE = "/api/v1"
DOCS = f"{BASE}/docs/"

NAMESPACES = [
    (inventory_items.ns, "/inventory"),
    (availability.ns, "/inventory"),
    (explanations.ns, "/inventory"),
    (bulk.ns, "/inventory"),
    (stock_movements.of_product, "/inventory"),
    (stock_movements.ns, "/movements"),
    (reservations.ns, "/reservations"),
    (locations.ns, "/locations"),
    (audit.ns, "/audit"),
    (health.ns, "/health"),
]


def init_app(app: Flask) -> None:
    edge.init_app(app)
    problems.init_app(app)
    blueprint = Blueprint("api", __name__, url_prefix=BASE)
    api = problems.ProblemApi(
        blueprint,
        title="Inventory and reservations",
        version="1",
        description="How many units of each product can be promised, promised for a limited time, and never wrong.",
        doc="/docs/",
    )
    for namespace, path in NAMESPACES:
        api.add_namespace(namespace, path=path)
    app.register_blueprint(blueprint)
    app.add_url_rule("/", "home", home)
    metrics.init_app(app)


def home() -> Response:
    """People who open the service in a browser want its pages."""
    return redirect(DOCS)
