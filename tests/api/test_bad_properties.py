"""What the tables have is not what a caller may set: every column's name in every body, made from both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.extensions import db
from tests import factories
from tests.api.refusals import assert_refused, nothing_changes
from tests.api.test_access_matrix import EXAMPLES

COLUMNS = {column.name for table in db.metadata.sorted_tables for column in table.columns}
PLANTED = {"is_admin", "price", "owner", "role", "__class__", "constructor", "$where", "status_code"}


@pytest.fixture
def page(app, client) -> dict[str, Any]:
    factories.stock(10, EXAMPLES["product"])
    factories.location(EXAMPLES["code"])
    document: dict[str, Any] = client.get("/api/v1/swagger.json").json
    return document


def writes(page: dict[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
    """Every call that has a body, with the names that it may contain."""
    for path, methods in page["paths"].items():
        for method, call in methods.items():
            for parameter in call.get("parameters", []) if isinstance(call, dict) else []:
                if parameter["in"] == "body":
                    name = parameter["schema"]["$ref"].rsplit("/", 1)[1]
                    yield method, path, set(page["definitions"][name]["properties"])


def filled(path: str) -> str:
    named = {
        "product_id": "product", "sku_code": "product", "reservation_id": "id", "code": "code", "location": "code",
        "category_id": "row", "catalog_product_id": "row",
    }  # fmt: skip
    return "/api/v1" + path.format(**{argument: EXAMPLES[kind] for argument, kind in named.items()})


def test_no_column_can_be_set_but_what_a_call_documents(client, page, subtests):
    assert {"id", "reserved_quantity", "quantity_after", "secret_hash", "version", "actor"} <= COLUMNS
    calls = list(writes(page))
    assert len(calls) >= 12
    with nothing_changes():
        for method, path, known in calls:
            with subtests.test(call=f"{method} {path}"):
                refused = (COLUMNS | PLANTED) - known
                answer = client.open(filled(path), method=method, json=dict.fromkeys(refused, 1))
                errors = assert_refused(answer, 422, "validation_failed")["errors"]
                assert {name: errors.get(name) for name in refused} == {name: ["Unknown field."] for name in refused}


def test_rows_inside_of_a_body_are_as_strict(client, page, subtests):
    lines = {
        "reservations/batch": ("items", {"order_id": "o", "customer_id": "c"}, {"product_id": "A", "quantity": 1}),
        "inventory/availability": ("items", {}, {"product_id": "A", "quantity": 1}),
    }
    for path, (field, body, line) in lines.items():
        for name in ("id", "reserved_quantity", "price", "is_admin"):
            with subtests.test(path=path, name=name), nothing_changes():
                answer = client.post(f"/api/v1/{path}", json=body | {field: [line | {name: 1}]})
                errors = assert_refused(answer, 422, "validation_failed")["errors"]
                assert errors == {field: {"0": {name: ["Unknown field."]}}}
    with nothing_changes():
        answer = client.post(
            "/api/v1/inventory/bulk",
            json={"operations": [{"op": "create", "product_id": "NEW", "reserved_quantity": 5}]},
        )
        [row] = answer.json["data"]["results"]
        assert (row["status"], row["problem"]["errors"]) == (422, {"reserved_quantity": ["Unknown field."]})
