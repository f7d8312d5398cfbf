"""What there is to be had: a thousand products, few of them wanted by most."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from random import Random
from typing import Any

from tests.chaos.calls import Call, Caller
from tests.chaos.clients import HOT, PROBE

# The faults lock the hot ones by name, so those are the most wanted here, too.
PRODUCTS = (*HOT, *(f"SKU-{number:04}" for number in range(len(HOT) + 1, 1001)))
STOCKED = (*PRODUCTS, PROBE)
ZIPF = 1.1
FAME = [*accumulate(rank**-ZIPF for rank in range(1, len(PRODUCTS) + 1))]
OPENING = 10


def product_for(random: Random) -> str:
    return random.choices(PRODUCTS, cum_weights=FAME)[0]


def wish(random: Random, key: str, seconds: int) -> dict[str, Any]:
    """The body of a reservation of one to three units."""
    return {
        "product_id": product_for(random), "quantity": random.randint(1, 3), "ttl_seconds": seconds,
        "order_id": key, "customer_id": key, "location": "default",
    }  # fmt: skip


def stock_up(caller: Caller, products: Sequence[str], *, units: int = OPENING, clients: int = 4) -> None:
    """The opening stock, one call for each product."""

    def create(product: str) -> None:
        body = {"product_id": product, "quantity": units, "location": "default"}
        caller.perform(Call("create", "POST", "/inventory/", body, f"open-{product}", {}), Random(product))

    with ThreadPoolExecutor(clients) as crowd:
        list(crowd.map(create, products))
