"""Rules that keep the code honest and that no linter knows: each guard names what it guards."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from importlinter.cli import lint_imports

from app.errors import DomainError
from app.utils import problems
from tests.api.refusals import assert_refused
from tests.processes import ROOT

APP = sorted((ROOT / "app").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
KINDS = {kind for kind in problems.STATUS if kind.__module__ == "app.errors"}
# Asked of the database by any call; the page documents their kind, Unavailable, once for all calls.
OF_THE_DATABASE = {"DatabaseBusy", "DatabaseUnavailable", "OutcomeUnknown", "StorageFull"}


def concrete_errors(kind: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    for error in kind.__subclasses__():
        if error.__module__.startswith("app."):
            yield error
            yield from concrete_errors(error)


@pytest.fixture(scope="module")
def page(embedded_app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = embedded_app.test_client().get("/api/v1/swagger.json").json or {}
    return document


# ── Errors ───────────────────────────────────────────────────────────────────────────────────────


def test_every_error_says_what_it_means_and_has_one_status(embedded_app):
    for error in concrete_errors():
        assert error.__doc__ and error.__doc__ != DomainError.__doc__, error
        assert 400 <= problems.status_of(error) < 600


def test_every_error_is_documented_by_some_call_under_its_own_status(page):
    said: dict[str, str] = {}
    for methods in page["paths"].values():
        for operation in (value for value in methods.values() if isinstance(value, dict)):
            for status, answer in operation["responses"].items():
                said[status] = said.get(status, "") + " · " + answer["description"]
    for error in set(concrete_errors()) - KINDS:
        if error.__name__ not in OF_THE_DATABASE:
            code, status = problems.code_of(error), str(problems.status_of(error))
            assert f" · {code}: " in said.get(status, ""), f"{error.__name__} is not on the page under {status}"


def test_no_two_errors_share_a_code(embedded_app):
    codes = [problems.code_of(error) for error in set(concrete_errors())]
    assert sorted(codes) == sorted(set(codes))


# ── Calls ────────────────────────────────────────────────────────────────────────────────────────


def test_every_call_below_the_base_is_declared(embedded_app):
    undeclared = []
    for rule in embedded_app.url_map.iter_rules():
        resource = getattr(embedded_app.view_functions[rule.endpoint], "view_class", None)
        if not rule.rule.startswith("/api/v1/") or resource is None or resource.__module__.startswith("flask_restx"):
            continue
        for method in resource.methods:
            view = getattr(resource, method.lower())
            if view.__code__.co_filename != str(ROOT / "app" / "utils" / "openapi.py"):
                undeclared.append(f"{method} {rule.rule}")
    assert undeclared == []


ANY_CALL = [
    "/api/v1/inventory/",
    "/api/v1/inventory/KB-1",
    "/api/v1/movements/",
    "/api/v1/health/live",
    "/api/v1/audit",
]


@pytest.mark.parametrize("path", ["/nope", "/api", "/api/v2/inventory/", "/api/v1/nope", "/api/v1/inventory/KB-1/nope"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"])
def test_an_unknown_url_is_a_problem_whatever_the_method(embedded_app, method, path):
    answer = embedded_app.test_client().open(path, method=method)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    if method != "HEAD":
        assert_refused(answer, 404, "not_found")


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "BREW"])
@pytest.mark.parametrize("path", ANY_CALL)
def test_other_methods_are_405_with_allow_and_nothing_is_echoed(embedded_app, method, path):
    answer = embedded_app.test_client().open(path, method=method, headers={"X-Secret": "s3cr3t"}, data="s3cr3t")
    assert_refused(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"].split(", ")
    assert "s3cr3t" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("path", ["/api/v1/movements/", "/api/v1/health/live"])
def test_head_is_get_without_the_body_and_options_lists_the_methods(embedded_app, path):
    client = embedded_app.test_client()
    head, get, options = client.head(path), client.get(path), client.options(path)
    assert (head.status_code, head.data, head.content_type) == (get.status_code, b"", get.content_type)
    assert (options.status_code, options.data) == (200, b"")
    assert set(options.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_another_accept_header_still_gets_json(embedded_app):
    answer = embedded_app.test_client().get("/api/v1/health/live", headers={"Accept": "application/xml"})
    assert (answer.status_code, answer.content_type) == (200, "application/json")


@pytest.mark.parametrize(
    ("sent", "kept"), [("order-7:a.b_c", True), ("a b", False), ("x" * 65, False), ("<b>", False), ("é", False)]
)
def test_a_request_id_is_echoed_only_when_it_is_harmless(embedded_app, sent, kept):
    answer = embedded_app.test_client().get("/api/v1/health/live", headers={"X-Request-ID": sent})
    assert (answer.headers["X-Request-ID"] == sent) is kept
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", answer.headers["X-Request-ID"])


# ── Code ─────────────────────────────────────────────────────────────────────────────────────────


def test_imports_go_down_only(capsys):
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0, capsys.readouterr().out


def places(pattern: str) -> set[str]:
    """The files of the application whose code, comments and docstrings left out, has the pattern."""
    return {file.relative_to(ROOT / "app").as_posix() for file in APP if re.search(pattern, code_of(file))}


def code_of(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not is_words(line)] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def is_words(line: Any) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def test_one_file_commits():
    assert places(r"\bcommit\(|\.begin\(") == {"utils/transactions.py"}


def test_only_repositories_lock_rows():
    assert {place.split("/")[0] for place in places(r"with_for_update|FOR UPDATE|SKIP LOCKED")} == {"repositories"}


def test_one_file_asks_for_the_time():
    assert places(
        r"datetime\.(now|utcnow|today)|\bdate\.today|\btime\.(time|time_ns|localtime|gmtime)\(|UTC_TIMESTAMP"
    ) == {"utils/clock.py"}


def test_one_file_gives_errors_a_status():
    assert places(r"HTTPException|abort\(") <= {"utils/problems.py"}


# ── Tests ────────────────────────────────────────────────────────────────────────────────────────


def test_every_test_file_has_a_test():
    assert [file.name for file in TESTS if not any(name.startswith("test_") for name, _ in functions(file))] == []


def test_every_assertion_can_run():
    """A test whose name lost its prefix is never collected and never fails: whatever asserts must be reachable."""
    lost = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in TESTS
        for name, node in functions(file)
        if any(isinstance(part, ast.Assert) for part in ast.walk(node)) and not is_reached(name, node, file)
    ]
    assert lost == []


def functions(file: Path) -> list[tuple[str, Any]]:
    tree = ast.parse(file.read_text())
    return [(node.name, node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def is_reached(name: str, node: Any, file: Path) -> bool:
    """A test, something that a decorator hands to a library, or a helper or double that some other code calls."""
    return bool(name.startswith("test_") or node.decorator_list) or any(
        len(re.findall(rf"\b{name}\b", place.read_text())) > (place == file) for place in (file, *APP)
    )
