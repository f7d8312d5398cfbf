"""What a shop relies on when it holds stock for a customer, told as small stories from outside."""

from __future__ import annotations

from app.jobs import expiry
from app.services import reservations
from tests import factories

API = "/api/v1"


def reserve(client, quantity, **more):
    body = {"product_id": "KB-1", "quantity": quantity, "order_id": "o-1", "customer_id": "c-1"} | more
    return client.post(f"{API}/reservations/", json=body)


def held(client, quantity, **more):
    answer = reserve(client, quantity, **more)
    assert answer.status_code == 201, answer.text
    return answer.json["data"]["id"]


def status(client, reservation_id):
    return client.get(f"{API}/reservations/{reservation_id}").json["data"]["status"]


def all_reservations(client, **query):
    return client.get(f"{API}/reservations/", query_string=query).json["data"]


# Scenario 1
def test_a_hold_leaves_the_units_on_hand_and_ends_in_the_future(client):
    factories.stock(10)
    reservation = reserve(client, 5).json["data"]
    assert factories.numbers() == (10, 5, 5)
    assert [row["id"] for row in all_reservations(client, product_id="KB-1")] == [reservation["id"]]
    assert reservation["quantity"] == 5
    assert reservation["expires_at"] > reservation["created_at"]


# Scenario 2
def test_too_little_stock_is_refused_and_leaves_no_hold_behind(client):
    factories.stock(3)
    refused = reserve(client, 5)
    assert (refused.status_code, refused.json["code"], refused.json["shortage"]) == (409, "insufficient_stock", 2)
    assert all_reservations(client) == []
    assert [row["movement_type"] for row in factories.movements(client)] == ["inbound"]


# Scenario 3
def test_a_product_without_a_stock_row_is_insufficient_stock_and_gets_none_by_asking(client):
    refused = reserve(client, 1)
    assert (refused.status_code, refused.json["code"]) == (409, "insufficient_stock")
    assert (refused.json["requested"], refused.json["available_quantity"], refused.json["shortage"]) == (1, 0, 1)
    assert client.get(f"{API}/inventory/KB-1").status_code == 404


# Scenario 4
def test_a_buyer_who_asks_for_the_same_number_again_resizes_and_has_one_hold(client):
    factories.stock(10)
    mine = held(client, 5)
    again = client.patch(f"{API}/reservations/{mine}", json={"quantity": 5, "ttl_seconds": 1800})
    assert (again.status_code, again.json["data"]["quantity"]) == (200, 5)
    assert [row["id"] for row in all_reservations(client, customer_id="c-1")] == [mine]
    assert factories.numbers() == (10, 5, 5)
    assert [row["movement_type"] for row in factories.movements(client)] == ["inbound", "reservation"]


# Scenario 7
def test_what_is_sold_and_what_is_held_are_both_gone_for_the_next_buyer(client):
    factories.stock(6)
    client.post(f"{API}/reservations/{held(client, 3, order_id='sold')}/confirm")
    held(client, 2, customer_id="another")
    refused = reserve(client, 2)
    assert (refused.status_code, refused.json["available_quantity"], refused.json["shortage"]) == (409, 1, 1)
    assert factories.numbers() == (3, 2, 1)


# Scenario 8
def test_a_buyers_own_hold_does_not_stand_in_the_way_of_confirming_or_growing_it(client):
    factories.stock(5)
    mine = held(client, 4)
    grown = client.patch(f"{API}/reservations/{mine}", json={"quantity": 5})
    assert (grown.status_code, grown.json["data"]["quantity"]) == (200, 5)
    assert reserve(client, 1, customer_id="c-2").status_code == 409
    assert client.post(f"{API}/reservations/{mine}/confirm").status_code == 200
    assert factories.numbers() == (0, 0, 0)


# Scenario 9
def test_the_sweep_ends_the_hold_of_a_second_ago_and_leaves_the_one_of_a_second_ahead(client, time):
    factories.stock(10)
    ended, live = held(client, 3, ttl_seconds=59), held(client, 4, ttl_seconds=61)
    time.forward(seconds=60)
    assert expiry.sweep() == 1
    assert (status(client, ended), status(client, live)) == ("expired", "active")
    assert factories.numbers() == (10, 4, 6)
    expired = client.get(f"{API}/inventory/KB-1/movements?movement_type=expiry").json["data"]
    assert [(row["reservation_id"], row["reserved_change"], row["actor"]) for row in expired] == [(ended, -3, "expiry")]
    assert expiry.sweep() == 0


# Scenario 26
def test_stock_is_checked_before_a_hold_is_made(client):
    factories.stock(2)
    assert reserve(client, 3).status_code == 409
    assert factories.numbers() == (2, 0, 2)
    assert reserve(client, 2).status_code == 201
    assert factories.numbers() == (2, 2, 0)


# Scenario 27
def test_a_hold_grows_and_shrinks_within_what_is_free_and_is_unchanged_when_refused(client):
    factories.stock(9)
    mine = held(client, 5)
    for quantity, expected in ((7, (9, 7, 2)), (2, (9, 2, 7))):
        assert client.patch(f"{API}/reservations/{mine}", json={"quantity": quantity}).status_code == 200
        assert factories.numbers() == expected
    refused = client.patch(f"{API}/reservations/{mine}", json={"quantity": 10})
    assert (refused.status_code, refused.json["requested"], refused.json["available_quantity"]) == (409, 8, 7)
    assert client.get(f"{API}/reservations/{mine}").json["data"]["quantity"] == 2
    assert [row["reserved_change"] for row in factories.movements(client)] == [0, 5, 2, -5]


