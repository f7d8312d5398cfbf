"""What a shop relies on when it keeps stock in several places, told as small stories from outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from app.extensions import db
from app.services import audit
from tests import factories

API = "/api/v1"


def batch(client, *items, **more):
    body = {"order_id": "o-1", "customer_id": "c-1", "items": list(items)} | more
    return client.post(f"{API}/reservations/batch", json=body)


def shares(answer):
    assert answer.status_code == 201, answer.text
    return [(row["location"], row["quantity"]) for row in answer.json["data"]["reservations"]]


def adjust(client, quantity, kind="outbound", **more):
    return client.post(f"{API}/inventory/KB-1/adjust", json={"quantity": quantity, "movement_type": kind} | more)


# Scenario 5
def test_the_fullest_location_serves_first_and_the_next_one_the_rest(app, client, monkeypatch):
    monkeypatch.setitem(
        app.extensions, "settings", replace(app.extensions["settings"], allocation_strategy="most_stock")
    )
    factories.stock(2, at=factories.location("b", priority=1))
    factories.stock(3, at=factories.location("a", priority=2))
    assert shares(batch(client, {"product_id": "KB-1", "quantity": 5}, split=True)) == [("a", 3), ("b", 2)]
    assert (factories.numbers(at="a"), factories.numbers(at="b")) == ((3, 3, 0), (2, 2, 0))


# Scenario 6
def test_the_location_sorted_first_is_emptied_before_a_fuller_one_is_touched(client):
    factories.stock(4, at=factories.location("a", priority=2))
    factories.stock(3, at=factories.location("b", priority=1))
    assert shares(batch(client, {"product_id": "KB-1", "quantity": 5}, split=True)) == [("b", 3), ("a", 2)]
    assert (factories.numbers(at="a"), factories.numbers(at="b")) == ((4, 2, 2), (3, 3, 0))


def test_without_split_no_line_is_cut_in_two(client):
    factories.stock(4, at=factories.location("a", priority=2))
    factories.stock(3, at=factories.location("b", priority=1))
    refused = batch(client, {"product_id": "KB-1", "quantity": 5})
    assert (refused.status_code, refused.json["available_quantity"]) == (409, 4)
    assert shares(batch(client, {"product_id": "KB-1", "quantity": 4})) == [("a", 4)]


# Scenario 20
def test_shipping_takes_the_held_units_and_shipping_more_takes_nothing_that_is_held(client):
    factories.stock(100)
    reservation = factories.hold(80)
    part = client.post(f"{API}/reservations/{reservation.id}/confirm", json={"quantity": 50})
    assert part.status_code == 200
    assert factories.numbers() == (50, 0, 50)
    factories.hold(30)
    assert adjust(client, -21).json["available_quantity"] == 20
    assert adjust(client, -20).status_code == 200
    assert factories.numbers() == (30, 30, 0)


# Scenario 21
def test_a_shipment_beyond_what_is_free_fails_and_all_three_numbers_stay(client):
    factories.stock(20)
    factories.hold(8)
    refused = adjust(client, -50)
    assert (refused.status_code, refused.json["code"]) == (409, "insufficient_stock")
    assert (refused.json["requested"], refused.json["available_quantity"], refused.json["shortage"]) == (50, 12, 38)
    assert factories.numbers() == (20, 8, 12)
    assert len(factories.movements(client)) == 2


# Scenario 24
@pytest.mark.leaves_findings
@pytest.mark.parametrize("counter", [9, 0, 11])
def test_a_counter_that_drifted_is_reported_and_only_on_request_brought_back_with_a_row(client, counter):
    factories.stock(20)
    factories.hold(10)
    db.session.execute(text("UPDATE inventory_items SET reserved_quantity = :n"), {"n": counter})
    db.session.commit()
    [finding] = audit.check().findings
    assert (finding.rule, finding.facts["reserved_quantity"], finding.facts["held"]) == ("counters", counter, 10)
    audit.repair(finding, dry_run=True)
    assert len(audit.check().findings) == 1
    audit.repair(finding)
    assert audit.check().findings == []
    assert factories.numbers() == (20, 10, 10)
    row = factories.movements(client)[-1]
    assert (row["movement_type"], row["reserved_after"]) == ("adjustment", 10)
    assert row["reason"].startswith("audit:")


# Scenario 28
def test_an_item_with_stock_or_holds_cannot_be_removed_and_the_refusal_says_what_is_left(client):
    factories.stock(5)
    reservation = factories.hold(5)
    refused = client.delete(f"{API}/inventory/KB-1")
    assert (refused.status_code, refused.json["code"]) == (409, "item_not_empty")
    assert (refused.json["quantity"], refused.json["reserved_quantity"]) == (5, 5)
    assert client.get(f"{API}/inventory/KB-1").json["data"]["archived"] is False
    client.post(f"{API}/reservations/{reservation.id}/confirm")
    assert client.delete(f"{API}/inventory/KB-1").status_code == 200


# Scenario 29
def test_a_negative_quantity_is_refused_with_every_bad_field_named(client):
    factories.stock(5)
    body = {"quantity": -1, "minimum_stock_level": -2, "expected_quantity": 5}
    refused = client.put(f"{API}/inventory/KB-1", json=body)
    assert (refused.status_code, set(refused.json["errors"])) == (422, {"quantity", "minimum_stock_level"})
    assert factories.numbers() == (5, 0, 5)


# Scenario 30
def test_availability_is_summed_over_locations_and_less_what_is_held_there(client):
    for place, quantity in (("one", 4), ("two", 4), ("three", 3)):
        factories.stock(quantity, at=factories.location(place))
    factories.hold(2, at="two")
    lines = [{"product_id": "KB-1", "quantity": 1, "location": place} for place in ("one", "two", "three")]
    answer = client.post(f"{API}/inventory/availability", json={"items": lines}).json["data"]
    assert [line["available_quantity"] for line in answer["items"]] == [4, 2, 3]
    assert client.get(f"{API}/inventory/KB-1").json["data"]["available_quantity"] == 9


# Scenario 44
def test_setting_the_number_that_is_there_already_leaves_no_trace(client):
    factories.stock(5)
    answer = client.put(f"{API}/inventory/KB-1", json={"quantity": 5, "expected_quantity": 5})
    assert (answer.status_code, answer.json["data"]["version"], answer.headers["ETag"]) == (200, 1, '"1"')
    assert [row["movement_type"] for row in factories.movements(client)] == ["inbound"]
