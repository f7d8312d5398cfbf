"""The life of a reservation over HTTP."""

from tests import factories

RESERVATIONS = "/api/v1/reservations/"


def reserve(client, quantity, **more):
    body = {"product_id": "KB-1", "quantity": quantity, "order_id": "o-1", "customer_id": "c-1"} | more
    return client.post(RESERVATIONS, json=body)


def test_reserving_holds_units_for_thirty_minutes_and_leaves_them_on_hand(client):
    factories.stock(10)
    answer = reserve(client, 5)
    assert answer.status_code == 201
    held = answer.json["data"]
    assert (held["status"], held["quantity"], held["location"]) == ("active", 5, "default")
    assert held["expires_at"] == "2030-01-01T12:30:00.000000Z"
    assert answer.headers["Location"] == f"/api/v1/reservations/{held['id']}"
    assert factories.numbers() == (10, 5, 5)


def test_more_than_available_is_refused_with_the_facts_and_holds_nothing(client):
    factories.stock(3)
    factories.hold(1, ttl=60)
    answer = reserve(client, 5)
    assert (answer.status_code, answer.content_type) == (409, "application/problem+json")
    facts = answer.json
    assert facts["code"] == "insufficient_stock"
    assert (
        facts["requested"],
        facts["available_quantity"],
        facts["reserved_quantity"],
        facts["shortage"],
    ) == (5, 2, 1, 3)
    assert (facts["next_release_at"], facts["next_release_quantity"]) == ("2030-01-01T12:01:00.000000Z", 1)
    assert answer.headers["Retry-After"] == "60"
    assert factories.numbers() == (3, 1, 2)


def test_a_product_nobody_stocks_is_a_shortage_and_not_an_error_of_ours(client):
    answer = reserve(client, 1, product_id="NOBODY-HAS-THIS")
    assert (answer.status_code, answer.json["code"], answer.json["available_quantity"]) == (
        409,
        "insufficient_stock",
        0,
    )


def test_confirming_takes_the_units_and_again_gives_the_same_answer(client):
    factories.stock(10)
    held = reserve(client, 4).json["data"]
    first = client.post(f"{RESERVATIONS}{held['id']}/confirm")
    again = client.post(f"{RESERVATIONS}{held['id']}/confirm")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json == again.json
    assert first.json["data"]["status"] == "confirmed"
    assert factories.numbers() == (6, 0, 6)
    assert [row["movement_type"] for row in factories.movements(client)] == [
        "inbound",
        "reservation",
        "outbound",
    ]


def test_confirming_a_part_gives_the_rest_back(client):
    factories.stock(10)
    held = reserve(client, 5).json["data"]
    answer = client.post(f"{RESERVATIONS}{held['id']}/confirm", json={"quantity": 3})
    assert (answer.status_code, answer.json["data"]["quantity"]) == (200, 3)
    assert factories.numbers() == (7, 0, 7)


def test_the_three_ends_answer_distinctly(client, time):
    factories.stock(10)
    confirmed, cancelled, lapsed = (reserve(client, 1, ttl_seconds=60).json["data"]["id"] for _ in range(3))
    client.post(f"{RESERVATIONS}{confirmed}/confirm")
    client.delete(f"{RESERVATIONS}{cancelled}")
    time.forward(seconds=60)
    answers = {
        "confirm cancelled": client.post(f"{RESERVATIONS}{cancelled}/confirm"),
        "confirm lapsed": client.post(f"{RESERVATIONS}{lapsed}/confirm"),
        "cancel confirmed": client.delete(f"{RESERVATIONS}{confirmed}"),
        "cancel lapsed": client.delete(f"{RESERVATIONS}{lapsed}"),
        "cancel again": client.delete(f"{RESERVATIONS}{cancelled}"),
    }
    assert {name: (answer.status_code, answer.json.get("code")) for name, answer in answers.items()} == {
        "confirm cancelled": (409, "already_cancelled"),
        "confirm lapsed": (410, "reservation_expired"),
        "cancel confirmed": (409, "already_confirmed"),
        "cancel lapsed": (410, "reservation_expired"),
        "cancel again": (200, None),
    }
    assert factories.numbers() == (9, 0, 9)


def test_a_lapsed_hold_is_available_to_readers_and_buyers_without_any_worker(client, time):
    factories.stock(5)
    first = reserve(client, 5, ttl_seconds=60).json["data"]["id"]
    time.forward(seconds=60)
    assert factories.numbers() == (5, 0, 5)
    assert client.get(f"{RESERVATIONS}{first}").json["data"]["status"] == "expired"
    assert reserve(client, 5).status_code == 201
    assert [row["movement_type"] for row in factories.movements(client)] == [
        "inbound",
        "reservation",
        "expiry",
        "reservation",
    ]


