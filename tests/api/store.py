"""A small shop with two stores, and what the tests of the store view ask of it."""

from __future__ import annotations

from typing import Any

from tests import factories

API = "/api/v1"
STORE = f"{API}/inventory/products"
KB = f"{STORE}/default/KB-1"
UPC_A, UPC_E = "042100005264", "04252614"
LISTS = [STORE, f"{API}/inventory/low-stock", f"{API}/inventory/search?q=B", f"{API}/inventory/barcode/{UPC_A}"]


def open_shop() -> dict[str, int]:
    """Audio above Headphones; a keyboard in two places, headphones in one, and something that nobody described."""
    audio = factories.category("Audio")
    phones = factories.category("Headphones", audio)
    factories.product("Keyboard", price="49.99", barcode=UPC_A, stock=5, description="Clicks")
    factories.stock(2, at=factories.location("east"), minimum=2)
    factories.product("Silence", sku="HP-1", price="199.00", category=phones, stock=0, description="On the ear")
    factories.product("Speaker", sku="SP-1", price="89.50", category=audio, stock=7, at="east")
    factories.stock(4, "MYSTERY", minimum=1)
    return {"audio": audio, "phones": phones}


def rows(client: Any, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(STORE, query_string=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json["data"]
    return found


def ids(client: Any, **query: Any) -> list[str]:
    return [row["product_id"] for row in rows(client, **query)]


def found(client: Any, path: str, **query: Any) -> list[tuple[str, str]]:
    answer = client.get(f"{API}/inventory/{path}", query_string=query)
    assert answer.status_code == 200, answer.text
    return [(row["product_id"], row["location"]) for row in answer.json["data"]]
