"""Every call on one product's stock, every parameter, with the numbers it must answer."""

from __future__ import annotations

import pytest

from tests import factories

INVENTORY = "/api/v1/inventory/"
KB = f"{INVENTORY}KB-1"


def adjust(client, quantity, kind="adjustment", **more):
    return client.post(f"{KB}/adjust", json={"quantity": quantity, "movement_type": kind} | more)


def count(client, body, **headers):
    return client.put(KB, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


# ── Create and show ──────────────────────────────────────────────────────────────────────────────


def test_a_new_item_answers_201_with_its_place_its_version_and_the_whole_item(client):
    answer = client.post(
        INVENTORY, json={"product_id": "KB-1", "quantity": 5, "minimum_stock_level": 2, "maximum_stock_level": 9}
    )
    assert (answer.status_code, answer.content_type) == (201, "application/json")
    assert answer.headers["Location"] == f"{KB}?location=default"
    assert answer.headers["ETag"] == '"1"'
    assert answer.json == {
        "status": "success",
        "message": "Inventory item created",
        "meta": {},
        "data": {
            "product_id": "KB-1",
            "location": "default",
            "quantity": 5,
            "reserved_quantity": 0,
            "available_quantity": 5,
            "minimum_stock_level": 2,
            "maximum_stock_level": 9,
            "is_low_stock": False,
            "version": 1,
            "archived": False,
            "created_at": "2030-01-01T12:00:00.000000Z",
            "updated_at": "2030-01-01T12:00:00.000000Z",
        },
    }
    [row] = factories.movements(client)
    assert (row["movement_type"], row["quantity_change"], row["reason"]) == ("inbound", 5, "opening stock")


def test_a_new_item_without_stock_has_no_movement_yet(client):
    answer = client.post(INVENTORY, json={"product_id": "KB-1"})
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"0"')
    assert factories.movements(client) == []


def test_the_same_product_at_the_same_location_exists_once_and_elsewhere_again(client):
    factories.stock(5)
    again = client.post(INVENTORY, json={"product_id": "KB-1", "quantity": 3})
    assert (again.status_code, again.json["code"]) == (409, "already_exists")
    assert (again.json["product_id"], again.json["location"]) == ("KB-1", "default")
    body = {"product_id": "KB-1", "quantity": 3, "location": factories.location("east")}
    assert client.post(INVENTORY, json=body).status_code == 201
    assert (factories.numbers(), factories.numbers(at="east")) == ((5, 0, 5), (3, 0, 3))


def test_ids_that_differ_in_case_are_different_products(client):
    factories.stock(5, "kb-1")
    assert client.get(KB).status_code == 404
    assert client.post(INVENTORY, json={"product_id": "KB-1"}).status_code == 201
    assert factories.numbers("kb-1") == (5, 0, 5)


@pytest.mark.parametrize("word", ["low-stock", "summary", "search", "barcode", "bulk", "availability", "products"])
def test_a_word_of_the_api_is_no_product_id(client, word):
    answer = client.post(INVENTORY, json={"product_id": word})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["product_id"])


def test_an_unknown_location_and_levels_in_the_wrong_order_are_refused_and_make_nothing(client):
    unknown = client.post(INVENTORY, json={"product_id": "KB-1", "location": "moon"})
    assert (unknown.status_code, unknown.json["code"], unknown.json["location"]) == (422, "unknown_location", "moon")
    levels = {"product_id": "KB-1", "minimum_stock_level": 5, "maximum_stock_level": 4}
    assert "maximum_stock_level" in client.post(INVENTORY, json=levels).json["errors"]
    assert client.get(KB).status_code == 404


def test_a_product_is_shown_over_all_its_locations_and_at_one(client):
    factories.stock(5, minimum=1)
    factories.stock(3, at=factories.location("east", priority=1), minimum=3)
    factories.hold(2, at="default", ttl=60)
    whole = client.get(KB).json["data"]
    assert (whole["quantity"], whole["reserved_quantity"], whole["available_quantity"]) == (8, 2, 6)
    assert (whole["is_low_stock"], whole["archived"], whole["product"]) == (True, False, None)
    assert whole["next_release_at"] == "2030-01-01T12:01:00.000000Z"
    assert [(row["location"], row["available_quantity"], row["is_low_stock"]) for row in whole["locations"]] == [
        ("east", 3, True),
        ("default", 3, False),
    ]
    one = client.get(f"{KB}?location=east").json["data"]
    assert (one["quantity"], one["reserved_quantity"], one["next_release_at"]) == (3, 0, None)
    assert [row["location"] for row in one["locations"]] == ["east"]


