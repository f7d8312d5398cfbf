"""What one customer may hold at once, told from outside: refused with facts, and nobody else is bothered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from app.extensions import db
from app.jobs import expiry
from app.utils import metrics
from tests import factories
from tests.api.refusals import assert_refused, conflicts, nothing_changes

RESERVE = "/api/v1/reservations/"


@pytest.fixture
def limit(app, monkeypatch):
    """Set a budget for this test: limit(units=5)."""

    def to(**limits):
        named = {f"hold_budget_{name}": value for name, value in limits.items()}
        monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], **named))

    return to


def reserve(client, quantity=1, product_id="KB-1", customer="hoarder", **more):
    body = {"product_id": product_id, "quantity": quantity, "order_id": "o-1", "customer_id": customer}
    return client.post(RESERVE, json=body | more)


def reserved(client, quantity=1, **more):
    answer = reserve(client, quantity, **more)
    assert answer.status_code == 201, answer.text
    return answer.json["data"]["id"]


def batch(client, *lines, customer="hoarder", **more):
    items = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines]
    return client.post(f"{RESERVE}batch", json={"order_id": "o-1", "customer_id": customer, "items": items} | more)


def hand_over(client, *ids, to="hoarder", **more):
    return client.post(f"{RESERVE}transfer", json={"reservation_ids": list(ids), "customer_id": to} | more)


def denied():
    db.session.rollback()
    return db.session.execute(text("SELECT COUNT(*) FROM denied_demand")).scalar_one()


# ── Units and holds at once ──────────────────────────────────────────────────────────────────────


def test_a_hoarder_is_capped_over_all_products_while_the_others_keep_buying(client, limit):
    limit(units=5)
    for product_id in ("A", "B", "C"):
        factories.stock(100, product_id)
    got = [reserve(client, 2, product_id).status_code for product_id in ("A", "B", "C") for _ in range(3)]
    assert got == [201, 201, 409, 409, 409, 409, 409, 409, 409]
    assert [reserve(client, 5, product_id, customer=f"c-{product_id}").status_code for product_id in "ABC"] == [201] * 3
    assert [factories.numbers(product_id) for product_id in "ABC"] == [(100, 9, 91), (100, 5, 95), (100, 5, 95)]
    assert denied() == 0, "demand that a budget refused is not demand that stock could not meet"


def test_the_refusal_says_what_the_limit_is_what_the_customer_has_and_what_was_asked_for(client, limit):
    limit(units=5)
    factories.stock(100)
    reserved(client, 3, ttl_seconds=60)
    refusals = metrics.REFUSALS.labels("hold_budget_exceeded")._value
    before = refusals.get()
    with nothing_changes():
        refused = reserve(client, 3)
        facts: dict[str, Any] = {
            "customer_id": "hoarder",
            "limited": "units",
            "limit": 5,
            "held": 3,
            "requested": 3,
            "left": 2,
        }
        conflicts(refused, "hold_budget_exceeded", next_release_at="2030-01-01T12:01:00.000000Z", **facts)
    assert "Retry-After" not in refused.headers
    assert refusals.get() == before + 1
    assert reserve(client, 2).status_code == 201


def test_a_budget_of_holds_counts_reservations_whatever_their_units(client, limit):
    limit(holds=2)
    factories.stock(100)
    first = reserved(client, 40)
    reserved(client, 40)
    facts: dict[str, Any] = {"limited": "holds", "limit": 2, "held": 2, "requested": 1, "left": 0}
    conflicts(reserve(client), "hold_budget_exceeded", **facts)
    assert client.patch(f"{RESERVE}{first}", json={"quantity": 60}).status_code == 200


@pytest.mark.parametrize("end", ["confirm", "cancel", "time"])
def test_whatever_ends_a_hold_makes_room_for_the_next(client, limit, time, end):
    limit(units=3, holds=1)
    factories.stock(10)
    held = reserved(client, 3, ttl_seconds=60)
    assert reserve(client).status_code == 409
    if end == "confirm":
        assert client.post(f"{RESERVE}{held}/confirm").status_code == 200
    elif end == "cancel":
        assert client.delete(f"{RESERVE}{held}").status_code == 200
    else:
        time.forward(seconds=60, microseconds=-1)
        assert reserve(client).status_code == 409
        time.forward(microseconds=1)  # and no worker has been by
    assert reserve(client, 3).status_code == 201


def test_a_batch_is_refused_whole_by_the_sum_of_its_units(client, limit):
    limit(units=5)
    factories.stock(10, "A")
    factories.stock(10, "B")
    with nothing_changes():
        conflicts(batch(client, ("A", 3), ("B", 3)), "hold_budget_exceeded", limited="units", requested=6, held=0)
    assert batch(client, ("A", 3), ("B", 2)).status_code == 201


def test_a_partial_batch_is_judged_by_what_it_asks_for(client, limit):
    limit(units=5)
    factories.stock(2)
    with nothing_changes():
        conflicts(batch(client, ("KB-1", 6), allow_partial=True), "hold_budget_exceeded", requested=6, left=5)
    got = batch(client, ("KB-1", 5), allow_partial=True)
    assert [hold["quantity"] for hold in got.json["data"]["reservations"]] == [2]


def test_a_line_split_over_locations_is_as_many_holds_as_it_becomes(client, limit):
    limit(holds=1)
    factories.stock(2)
    factories.location("north")
    factories.stock(2, at="north")
    with nothing_changes():
        conflicts(batch(client, ("KB-1", 3), split=True), "hold_budget_exceeded", limited="holds", requested=2)
    assert batch(client, ("KB-1", 2), split=True).status_code == 201


def test_the_same_product_named_twice_is_one_hold(client, limit):
    limit(holds=1)
    factories.stock(10)
    assert batch(client, ("KB-1", 1), ("KB-1", 2)).status_code == 201


def test_a_hold_grows_to_the_limit_and_no_further_and_may_always_shrink(client, limit):
    factories.stock(20)
    held = reserved(client, 3)
    limit(units=5)
    with nothing_changes():
        grown = client.patch(f"{RESERVE}{held}", json={"quantity": 6, "ttl_seconds": 60})
        conflicts(grown, "hold_budget_exceeded", limited="units", held=3, requested=3, left=2)
    assert client.patch(f"{RESERVE}{held}", json={"quantity": 5}).status_code == 200
    limit(units=1)
    assert client.patch(f"{RESERVE}{held}", json={"quantity": 4, "ttl_seconds": 3600}).status_code == 200


def test_the_refusal_of_a_hold_that_has_ended_is_about_its_end(client, limit):
    limit(units=5)
    factories.stock(20)
    held = reserved(client, 3)
    client.post(f"{RESERVE}{held}/confirm")
    conflicts(client.patch(f"{RESERVE}{held}", json={"quantity": 9}), "already_confirmed")
    conflicts(hand_over(client, held, to="other"), "already_confirmed")


def test_handing_holds_over_is_no_way_round_the_receivers_budget(client, limit):
    limit(units=5, holds=2)
    factories.stock(20)
    reserved(client, 3)
    straw_man, another = reserved(client, 3, customer="straw-man"), reserved(client, 1, customer="another")
    with nothing_changes():
        conflicts(hand_over(client, straw_man), "hold_budget_exceeded", customer_id="hoarder", held=3, requested=3)
        conflicts(hand_over(client, straw_man, another), "hold_budget_exceeded", held=3, requested=4)
    assert hand_over(client, another).status_code == 200
    limit(units=0, holds=2)
    conflicts(hand_over(client, straw_man), "hold_budget_exceeded", limited="holds", held=2, requested=1)


def test_holds_a_customer_has_already_are_no_gain(client, limit):
    factories.stock(20)
    mine = reserved(client, 9)
    limit(units=5, holds=1)
    assert hand_over(client, mine, order_id="o-2").status_code == 200
    assert client.post(f"{RESERVE}transfer", json={"reservation_ids": [mine], "order_id": "o-3"}).status_code == 200


def test_customers_are_told_apart_byte_for_byte(client, limit):
    limit(units=1)
    factories.stock(10)
    assert [reserve(client, customer=name).status_code for name in ("ada", "Ada", "ada")] == [201, 201, 409]


def test_a_refusal_leaves_its_idempotency_key_free(client, limit):
    limit(units=1)
    factories.stock(10)
    held, key = reserved(client), {"Idempotency-Key": "again"}
    body = {"product_id": "KB-1", "quantity": 1, "order_id": "o-1", "customer_id": "hoarder"}
    conflicts(client.post(RESERVE, json=body, headers=key), "hold_budget_exceeded")
    client.delete(f"{RESERVE}{held}")
    assert client.post(RESERVE, json=body, headers=key).status_code == 201
    again = client.post(RESERVE, json=body, headers=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")


# ── Cooling down ─────────────────────────────────────────────────────────────────────────────────


def let_run_out(client, time, holds=1, **more):
    for _ in range(holds):
        reserved(client, ttl_seconds=10, **more)
    time.forward(seconds=10)


@pytest.mark.parametrize("swept", [True, False])
def test_who_lets_too_many_holds_run_out_waits_and_is_told_how_long(client, limit, time, swept):
    limit(expiries=3, window_seconds=600, cool_down_seconds=300)
    factories.stock(10)
    let_run_out(client, time, holds=2)
    let_run_out(client, time)
    assert not swept or expiry.sweep() == 3
    time.forward(seconds=99.5)
    with nothing_changes():
        refused = reserve(client, 2)
        facts = {"customer_id": "hoarder", "requested_units": 2, "limit": 3, "window_seconds": 600}
        ends = {"last_expired_at": "2030-01-01T12:00:20.000000Z", "cool_down_ends_at": "2030-01-01T12:05:20.000000Z"}
        conflicts(refused, "hold_cool_down", 429, **facts, **ends, cool_down_seconds=300, retry_after_seconds=201)
    assert refused.headers["Retry-After"] == "201"
    assert reserve(client, customer="another").status_code == 201
    time.forward(seconds=200.5, microseconds=-1)
    assert_refused(reserve(client, 2), 429, "hold_cool_down")
    time.forward(microseconds=1)
    assert reserve(client, 2).status_code == 201


def test_expiries_that_lie_a_window_apart_start_nothing(client, limit, time):
    limit(expiries=2, window_seconds=60)
    factories.stock(10)
    for _ in range(3):
        let_run_out(client, time)
        time.forward(seconds=50)
    assert reserve(client).status_code == 201


def test_a_cool_down_bars_growing_and_neither_extending_nor_shrinking_nor_confirming(client, limit, time):
    factories.stock(20)
    held = reserved(client, 5)
    limit(expiries=1)
    let_run_out(client, time)
    with nothing_changes():
        assert_refused(client.patch(f"{RESERVE}{held}", json={"quantity": 6}), 429, "hold_cool_down")
        assert_refused(batch(client, ("KB-1", 1), allow_partial=True), 429, "hold_cool_down")
    assert client.patch(f"{RESERVE}{held}", json={"quantity": 4, "ttl_seconds": 3600}).status_code == 200
    assert client.post(f"{RESERVE}{held}/confirm").status_code == 200


def test_a_cool_down_does_not_keep_others_from_handing_over(client, limit, time):
    limit(expiries=1)
    factories.stock(20)
    let_run_out(client, time)
    assert hand_over(client, reserved(client, customer="another")).status_code == 200


def test_the_late_buyer_is_no_hoarder(client, limit, time):
    """Confirming takes units and holds none; and what was bought in the end did not run out."""
    limit(units=1, expiries=1)
    factories.stock(10)
    late = reserved(client, ttl_seconds=10)
    time.forward(seconds=10)
    assert expiry.sweep() == 1
    assert_refused(reserve(client), 429, "hold_cool_down")
    body = {"on_expired": "reacquire"}
    assert client.post(f"{RESERVE}{late}/confirm", json=body).status_code == 200
    assert reserve(client).status_code == 201


def test_what_is_given_back_in_time_does_not_count(client, limit, time):
    limit(expiries=1)
    factories.stock(10)
    for _ in range(3):
        held = reserved(client, ttl_seconds=10)
        time.forward(seconds=9)
        assert client.delete(f"{RESERVE}{held}").status_code == 200
    time.forward(seconds=60)
    assert reserve(client).status_code == 201


def test_whoever_was_handed_a_hold_answers_for_its_running_out(client, limit, time):
    limit(expiries=1)
    factories.stock(10)
    held = reserved(client, ttl_seconds=10, customer="giver")
    assert hand_over(client, held, to="receiver").status_code == 200
    time.forward(seconds=10)
    assert [reserve(client, customer=name).status_code for name in ("giver", "receiver")] == [201, 429]


# ── The longest time ─────────────────────────────────────────────────────────────────────────────


def test_neither_extending_nor_handing_over_lets_a_hold_outlive_the_longest_time(client, app, monkeypatch, time):
    config = replace(app.extensions["settings"], reservation_ttl_seconds=60, reservation_max_ttl_seconds=100)
    monkeypatch.setitem(app.extensions, "settings", config)
    factories.stock(10)
    held = reserved(client)
    time.forward(seconds=50)
    assert hand_over(client, held, to="another").status_code == 200
    with nothing_changes():
        refused = client.patch(f"{RESERVE}{held}", json={"ttl_seconds": 51})
        conflicts(refused, "hold_time_exceeded", 422, latest_expires_at="2030-01-01T12:01:40.000000Z")
    assert client.patch(f"{RESERVE}{held}", json={"ttl_seconds": 50}).status_code == 200
    time.forward(seconds=50)
    assert_refused(client.patch(f"{RESERVE}{held}", json={"ttl_seconds": 1}), 410, "reservation_expired")
