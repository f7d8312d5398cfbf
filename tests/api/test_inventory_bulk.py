"""Many operations in one call: each row its own answer, in order, all or each."""

from __future__ import annotations

from tests import factories

BULK = "/api/v1/inventory/bulk"


def bulk(client, *operations, **more):
    return client.post(BULK, json={"operations": list(operations)} | more)


def results(answer):
    assert answer.status_code == 200, answer.text
    return answer.json["data"]["results"]


def told(answer):
    return [(row["status"], row["problem"] and row["problem"]["code"]) for row in results(answer)]


def create(product_id="KB-1", **more):
    return {"op": "create", "product_id": product_id} | more


def adjust(quantity, product_id="KB-1", kind="adjustment", **more):
    return {"op": "adjust", "product_id": product_id, "quantity": quantity, "movement_type": kind} | more


def count(quantity, expected, product_id="KB-1", **more):
    return {"op": "set", "product_id": product_id, "quantity": quantity, "expected_quantity": expected} | more


def archive(product_id="KB-1", **more):
    return {"op": "archive", "product_id": product_id} | more


def test_every_kind_of_operation_answers_with_its_place_its_status_and_its_numbers(client):
    factories.location("east")
    answer = bulk(
        client,
        create(quantity=5, location="east"),
        adjust(-2, kind="damage", location="east"),
        count(9, 3, location="east"),
        adjust(-9, location="east"),
        archive(location="east"),
    )
    assert results(answer)[0] == {
        "index": 0,
        "op": "create",
        "product_id": "KB-1",
        "location": "east",
        "status": 201,
        "data": {"quantity": 5, "reserved_quantity": 0, "version": 1, "changed": True},
        "problem": None,
    }
    assert [(row["status"], row["data"]["quantity"], row["data"]["version"]) for row in results(answer)] == [
        (201, 5, 1),
        (200, 3, 2),
        (200, 9, 3),
        (200, 0, 4),
        (200, 0, 5),
    ]
    assert (answer.json["data"]["succeeded"], answer.json["data"]["failed"]) == (5, 0)
    kinds = [row["movement_type"] for row in factories.movements(client)]
    assert kinds == ["inbound", "damage", "adjustment", "adjustment", "adjustment"]


def test_a_refused_row_changes_nothing_and_stops_no_other(client):
    factories.stock(5)
    factories.hold(4)
    answer = bulk(
        client,
        adjust(-2),
        adjust(3, "NONE"),
        create(),
        count(3, 5),
        count(9, 4),
        {"op": "set", "product_id": "KB-1", "quantity": 9},
        archive(),
        create("NEW", location="moon"),
        adjust(1),
    )
    assert told(answer) == [
        (409, "insufficient_stock"),
        (404, "inventory_item_not_found"),
        (409, "already_exists"),
        (409, "below_reserved"),
        (412, "version_mismatch"),
        (428, "version_required"),
        (409, "item_not_empty"),
        (422, "unknown_location"),
        (200, None),
    ]
    assert (answer.json["data"]["succeeded"], answer.json["data"]["failed"]) == (1, 8)
    assert factories.numbers() == (6, 4, 2)
    assert len(factories.movements(client)) == 3


def test_a_row_that_cannot_be_read_is_that_rows_problem(client):
    factories.stock(5)
    answer = bulk(
        client,
        {"op": "steal", "product_id": "KB-1"},
        {"product_id": "KB-1"},
        adjust(0),
        adjust(1, kind="damage"),
        adjust("1"),
        create("summary"),
        create(colour="red"),
        adjust(2),
    )
    assert [row["status"] for row in results(answer)] == [422] * 7 + [200]
    fields = [list(row["problem"]["errors"]) for row in results(answer)[:7]]
    assert fields == [["op"], ["op"], ["quantity"], ["quantity"], ["quantity"], ["product_id"], ["colour"]]
    assert factories.numbers() == (7, 0, 7)


def test_a_refusal_in_bulk_informs_as_fully_as_a_single_one(client):
    factories.stock(5)
    factories.hold(4, ttl=60)
    [row] = results(bulk(client, adjust(-2)))
    problem = row["problem"]
    assert (problem["requested"], problem["available_quantity"], problem["shortage"]) == (2, 1, 1)
    assert problem["next_release_at"] == "2030-01-01T12:01:00.000000Z"
    assert problem["next_release_quantity"] == 4


def test_atomic_means_that_one_bad_row_keeps_all_of_them_out(client):
    factories.stock(5)
    refused = bulk(client, adjust(1), create("NEW", quantity=3), adjust(-7), atomic=True)
    assert (refused.status_code, refused.json["code"], refused.json["index"]) == (422, "bulk_refused", 2)
    assert (refused.json["refused"]["code"], refused.json["refused"]["available_quantity"]) == ("insufficient_stock", 6)
    unread = bulk(client, adjust(1), adjust(0), atomic=True)
    assert (unread.status_code, unread.json["index"], unread.json["refused"]["status"]) == (422, 1, 422)
    assert factories.numbers() == (5, 0, 5)
    assert client.get("/api/v1/inventory/NEW").status_code == 404
    assert told(bulk(client, adjust(1), create("NEW", quantity=3), atomic=True)) == [(200, None), (201, None)]


def test_rows_for_the_same_product_build_on_each_other_in_order(client):
    answer = bulk(client, create(quantity=5), adjust(-5), adjust(-1), adjust(4), count(4, 4))
    assert told(answer) == [(201, None), (200, None), (409, "insufficient_stock"), (200, None), (200, None)]
    assert results(answer)[4]["data"] == {"quantity": 4, "reserved_quantity": 0, "version": 3, "changed": False}
    assert factories.numbers() == (4, 0, 4)


def test_what_comes_before_its_create_row_finds_nothing(client):
    answer = bulk(client, adjust(3), archive(), create(quantity=5))
    assert told(answer) == [(404, "inventory_item_not_found"), (404, "inventory_item_not_found"), (201, None)]
    assert factories.numbers() == (5, 0, 5)
    assert client.get("/api/v1/inventory/KB-1").json["data"]["archived"] is False


def test_the_same_product_is_created_once_in_a_call_and_again_after_its_archiving(client):
    answer = bulk(client, create(quantity=5), create(quantity=7))
    assert told(answer) == [(201, None), (409, "already_exists")]
    again = bulk(client, adjust(-5), archive(), create(quantity=2))
    assert told(again) == [(200, None), (200, None), (201, None)]
    assert factories.numbers() == (2, 0, 2)


def test_a_thousand_rows_go_and_a_thousand_and_one_do_not(client):
    rows = [create(f"P{number:04}", quantity=number) for number in range(1001)]
    refused = bulk(client, *rows)
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["operations"])
    assert client.get("/api/v1/inventory/").json["meta"]["total"] == 0
    answer = bulk(client, *rows[:1000])
    assert (answer.json["data"]["succeeded"], answer.json["data"]["failed"]) == (1000, 0)
    assert [row["index"] for row in results(answer)] == list(range(1000))
    totals = client.get("/api/v1/inventory/summary").json["data"]
    assert (totals["items"], totals["quantity"]) == (1000, 499_500)


def test_no_rows_or_what_is_no_row_is_refused_as_a_whole(client):
    wrong: list[object] = [[], ["create"], [None], "create", {}]
    for operations in wrong:
        assert client.post(BULK, json={"operations": operations}).status_code == 422
    assert bulk(client, create(), atomic="yes").status_code == 422
    assert client.get("/api/v1/inventory/KB-1").status_code == 404