def test_what_nobody_stocks_is_not_found_here_and_there(client):
    assert client.get(KB).json["code"] == "inventory_item_not_found"
    factories.stock(1)
    factories.location("east")
    missing = client.get(f"{KB}?location=east")
    assert (missing.status_code, missing.json["location"]) == (404, "east")


def test_the_version_a_client_has_answers_304_until_something_changes(client):
    factories.stock(5)
    etag = client.get(KB).headers["ETag"]
    same = client.get(KB, headers={"If-None-Match": etag})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", '"1"')
    adjust(client, 1)
    changed = client.get(KB, headers={"If-None-Match": etag})
    assert (changed.status_code, changed.headers["ETag"], changed.json["data"]["quantity"]) == (200, '"2"', 6)


def test_no_304_hides_that_a_hold_has_run_out(client, time):
    factories.stock(5)
    factories.hold(2, ttl=60)
    etag = client.get(KB).headers["ETag"]
    time.forward(seconds=60)
    seen = client.get(KB, headers={"If-None-Match": etag})
    assert (seen.status_code, seen.json["data"]["available_quantity"]) == (200, 5)


def test_the_etag_of_several_locations_never_comes_back_for_other_numbers(client):
    factories.stock(3)
    factories.stock(0, at=factories.location("east"))
    adjust(client, 1, location="east")
    adjust(client, -1, location="east")
    before = client.get(KB)
    client.delete(f"{KB}?location=east")
    for _ in range(2):
        adjust(client, 1)
    after = client.get(KB, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert (before.json["data"]["quantity"], after.json["data"]["quantity"]) == (3, 5)


def test_the_etag_of_several_locations_is_no_token_for_one_of_them(client):
    factories.stock(3)
    factories.stock(3, at=factories.location("east"))
    whole = client.get(KB).headers["ETag"]
    adjust(client, 1)
    assert count(client, {"quantity": 9}, If_Match=whole).status_code in (400, 412)
    assert factories.numbers() == (4, 0, 4)


# ── Count, levels, archive ───────────────────────────────────────────────────────────────────────


def test_a_count_without_a_token_is_refused_with_the_version_to_send(client):
    factories.stock(5)
    answer = count(client, {"quantity": 9})
    assert (answer.status_code, answer.json["code"], answer.json["version"]) == (428, "version_required", 1)
    assert factories.numbers() == (5, 0, 5)


def test_a_count_under_the_version_it_was_decided_on_is_an_adjustment(client):
    factories.stock(5)
    answer = count(client, {"quantity": 9, "reason": "stocktake"}, If_Match='"1"')
    assert (answer.status_code, answer.headers["ETag"], answer.json["data"]["quantity"]) == (200, '"2"', 9)
    row = factories.movements(client)[-1]
    assert (row["movement_type"], row["quantity_change"], row["reason"]) == ("adjustment", 4, "stocktake")


def test_of_two_counts_under_the_same_version_the_second_is_refused(client):
    factories.stock(5)
    assert count(client, {"quantity": 9}, If_Match='"1"').status_code == 200
    stale = count(client, {"quantity": 3}, If_Match='"1"')
    assert (stale.status_code, stale.json["code"], stale.json["version"]) == (412, "version_mismatch", 2)
    assert factories.numbers() == (9, 0, 9)


@pytest.mark.parametrize(
    ("tag", "status", "code"),
    [
        ('"7", "1"', 200, None),
        ('W/"1"', 412, "version_mismatch"),
        ("*", 400, "invalid_if_match"),
        ("1", 400, "invalid_if_match"),
        ('"one"', 400, "invalid_if_match"),
        ('"-1"', 400, "invalid_if_match"),
        ("", 400, "invalid_if_match"),
    ],
)
def test_if_match_is_read_strictly(client, tag, status, code):
    factories.stock(5)
    answer = count(client, {"quantity": 9}, If_Match=tag)
    assert (answer.status_code, answer.json.get("code")) == (status, code)
    assert factories.numbers()[0] == (9 if status == 200 else 5)


def test_a_count_may_name_the_quantity_it_was_decided_on_instead(client):
    factories.stock(5)
    stale = count(client, {"quantity": 9, "expected_quantity": 4})
    assert (stale.status_code, stale.json["quantity"]) == (412, 5)
    assert count(client, {"quantity": 9, "expected_quantity": 5}).status_code == 200
    assert factories.numbers() == (9, 0, 9)


def test_a_count_below_what_is_promised_is_a_conflict(client):
    factories.stock(5)
    factories.hold(3)
    refused = count(client, {"quantity": 2, "expected_quantity": 5})
    assert (refused.status_code, refused.json["code"], refused.json["reserved_quantity"]) == (409, "below_reserved", 3)
    assert factories.numbers() == (5, 3, 2)


@pytest.mark.parametrize("token", [{"expected_quantity": 5}, None])
def test_a_hold_that_ran_out_does_not_stand_in_the_way_of_a_count(client, time, token):
    factories.stock(5)
    factories.hold(3, ttl=60)
    time.forward(seconds=60)
    headers = {} if token else {"If_Match": client.get(KB).headers["ETag"]}
    answer = count(client, {"quantity": 1} | (token or {}), **headers)
    assert (answer.status_code, factories.numbers()) == (200, (1, 0, 1))


def test_levels_change_without_a_token_but_never_under_a_stale_one(client):
    factories.stock(5)
    answer = count(client, {"minimum_stock_level": 5, "maximum_stock_level": 50})
    assert (answer.status_code, answer.json["data"]["is_low_stock"]) == (200, True)
    assert answer.json["data"]["maximum_stock_level"] == 50
    assert count(client, {"minimum_stock_level": 1}, If_Match='"1"').status_code == 412
    cleared = count(client, {"maximum_stock_level": None}, If_Match='"2"')
    assert (cleared.json["data"]["maximum_stock_level"], cleared.headers["ETag"]) == (None, '"3"')
    assert factories.numbers() == (5, 0, 5)


def test_a_minimum_above_the_stored_maximum_is_refused(client):
    client.post(INVENTORY, json={"product_id": "KB-1", "maximum_stock_level": 4})
    assert count(client, {"minimum_stock_level": 5}).status_code == 422
    assert client.get(KB).json["data"]["locations"][0]["minimum_stock_level"] == 0


def test_an_archived_item_can_be_read_not_changed_and_is_created_again_with_its_history(client):
    factories.stock(2, minimum=1)
    assert client.delete(KB).json["code"] == "item_not_empty"
    adjust(client, -2)
    gone = client.delete(KB)
    assert (gone.status_code, gone.json["data"]["archived"], gone.headers["ETag"]) == (200, True, '"3"')
    assert client.get(KB).json["data"]["archived"] is True
    assert client.get(INVENTORY).json["data"] == []
    refusals = [adjust(client, 1), client.delete(KB), count(client, {"minimum_stock_level": 4})]
    assert [(answer.status_code, answer.json["code"]) for answer in refusals] == [(409, "item_archived")] * 3
    again = client.post(INVENTORY, json={"product_id": "KB-1", "quantity": 7})
    assert (again.status_code, again.json["data"]["archived"], again.json["data"]["quantity"]) == (201, False, 7)
    assert again.json["data"]["minimum_stock_level"] == 0
    sequences = [row["sequence"] for row in factories.movements(client)]
    assert sequences == list(range(1, len(sequences) + 1))
    assert again.headers["ETag"] == f'"{sequences[-1]}"'


def test_archiving_one_location_leaves_the_others_in_the_sum(client):
    factories.stock(4)
    factories.stock(0, at=factories.location("east"))
    assert client.delete(f"{KB}?location=east").status_code == 200
    whole = client.get(KB).json["data"]
    assert (whole["quantity"], [row["location"] for row in whole["locations"]]) == (4, ["default"])
    assert client.delete(f"{KB}?location=moon").status_code == 404


# ── Adjust and transfer ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "change", "accepted"),
    [
        ("inbound", 2, True), ("inbound", -2, False), ("return", 2, True), ("return", -2, False),
        ("outbound", -2, True), ("outbound", 2, False), ("damage", -2, True), ("damage", 2, False),
        ("loss", -2, True), ("loss", 2, False), ("adjustment", 2, True), ("adjustment", -2, True),
        ("adjustment", 0, False), ("transfer", 2, False), ("reservation", 2, False), ("expiry", -2, False),
    ],
)  # fmt: skip
def test_the_sign_of_an_adjustment_must_fit_its_kind(client, kind, change, accepted):
    factories.stock(5)
    answer = adjust(client, change, kind)
    assert answer.status_code == (200 if accepted else 422)
    assert factories.numbers()[0] == (5 + change if accepted else 5)


