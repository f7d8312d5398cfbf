"""Well-formed requests that a reservation's state does not allow: which conflict it is, and nothing changed."""

from __future__ import annotations

import pytest

from tests import factories
from tests.api.refusals import conflicts, nothing_changes

RESERVE = "/api/v1/reservations/"
NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_each_ended_state_refuses_in_its_own_words(client, time):
    factories.stock(10)
    confirmed, cancelled, expired = (factories.hold(1).id for _ in range(3))
    client.post(f"{RESERVE}{confirmed}/confirm")
    client.delete(f"{RESERVE}{cancelled}")
    time.forward(minutes=31)
    words = {
        confirmed: (409, "already_confirmed"),
        cancelled: (409, "already_cancelled"),
        expired: (410, "reservation_expired"),
    }
    with nothing_changes():
        for hold, (status, code) in words.items():
            conflicts(client.patch(f"{RESERVE}{hold}", json={"quantity": 2}), code, status)
            conflicts(client.patch(f"{RESERVE}{hold}", json={"ttl_seconds": 60}), code, status)
            moved = client.post(f"{RESERVE}transfer", json={"reservation_ids": [hold], "customer_id": "c-2"})
            conflicts(moved, code, status)
        conflicts(client.delete(f"{RESERVE}{confirmed}"), "already_confirmed")
        conflicts(client.delete(f"{RESERVE}{expired}"), "reservation_expired", 410)
        conflicts(client.post(f"{RESERVE}{cancelled}/confirm"), "already_cancelled")
        conflicts(client.post(f"{RESERVE}{expired}/confirm"), "reservation_expired", 410)


def test_repeating_what_was_done_changes_nothing_and_answers_the_same(client):
    factories.stock(10)
    confirmed, cancelled = factories.hold(1).id, factories.hold(1).id
    first = [client.post(f"{RESERVE}{confirmed}/confirm"), client.delete(f"{RESERVE}{cancelled}")]
    with nothing_changes():
        again = [client.post(f"{RESERVE}{confirmed}/confirm"), client.delete(f"{RESERVE}{cancelled}")]
    assert [answer.json for answer in again] == [answer.json for answer in first]
    assert [answer.status_code for answer in again] == [200, 200]


def test_more_than_a_hold_has_cannot_be_confirmed(client):
    factories.stock(10)
    hold = factories.hold(2).id
    with nothing_changes():
        answer = client.post(f"{RESERVE}{hold}/confirm", json={"quantity": 3})
        conflicts(answer, "quantity_above_hold", 422, quantity=2, requested=3)


def test_a_hold_is_not_extended_past_the_longest_total(client):
    factories.stock(10)
    hold = factories.hold(2).id
    with nothing_changes():
        conflicts(client.patch(f"{RESERVE}{hold}", json={"ttl_seconds": 86_401}), "hold_time_exceeded", 422)


@pytest.mark.parametrize("path", ["confirm", "transfer"])
def test_one_unknown_id_among_many_spoils_them_all(client, path):
    factories.stock(10)
    hold = factories.hold(2).id
    body = {"reservation_ids": [hold, NOBODY]} | ({"order_id": "o-2"} if path == "transfer" else {})
    with nothing_changes():
        answer = client.post(f"{RESERVE}{path}", json=body)
        conflicts(answer, "reservation_not_found", 404, reservation_id=NOBODY)


def test_a_batch_that_is_short_of_one_thing_holds_nothing(client):
    factories.stock(10, "A")
    factories.stock(1, "B")
    items = [{"product_id": "A", "quantity": 10}, {"product_id": "B", "quantity": 2}]
    with nothing_changes():
        answer = client.post(f"{RESERVE}batch", json={"order_id": "o", "customer_id": "c", "items": items})
        conflicts(answer, "insufficient_stock", product_id="B", requested=2, available_quantity=1, shortage=1)
