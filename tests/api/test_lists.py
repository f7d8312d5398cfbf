"""What every list has in common: filters, order, numbered pages, cursors, and their limits."""

from __future__ import annotations

import pytest

from app.repositories import pages
from tests import factories

INVENTORY = "/api/v1/inventory/"
LISTS = [INVENTORY, "/api/v1/reservations/", "/api/v1/movements/", "/api/v1/locations/", f"{INVENTORY}low-stock"]


@pytest.fixture
def shop(client, time):
    """Seven items made a minute apart: quantities that repeat, one held, one empty, two elsewhere."""
    factories.location("east")
    for number, (quantity, place) in enumerate(
        [(5, "default"), (0, "default"), (5, "east"), (9, "default"), (2, "east"), (5, "default"), (2, "default")]
    ):
        factories.stock(quantity, f"P{number}", at=place, minimum=2)
        time.forward(minutes=1)
    factories.hold(4, "P0")


def get(client, **query):
    answer = client.get(INVENTORY, query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def ids(client, **query):
    return [row["product_id"] for row in get(client, **query)["data"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"location": "east"}, ["P2", "P4"]),
        ({"product_id": ["P5", "P1", "NONE"]}, ["P1", "P5"]),
        ({"low_stock": "true"}, ["P0", "P1", "P4", "P6"]),
        ({"low_stock": "false"}, ["P2", "P3", "P5"]),
        ({"out_of_stock": "true"}, ["P1"]),
        ({"out_of_stock": "false", "location": "default"}, ["P0", "P3", "P5", "P6"]),
        ({"has_reservations": "true"}, ["P0"]),
        ({"has_reservations": "false", "location": "east"}, ["P2", "P4"]),
        ({"q": "5"}, ["P5"]),
        ({"q": "P", "location": "east", "low_stock": "true"}, ["P4"]),
        ({"location": "moon"}, []),
    ],
)
def test_filters_narrow_the_list_and_go_together(client, shop, query, expected):
    assert ids(client, **query) == expected
    assert get(client, **query)["meta"]["total"] == len(expected)


def test_filters_see_a_hold_that_ran_out_as_gone(client, shop, time):
    time.forward(minutes=30)
    assert ids(client, has_reservations="true") == []
    assert "P0" not in ids(client, low_stock="true")


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("product_id", "0123456"),
        ("-product_id", "6543210"),
        ("quantity", "1460253"),
        ("-quantity", "3520641"),
        ("created_at", "0123456"),
        ("-created_at", "6543210"),
        ("updated_at", "1234560"),
        ("-updated_at", "0654321"),
    ],
)
def test_lists_sort_both_ways_and_backwards_is_exactly_the_reverse(client, shop, sort, expected):
    assert "".join(product[1] for product in ids(client, sort=sort)) == expected


