"""Cached answers are never old: a write is in the very next read, whoever made it and through whatever door."""

from __future__ import annotations

import sqlite3

import pytest

from app.extensions import db
from tests import factories

KB = "/api/v1/inventory/KB-1"
READS = [KB, f"{KB}?location=default", "/api/v1/inventory/", "/api/v1/inventory/summary", "/api/v1/inventory/low-stock"]


def look(client, path=KB):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Cache"], answer.json["data"]


@pytest.mark.parametrize("path", READS)
def test_the_second_reader_is_answered_from_the_cache_with_the_same_bytes(client, path):
    factories.stock(5, minimum=9)
    first, second = client.get(path), client.get(path)
    assert [answer.headers["X-Cache"] for answer in (first, second)] == ["miss", "hit"]
    assert first.data == second.data


def write_ways(client):
    held = factories.hold(1)
    return {
        "adjust": lambda: client.post(f"{KB}/adjust", json={"quantity": 1, "movement_type": "inbound"}),
        "count": lambda: client.put(KB, json={"quantity": 50, "expected_quantity": 11}),
        "levels": lambda: client.put(KB, json={"minimum_stock_level": 3}),
        "bulk": lambda: client.post(
            "/api/v1/inventory/bulk",
            json={"operations": [{"op": "adjust", "product_id": "KB-1", "quantity": 2, "movement_type": "inbound"}]},
        ),
        "extend": lambda: client.patch(f"/api/v1/reservations/{held.id}", json={"ttl_seconds": 3600}),
        "resize": lambda: client.patch(f"/api/v1/reservations/{held.id}", json={"quantity": 2}),
        "hold": lambda: client.post(
            "/api/v1/reservations/",
            json={"product_id": "KB-1", "quantity": 1, "order_id": "o-2", "customer_id": "c-2"},
        ),
        "confirm": lambda: client.post(f"/api/v1/reservations/{held.id}/confirm"),
    }


def test_every_way_to_write_is_seen_by_the_very_next_reader_of_the_product(client):
    factories.stock(10)
    for name, write in write_ways(client).items():
        look(client)
        assert look(client)[0] == "hit", name
        assert write().status_code in (200, 201), name
        assert look(client)[0] == "miss", name


def test_every_list_forgets_when_any_item_changes(client):
    factories.stock(5)
    for path in READS[2:]:
        look(client, path)
        assert look(client, path)[0] == "hit"
        factories.stock(1, f"NEW-{len(path)}", minimum=1)
        assert look(client, path)[0] == "miss"


def test_a_reservation_is_looked_up_from_the_cache_until_it_changes(client):
    factories.stock(5)
    held = factories.hold(1)
    path = f"/api/v1/reservations/{held.id}"
    assert [look(client, path)[0] for _ in range(2)] == ["miss", "hit"]
    client.delete(path)
    assert look(client, path)[1]["status"] == "cancelled"


def test_a_write_through_the_services_is_seen_as_well_as_one_over_http(client):
    factories.stock(5)
    look(client)
    factories.hold(2)
    assert look(client)[1]["available_quantity"] == 3


def test_a_refused_write_leaves_the_numbers_that_readers_had(client):
    factories.stock(5)
    before = look(client)[1]
    assert client.post(f"{KB}/adjust", json={"quantity": -9, "movement_type": "loss"}).status_code == 409
    assert look(client)[1] == before


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_one_products_change_leaves_the_others_in_the_shared_cache(client):
    factories.stock(5)
    factories.stock(5, "B")
    look(client)
    factories.hold(1, "B")
    assert look(client)[0] == "hit"


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_a_commit_of_another_process_is_seen_at_once_though_nobody_told_the_cache(client):
    factories.stock(5)
    assert [look(client)[0] for _ in range(2)] == ["miss", "hit"]
    stranger = sqlite3.connect(str(db.engine.url.database))
    with stranger:
        stranger.execute("UPDATE inventory_items SET minimum_stock_level = 7")
    stranger.close()
    outcome, seen = look(client)
    assert (outcome, seen["locations"][0]["minimum_stock_level"]) == ("miss", 7)


def test_a_cache_that_lost_everything_is_only_slower(client, app):
    factories.stock(5)
    look(client)
    app.extensions["cache"].clear()
    outcome, seen = look(client)
    assert (outcome, seen["quantity"]) == ("miss", 5)
