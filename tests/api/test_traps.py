"""Mistakes that well-known systems shipped, each as a story that must end well here, with exact numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.jobs import expiry
from app.services import audit, explanations
from app.utils import clock
from tests import factories

API = "/api/v1"
BUYER = {"order_id": "o-1", "customer_id": "c-1"}


def reserve(client, quantity, **more):
    return client.post(f"{API}/reservations/", json=BUYER | {"product_id": "KB-1", "quantity": quantity} | more)


def batch(client, *items, **more):
    return client.post(f"{API}/reservations/batch", json=BUYER | {"items": list(items)} | more)


def line(quantity, product_id="KB-1"):
    return {"product_id": product_id, "quantity": quantity}


def test_t1_confirmed_and_held_units_both_count_in_every_line_of_one_request(client):
    """The trap: a collection read once for the holds was empty when the orders were subtracted."""
    for product in ("A", "B"):
        factories.stock(10, product)
        sold = factories.hold(4, product)
        client.post(f"{API}/reservations/{sold.id}/confirm")
        factories.hold(3, product)
    refused = batch(client, line(3, "A"), line(4, "B"))
    assert refused.status_code == 409
    assert (refused.json["product_id"], refused.json["available_quantity"], refused.json["requested"]) == ("B", 3, 4)
    assert batch(client, line(3, "A"), line(3, "B")).status_code == 201
    assert (factories.numbers("A"), factories.numbers("B")) == ((6, 6, 0), (6, 6, 0))


def test_t2_extending_a_hold_that_ran_out_does_not_bring_it_back_even_when_its_units_are_free(client, time):
    factories.stock(5)
    mine = reserve(client, 5, ttl_seconds=60).json["data"]["id"]
    time.forward(seconds=60)
    late = client.patch(f"{API}/reservations/{mine}", json={"ttl_seconds": 600})
    assert (late.status_code, late.json["code"]) == (410, "reservation_expired")
    assert factories.numbers() == (5, 0, 5)
    assert reserve(client, 5, customer_id="c-2").status_code == 201
    again = client.patch(f"{API}/reservations/{mine}", json={"ttl_seconds": 600, "quantity": 1})
    assert again.status_code == 410
    assert factories.numbers() == (5, 5, 0)


def test_t3_three_lines_of_two_units_are_six_and_not_three_times_two(client):
    factories.stock(2)
    refused = batch(client, line(2), line(2), line(2))
    assert (refused.status_code, refused.json["requested"], refused.json["shortage"]) == (409, 6, 4)
    assert factories.numbers() == (2, 0, 2)


def test_t3_a_named_and_an_open_line_for_the_same_product_do_not_share_units(client):
    factories.stock(3)
    refused = batch(client, line(2) | {"location": "default"}, line(2))
    assert (refused.status_code, factories.numbers()) == (409, (3, 0, 3))


def test_t4_ledger_rows_of_a_split_carry_each_location_its_own_units(client):
    """The trap: the line's whole quantity was written for every location it was served from."""
    factories.stock(3, at=factories.location("a", priority=1))
    factories.stock(9, at=factories.location("b", priority=2))
    ids = [row["id"] for row in batch(client, line(5), split=True).json["data"]["reservations"]]
    assert client.post(f"{API}/reservations/confirm", json={"reservation_ids": ids}).status_code == 200
    outbound = factories.movements(client, movement_type="outbound")
    assert [(row["location"], row["quantity_change"], row["quantity_after"]) for row in outbound] == [
        ("a", -3, 0),
        ("b", -2, 7),
    ]
    assert audit.check().findings == []


def test_t5_a_split_stops_when_it_has_what_was_asked(client):
    """The trap: 13 wanted became 10 from the first location and 13 more from the second."""
    factories.stock(10, at=factories.location("a", priority=1))
    factories.stock(20, at=factories.location("b", priority=2))
    made = batch(client, line(13), split=True).json["data"]["reservations"]
    assert [(row["location"], row["quantity"]) for row in made] == [("a", 10), ("b", 3)]
    assert (factories.numbers(at="a"), factories.numbers(at="b")) == ((10, 10, 0), (20, 3, 17))