@pytest.mark.parametrize("sort", ["product_id", "-product_id", "quantity", "-quantity", "created_at", "-updated_at"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_numbered_pages_and_cursors_give_the_same_rows_in_the_same_order(client, shop, sort, size):
    whole = ids(client, sort=sort)
    numbered = [
        product for page in range(1, -(-7 // size) + 1) for product in ids(client, sort=sort, per_page=size, page=page)
    ]
    walked, cursor = [], None
    while True:
        answer = get(client, sort=sort, per_page=size, **({"cursor": cursor} if cursor else {}))
        walked += [row["product_id"] for row in answer["data"]]
        cursor = answer["meta"]["next_cursor"]
        if cursor is None:
            break
    assert whole == numbered == walked
    assert len(whole) == 7


def test_the_envelope_of_a_list_tells_where_one_is(client, shop):
    answer = get(client, per_page=3, page=2)
    assert list(answer) == ["status", "data", "message", "meta"]
    cursor = answer["meta"].pop("next_cursor")
    assert answer["meta"] == {"page": 2, "per_page": 3, "total": 7, "pages": 3}
    by_cursor = get(client, per_page=3, cursor=cursor)
    assert by_cursor["meta"] == {"page": None, "per_page": 3, "total": None, "pages": None, "next_cursor": None}
    assert [row["product_id"] for row in by_cursor["data"]] == ["P6"]


def test_a_list_shows_twenty_rows_unless_asked_otherwise(client):
    for number in range(21):
        factories.stock(1, f"P{number:02}")
    answer = get(client)
    assert (len(answer["data"]), answer["meta"]["per_page"], answer["meta"]["pages"]) == (20, 20, 2)


def test_a_page_past_the_end_is_empty_and_not_an_error(client, shop):
    answer = get(client, page=9)
    assert (answer["data"], answer["meta"]["total"], answer["meta"]["next_cursor"]) == ([], 7, None)


def test_rows_that_come_and_go_neither_repeat_nor_hide_others_behind_a_cursor(client, shop):
    first = get(client, per_page=3)
    client.post(INVENTORY, json={"product_id": "P00"})
    client.delete(f"{INVENTORY}P1")
    rest = get(client, per_page=100, cursor=first["meta"]["next_cursor"])
    assert [row["product_id"] for row in first["data"] + rest["data"]] == [f"P{n}" for n in range(7)]


def test_a_cursor_works_only_for_the_list_the_filters_and_the_order_it_came_from(client, shop):
    cursor = get(client, per_page=2)["meta"]["next_cursor"]
    for other in ({"location": "default"}, {"sort": "-product_id"}, {"sort": "quantity"}, {"q": "P"}):
        answer = client.get(INVENTORY, query_string={"cursor": cursor} | other)
        assert (answer.status_code, answer.json["code"]) == (400, "invalid_cursor"), other
    for path in LISTS[1:]:
        answer = client.get(path, query_string={"cursor": cursor})
        assert (answer.status_code, answer.json["code"]) == (400, "invalid_cursor"), path
    assert ids(client, per_page=3, cursor=cursor) == ["P2", "P3", "P4"]


def test_a_cursor_that_was_touched_is_refused(client, shop):
    cursor = get(client, per_page=2)["meta"]["next_cursor"]
    value, signature = cursor.rsplit(".", 1)
    flipped = "A" if signature[0] != "A" else "B"
    for wrong in (cursor[:-1], f"{value}.{flipped}{signature[1:]}", f"WzFd.{signature}", "x", "", "%00", "ü"):
        answer = client.get(INVENTORY, query_string={"cursor": wrong})
        assert (answer.status_code, answer.json["code"]) == (400, "invalid_cursor"), wrong


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=-1", "page=1.5", "page=", "page=one", "page=1&page=2", "page=99999999999999999999",
        "per_page=0", "per_page=101", "per_page=-5", "colour=red", "page=1&cursor=x",
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused_by_every_list(client, path, query):
    answer = client.get(f"{path}?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_query")
    assert answer.json["errors"]


@pytest.mark.parametrize(
    "query", ["sort=color", "sort=--quantity", "low_stock=yes", "low_stock=1", "product_id=a%20b", "location=", "q="]
)
def test_a_filter_of_the_wrong_form_is_refused(client, query):
    answer = client.get(f"{INVENTORY}?{query}")
    assert (answer.status_code, list(answer.json["errors"])) == (400, [query.split("=")[0]])


@pytest.mark.parametrize("path", LISTS)
def test_pages_end_at_row_ten_thousand_and_point_to_the_cursor(client, path):
    assert client.get(f"{path}?per_page=100&page=100").status_code == 200
    answer = client.get(f"{path}?per_page=100&page=101")
    assert (answer.status_code, answer.json["code"], answer.json["maximum_rows"]) == (400, "page_too_deep", 10_000)
    assert "?cursor=" in answer.json["detail"]


def test_rows_past_the_counted_depth_are_not_counted_but_reached_by_cursor(client, shop, monkeypatch):
    monkeypatch.setattr(pages, "COUNTED", 6)
    answer = get(client, per_page=3)
    assert (answer["meta"]["total"], answer["meta"]["pages"]) == (None, None)
    last = get(client, per_page=3, page=2)
    assert client.get(INVENTORY, query_string={"per_page": 3, "page": 3}).status_code == 400
    assert ids(client, per_page=3, cursor=last["meta"]["next_cursor"]) == ["P6"]


def test_the_last_page_that_was_promised_is_served_when_the_size_does_not_divide_the_depth(client, shop, monkeypatch):
    monkeypatch.setattr(pages, "COUNTED", 7)
    answer = get(client, per_page=3)
    assert (answer["meta"]["total"], answer["meta"]["pages"]) == (7, 3)
    assert ids(client, per_page=3, page=3) == ["P6"]
