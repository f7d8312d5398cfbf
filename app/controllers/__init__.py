"""The table of contents: every namespace of the API, and where it hangs."""

from flask import Blueprint, Flask, redirect
from werkzeug.wrappers import Response

from app.controllers import (
    audit,
    auth,
    availability,
    bulk,
    categories,
    converters,
    explanations,
    health,
    idempotency_keys,
    inventory_items,
    locations,
    metrics,
    product_search,
    products,
    reservations,
    skus,
    stock_movements,
    stock_totals,
    store_products,
)
from app.utils import edge, problems

BASE = "/api/v1"
DOCS = f"{BASE}/docs/"

# The modules in the order of the page; several of them hang their calls below /inventory.
CALLS = [
    inventory_items,
    availability,
    explanations,
    bulk,
    store_products,
    stock_totals,
    stock_movements,
    reservations,
    locations,
    categories,
    products,
    product_search,
    skus,
    audit,
    health,
]
NAMESPACES = {
    "/inventory": inventory_items.ns,
    "/movements": stock_movements.ns,
    "/reservations": reservations.ns,
    "/locations": locations.ns,
    "/categories": categories.ns,
    "/products": products.ns,
    "/skus": skus.ns,
    "/idempotency": idempotency_keys.ns,
    "/audit": audit.ns,
    "/health": health.ns,
}


def init_app(app: Flask) -> None:
    converters.init_app(app)
    edge.init_app(app)
    problems.init_app(app)
    blueprint = Blueprint("api", __name__, url_prefix=BASE)
    api = problems.ProblemApi(
        blueprint,
        title="Inventory and reservations",
        version="1",
        description="How many units of each product can be promised, promised for a limited time, and never wrong.",
        doc="/docs/",
        authorizations=auth.SCHEMES,
        security=list(auth.SCHEMES),
    )
    for path, namespace in NAMESPACES.items():
        api.add_namespace(namespace, path=path)
    app.register_blueprint(blueprint)
    app.add_url_rule("/", "home", home)
    metrics.init_app(app)
    auth.check_every_call_is_guarded(app, BASE)


def home() -> Response:
    """People who open the service in a browser want its pages."""
    return redirect(DOCS)
