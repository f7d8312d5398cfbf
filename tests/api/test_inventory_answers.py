"""Questions about stock: how much then, why this number, could it be promised, what is low, what is there in all."""

from __future__ import annotations

import pytest

from tests import factories

INVENTORY = "/api/v1/inventory/"
KB = f"{INVENTORY}KB-1"


# ── As of a moment ───────────────────────────────────────────────────────────────────────────────


def then(client, moment, **query):
    answer = client.get(KB, query_string={"as_of": moment} | query)
    assert answer.status_code == 200, answer.text
    data = answer.json["data"]
    return data["quantity"], data["reserved_quantity"], data["available_quantity"]


@pytest.fixture
def day(client, time):
    """12:00 opening 10, 12:01 hold 4, 12:02 three units move east, 12:03 the hold is confirmed."""
    factories.stock(10)
    time.forward(minutes=1)
    held = factories.hold(4)
    time.forward(minutes=1)
    factories.location("east")
    body = {"from_location": "default", "to_location": "east", "quantity": 3}
    client.post(f"{KB}/transfer", json=body)
    time.forward(minutes=1)
    client.post(f"/api/v1/reservations/{held.id}/confirm")
    time.forward(minutes=1)


@pytest.mark.parametrize(
    ("moment", "whole", "default"),
    [
        ("2030-01-01T11:59:59.999999Z", (0, 0, 0), (0, 0, 0)),
        ("2030-01-01T12:00:00Z", (10, 0, 10), (10, 0, 10)),
        ("2030-01-01T12:00:59.999999Z", (10, 0, 10), (10, 0, 10)),
        ("2030-01-01T12:01:00Z", (10, 4, 6), (10, 4, 6)),
        ("2030-01-01T12:02:30Z", (10, 4, 6), (7, 4, 3)),
        ("2030-01-01T14:03:00+02:00", (6, 0, 6), (3, 0, 3)),
        ("2030-01-01T12:04:00Z", (6, 0, 6), (3, 0, 3)),
    ],
)
def test_the_ledger_says_exactly_what_there_was_at_any_moment(client, day, moment, whole, default):
    assert then(client, moment) == whole
    assert then(client, moment, location="default") == default


def test_the_past_names_each_location_with_its_last_row_then(client, day):
    past = client.get(KB, query_string={"as_of": "2030-01-01T12:02:30Z"}).json["data"]
    assert past["as_of"] == "2030-01-01T12:02:30.000000Z"
    assert sorted(
        (row["location"], row["quantity"], row["sequence"], row["changed_at"]) for row in past["locations"]
    ) == [
        ("default", 7, 3, "2030-01-01T12:02:00.000000Z"),
        ("east", 3, 1, "2030-01-01T12:02:00.000000Z"),
    ]
    before = client.get(KB, query_string={"as_of": "2030-01-01T12:01:30Z"}).json["data"]
    assert [row["location"] for row in before["locations"]] == ["default"]


@pytest.mark.parametrize(
    "moment", ["2030-01-01T12:00:00.000001Z", "2030-01-01T12:00:00", "yesterday", "2030-13-01T00:00:00Z"]
)
def test_the_future_and_what_is_no_moment_are_refused(client, moment):
    factories.stock(1)
    answer = client.get(KB, query_string={"as_of": moment})
    assert (answer.status_code, answer.json["code"], list(answer.json["errors"])) == (400, "invalid_query", ["as_of"])


def test_the_past_of_what_nobody_stocked_is_not_found(client):
    assert client.get(KB, query_string={"as_of": "2030-01-01T00:00:00Z"}).status_code == 404


# ── Explain ──────────────────────────────────────────────────────────────────────────────────────


def test_the_explanation_is_the_sum_in_words_and_the_rows_behind_it(client, time):
    factories.stock(50)
    factories.hold(3, order="o-1", customer="ada", ttl=600)
    factories.hold(2, order="o-2", customer="bob", ttl=60)
    told = client.get(f"{KB}/explain").json["data"]
    assert told["text"] == (
        "50 on hand - 5 held by 2 live reservations (2 for order o-2 until 2030-01-01T12:01:00.000000Z, "
        "3 for order o-1 until 2030-01-01T12:10:00.000000Z) = 45 available."
    )
    assert [(row["order_id"], row["customer_id"], row["quantity"]) for row in told["reservations"]] == [
        ("o-2", "bob", 2),
        ("o-1", "ada", 3),
    ]
    assert (told["quantity"], told["reserved_quantity"], told["available_quantity"]) == (50, 5, 45)
    assert [row["movement_type"] for row in told["movements"]] == ["reservation", "reservation", "inbound"]
    assert (told["locations"][0]["version"], told["denied"]) == (3, [])


