"""Values that look wrong and are right: kept as written, told apart where they differ, read by nobody."""

from __future__ import annotations

import pytest

from tests import factories

API = "/api/v1"
RESERVATION = {"product_id": "KB-1", "quantity": 1, "order_id": "o-1", "customer_id": "c-1"}


def send(client, path, body):
    return client.post(API + path, json=body)


def test_upper_and_lower_case_are_two_products(client):
    for product_id in ("abc", "ABC"):
        assert send(client, "/inventory/", {"product_id": product_id, "quantity": 1}).status_code == 201
    assert send(client, "/reservations/", RESERVATION | {"product_id": "abc"}).status_code == 201
    assert (factories.numbers("abc"), factories.numbers("ABC")) == ((1, 1, 0), (1, 0, 1))


def test_two_emoji_are_two_references(client):
    factories.stock(10)
    for order in ("😀", "😁"):
        assert send(client, "/reservations/", RESERVATION | {"order_id": order}).status_code == 201
    found = client.get(f"{API}/reservations/", query_string={"order_id": "😀"}).json["data"]
    assert [hold["order_id"] for hold in found] == ["😀"]


def test_an_accent_is_the_same_letter_composed_or_not(client):
    answers = [
        send(client, "/locations/", {"code": code, "name": name})
        for code, name in (("a", "Caf\u00e9"), ("b", "Cafe\u0301"))
    ]
    assert [answer.json["data"]["name"] for answer in answers] == ["Caf\u00e9", "Caf\u00e9"]


@pytest.mark.parametrize("name", ["\u0410-1", "\uff21-1", "\u05d0\u202e", "\u5e97 1", "O\u2019Neill"])
def test_names_are_written_in_any_script(client, name):
    answer = send(client, "/locations/", {"code": "a", "name": name})
    assert (answer.status_code, answer.json["data"]["name"]) == (201, name)


@pytest.mark.parametrize(
    "words",
    [
        "'; DROP TABLE reservations; --",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "<script>alert(1)</script>",
        "=cmd()",
        "\x1b[2J\nfake log line",
    ],
)
def test_text_is_kept_as_written_and_nothing_reads_it(client, words):
    factories.stock(10)
    answer = send(client, "/reservations/", RESERVATION | {"notes": words})
    assert (answer.status_code, answer.json["data"]["notes"]) == (201, words)
    assert [hold["notes"] for hold in client.get(f"{API}/reservations/").json["data"]] == [words]
    assert "\x1b" not in answer.text