def test_extending_never_revives_and_is_capped(client, time):
    factories.stock(5)
    held = reserve(client, 5, ttl_seconds=60).json["data"]["id"]
    longer = client.patch(f"{RESERVATIONS}{held}", json={"ttl_seconds": 120})
    assert longer.json["data"]["expires_at"] == "2030-01-01T12:02:00.000000Z"
    assert client.patch(f"{RESERVATIONS}{held}", json={"ttl_seconds": 86_401}).json["code"] == "hold_time_exceeded"
    time.forward(seconds=120)
    late = client.patch(f"{RESERVATIONS}{held}", json={"ttl_seconds": 120})
    assert (late.status_code, late.json["code"]) == (410, "reservation_expired")
    assert factories.numbers() == (5, 0, 5)


def test_resizing_takes_or_gives_back_the_difference(client):
    factories.stock(7)
    held = reserve(client, 5).json["data"]["id"]
    assert client.patch(f"{RESERVATIONS}{held}", json={"quantity": 7}).status_code == 200
    assert factories.numbers() == (7, 7, 0)
    assert client.patch(f"{RESERVATIONS}{held}", json={"quantity": 2}).status_code == 200
    assert factories.numbers() == (7, 2, 5)
    refused = client.patch(f"{RESERVATIONS}{held}", json={"quantity": 10})
    assert (refused.status_code, refused.json["code"]) == (409, "insufficient_stock")
    assert factories.numbers() == (7, 2, 5)


def test_reacquiring_confirms_late_when_the_units_are_still_there(client, time):
    factories.stock(5)
    held = reserve(client, 5, ttl_seconds=60).json["data"]["id"]
    time.forward(seconds=61)
    assert client.post(f"{RESERVATIONS}{held}/confirm").status_code == 410
    late = client.post(f"{RESERVATIONS}{held}/confirm", json={"on_expired": "reacquire"})
    assert (late.status_code, late.json["data"]["status"]) == (200, "confirmed")
    assert late.json["data"]["reacquired_at"] == "2030-01-01T12:01:01.000000Z"
    assert factories.numbers() == (0, 0, 0)


def test_reacquiring_what_others_took_is_refused(client, time):
    factories.stock(5)
    held = reserve(client, 5, ttl_seconds=60).json["data"]["id"]
    time.forward(seconds=61)
    assert reserve(client, 1).status_code == 201
    late = client.post(f"{RESERVATIONS}{held}/confirm", json={"on_expired": "reacquire"})
    assert (late.status_code, late.json["code"]) == (409, "insufficient_stock")
    assert factories.numbers() == (5, 1, 4)


def test_a_batch_is_all_or_nothing_and_sums_the_same_product(client):
    factories.stock(3, "A")
    factories.stock(5, "B")
    items = [
        {"product_id": "B", "quantity": 1},
        {"product_id": "A", "quantity": 2},
        {"product_id": "A", "quantity": 2},
    ]
    body = {"order_id": "o-1", "customer_id": "c-1", "items": items}
    refused = client.post(f"{RESERVATIONS}batch", json=body)
    assert (refused.status_code, refused.json["requested"], refused.json["available_quantity"]) == (409, 4, 3)
    assert (factories.numbers("A"), factories.numbers("B")) == ((3, 0, 3), (5, 0, 5))
    partial = client.post(f"{RESERVATIONS}batch", json=body | {"allow_partial": True})
    assert partial.status_code == 201
    assert [(hold["product_id"], hold["quantity"]) for hold in partial.json["data"]["reservations"]] == [
        ("B", 1),
        ("A", 3),
    ]
    assert [(short["product_id"], short["shortage"]) for short in partial.json["data"]["shortages"]] == [("A", 1)]


def test_handing_over_changes_the_owner_and_not_a_unit(client):
    factories.stock(5)
    held = reserve(client, 5).json["data"]["id"]
    answer = client.post(f"{RESERVATIONS}transfer", json={"reservation_ids": [held], "customer_id": "c-2"})
    assert (answer.status_code, answer.json["data"][0]["customer_id"]) == (200, "c-2")
    assert factories.numbers() == (5, 5, 0)
    assert client.get(f"{RESERVATIONS}{held}").json["data"]["customer_id"] == "c-2"


def test_confirming_several_is_all_or_none(client, time):
    factories.stock(5)
    soon, later = reserve(client, 1, ttl_seconds=60).json["data"]["id"], reserve(client, 2).json["data"]["id"]
    time.forward(seconds=60)
    body = {"reservation_ids": [later, soon]}
    assert client.post(f"{RESERVATIONS}confirm", json=body).status_code == 410
    assert client.get(f"{RESERVATIONS}{later}").json["data"]["status"] == "active"
    late = client.post(f"{RESERVATIONS}confirm", json=body | {"on_expired": "reacquire", "order_id": "o-9"})
    assert (late.status_code, {hold["order_id"] for hold in late.json["data"]}) == (200, {"o-9"})
    assert factories.numbers() == (2, 0, 2)