def test_the_explanation_tells_of_holds_that_ran_out_and_of_what_was_asked_in_vain(client, time):
    factories.stock(5)
    factories.hold(2, ttl=60)
    body = {"product_id": "KB-1", "quantity": 9, "order_id": "o-9", "customer_id": "c-9"}
    assert client.post("/api/v1/reservations/", json=body).status_code == 409
    time.forward(seconds=60)
    told = client.get(f"{KB}/explain").json["data"]
    assert told["text"] == (
        "5 on hand - 0 held = 5 available. 2 held by reservations that have run out count as available already. "
        "In the last 24 hours 9 units were asked for in vain."
    )
    assert told["denied"] == [{"product_id": "KB-1", "location": "", "refusals": 1, "units": 9}]
    assert told["reservations"] == []


def test_an_explanation_of_one_location_leaves_the_others_out(client):
    factories.stock(5)
    factories.stock(7, at=factories.location("east"))
    factories.hold(1, at="east")
    told = client.get(f"{KB}/explain?location=default").json["data"]
    assert told["text"] == "5 on hand - 0 held = 5 available."
    assert {row["location"] for row in told["movements"]} == {"default"}
    assert client.get(f"{KB}/explain?location=moon").status_code == 404


# ── Availability ─────────────────────────────────────────────────────────────────────────────────


def test_availability_of_one_product_says_whether_how_many_and_when_more(client):
    factories.stock(5)
    factories.hold(2, ttl=60)
    assert client.get(f"{KB}/availability?quantity=4").json["data"] == {
        "product_id": "KB-1",
        "location": None,
        "quantity": 4,
        "available": False,
        "available_quantity": 3,
        "shortage": 1,
        "single_location": False,
        "next_release_at": "2030-01-01T12:01:00.000000Z",
        "next_release_quantity": 2,
    }
    assert client.get(f"{KB}/availability").json["data"]["quantity"] == 1
    assert client.get(f"{KB}/availability?quantity=3").json["data"]["available"] is True


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "1e3", "one", "", "1000000001", "\u0663"])
def test_availability_of_no_whole_number_is_a_bad_query(client, quantity):
    factories.stock(5)
    answer = client.get(f"{KB}/availability", query_string={"quantity": quantity})
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["quantity"])


def test_availability_at_a_location_counts_only_that_one(client):
    factories.stock(5)
    factories.stock(2, at=factories.location("east"))
    assert client.get(f"{KB}/availability?quantity=6").json["data"]["available_quantity"] == 7
    assert client.get(f"{KB}/availability?quantity=6").json["data"]["single_location"] is False
    assert client.get(f"{KB}/availability?quantity=2&location=east").json["data"]["available_quantity"] == 2
    assert client.get(f"{KB}/availability?location=moon").status_code == 404
    assert client.get(f"{INVENTORY}NONE/availability").status_code == 404


def ask(client, *items):
    return client.post(f"{INVENTORY}availability", json={"items": list(items)})


def test_a_basket_answers_per_line_and_overall_and_sums_the_same_product(client):
    factories.stock(5)
    factories.stock(9, "B")
    answer = ask(
        client,
        {"product_id": "KB-1", "quantity": 3},
        {"product_id": "B", "quantity": 9},
        {"product_id": "KB-1", "quantity": 3},
        {"product_id": "NONE", "quantity": 1},
    ).json["data"]
    assert answer["available"] is False
    assert [
        (line["product_id"], line["quantity"], line["available"], line["shortage"]) for line in answer["items"]
    ] == [
        ("KB-1", 3, False, 1),
        ("B", 9, True, 0),
        ("KB-1", 3, False, 1),
        ("NONE", 1, False, 1),
    ]
    enough = ask(client, {"product_id": "KB-1", "quantity": 3}, {"product_id": "KB-1", "quantity": 2})
    assert enough.json["data"]["available"] is True


