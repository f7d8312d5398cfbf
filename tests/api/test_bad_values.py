"""Strings, numbers and fields that are well-formed JSON and still not acceptable: 422, and nothing changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import factories
from tests.api.refusals import assert_refused, nothing_changes

API = "/api/v1"
RESERVE, BATCH, CREATE, BULK = "/reservations/", "/reservations/batch", "/inventory/", "/inventory/bulk"
ADJUST, TRANSFER, PLACE = "/inventory/KB-1/adjust", "/inventory/KB-1/transfer", "/locations/"
LINE = {"product_id": "KB-1", "quantity": 1}
OWNER = {"order_id": "o-1", "customer_id": "c-1"}
MISSING = object()
Values = tuple[Any, ...]

# What each call takes when all is well, and its answer; each test below spoils one field of one of these.
CALLS: dict[str, tuple[dict[str, Any], int]] = {
    RESERVE: (LINE | OWNER, 201),
    BATCH: (OWNER | {"items": [LINE]}, 201),
    CREATE: ({"product_id": "NEW-1"}, 201),
    ADJUST: ({"quantity": 1, "movement_type": "inbound"}, 200),
    TRANSFER: ({"from_location": "default", "to_location": "store-1", "quantity": 1}, 200),
    BULK: ({"operations": [{"op": "create", "product_id": "NEW-2"}]}, 200),
    PLACE: ({"code": "store-2", "name": "Store 2"}, 201),
}
REQUIRED = [(path, field) for path, (body, _) in CALLS.items() for field in body]

NOT_THE_CALLERS = (
    "id",
    "created_at",
    "version",
    "reserved_quantity",
    "available_quantity",
    "is_admin",
    "price",
    "__class__",
)
NO_TEXT: Values = (None, 1, True, [], {})
BLANK = ("", "   ", "\u2003")
INVISIBLE = ("A\n", "A\r\nX: y", "A\t", "A\0", "A\ud800", "A\u202e", "A\u200b", "\ufeffA", "A\u00a0", "A ")
NOT_ASCII = ("\u0410-1", "\uff21-1", "ábc", "A\u0661", "😀")
NOT_A_CODE = ("-A", "_A", ".A", "a/b", "%41", "a b", "'; DROP TABLE x; --", "{{7*7}}", "<script>", "=cmd()")
NOT_WHOLE: Values = (1.5, 1.0, "1", True, False, None, [], {})
TOO_MANY = (1_000_000_001, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64)

BAD_CODES = (*NO_TEXT, *BLANK, *INVISIBLE, *NOT_ASCII, *NOT_A_CODE, "x" * 65, "x" * 10_000)
BAD_REFERENCES = (*NO_TEXT, *BLANK, *INVISIBLE, "a b", "x" * 65, "é" * 65, "e\u0301" * 65)
BAD_NOTES = (*NO_TEXT[1:], *BLANK, "x" * 501, "a\0", "a\ud800")
BAD_DOCUMENTS: Values = ([], "x", 1, None, {"a": "\ud800"}, {"\ud800": 1}, {"a": "x" * 16_384})
BAD_TIMES_TO_LIVE = (0, -1, 31_536_001, 1.5, "PT5M", True)
BAD_SWITCHES: Values = (1, 0, 1.0, "true", "yes", None, [])
BAD_LISTS: Values = ([], None, "x", {}, [1], [None], [[]], ["x"])

BAD_FIELDS: dict[tuple[str, str], Values] = {
    **{(path, "product_id"): BAD_CODES for path in (RESERVE, CREATE)},
    **{(path, "location"): BAD_CODES[1:] for path in (RESERVE, CREATE, ADJUST)},
    **{(TRANSFER, field): BAD_CODES for field in ("from_location", "to_location")},
    (PLACE, "code"): BAD_CODES,
    **{(path, field): BAD_REFERENCES for path in (RESERVE, BATCH) for field in OWNER},
    (ADJUST, "reference_id"): BAD_REFERENCES[1:],
    **{(path, "notes"): BAD_NOTES for path in (RESERVE, BATCH)},
    (ADJUST, "reason"): BAD_NOTES,
    (PLACE, "name"): (*BAD_NOTES, None),
    **{(PLACE, field): BAD_DOCUMENTS for field in ("address", "attributes")},
    **{(path, "quantity"): (*NOT_WHOLE, *TOO_MANY, 0, -1) for path in (RESERVE, TRANSFER)},
    (CREATE, "quantity"): (*NOT_WHOLE, *TOO_MANY, -1),
    (ADJUST, "quantity"): (*NOT_WHOLE, *TOO_MANY, 0, -1),
    (ADJUST, "movement_type"): ("theft", "reservation", "transfer", "INBOUND", "", *NO_TEXT),
    **{(path, "ttl_seconds"): BAD_TIMES_TO_LIVE for path in (RESERVE, BATCH)},
    **{(BATCH, field): BAD_SWITCHES for field in ("split", "allow_partial")},
    (BULK, "atomic"): BAD_SWITCHES,
    (BATCH, "items"): (*BAD_LISTS, [LINE] * 101),
    (BULK, "operations"): (*BAD_LISTS, [{}] * 1001),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _shop(app):
    factories.stock(10)
    factories.location("store-1")


def send(client, path, body):
    """Any Python value as the bytes a careless client might send, half characters included."""
    return client.post(API + path, data=json.dumps(body), content_type="application/json")


def refused(client, path, field, value, code="validation_failed"):
    body = {name: kept for name, kept in (CALLS[path][0] | {field: value}).items() if kept is not MISSING}
    with nothing_changes():
        return assert_refused(send(client, path, body), 422, code)


@pytest.mark.parametrize("path", CALLS)
def test_the_unspoilt_body_is_accepted(client, path):
    body, status = CALLS[path]
    assert send(client, path, body).status_code == status


@pytest.mark.parametrize("path", CALLS)
def test_a_field_that_is_not_the_callers_to_set_is_named_and_refused(client, subtests, path):
    for field in NOT_THE_CALLERS:
        with subtests.test(field=field):
            assert refused(client, path, field, 1)["errors"] == {field: ["Unknown field."]}


@pytest.mark.parametrize(("path", "field"), REQUIRED)
def test_a_required_field_that_is_missing_is_named(client, path, field):
    assert refused(client, path, field, MISSING)["errors"] == {field: ["Missing data for required field."]}


@pytest.mark.parametrize(("path", "field"), BAD_FIELDS)
def test_a_bad_value_is_refused_and_its_field_named(client, subtests, path, field):
    for value in BAD_FIELDS[path, field]:
        with subtests.test(value=ascii(value)[:40]):
            assert list(refused(client, path, field, value)["errors"]) == [field]


@pytest.mark.parametrize("digits", ["1.0", "1e0", "-0", "-0.0", "1E0"])
def test_other_ways_to_write_a_number_are_no_quantity(client, digits):
    body = json.dumps(LINE | OWNER).replace('"quantity": 1', f'"quantity": {digits}')
    with nothing_changes():
        answer = client.post(API + RESERVE, data=body, content_type="application/json")
        assert list(assert_refused(answer, 422, "validation_failed")["errors"]) == ["quantity"]


def test_a_hold_may_not_outlive_the_configured_day(client):
    assert refused(client, RESERVE, "ttl_seconds", 86_401, "hold_time_exceeded")["max_total_seconds"] == 86_400


@pytest.mark.parametrize(
    ("kind", "quantity"), [("inbound", -1), ("return", -1), ("outbound", 1), ("damage", 1), ("loss", 1)]
)
def test_the_sign_of_a_movement_fits_its_type(client, kind, quantity):
    with nothing_changes():
        answer = send(client, ADJUST, {"movement_type": kind, "quantity": quantity})
        assert list(assert_refused(answer, 422, "validation_failed")["errors"]) == ["quantity"]


@pytest.mark.parametrize(("path", "more"), [("confirm", {}), ("transfer", {"customer_id": "c-2"})])
def test_a_list_of_ids_is_one_to_a_hundred_strings(client, subtests, path, more):
    held = factories.hold(1).id
    bad: Values = ([], None, "x", {}, [1], [None], [""], ["x" * 65], [held, "a\ud800"], [held] * 101)
    for ids in bad:
        with subtests.test(ids=ascii(ids)[:40]), nothing_changes():
            answer = send(client, f"{RESERVE}{path}", more | {"reservation_ids": ids})
            assert list(assert_refused(answer, 422, "validation_failed")["errors"]) == ["reservation_ids"]


@pytest.mark.parametrize("where", [RESERVE, CREATE])
def test_a_location_nobody_opened_is_unknown(client, where):
    assert refused(client, where, "location", "nowhere", "unknown_location")["location"] == "nowhere"


def test_units_cannot_be_sent_to_a_location_nobody_opened(client):
    assert refused(client, TRANSFER, "to_location", "nowhere", "unknown_location")["location"] == "nowhere"
