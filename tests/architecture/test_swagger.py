"""The API page: valid Swagger 2.0, complete, and true of what the service really answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from marshmallow import class_registry
from openapi_spec_validator import OpenAPIV2SpecValidator
from schemathesis.checks import (
    content_type_conformance,
    ignored_auth,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig

from app.models.api_keys import Permission
from app.services import api_keys
from tests import factories

DOCUMENT = "/api/v1/swagger.json"
NOT_CALLS = {DOCUMENT, "/api/v1/docs/", "/api/v1/"}
METHODS = {"get", "put", "post", "patch", "delete"}
BODY_STATUSES = {"400", "411", "413", "415", "422"}
EXAMPLES = 15
PLACE = {"code": "store-1", "name": "Store 1"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def page(embedded_app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = embedded_app.test_client().get(DOCUMENT).json or {}
    return document


@pytest.fixture(scope="module")
def operations(page: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in page["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def test_the_document_is_valid_swagger(page):
    faults = [
        f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:200]}"
        for fault in OpenAPIV2SpecValidator(page).iter_errors()
    ]
    assert faults == []


def documented(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule).removeprefix("/api/v1")


def test_every_call_of_the_url_map_is_on_the_page(embedded_app, operations):
    mapped = {
        f"{method} {documented(rule.rule)}"
        for rule in embedded_app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and rule.rule not in NOT_CALLS
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert mapped == operations.keys()


def test_every_operation_has_a_summary_a_tag_and_a_name_of_its_own(page, operations):
    tags = {tag["name"] for tag in page["tags"]}
    for name, operation in operations.items():
        assert operation.get("summary"), name
        assert set(operation["tags"]) <= tags, name
    names = [operation["operationId"] for operation in operations.values()]
    assert sorted(names) == sorted(set(names))


def test_every_operation_documents_success_bad_queries_and_trouble(operations):
    for name, operation in operations.items():
        statuses = operation["responses"].keys()
        assert statuses & {"200", "201"}, name
        assert statuses >= {"400", "500", "503"}, name
        if any(parameter.get("in") == "body" for parameter in operation.get("parameters", [])):
            assert statuses >= BODY_STATUSES, name


def test_every_answer_has_a_schema_and_every_error_is_a_problem(operations):
    for name, operation in operations.items():
        for status, answer in operation["responses"].items():
            expected = "Problem" if int(status) >= 400 else "Answer"
            if status != "304":
                assert answer["schema"]["$ref"].endswith(expected), f"{name} {status}"
            assert answer["description"], f"{name} {status}"


def test_errors_are_announced_as_problems_and_answers_as_json(page):
    assert set(page["produces"]) == {"application/json", "application/problem+json"}
    assert page["consumes"] == ["application/json"]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_definition_exists_and_is_reached_from_some_call(page):
    definitions = {f"#/definitions/{name}": schema for name, schema in page["definitions"].items()}
    reached: set[str] = set()
    open_ = {ref for ref in references(page["paths"]) if ref.startswith("#/definitions/")}
    while open_:
        reached |= open_
        open_ = {ref for name in open_ for ref in references(definitions[name])} - reached
    assert definitions.keys() - reached == set()


def test_the_mask_header_of_the_framework_is_not_offered_and_does_nothing(embedded_app, page):
    assert "X-Fields" not in str(page["paths"])
    client = embedded_app.test_client()
    masked = client.get("/api/v1/health/live", headers={"X-Fields": "{{{{"})
    assert (masked.status_code, masked.json["data"]) == (200, {"status": "alive"})


def test_the_pages_for_people_are_served(embedded_app):
    client = embedded_app.test_client()
    assert b"swagger-ui" in client.get("/api/v1/docs/").data
    assert client.get("/").headers["Location"] == "/api/v1/docs/"


# ── True of what it answers ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def schema(app: Flask) -> Any:
    factories.stock(50, "TSHIRT-M")  # the example on the page
    generation = GenerationConfig(deterministic=True, max_examples=EXAMPLES)
    config = SchemathesisConfig(seed=1, projects=ProjectsConfig(default=ProjectConfig(generation=generation)))
    return schemathesis.openapi.from_wsgi(DOCUMENT, app, config=config)


@pytest.mark.parametrize("backend", ["embedded"])
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_generated_requests_get_documented_answers(schema, subtests, mode):
    for found in schema.get_all_operations():
        operation = found.ok()
        with subtests.test(call=operation.label):
            every_answer_is_documented(operation, mode)


def every_answer_is_documented(
    operation: Any,
    mode: schemathesis.GenerationMode,
    checks: Any = CHECKS,
    *,
    examples: int = EXAMPLES,
    headers: dict[str, str] | None = None,
    named: dict[str, Any] | None = None,
) -> set[int]:
    """Send what was generated, with these headers and these names in the paths; the statuses that were answered."""
    statuses = set()

    @settings(derandomize=True, deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers_as_documented(case: Any) -> None:
        for name in case.path_parameters.keys() & (named or {}):
            case.path_parameters[name] = (named or {})[name]
        statuses.add(case.call_and_validate(checks=checks, headers=headers).status_code)

    with suppress(Unsatisfiable):  # a call without parameters has nothing that could be wrong
        answers_as_documented()
    return statuses


@pytest.mark.parametrize("backend", ["embedded"])
def test_what_exists_is_answered_as_documented_with_a_key_and_never_without(app, schema, monkeypatch, subtests):
    """The paths name what exists, so that most answers are more than 404; each is tried without the key as well."""
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], require_api_key=True))
    headers = {"X-API-Key": api_keys.create("all", [Permission.ADMIN]).secret}
    app.test_client().post("/api/v1/locations/", json=PLACE, headers=headers | {"Idempotency-Key": "known"})
    held = factories.hold(1, "TSHIRT-M").id
    category = factories.category("Shirts")
    product = factories.product("T-shirt", sku="TSHIRT-M", category=category, barcode="4006381333931")
    named: dict[str, Any] = {
        "product_id": "TSHIRT-M",
        "code": PLACE["code"],
        "location": "default",
        "key": "known",
        "reservation_id": held,
        "category_id": category,
        "catalog_product_id": product,
        "sku_code": "TSHIRT-M",
        "barcode": "4006381333931",
    }
    for found in schema.get_all_operations():
        operation = found.ok()
        with subtests.test(call=operation.label):
            statuses = every_answer_is_documented(
                operation,
                schemathesis.GenerationMode.POSITIVE,
                [*CHECKS, ignored_auth],
                examples=5,
                headers=headers,
                named=named,
            )
            if operation.method == "get":
                assert statuses & {200, 304}, statuses


def test_what_try_it_out_offers_is_accepted(page):
    """Every body's example loads through the schema that checks the body."""
    bodies = {
        parameter["schema"]["$ref"].rsplit("/", 1)[1]
        for calls in page["paths"].values()
        for call in calls.values()
        if isinstance(call, dict)
        for parameter in call.get("parameters", [])
        if parameter.get("in") == "body"
    }
    for name in bodies:
        example = page["definitions"][name]["example"]
        schema = class_registry.get_class(name)
        assert schema().validate(example) == {}, name