def test_a_basket_whose_lines_share_units_is_not_available_as_a_whole(client):
    """One line names the only location, the other leaves it open: both want the same five units."""
    factories.stock(5)
    lines = [{"product_id": "KB-1", "quantity": 5, "location": "default"}, {"product_id": "KB-1", "quantity": 5}]
    assert ask(client, *lines).json["data"]["available"] is False


@pytest.mark.parametrize("size", [0, 101])
def test_a_basket_has_one_to_a_hundred_lines(client, size):
    assert ask(client, *[{"product_id": "A", "quantity": 1}] * size).status_code == 422


# ── Low stock, search, summary ───────────────────────────────────────────────────────────────────


def listed(client, path, **query):
    answer = client.get(f"{INVENTORY}{path}", query_string=query)
    assert answer.status_code == 200, answer.text
    return [(row["product_id"], row["location"]) for row in answer.json["data"]]


def test_low_stock_is_what_is_available_at_or_below_its_minimum_and_counts_holds(client, time):
    factories.location("east")
    factories.stock(5, "FINE", minimum=4)
    factories.stock(5, "AT", minimum=5)
    factories.stock(5, "HELD", minimum=3)
    factories.stock(0, "EMPTY", at="east")
    factories.hold(2, "HELD", ttl=60)
    assert listed(client, "low-stock") == [("AT", "default"), ("EMPTY", "east"), ("HELD", "default")]
    assert listed(client, "low-stock", location="east") == [("EMPTY", "east")]
    time.forward(seconds=60)
    assert listed(client, "low-stock") == [("AT", "default"), ("EMPTY", "east")]


def test_search_takes_percent_underscore_and_backslash_for_what_they_are(client):
    for product in ("A_B", "AXB", "A.B", "100", "1000"):
        factories.stock(1, product)
    assert listed(client, "search", q="_") == [("A_B", "default")]
    assert listed(client, "search", q="A_B") == [("A_B", "default")]
    assert listed(client, "search", q="100") == [("100", "default"), ("1000", "default")]
    assert listed(client, "search", q="%") == []
    assert listed(client, "search", q="\\") == []
    assert listed(client, "search", q="/") == []


def test_search_does_not_mind_the_case_on_any_database(client):
    factories.stock(1, "Kb-1")
    factories.stock(1, "KB-1")
    both = [("KB-1", "default"), ("Kb-1", "default")]
    assert listed(client, "search", q="KB") == listed(client, "search", q="kb") == both
    assert listed(client, "", q="b-") == both


@pytest.mark.parametrize(
    "query", ["", "?q=", "?q=%20", "?q=" + "a" * 101, "?q=a&q=b", "?q=a&page=0", "?q=a&colour=red"]
)
def test_a_search_for_nothing_twice_or_with_unknown_words_is_a_bad_query(client, query):
    answer = client.get(f"{INVENTORY}search{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_query")


def test_the_summary_adds_up_everything_and_per_location(client):
    factories.location("east")
    factories.stock(5, "A", minimum=3)
    factories.stock(2, "A", at="east")
    factories.stock(0, "B", at="east")
    factories.hold(4, "A", at="default")
    everything = client.get(f"{INVENTORY}summary").json["data"]
    east = {"location": "east", "items": 2, "quantity": 2, "reserved_quantity": 0, "available_quantity": 2}
    default = {"location": "default", "items": 1, "quantity": 5, "reserved_quantity": 4, "available_quantity": 1}
    [uncategorised] = everything.pop("by_category")
    assert (uncategorised["category_id"], uncategorised["items"], uncategorised["quantity"]) == (None, 3, 7)
    assert everything == {
        "products": 2,
        "items": 3,
        "quantity": 7,
        "reserved_quantity": 4,
        "available_quantity": 3,
        "low_stock": 2,
        "out_of_stock": 1,
        "value": [],
        "locations": [
            default | {"low_stock": 1, "out_of_stock": 0, "value": []},
            east | {"low_stock": 1, "out_of_stock": 1, "value": []},
        ],
    }
    one = client.get(f"{INVENTORY}summary?location=east").json["data"]
    assert (one["products"], one["items"], one["quantity"], len(one["locations"])) == (2, 2, 2, 1)


def test_the_summary_of_an_empty_shop_is_zero_and_not_null(client):
    empty = client.get(f"{INVENTORY}summary").json["data"]
    assert (empty["products"], empty["quantity"], empty["available_quantity"], empty["locations"]) == (0, 0, 0, [])
