"""What nobody should send to products and SKUs: refused with the status and the field, and nothing changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.models.inventory_items import RESERVED_WORDS
from tests import factories
from tests.api.refusals import assert_refused, nothing_changes
from tests.api.test_bad_json import NOT_STRICT_JSON, OTHER_MEDIA
from tests.api.test_bad_paths_and_queries import BAD_PAGES, NO_CODE
from tests.api.test_bad_values import BAD_CODES, BAD_DOCUMENTS, NO_TEXT, NOT_WHOLE, TOO_MANY, Values

API = "/api/v1"
PRODUCTS, SKUS, PRODUCT, SKU = "/products/", "/skus/", "/products/1", "/skus/KB-1"
ROW = {"sku_code": "NEW-1", "price": "1.00"}
# What each call takes when all is well, and its answer; each test below spoils one field of one of these.
CALLS: dict[tuple[str, str], tuple[dict[str, Any], int]] = {
    ("POST", PRODUCTS): ({"name": "Lamp"}, 201),
    ("PUT", PRODUCT): ({"name": "Lamp", "version": 1}, 200),
    ("POST", SKUS): (ROW | {"catalog_product_id": 1}, 201),
    ("PUT", SKU): ({"price": "1.00", "version": 1}, 200),
}
REQUIRED = [(call, field) for call, (body, _) in CALLS.items() if call[0] == "POST" for field in body]
NOT_THE_CALLERS = ("id", "created_at", "archived_at", "gtin", "is_admin", "__class__", "path")

BAD_NAMES: Values = (*NO_TEXT, "", "   ", "\u2003", "x" * 201, "e\u0301" * 201, "a\0", "a\ud800")
BAD_DESCRIPTIONS: Values = (*NO_TEXT, "x" * 5001, "a\0", "a\ud800")
BAD_IDS: Values = (0, -1, 1.0, "1", True, [], {}, 2**63, 2**80)
BAD_PRICES: Values = (
    -1, "-1", "-0", 0.5, 1.0, "0.005", "12,50", "1e2", "NaN", "Infinity", "1_000", "１２", "1E+999999", "", " 1", "1 ",
    "+1", ".5", "5.", "1000000000000", 10**12, None, True, [], {},
)  # fmt: skip
BAD_CURRENCIES: Values = ("usd", "US", "USDT", "US$", "USD\n", "ＵＳＤ", *NO_TEXT)
BAD_UNITS: Values = (*NO_TEXT, "", " ", "x" * 33, "a\0", "a\ud800")
BAD_VERSIONS: Values = (0, -1, 1.0, "1", True, None, [])
BAD_LISTS: Values = (None, "x", {}, [1], [None], [[]], [ROW] * 101)
SOLD = {
    "price": BAD_PRICES,
    "currency": BAD_CURRENCIES,
    "unit": BAD_UNITS,
    "attributes": BAD_DOCUMENTS,
    "barcode": (1, True, [], {}),
}
OPENED = SOLD | {
    "sku_code": (*BAD_CODES, *sorted(RESERVED_WORDS)),
    "opening_stock": (*NOT_WHOLE, *TOO_MANY, -1),
    "location": BAD_CODES,
}
NAMED = {"name": BAD_NAMES, "description": BAD_DESCRIPTIONS, "attributes": BAD_DOCUMENTS, "category_id": BAD_IDS}
BAD_FIELDS: dict[tuple[str, str], dict[str, Values]] = {
    ("POST", PRODUCTS): NAMED | {"skus": BAD_LISTS},
    ("PUT", PRODUCT): NAMED | {"version": BAD_VERSIONS},
    ("POST", SKUS): OPENED | {"catalog_product_id": (*BAD_IDS, None)},
    ("PUT", SKU): SOLD | {"version": BAD_VERSIONS},
}
SPOILT = [(call, field) for call, fields in BAD_FIELDS.items() for field in fields]


@pytest.fixture(autouse=True)
def _shelf(app):
    assert factories.product() == 1


def send(client, call, body):
    """Any Python value as the bytes a careless client might send, half characters included."""
    method, path = call
    return client.open(API + path, method=method, data=json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("call", CALLS)
def test_the_unspoilt_body_is_accepted(client, call):
    body, status = CALLS[call]
    assert send(client, call, body).status_code == status


@pytest.mark.parametrize("call", CALLS)
def test_a_field_that_is_not_the_callers_to_set_is_named_and_refused(client, subtests, call):
    for field in NOT_THE_CALLERS:
        with subtests.test(field=field), nothing_changes():
            problem = assert_refused(send(client, call, CALLS[call][0] | {field: 1}), 422, "validation_failed")
            assert problem["errors"] == {field: ["Unknown field."]}


@pytest.mark.parametrize(("call", "field"), REQUIRED)
def test_a_required_field_that_is_missing_is_named(client, call, field):
    body = {name: value for name, value in CALLS[call][0].items() if name != field}
    with nothing_changes():
        problem = assert_refused(send(client, call, body), 422, "validation_failed")
        assert problem["errors"] == {field: ["Missing data for required field."]}


@pytest.mark.parametrize(("call", "field"), SPOILT)
def test_a_bad_value_is_refused_and_its_field_named(client, subtests, call, field):
    with nothing_changes():
        for value in BAD_FIELDS[call][field]:
            with subtests.test(value=ascii(value)[:40]):
                problem = assert_refused(send(client, call, CALLS[call][0] | {field: value}), 422, "validation_failed")
                assert list(problem["errors"]) == [field]


@pytest.mark.parametrize("field", OPENED)
def test_a_bad_value_of_a_sku_inside_a_product_is_said_of_that_sku(client, subtests, field):
    with nothing_changes():
        for value in OPENED[field]:
            with subtests.test(value=ascii(value)[:40]):
                body = {"name": "Lamp", "skus": [ROW | {"sku_code": "NEW-0"}, ROW | {field: value}]}
                problem = assert_refused(send(client, ("POST", PRODUCTS), body), 422, "validation_failed")
                assert list(problem["errors"]["skus"]["1"]) == [field]


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_one_strict_json_object_in_utf8_changes_nothing(client, subtests, call):
    method, path = call
    with nothing_changes():
        for said, body in NOT_STRICT_JSON.items():
            with subtests.test(body=said):
                sent = client.open(API + path, method=method, data=body, content_type="application/json")
                assert_refused(sent, 400, "invalid_json")
        for said, headers in OTHER_MEDIA.items():
            with subtests.test(media=said):
                sent = client.open(API + path, method=method, data=json.dumps(CALLS[call][0]), headers=headers)
                assert_refused(sent, 415, "unsupported_media_type")


def test_a_product_with_many_skus_may_have_a_megabyte_and_everything_else_64_kilobytes(client):
    large = json.dumps({"name": "Lamp"}).ljust(1_048_576)
    assert client.post(API + PRODUCTS, data=large, content_type="application/json").status_code == 201
    for path, body in ((PRODUCTS, large + " "), (SKUS, json.dumps(CALLS["POST", SKUS][0]).ljust(65_537))):
        with nothing_changes():
            answer = client.post(API + path, data=body, content_type="application/json")
            assert_refused(answer, 413, "payload_too_large")


# ── Ids, paths and queries ───────────────────────────────────────────────────────────────────────

NO_ROW = "0 -1 abc 1.0 %00 .. 00001 1208925819614629174706176 9999999999999999999 %EF%BC%91 1%0A +1 1_0"
BAD_QUERIES = {
    PRODUCTS: f"""
        pgae=2 page=1&page=2 sort=name&sort=name sort=id;-- sort=price sort= sort=NAME category=root category=0
        category=-1 category=1.0 category= category=%EF%BC%91 category={"9" * 19} q= q=%20 q=%00 q=%0A q={"a" * 101}
        include_deleted=1 include_deleted=True include_deleted= cursor=abc cursor= cursor=%C3%A9 cursor=abc&page=1""",
    SKUS: """
        catalog_product_id=0 catalog_product_id=-1 catalog_product_id=a catalog_product_id= include_deleted=yes
        sku_code=KB-1 sort=price cursor=abc cursor=.""",
    f"{SKU}/prices": "include_deleted=true from=2030-01-01 cursor=abc",
    SKU: "page=1 version=1",
    PRODUCT: "page=1 version=1",
}
LISTS = [PRODUCTS, SKUS, f"{SKU}/prices"]


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/restore")])
def test_what_is_no_id_or_code_is_an_unknown_url(client, subtests, method, rest):
    with nothing_changes():
        for path in (*(f"/products/{row}" for row in NO_ROW.split()), *(f"/skus/{code}" for code in NO_CODE.split())):
            with subtests.test(path=path):
                answer = client.open(f"{API}{path}{rest}", method=method, json={"version": 1})
                assert_refused(answer, 404, "not_found")


@pytest.mark.parametrize("path", LISTS)
def test_pages_are_bounded_and_written_in_digits(client, subtests, path):
    for query in (*(f"page={page}" for page in BAD_PAGES.split()), "per_page=0", "per_page=101", "per_page=1000000"):
        with subtests.test(query=query[:30]):
            assert_refused(client.get(f"{API}{path}?{query}"), 400, "invalid_query")
    assert_refused(client.get(f"{API}{path}?page=501"), 400, "page_too_deep")


@pytest.mark.parametrize("path", BAD_QUERIES)
def test_a_query_that_is_not_as_documented_is_400(client, subtests, path):
    with nothing_changes():
        for query in BAD_QUERIES[path].split():
            with subtests.test(query=query[:60]):
                code = "invalid_cursor" if query.startswith("cursor=") and "&" not in query else "invalid_query"
                assert_refused(client.get(f"{API}{path}?{query}"), 400, code)


def test_a_cursor_belongs_to_the_list_and_the_filters_it_came_from(client):
    factories.product("Mouse", sku="M-1")
    cursor = client.get(f"{API}{PRODUCTS}?per_page=1").json["meta"]["next_cursor"]
    assert len(client.get(f"{API}{PRODUCTS}?cursor={cursor}").json["data"]) == 1
    for other in (
        f"{PRODUCTS}?q=m&cursor={cursor}",
        f"{PRODUCTS}?sort=-name&cursor={cursor}",
        f"{SKUS}?cursor={cursor}",
    ):
        assert_refused(client.get(API + other), 400, "invalid_cursor")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", PRODUCT), ("POST", PRODUCT), ("PUT", PRODUCTS), ("DELETE", SKUS), ("PATCH", SKU),
     ("GET", f"{SKU}/restore"), ("POST", f"{SKU}/prices"), ("DELETE", f"{SKU}/prices")],
)  # fmt: skip
def test_methods_that_are_not_there_are_405(client, method, path):
    with nothing_changes():
        assert "Allow" in client.open(API + path, method=method, json={}).headers
        assert_refused(client.open(API + path, method=method, json={}), 405, "method_not_allowed")
