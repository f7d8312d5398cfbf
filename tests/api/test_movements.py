"""The ledger over HTTP: what it tells, how it is filtered and paged, and the feed that misses nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.extensions import db
from tests import factories

MOVEMENTS = "/api/v1/movements/"
OF_KB = "/api/v1/inventory/KB-1/movements"


def rows(client, path=MOVEMENTS, **query):
    answer = client.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def kinds(client, path=MOVEMENTS, **query):
    return [row["movement_type"] for row in rows(client, path, **query)]


@pytest.fixture
def day(client, time):
    """12:00 opening 10 of KB-1 and 5 of B east, 12:01 a hold of 4, 12:02 damage of 1, 12:03 the hold is sold."""
    factories.stock(10)
    factories.stock(5, "B", at=factories.location("east"))
    time.forward(minutes=1)
    held = factories.hold(4, order="order-7")
    time.forward(minutes=1)
    body = {"quantity": -1, "movement_type": "damage", "reference_id": "claim-1"}
    client.post("/api/v1/inventory/KB-1/adjust", json=body)
    time.forward(minutes=1)
    client.post(f"/api/v1/reservations/{held.id}/confirm", headers={"X-Request-ID": "req-9"})
    return held


def test_every_change_is_one_row_with_balances_sequence_and_cause(client, day):
    told = [
        (
            row["sequence"], row["movement_type"], row["quantity_change"], row["reserved_change"],
            row["quantity_after"], row["reserved_after"],
        )
        for row in rows(client, OF_KB, after=0)
    ]  # fmt: skip
    assert told == [
        (1, "inbound", 10, 0, 10, 0),
        (2, "reservation", 0, 4, 10, 4),
        (3, "damage", -1, 0, 9, 4),
        (4, "outbound", -4, -4, 5, 0),
    ]


def test_a_row_names_the_reservation_the_reference_the_actor_and_the_request(client, day):
    sold = rows(client, OF_KB)[0]
    assert (sold["reservation_id"], sold["reference_id"]) == (day.id, "order-7")
    assert (sold["actor"], sold["request_id"]) == ("anonymous", "req-9")
    assert (sold["product_id"], sold["location"]) == ("KB-1", "default")
    assert sold["created_at"] == "2030-01-01T12:03:00.000000Z"


def test_the_ledger_comes_newest_first_and_the_feed_oldest_first(client, day):
    newest = kinds(client)
    assert newest == ["outbound", "damage", "reservation", "inbound", "inbound"]
    assert kinds(client, after=0) == newest[::-1]
    assert kinds(client, OF_KB) == ["outbound", "damage", "reservation", "inbound"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"product_id": "B"}, ["inbound"]),
        ({"location": "east"}, ["inbound"]),
        ({"location": "default"}, ["outbound", "damage", "reservation", "inbound"]),
        ({"movement_type": "damage"}, ["damage"]),
        ({"reference_id": "order-7"}, ["outbound", "reservation"]),
        ({"reference_id": "ORDER-7"}, []),
        ({"from": "2030-01-01T12:01:00Z"}, ["outbound", "damage", "reservation"]),
        ({"to": "2030-01-01T12:01:00Z"}, ["inbound", "inbound"]),
        ({"from": "2030-01-01T12:01:00Z", "to": "2030-01-01T12:02:00Z"}, ["reservation"]),
        ({"from": "2030-01-01T13:02:00+01:00", "movement_type": "outbound"}, ["outbound"]),
        ({"product_id": "NONE"}, []),
    ],
)
def test_filters_narrow_the_ledger_and_the_feed_alike(client, day, query, expected):
    assert kinds(client, **query) == expected
    assert kinds(client, **query, after=0) == expected[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("movement_type=theft", "movement_type"),
        ("from=2030-01-01", "from"),
        ("from=2030-01-02T00:00:00Z&to=2030-01-01T00:00:00Z", "to"),
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=1&page=2", "after"),
        ("after=1&cursor=x", "after"),
        ("reference_id=", "reference_id"),
        ("colour=red", "colour"),
    ],
)
def test_a_question_to_the_ledger_that_makes_no_sense_is_refused_by_field(client, day, query, field):
    for path in (MOVEMENTS, OF_KB):
        answer = client.get(f"{path}?{query}")
        assert (answer.status_code, list(answer.json["errors"])) == (400, [field])


def test_the_ledger_of_what_nobody_stocks_is_not_found_and_takes_no_second_product(client, day):
    assert client.get("/api/v1/inventory/NONE/movements").status_code == 404
    assert client.get(f"{OF_KB}?product_id=B").status_code == 400


@pytest.mark.parametrize("size", [1, 2, 5])
def test_following_the_feed_gives_every_row_once_in_order_and_waits_at_the_end(client, day, size):
    seen, after = [], "0"
    while True:
        answer = client.get(MOVEMENTS, query_string={"after": after, "per_page": size}).json
        if not answer["data"]:
            assert answer["meta"]["next_cursor"] == after
            break
        seen += [row["id"] for row in answer["data"]]
        after = answer["meta"]["next_cursor"]
    assert seen == sorted(row["id"] for row in rows(client))
    assert len(seen) == 5
    factories.hold(1, "B")
    assert kinds(client, after=after) == ["reservation"]


def test_the_feed_carries_expiries_and_what_orders_caused(client, day, time):
    after = rows(client)[0]["id"]
    factories.hold(2, ttl=60)
    time.forward(seconds=60)
    factories.hold(5)
    told = rows(client, after=after)
    assert [(row["movement_type"], row["reserved_change"]) for row in told] == [
        ("reservation", 2),
        ("expiry", -2),
        ("reservation", 5),
    ]


def test_a_refused_change_leaves_no_row(client, day):
    before = rows(client)
    body = {"product_id": "KB-1", "quantity": 99, "order_id": "o", "customer_id": "c"}
    assert client.post("/api/v1/reservations/", json=body).status_code == 409
    body = {"quantity": -99, "movement_type": "loss"}
    assert client.post("/api/v1/inventory/KB-1/adjust", json=body).status_code == 409
    assert rows(client) == before


def test_pages_and_cursors_give_the_same_ledger(client, day):
    whole = [row["id"] for row in rows(client)]
    paged = [row["id"] for page in (1, 2, 3) for row in rows(client, per_page=2, page=page)]
    first = client.get(MOVEMENTS, query_string={"per_page": 2}).json
    assert first["meta"] == {"page": 1, "per_page": 2, "total": 5, "pages": 3} | {
        "next_cursor": first["meta"]["next_cursor"]
    }
    rest = rows(client, per_page=100, cursor=first["meta"]["next_cursor"])
    assert whole == paged == [row["id"] for row in first["data"] + rest]


@pytest.mark.parametrize("statement", ["UPDATE stock_movements SET quantity_change = 1", "DELETE FROM stock_movements"])
def test_the_database_itself_refuses_to_change_or_delete_a_row(client, day, statement):
    before = rows(client)
    with pytest.raises(DBAPIError, match="append-only"):
        db.session.execute(text(statement))
    db.session.rollback()
    assert rows(client) == before
