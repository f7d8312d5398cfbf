"""Well-formed requests that the stock does not allow: which conflict it is, with its facts, and nothing changed."""

from __future__ import annotations

import json

import pytest

from tests import factories
from tests.api.refusals import assert_refused, conflicts, nothing_changes

API = "/api/v1"
RESERVE = f"{API}/reservations/"


def reserve(client, quantity, **more):
    return client.post(
        RESERVE, json={"product_id": "KB-1", "quantity": quantity, "order_id": "o", "customer_id": "c"} | more
    )


# ── Items ────────────────────────────────────────────────────────────────────────────────────────


def test_an_item_is_created_once(client):
    factories.stock(10)
    with nothing_changes():
        answer = client.post(f"{API}/inventory/", json={"product_id": "KB-1", "quantity": 99})
        conflicts(answer, "already_exists", product_id="KB-1", location="default")


def test_a_count_needs_to_say_what_it_was_decided_on(client):
    factories.stock(10)
    with nothing_changes():
        conflicts(client.put(f"{API}/inventory/KB-1", json={"quantity": 3}), "version_required", 428, version=1)
        conflicts(client.put(f"{API}/locations/default", json={"name": "Shop"}), "version_required", 428, version=1)


STALE = ['"99"', '"0"', 'W/"1"', 'W/"99"', '"2", "3"']
NO_VERSIONS = ["*", "garbage", "1", '"1', '"one"', '"1"x', '"-1"', '"01"', '"1" "2"', "", ",", '"' + "9" * 5000 + '"']


@pytest.mark.parametrize(
    ("path", "body"), [("/inventory/KB-1", {"quantity": 3}), ("/locations/default", {"name": "Shop"})]
)
@pytest.mark.parametrize(
    ("tags", "status", "code"),
    [(STALE, 412, "version_mismatch"), (NO_VERSIONS, 400, "invalid_if_match")],
    ids=["stale", "unreadable"],
)
def test_if_match_names_the_present_version_or_the_change_is_refused(client, subtests, path, body, tags, status, code):
    factories.stock(10)
    for tag in tags:
        with subtests.test(tag=tag[:20]), nothing_changes():
            assert_refused(client.put(API + path, json=body, headers={"If-Match": tag}), status, code)


def test_one_current_version_among_several_is_enough(client):
    factories.stock(10)
    answer = client.put(f"{API}/inventory/KB-1", json={"quantity": 3}, headers={"If-Match": 'W/"1", "7", "1"'})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')


def test_an_expected_quantity_that_is_not_there_is_stale(client):
    factories.stock(10)
    with nothing_changes():
        answer = client.put(f"{API}/inventory/KB-1", json={"quantity": 3, "expected_quantity": 9})
        conflicts(answer, "version_mismatch", 412, quantity=10, version=1)


def test_the_version_in_a_body_is_a_conflict_when_it_is_old(client):
    with nothing_changes():
        answer = client.put(f"{API}/locations/default", json={"name": "Shop", "version": 7})
        conflicts(answer, "version_conflict", location="default", version=1)


def test_a_count_below_what_is_promised_is_refused_with_the_numbers(client):
    factories.stock(10)
    factories.hold(4)
    with nothing_changes():
        answer = client.put(f"{API}/inventory/KB-1", json={"quantity": 3}, headers={"If-Match": '"2"'})
        conflicts(answer, "below_reserved", quantity=10, reserved_quantity=4, requested=3)


@pytest.mark.parametrize(("kind", "units"), [("outbound", -7), ("damage", -7), ("loss", -10), ("adjustment", -7)])
def test_an_adjustment_never_cuts_into_what_is_promised(client, kind, units):
    factories.stock(10)
    factories.hold(4)
    with nothing_changes():
        answer = client.post(f"{API}/inventory/KB-1/adjust", json={"quantity": units, "movement_type": kind})
        conflicts(answer, "insufficient_stock", requested=-units, available_quantity=6, shortage=-units - 6)


@pytest.mark.parametrize("units", [1_000_000_000, 1_000_000_000 - 9])
def test_a_sum_past_the_limit_never_wraps(client, units):
    factories.stock(10)
    with nothing_changes():
        answer = client.post(f"{API}/inventory/KB-1/adjust", json={"quantity": units, "movement_type": "inbound"})
        conflicts(answer, "quantity_limit", quantity=10, maximum=1_000_000_000)


def test_a_sum_that_reaches_the_limit_exactly_is_kept(client):
    factories.stock(10)
    body = {"quantity": 1_000_000_000 - 10, "movement_type": "inbound"}
    assert client.post(f"{API}/inventory/KB-1/adjust", json=body).json["data"]["quantity_after"] == 1_000_000_000


