"""Opening, changing, closing and reopening the places that hold stock."""

from __future__ import annotations

import pytest

from tests import factories

LOCATIONS = "/api/v1/locations/"
EAST = f"{LOCATIONS}east"


def create(client, **values):
    return client.post(LOCATIONS, json={"code": "east", "name": "East"} | values)


def change(client, body, **headers):
    return client.put(EAST, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def codes(client, **query):
    return [row["code"] for row in client.get(LOCATIONS, query_string=query).json["data"]]


def test_the_default_location_is_there_from_the_start(client):
    [only] = client.get(LOCATIONS).json["data"]
    assert (only["code"], only["version"], only["archived_at"]) == ("default", 1, None)
    assert client.get(f"{LOCATIONS}default").headers["ETag"] == '"1"'


def test_a_new_location_answers_201_with_its_address_and_version(client):
    answer = create(client, priority=7, address={"city": "Bern"}, attributes={"floor": 2})
    assert (answer.status_code, answer.headers["Location"], answer.headers["ETag"]) == (201, EAST, '"1"')
    assert answer.json["data"] == {
        "code": "east",
        "name": "East",
        "priority": 7,
        "address": {"city": "Bern"},
        "attributes": {"floor": 2},
        "version": 1,
        "archived_at": None,
        "created_at": "2030-01-01T12:00:00.000000Z",
        "updated_at": "2030-01-01T12:00:00.000000Z",
    }
    assert client.get(EAST).json["data"] == answer.json["data"]


def test_a_location_that_says_nothing_more_comes_after_those_with_a_lower_number(client):
    assert create(client).json["data"]["priority"] == 100
    create(client, code="first", priority=1)
    assert codes(client) == ["first", "default", "east"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"code": "a b"}, "code"),
        ({"code": "-east"}, "code"),
        ({"code": "e" * 65}, "code"),
        ({"code": "east\n"}, "code"),
        ({"name": " "}, "name"),
        ({"name": None}, "name"),
        ({"priority": -1}, "priority"),
        ({"priority": 1.0}, "priority"),
        ({"address": []}, "address"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_location_that_makes_no_sense_is_refused_by_field(client, wrong, field):
    answer = create(client, **wrong)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
    assert codes(client) == ["default"]


def test_a_code_is_used_once_and_codes_differ_by_case(client):
    create(client)
    again = create(client, name="Other")
    assert (again.status_code, again.json["code"], again.json["deleted"]) == (409, "already_exists", False)
    assert create(client, code="EAST").status_code == 201
    assert client.get(EAST).json["data"]["name"] == "East"


def test_what_does_not_exist_is_not_found_by_any_call(client):
    answers = [
        client.get(EAST),
        change(client, {"name": "X"}, If_Match='"1"'),
        client.delete(EAST),
        client.post(f"{EAST}/restore"),
    ]
    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [(404, "location_not_found")] * 4


def test_a_change_needs_the_version_it_was_decided_on(client):
    create(client)
    assert change(client, {"name": "Far east"}).json["code"] == "version_required"
    assert change(client, {"name": "Far east"}).status_code == 428
    changed = change(client, {"name": "Far east"}, If_Match='"1"')
    assert (changed.status_code, changed.headers["ETag"], changed.json["data"]["name"]) == (200, '"2"', "Far east")
    stale = change(client, {"name": "Late"}, If_Match='"1"')
    assert (stale.status_code, stale.json["code"], stale.json["version"]) == (412, "version_mismatch", 2)
    in_body = change(client, {"name": "Late", "version": 1})
    assert (in_body.status_code, in_body.json["code"]) == (409, "version_conflict")
    assert change(client, {"name": "On time", "version": 2}).json["data"]["version"] == 3
    assert client.get(EAST).json["data"]["name"] == "On time"


def test_a_change_leaves_what_it_does_not_name(client):
    create(client, priority=7, address={"city": "Bern"})
    changed = change(client, {"attributes": {"a": 1}, "version": 1}).json["data"]
    assert (changed["priority"], changed["address"], changed["attributes"]) == (7, {"city": "Bern"}, {"a": 1})
    assert change(client, {"code": "west", "version": 2}).status_code == 422


def test_a_new_priority_decides_the_next_reservation_and_is_seen_by_the_next_reader(client):
    create(client, priority=200)
    factories.stock(5)
    factories.stock(5, at="east")
    product = "/api/v1/inventory/KB-1"
    assert [row["location"] for row in client.get(product).json["data"]["locations"]] == ["default", "east"]
    change(client, {"priority": 1, "version": 1})
    assert factories.hold(1).location == "east"
    assert [row["location"] for row in client.get(product).json["data"]["locations"]] == ["east", "default"]


def test_a_new_priority_is_seen_in_what_readers_were_told_before(client):
    create(client, priority=200)
    factories.stock(5)
    factories.stock(5, at="east")
    product = "/api/v1/inventory/KB-1"
    client.get(product)
    change(client, {"priority": 1, "version": 1})
    assert [row["location"] for row in client.get(product).json["data"]["locations"]] == ["east", "default"]


def test_a_location_that_holds_inventory_is_not_closed_nor_is_the_default_one(client):
    create(client)
    factories.stock(0, at="east")
    refused = [client.delete(EAST), client.delete(f"{LOCATIONS}default")]
    assert [(answer.status_code, answer.json["code"]) for answer in refused] == [(409, "location_in_use")] * 2
    assert codes(client) == ["default", "east"]


def test_a_closed_location_takes_no_stock_and_comes_back_with_everything_it_had(client):
    create(client, priority=7)
    closed = client.delete(EAST)
    assert (closed.status_code, closed.json["data"]["archived_at"]) == (200, "2030-01-01T12:00:00.000000Z")
    assert (codes(client), codes(client, include_deleted="true")) == (["default"], ["east", "default"])
    stock = client.post("/api/v1/inventory/", json={"product_id": "KB-1", "location": "east"})
    assert (stock.status_code, stock.json["code"]) == (422, "unknown_location")
    assert client.delete(EAST).json["deleted"] is True
    assert create(client).json["deleted"] is True
    back = client.post(f"{EAST}/restore")
    assert (back.status_code, back.json["data"]["archived_at"], back.json["data"]["priority"]) == (200, None, 7)
    assert client.post(f"{EAST}/restore").headers["ETag"] == back.headers["ETag"] == '"3"'
    assert factories.stock(5, at="east") == "KB-1"


@pytest.mark.parametrize("way", ["create", "transfer", "bulk"])
def test_an_item_archived_with_its_location_does_not_come_back_to_life_in_it(client, way):
    create(client)
    factories.stock(5)
    factories.stock(0, at="east")
    client.delete("/api/v1/inventory/KB-1?location=east")
    assert client.delete(EAST).status_code == 200
    new = {"product_id": "KB-1", "location": "east", "quantity": 2}
    if way == "create":
        answer = client.post("/api/v1/inventory/", json=new)
    elif way == "transfer":
        body = {"from_location": "default", "to_location": "east", "quantity": 2}
        answer = client.post("/api/v1/inventory/KB-1/transfer", json=body)
    else:
        body = {"operations": [new | {"op": "create"}]}
        [row] = client.post("/api/v1/inventory/bulk", json=body).json["data"]["results"]
        assert (row["status"], row["problem"]["code"]) == (422, "unknown_location")
        return
    assert (answer.status_code, answer.json["code"]) == (422, "unknown_location")
    assert factories.numbers(at="east") == (0, 0, 0)
    assert factories.numbers() == (5, 0, 5)


def test_locations_come_in_pages(client):
    for number in range(5):
        create(client, code=f"shop-{number}", priority=number)
    page = client.get(f"{LOCATIONS}?per_page=2&page=2").json
    assert [row["code"] for row in page["data"]] == ["shop-2", "shop-3"]
    assert {name: page["meta"][name] for name in ("page", "per_page", "total", "pages")} == {
        "page": 2,
        "per_page": 2,
        "total": 6,
        "pages": 3,
    }
    rest = client.get(LOCATIONS, query_string={"per_page": 2, "cursor": page["meta"]["next_cursor"]}).json
    assert [row["code"] for row in rest["data"]] == ["shop-4", "default"]
    assert rest["meta"]["next_cursor"] is None