@pytest.mark.parametrize("lasting", [timedelta(seconds=90), timedelta(hours=23), timedelta(days=1)])
def test_t6_a_hold_ends_after_exactly_its_own_time_also_past_midnight(client, time, lasting):
    """The trap: days were counted as 24 minutes, so that anything over a day ended weeks late."""
    seconds = int(lasting.total_seconds())
    factories.stock(1)
    made = reserve(client, 1, ttl_seconds=seconds).json["data"]
    assert made["expires_at"] == clock.written(time.instant + lasting)
    time.forward(seconds=seconds - 1)
    assert (expiry.sweep(), factories.numbers()) == (0, (1, 1, 0))
    time.forward(seconds=1)
    assert (expiry.sweep(), factories.numbers()) == (1, (1, 0, 1))


@pytest.mark.parametrize("seconds", [86_401, 90_000, 259_200])
def test_t6_a_hold_over_the_longest_time_is_refused_and_not_miscounted(client, seconds):
    factories.stock(1)
    refused = reserve(client, 1, ttl_seconds=seconds)
    assert (refused.status_code, refused.json["code"]) == (422, "hold_time_exceeded")
    assert (refused.json["max_total_seconds"], factories.numbers()) == (86_400, (1, 0, 1))


def test_t7_a_refusal_tells_what_is_available_and_not_what_was_asked(client):
    factories.stock(7)
    factories.hold(3)
    facts = reserve(client, 6).json
    assert (facts["requested"], facts["available_quantity"]) == (6, 4)
    assert (facts["reserved_quantity"], facts["shortage"]) == (3, 2)
    assert facts["detail"] == "4 of 6 units of KB-1 available"


def test_t8_the_same_confirmation_twice_takes_the_units_once(client):
    """The trap: two equal requests both found no record of the other and both ran."""
    factories.stock(5)
    mine = reserve(client, 2).json["data"]["id"]
    answers = [client.post(f"{API}/reservations/{mine}/confirm") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.data for answer in answers}) == 1
    assert factories.numbers() == (3, 0, 3)
    assert len(factories.movements(client, movement_type="outbound")) == 1


def test_t9_a_cached_answer_lives_until_the_next_hold_ends_and_no_longer(client, monkeypatch):
    """The trap: in setting the time to live, time and value had changed places."""
    lives: list[float | None] = []
    snapshot = explanations.snapshot

    def watched(product_id: str, location: str | None) -> explanations.Snapshot:
        seen = snapshot(product_id, location)
        lives.append(seen.seconds)
        return seen

    monkeypatch.setattr(explanations, "snapshot", watched)
    factories.stock(5)
    client.get(f"{API}/inventory/KB-1")
    factories.hold(1, ttl=420)
    factories.hold(1, ttl=42)
    answers = [client.get(f"{API}/inventory/KB-1") for _ in range(2)]
    assert lives == [None, 42.0]
    assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "hit"]


def test_t10_an_expired_hold_stays_on_record_with_its_time_its_owner_and_its_row(client, time):
    """The trap: sweeping deleted the rows, and nobody could tell afterwards that there had been a hold."""
    factories.stock(5)
    mine = reserve(client, 2, ttl_seconds=60, notes="for Ada").json["data"]["id"]
    time.forward(seconds=75)
    assert expiry.sweep() == 1
    row = client.get(f"{API}/reservations/{mine}").json["data"]
    assert (row["status"], row["quantity"], row["notes"]) == ("expired", 2, "for Ada")
    assert (row["expires_at"], row["expired_at"]) == ("2030-01-01T12:01:00.000000Z", "2030-01-01T12:01:00.000000Z")
    [listed] = client.get(f"{API}/reservations/?status=expired").json["data"]
    assert listed["id"] == mine
    [movement] = factories.movements(client, movement_type="expiry")
    assert (movement["reservation_id"], movement["reserved_change"], movement["reserved_after"]) == (mine, -2, 0)


def test_t11_history_survives_the_last_unit_and_the_archiving_of_the_item(client):
    """The trap: an item that came to zero was deleted, its history with it and without a last row."""
    factories.stock(3)
    assert (
        client.post(f"{API}/inventory/KB-1/adjust", json={"quantity": -3, "movement_type": "outbound"}).status_code
        == 200
    )
    assert client.delete(f"{API}/inventory/KB-1").status_code == 200
    rows = factories.movements(client)
    assert [(row["movement_type"], row["quantity_change"], row["quantity_after"]) for row in rows] == [
        ("inbound", 3, 3),
        ("outbound", -3, 0),
        ("adjustment", 0, 0),
    ]
    assert rows[-1]["reason"] == "archived"
    assert client.get(f"{API}/inventory/KB-1").json["data"]["archived"] is True