def test_an_adjustment_answers_its_ledger_row_with_cause_actor_and_request(client):
    factories.stock(5)
    answer = client.post(
        f"{KB}/adjust",
        json={"quantity": -2, "movement_type": "damage", "reference_id": "claim-7", "reason": "fell off"},
        headers={"X-Request-ID": "req-42"},
    )
    row = answer.json["data"]
    assert answer.headers["X-Request-ID"] == "req-42"
    assert isinstance(row.pop("id"), int)
    assert row == {
        "product_id": "KB-1",
        "location": "default",
        "sequence": 2,
        "movement_type": "damage",
        "quantity_change": -2,
        "reserved_change": 0,
        "quantity_after": 3,
        "reserved_after": 0,
        "reservation_id": None,
        "reference_id": "claim-7",
        "reason": "fell off",
        "actor": "anonymous",
        "request_id": "req-42",
        "created_at": "2030-01-01T12:00:00.000000Z",
    }


def test_an_adjustment_never_takes_promised_units_nor_makes_an_item(client):
    assert adjust(client, 1).status_code == 404
    factories.stock(5)
    factories.hold(4, ttl=60)
    refused = adjust(client, -2, "loss")
    assert (refused.status_code, refused.json["available_quantity"]) == (409, 1)
    assert (refused.json["next_release_at"], refused.headers["Retry-After"]) == ("2030-01-01T12:01:00.000000Z", "60")
    assert factories.numbers() == (5, 4, 1)


