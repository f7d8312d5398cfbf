"""Make what a test needs, through the same use cases the service offers; a test names only what matters to it."""

from __future__ import annotations

from typing import Any

from app.models.allocation import Line
from app.models.reservations import Hold
from app.repositories import inventory_items as item_rows
from app.services import audit, inventory_items, locations, reservations
from app.utils import clock

PRODUCT = "KB-1"


def location(code: str, *, priority: int = 100) -> str:
    locations.create({"code": code, "name": code.title(), "priority": priority, "address": {}, "attributes": {}})
    return code


def stock(quantity: int = 10, product_id: str = PRODUCT, *, at: str = "default", minimum: int = 0) -> str:
    inventory_items.run(
        inventory_items.Create(product_id=product_id, location=at, quantity=quantity, minimum_stock_level=minimum)
    )
    return product_id


def hold(
    quantity: int = 1,
    product_id: str = PRODUCT,
    *,
    at: str | None = None,
    order: str = "o-1",
    customer: str = "c-1",
    ttl: int | None = None,
) -> Hold:
    owner = reservations.Owner(order_id=order, customer_id=customer)
    return reservations.reserve(Line(product_id, quantity, at), owner, ttl_seconds=ttl)


def numbers(product_id: str = PRODUCT, *, at: str = "default") -> tuple[int, int, int]:
    """On hand, reserved and available, as a reader sees them now."""
    row = item_rows.get(product_id, at, clock.now())
    return row.quantity, row.reserved_quantity, row.available_quantity


def movements(client: Any, product_id: str = PRODUCT, **query: Any) -> list[dict[str, Any]]:
    """The product's ledger, oldest first, over HTTP."""
    answer = client.get(
        f"/api/v1/inventory/{product_id}/movements", query_string={"after": 0, "per_page": 100, **query}
    )
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json["data"]
    return rows


def assert_audit_is_clean() -> None:
    report = audit.check()
    assert report.findings == []
