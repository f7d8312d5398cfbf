"""How many statements the lists of the stores cost: as many for a thousand rows as for ten."""

import pytest
from sqlalchemy import insert

from app.extensions import cache, db
from app.models.inventory_items import InventoryItem
from app.repositories import locations
from app.utils import clock
from tests import factories
from tests.statements import counted

INVENTORY = "/api/v1/inventory/"
UPC_A = "042100005264"
LISTS = [
    *(
        f"{INVENTORY}products?sort={name}"
        for name in ("product_id", "-name", "price", "quantity", "available_quantity")
    ),
    f"{INVENTORY}products?category=1&status=out_of_stock&search=P&min_price=1",
    f"{INVENTORY}low-stock?location=default",
    f"{INVENTORY}search?q=P",
    f"{INVENTORY}barcode/{UPC_A}",
    f"{INVENTORY}categories",
    f"{INVENTORY}units",
    f"{INVENTORY}summary",
]


def empty_items(numbers: range) -> None:
    """An item of each of the two SKUs of these products, nothing in any of them: straight into the table."""
    row = {
        "location_id": locations.get("default").id,
        "quantity": 0,
        "reserved_quantity": 0,
        "minimum_stock_level": 0,
        "version": 0,
        "created_at": clock.now(),
        "updated_at": clock.now(),
    }
    codes = [f"S-{number}-{one}" for number in numbers for one in (1, 2)]
    db.session.execute(insert(InventoryItem.__table__), [row | {"product_id": code} for code in codes])
    db.session.commit()


def cost(client, path, size):
    cache().clear()
    sized = "" if path.endswith("summary") else f"{'&' if '?' in path else '?'}per_page={size}"
    with counted() as statements:
        answer = client.get(path + sized)
    assert answer.status_code == 200, answer.text
    return len(statements)


@pytest.fixture
def shop(app):
    factories.product(barcode=UPC_A, stock=1)

    def grow(numbers):
        factories.many_products(numbers)
        empty_items(numbers)

    grow(range(100, 105))
    return grow


def test_a_list_costs_as_many_statements_for_a_thousand_rows_as_for_ten(client, shop):
    few = {path: cost(client, path, 10) for path in LISTS}
    shop(range(1000, 1495))
    total = client.get(f"{INVENTORY}products").json["meta"]["total"]
    assert total == 1001
    for path in LISTS:
        assert [cost(client, path, size) for size in (1, 10, 100)] == [few[path]] * 3, path
    assert max(few.values()) <= 5, few
