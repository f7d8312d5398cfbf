"""The list of a store against a plain Python model of it: every filter beside every other one, in every order."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from app.services import inventory_items, skus
from tests import factories

STORE = "/api/v1/inventory/products"
PLACES = ("default", "east", "west")
WORDS = ("Amber", "Birch", "Cedar", "Dune", "Ember")
TREE = {"Home": None, "Kitchen": "Home", "Knives": "Kitchen", "Garden": None}


@dataclass(frozen=True)
class Item:
    """What the model knows of one row, in the order in which the rows were made."""

    made: int
    code: str
    place: str
    quantity: int
    minimum: int
    held: int
    name: str | None = None
    category: str | None = None
    price: Decimal | None = None
    currency: str | None = None

    @property
    def available(self) -> int:
        return self.quantity - self.held

    @property
    def status(self) -> str:
        if self.available == 0:
            return "out_of_stock"
        return "low_stock" if self.available <= self.minimum else "in_stock"

    def lies_in(self, wanted: str) -> bool:
        above = self.category
        while above not in (None, wanted):
            above = TREE[above or ""]
        return above is not None

    def has(self, text: str) -> bool:
        words = (self.name or "").lower().split()
        by_word = all(any(word.startswith(part) for word in words) for part in text.lower().split())
        return text.lower() in self.code.lower() or by_word


SORTS = {
    "product_id": lambda item: (item.code, PLACES.index(item.place)),
    "name": lambda item: ((item.name or "").lower(), item.code, item.made),
    "price": lambda item: (item.currency or "", item.price or 0, item.made),
    "quantity": lambda item: (item.quantity, item.made),
    "available_quantity": lambda item: (item.available, item.made),
}
ANY = None
FILTERS: dict[str, list[Any]] = {
    "location": [ANY, "east", "moon"],
    "category": [ANY, "Home", "Kitchen", "Garden"],
    "status": [ANY, "in_stock", "low_stock", "out_of_stock"],
    "search": [ANY, "birch", "EMB ced", "-1", "x-3", "nothing"],
    "prices": [
        ANY,
        {"min_price": "2.50"},
        {"max_price": "4.00"},
        {"min_price": "1", "max_price": "3", "currency": "EUR"},
    ],
}


def holds(item: Item, asked: dict[str, Any]) -> bool:
    least, most = (asked.get(name) and Decimal(asked[name]) for name in ("min_price", "max_price"))
    currency = asked.get("currency", "USD" if least or most else None)
    return bool(
        asked.get("location") in (None, item.place)
        and asked.get("status") in (None, item.status)
        and ("category" not in asked or item.lies_in(asked["category"]))
        and ("search" not in asked or item.has(asked["search"]))
        and (currency in (None, item.currency))
        and (least is None or (item.price is not None and item.price >= least))
        and (most is None or (item.price is not None and item.price <= most))
    )


def stocked(chance: random.Random, code: str, **said: Any) -> list[Item]:
    """The product at some of the places, with holds that are live and holds that ran out."""
    made = []
    for place in chance.sample(PLACES, chance.randint(1, 3)):
        quantity, minimum = chance.choice([0, 1, 2, 3, 5, 8]), chance.choice([0, 0, 2, 4])
        factories.stock(quantity, code, at=place, minimum=minimum)
        held = chance.randint(0, quantity)
        lapsed = chance.randint(0, quantity - held)
        for units, seconds in ((held, 3600), (lapsed, 60)):
            if units:
                factories.hold(units, code, at=place, ttl=seconds)
        made.append(Item(0, code, place, quantity, minimum, held, **said))
    return made


@pytest.fixture
def shop(app, time):
    """Sixty items or so: two SKUs of a product, some that nobody described, some that are archived."""
    chance = random.Random(5)
    for place in PLACES[1:]:
        factories.location(place)
    tree: dict[str, int] = {}
    for name, above in TREE.items():
        tree[name] = factories.category(name, tree[above] if above else None)
    model: list[Item] = []
    for number in range(14):
        name = f"{chance.choice(WORDS)} {chance.choice(WORDS).lower()}"
        category = chance.choice([*TREE, None])
        product_id = factories.product(name, sku=None, category=tree.get(category or ""))
        for code in (f"A-{number}", f"x-{number}"):
            price, currency = Decimal(chance.randint(0, 9)) / 2, chance.choice(["EUR", "USD", "USD"])
            skus.create({"catalog_product_id": product_id, "sku_code": code, "price": price, "currency": currency})
            model += stocked(chance, code, name=name, category=category, price=price, currency=currency)
    for number in range(4):
        model += stocked(chance, f"q-{number}")
    factories.stock(0, "GONE-1")
    inventory_items.run(inventory_items.Archive(product_id="GONE-1", location="default"))
    time.forward(seconds=60)
    return tree, [Item(number, *list(vars(item).values())[1:]) for number, item in enumerate(model)]


def listed(client, **query):
    """All of it, by pages of 23 after the first one of 7."""
    found, more = [], {"per_page": 7}
    while more:
        answer = client.get(STORE, query_string=query | more)
        assert answer.status_code == 200, answer.text
        found += answer.json["data"]
        cursor = answer.json["meta"]["next_cursor"]
        more = {"cursor": cursor, "per_page": 23} if cursor else {}
    return [(row["product_id"], row["location"], row["status"], row["available_quantity"]) for row in found]


def compare(client, shop, asked: dict[str, Any], sort: str = "product_id") -> int:
    """How many rows both have."""
    tree, model = shop
    backwards, order = sort.startswith("-"), SORTS[sort.removeprefix("-")]
    expected = sorted((item for item in model if holds(item, asked)), key=order, reverse=backwards)
    query = asked | ({"category": tree[asked["category"]]} if "category" in asked else {})
    found = listed(client, **query, sort=sort)
    assert found == [(item.code, item.place, item.status, item.available) for item in expected], (asked, sort)
    return len(found)


def filters(**values: Any) -> dict[str, Any]:
    prices = values.pop("prices", ANY) or {}
    return {name: value for name, value in values.items() if value is not ANY} | prices


def test_any_filters_together_in_any_order_list_what_the_model_says(client, shop):
    chance = random.Random(7)
    combinations = chance.sample(list(itertools.product(*FILTERS.values())), 120)
    sizes = [
        compare(client, shop, filters(**dict(zip(FILTERS, values, strict=True))), chance.choice(["", "-"]) + sort)
        for values, sort in zip(combinations, itertools.cycle(SORTS), strict=False)
    ]
    assert sum(size > 0 for size in sizes) > 30, "most filters found nothing, so little was compared"


def test_the_whole_list_is_in_every_order_what_the_model_says(client, shop):
    for sort in SORTS:
        for sign in ("", "-"):
            assert compare(client, shop, {}, sign + sort) == len(shop[1]) > 50


def test_each_filter_alone_and_beside_each_status_lists_what_the_model_says(client, shop):
    assert {item.status for item in shop[1]} == {"in_stock", "low_stock", "out_of_stock"}
    for name, values in FILTERS.items():
        for value, status in itertools.product(values, FILTERS["status"]):
            compare(client, shop, filters(**{"status": status, name: value}))