# Scenario 35, its plain half: the threads are in tests/concurrency
def test_the_last_unit_goes_to_the_first_buyer_and_the_second_is_told_when_it_may_come_back(client):
    factories.stock(1)
    assert reserve(client, 1, customer_id="first", ttl_seconds=90).status_code == 201
    second = reserve(client, 1, customer_id="second")
    assert (second.status_code, second.json["next_release_quantity"]) == (409, 1)
    assert second.json["next_release_at"] == "2030-01-01T12:01:30.000000Z"
    assert second.headers["Retry-After"] == "90"
    assert [row["customer_id"] for row in all_reservations(client)] == ["first"]


# Scenario 36, its plain half
def test_a_reader_before_the_decision_lends_it_no_old_numbers(client):
    factories.stock(1)
    assert client.get(f"{API}/inventory/KB-1/availability").json["data"]["available"] is True
    assert client.get(f"{API}/inventory/KB-1").json["data"]["available_quantity"] == 1
    factories.hold(1)
    assert reserve(client, 1).status_code == 409
    assert factories.numbers() == (1, 1, 0)


# Scenario 38
def test_what_is_sold_and_held_leaves_nothing_until_the_hold_ends_by_the_clock_alone(client, time):
    factories.stock(3)
    client.post(f"{API}/reservations/{held(client, 1, order_id='paid')}/confirm")
    held(client, 1, order_id="pending", ttl_seconds=3600)
    held(client, 1, order_id="cart", ttl_seconds=600)
    question = f"{API}/inventory/KB-1/availability"
    answer = client.get(question).json["data"]
    assert (answer["available"], answer["available_quantity"], answer["shortage"]) == (False, 0, 1)
    assert (answer["next_release_at"], answer["next_release_quantity"]) == ("2030-01-01T12:10:00.000000Z", 1)
    time.forward(seconds=600)
    answer = client.get(question).json["data"]
    assert (answer["available"], answer["available_quantity"]) == (True, 1)
    assert "expiry" not in [row["movement_type"] for row in factories.movements(client)]


# Scenario 43
def test_the_same_product_twice_in_one_request_is_judged_by_its_sum(client):
    factories.stock(3)
    body = {"order_id": "o-1", "customer_id": "c-1", "items": [{"product_id": "KB-1", "quantity": 2}] * 2}
    refused = client.post(f"{API}/reservations/batch", json=body)
    assert (refused.status_code, refused.json["requested"], refused.json["available_quantity"]) == (409, 4, 3)
    assert all_reservations(client) == []
    assert factories.numbers() == (3, 0, 3)


# Scenario 45
def test_a_hold_has_one_end_and_names_it_to_whoever_comes_later(client, time):
    factories.stock(200)
    sold, freed, late = held(client, 1), held(client, 1), held(client, 1, ttl_seconds=60)
    part = held(client, 123)
    assert client.post(f"{API}/reservations/{part}/confirm", json={"quantity": 100}).status_code == 200
    assert factories.numbers() == (100, 3, 97)
    client.post(f"{API}/reservations/{sold}/confirm")
    client.delete(f"{API}/reservations/{freed}")
    time.forward(seconds=60)
    assert client.post(f"{API}/reservations/{sold}/confirm").status_code == 200
    codes = [client.post(f"{API}/reservations/{one}/confirm").json["code"] for one in (freed, late)]
    assert codes == ["already_cancelled", "reservation_expired"]
    other = client.post(f"{API}/reservations/{part}/confirm", json={"quantity": 50})
    assert (other.status_code, other.json["code"], other.json["quantity"]) == (409, "already_confirmed", 100)
    assert factories.numbers() == (99, 0, 99)


def test_a_buyer_gets_units_of_more_lapsed_holds_than_one_round_expires(client, time, monkeypatch):
    monkeypatch.setattr("app.services.stock.EXPIRED_ON_DEMAND", 3, raising=False)
    factories.stock(4)
    for _ in range(4):
        factories.hold(1, ttl=60)
    time.forward(seconds=60)
    assert client.get(f"{API}/inventory/KB-1").json["data"]["available_quantity"] == 4
    assert reserve(client, 4).status_code == 201
    assert factories.numbers() == (4, 4, 0)


def test_confirming_two_late_holds_at_once_never_takes_the_units_of_a_third_buyer(client, time):
    """One of the two is swept already; making room for it ends the other, which then has nothing left to take."""
    factories.stock(10)
    swept = held(client, 3, ttl_seconds=10)
    time.forward(seconds=10)
    assert reservations.expire_overdue(limit=10) == 1
    overdue, third = held(client, 3, ttl_seconds=10), held(client, 5, ttl_seconds=100)
    time.forward(seconds=10)
    body = {"reservation_ids": [swept, overdue], "on_expired": "reacquire"}
    refused = client.post(f"{API}/reservations/confirm", json=body)
    assert (refused.status_code, refused.json["code"]) == (409, "insufficient_stock")
    assert factories.numbers() == (10, 5, 5)
    assert (status(client, swept), status(client, third)) == ("expired", "active")