def test_an_item_holds_a_billion_units_and_refuses_the_next(client):
    factories.stock(1_000_000_000)
    refused = adjust(client, 1, "inbound")
    assert (refused.status_code, refused.json["code"], refused.json["maximum"]) == (
        409,
        "quantity_limit",
        1_000_000_000,
    )
    assert factories.numbers()[0] == 1_000_000_000


def transfer(client, quantity, source="default", target="east"):
    body = {"from_location": source, "to_location": target, "quantity": quantity, "reason": "shelf"}
    return client.post(f"{KB}/transfer", json=body)


def test_a_transfer_is_two_rows_under_one_reference_and_makes_the_target(client):
    factories.stock(5)
    factories.location("east")
    out, came = transfer(client, 2).json["data"]
    assert [(row["location"], row["movement_type"], row["quantity_change"]) for row in (out, came)] == [
        ("default", "transfer", -2),
        ("east", "transfer", 2),
    ]
    assert (out["reference_id"], out["reason"]) == (came["reference_id"], "shelf")
    assert (factories.numbers(), factories.numbers(at="east")) == ((3, 0, 3), (2, 0, 2))


def test_a_transfer_moves_no_promised_unit_and_a_refused_one_makes_no_target(client):
    factories.stock(5)
    factories.hold(4)
    factories.location("east")
    refused = transfer(client, 2)
    assert (refused.status_code, refused.json["available_quantity"]) == (409, 1)
    assert client.get(f"{KB}?location=east").status_code == 404
    assert factories.numbers() == (5, 4, 1)


def test_a_transfer_needs_two_known_places(client):
    factories.stock(5)
    factories.location("east")
    answers = [transfer(client, 1, target="default"), transfer(client, 1, target="moon")]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[1].json["code"] == "unknown_location"
    missing = transfer(client, 1, source="east", target="default")
    assert (missing.status_code, missing.json["location"]) == (404, "east")
    assert factories.numbers() == (5, 0, 5)