def test_a_transfer_moves_only_what_nobody_was_promised_and_what_fits(client):
    factories.stock(10)
    factories.location("store-1")
    factories.stock(1_000_000_000, at="store-1")
    factories.hold(4, at="default")
    way = {"from_location": "default", "to_location": "store-1"}
    with nothing_changes():
        path = f"{API}/inventory/KB-1/transfer"
        conflicts(client.post(path, json=way | {"quantity": 7}), "insufficient_stock", available_quantity=6)
        conflicts(client.post(path, json=way | {"quantity": 1}), "quantity_limit", location="store-1")
        same = client.post(path, json={"from_location": "default", "to_location": "default", "quantity": 1})
        conflicts(same, "validation_failed", 422)
        nowhere = {"from_location": "nowhere", "to_location": "default", "quantity": 1}
        conflicts(client.post(path, json=nowhere), "inventory_item_not_found", 404, location="nowhere")


@pytest.mark.parametrize("held", [0, 4])
def test_an_item_with_stock_or_holds_is_not_archived(client, held):
    factories.stock(10)
    if held:
        factories.hold(held)
    with nothing_changes():
        conflicts(client.delete(f"{API}/inventory/KB-1"), "item_not_empty", quantity=10, reserved_quantity=held)


def test_an_archived_item_can_be_read_and_nothing_else(client):
    factories.stock(0)
    assert client.delete(f"{API}/inventory/KB-1").json["data"]["archived"] is True
    with nothing_changes():
        assert client.get(f"{API}/inventory/KB-1").json["data"]["archived"] is True
        conflicts(reserve(client, 1), "item_archived")
        adjust = {"quantity": 1, "movement_type": "inbound"}
        conflicts(client.post(f"{API}/inventory/KB-1/adjust", json=adjust), "item_archived")
        count = {"quantity": 1, "expected_quantity": 0}
        conflicts(client.put(f"{API}/inventory/KB-1", json=count), "item_archived")
        conflicts(client.delete(f"{API}/inventory/KB-1"), "item_archived")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
@pytest.mark.parametrize("path", ["/movements/", "/inventory/KB-1/movements"])
def test_the_ledger_takes_no_writes(client, method, path):
    factories.stock(10)
    with nothing_changes():
        answer = client.open(API + path, method=method, json={"quantity_change": 1})
        assert_refused(answer, 405, "method_not_allowed")
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


# ── Many rows in one call ────────────────────────────────────────────────────────────────────────

GOOD_ROW = {"op": "adjust", "product_id": "KB-1", "quantity": 5, "movement_type": "inbound"}
BAD_ROWS = [
    ({"op": "adjust", "product_id": "KB-1", "quantity": -99, "movement_type": "loss"}, 409, "insufficient_stock"),
    (
        {"op": "adjust", "product_id": "NOBODY", "quantity": 1, "movement_type": "return"},
        404,
        "inventory_item_not_found",
    ),
    ({"op": "create", "product_id": "KB-1"}, 409, "already_exists"),
    ({"op": "create", "product_id": "KB-2", "location": "nowhere"}, 422, "unknown_location"),
    ({"op": "create", "product_id": "KB-2", "quantity": -1}, 422, "validation_failed"),
    ({"op": "create", "product_id": "\ud800"}, 422, "validation_failed"),
    ({"op": "set", "product_id": "KB-1", "quantity": 1}, 428, "version_required"),
    ({"op": "set", "product_id": "KB-1", "quantity": 1, "expected_quantity": 9}, 412, "version_mismatch"),
    ({"op": "archive", "product_id": "KB-1"}, 409, "item_not_empty"),
    ({"op": "archive", "product_id": "KB-1", "quantity": 1}, 422, "validation_failed"),
    ({"op": "steal", "product_id": "KB-1"}, 422, "validation_failed"),
    ({"op": ["create"]}, 422, "validation_failed"),
    ({}, 422, "validation_failed"),
]


def bulk(client, rows, **more):
    body = json.dumps({"operations": rows} | more)
    return client.post(f"{API}/inventory/bulk", data=body, content_type="application/json")


@pytest.mark.parametrize(("row", "status", "code"), BAD_ROWS)
def test_a_bad_row_is_its_own_problem_and_the_others_are_applied(client, row, status, code):
    factories.stock(10)
    data = bulk(client, [GOOD_ROW, row, GOOD_ROW]).json["data"]
    assert [result["status"] for result in data["results"]] == [200, status, 200]
    assert (data["results"][1]["problem"]["code"], data["succeeded"], data["failed"]) == (code, 2, 1)
    assert factories.numbers() == (20, 0, 20)


@pytest.mark.parametrize(("row", "status", "code"), BAD_ROWS)
def test_with_atomic_a_bad_row_is_named_and_none_is_applied(client, row, status, code):
    factories.stock(10)
    with nothing_changes():
        problem = assert_refused(bulk(client, [GOOD_ROW, row, GOOD_ROW], atomic=True), 422, "bulk_refused")
    assert (problem["index"], problem["refused"]["code"], problem["refused"]["status"]) == (1, code, status)


def test_rows_that_are_all_unreadable_are_told_so_and_touch_nothing(client):
    factories.stock(10)
    with nothing_changes():
        data = bulk(client, [{}, {"op": "steal"}]).json["data"]
    assert ([result["status"] for result in data["results"]], data["failed"]) == ([422, 422], 2)
