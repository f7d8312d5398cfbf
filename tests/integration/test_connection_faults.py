"""Connections that MariaDB kills in the middle of a call, and a pool that has none left."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import text

from app.extensions import db
from app.repositories import stock_movements
from tests import factories
from tests.e2e.test_processes import order_for

pytestmark = pytest.mark.parametrize("backend", ["server"], indirect=True)


def kill_own_connection() -> None:
    number = db.session.execute(text("SELECT CONNECTION_ID()")).scalar_one()
    with db.engine.connect() as other:
        other.execute(text(f"KILL {number}"))


def test_a_connection_killed_between_the_update_and_the_ledger_is_made_up_for_unnoticed(client, monkeypatch):
    factories.stock(5)
    append, killed = stock_movements.append, threading.Event()

    def kill_first(*words: Any) -> None:
        if not killed.is_set():
            killed.set()
            kill_own_connection()
        append(*words)

    monkeypatch.setattr(stock_movements, "append", kill_first)
    answer = client.post("/api/v1/reservations/", json=order_for("KB-1"))
    assert (answer.status_code, killed.is_set()) == (201, True)
    assert factories.numbers() == (5, 1, 4)


def test_a_connection_killed_just_before_the_commit_is_made_up_for_under_the_key(client, monkeypatch):
    factories.stock(5)
    commit, killed = type(db.session()).commit, threading.Event()

    def kill_first(session: Any) -> None:
        if not killed.is_set():
            killed.set()
            kill_own_connection()
        commit(session)

    monkeypatch.setattr(type(db.session()), "commit", kill_first)
    first, again = (
        client.post("/api/v1/reservations/", json=order_for("KB-1"), headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    # What became of the first COMMIT is looked up under the key; nothing was there, so the call ran again.
    assert (first.status_code, again.status_code, killed.is_set()) == (201, 201, True)
    assert (again.headers["Idempotent-Replayed"], again.json) == ("true", first.json)
    assert factories.numbers() == (5, 1, 4)


def test_who_gets_no_connection_of_the_pool_is_told_within_its_bound(client, monkeypatch):
    factories.stock(5)
    db.session.remove()
    pool: Any = db.engine.pool
    monkeypatch.setattr(pool, "_timeout", 0.2)
    with ExitStack() as taken:
        for _ in range(pool.size() + pool._max_overflow):
            taken.enter_context(db.engine.connect())
        refused = client.post("/api/v1/reservations/", json=order_for("KB-1"))
        assert (refused.status_code, refused.json["code"]) == (503, "database_unavailable")
        assert refused.headers["Retry-After"] == "1"
    assert client.post("/api/v1/reservations/", json=order_for("KB-1")).status_code == 201
    assert factories.numbers() == (5, 1, 4)


def test_a_transaction_that_its_owner_forgot_lets_go_of_its_locks_after_ten_seconds(app):
    if not getattr(db.engine.dialect, "is_mariadb", False):
        pytest.skip("MySQL has no bound for idle transactions")
    assert db.session.execute(text("SELECT @@SESSION.idle_transaction_timeout")).scalar_one() == 10
