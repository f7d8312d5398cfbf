"""Make what a test needs, through the same use cases the service offers; a test names only what matters to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import insert

from app.extensions import db
from app.models.allocation import Line
from app.models.products import Product
from app.models.reservations import Hold
from app.models.skus import Sku
from app.repositories import inventory_items as item_rows
from app.services import audit, categories, inventory_items, locations, products, reservations
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


def category(name: str, parent: int | None = None) -> int:
    """Its id."""
    return categories.create({"name": name, "parent_id": parent}).id


def product(
    name: str = "Keyboard",
    *,
    sku: str | None = PRODUCT,
    price: str = "49.99",
    category: int | None = None,
    barcode: str | None = None,
    stock: int | None = None,
    at: str = "default",
    **more: Any,
) -> int:
    """Its id. It is sold as one SKU, or as none; `more` are further values of the product."""
    row = {"sku_code": sku, "price": Decimal(price), "barcode": barcode, "opening_stock": stock, "location": at}
    return products.create(more | {"name": name, "category_id": category, "skus": [row] if sku else []}).id


def many_products(numbers: range) -> None:
    """Products with these ids, two SKUs each, in ten categories below ten others: straight into the tables."""
    inside = [category(f"In {n}", category(f"Out {n} of {numbers.start}")) for n in range(10)]
    common = {"attributes": {}, "version": 1, "created_at": clock.now(), "updated_at": clock.now()}
    names = [common | {"id": n, "name": f"P {n}", "description": "", "category_id": inside[n % 10]} for n in numbers]
    offer = common | {"price": Decimal("1.99"), "currency": "USD", "unit": "each"}
    sold = [offer | {"catalog_product_id": n, "sku_code": f"S-{n}-{one}"} for n in numbers for one in (1, 2)]
    db.session.execute(insert(Product.__table__), names)
    db.session.execute(insert(Sku.__table__), sold)
    db.session.commit()


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
