"""What every refusal must be: a problem that says why, shows nothing of our inside, and changed nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select
from werkzeug.test import TestResponse

from app.extensions import db

# What Python, the libraries and the database say when nobody speaks for them.
INSIDE = re.compile(
    r"Traceback|File \\?\"|line \d+, in |<class|object at 0x|site-packages|\.py\b|\b\w+(Error|Exception)\b"
    r"|invalid literal|int\(\)|NoneType|sqlalchemy|pymysql|sqlite|marshmallow|werkzeug|SELECT |INSERT |UPDATE "
)
MEMBERS = {"type", "title", "status", "detail", "instance", "code"}


@contextmanager
def nothing_changes() -> Iterator[None]:
    before = everything_stored()
    yield
    assert everything_stored() == before


def everything_stored() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but two: the statistics about refusals, which a refusal is meant to change, and the
    words to search, which the database keeps by itself and each in its own form.
    """
    tables = [table for table in db.metadata.sorted_tables if table.name not in {"denied_demand", "product_search"}]
    with db.engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in tables
        }


def assert_refused(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The problem, for claims about its facts."""
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), answer.text
    problem: dict[str, Any] = answer.json or {}
    assert problem.keys() >= MEMBERS
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"/problems/{code}")
    assert problem["instance"] == answer.headers["X-Request-ID"]
    assert not INSIDE.search(answer.text), answer.text
    return problem


def conflicts(answer: TestResponse, code: str, status: int = 409, **facts: Any) -> None:
    """The stock does not allow it, and the problem carries at least these facts."""
    problem = assert_refused(answer, status, code)
    assert {name: problem.get(name) for name in facts} == facts
