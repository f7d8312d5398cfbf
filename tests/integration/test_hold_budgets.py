"""What a budget costs: nothing where none is set, and no more for a customer with a long past than for a new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, insert, text

from app.extensions import db
from app.models.reservations import Reservation, Status
from app.repositories import hold_budgets
from app.utils import ids
from tests import factories
from tests.conftest import NOON

RESERVE = "/api/v1/reservations/"
# As many as before there were budgets; the server has no BEGIN, and a clock that tests replace.
WITHOUT_A_BUDGET = {"reserve": 4, "batch": 5, "grow": 6, "extend": 4, "transfer": 3, "confirm": 6, "cancel": 6}
# The customer's row, what is held, and what ran out.
ASKED_FOR_A_BUDGET = 3
BUDGETED = {"reserve", "batch", "grow", "extend", "transfer"}
ALL_LIMITS = {f"hold_budget_{name}": 1_000 for name in ("units", "holds", "expiries")}


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection, _cursor, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(" ".join(statement.split()))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def every_write(client) -> dict[str, list[str]]:
    """What each write asks of the database, for a customer who is known already."""
    for product_id in ("KB-1", "KB-2"):
        factories.stock(20, product_id)
    one, other = factories.hold(customer="c-1").id, factories.hold(customer="c-2").id
    line, owner = {"product_id": "KB-1", "quantity": 1}, {"order_id": "o-1", "customer_id": "c-1"}
    calls = {
        "reserve": ("POST", "", line | owner | {"location": "default"}),
        "batch": ("POST", "batch", owner | {"items": [line, {"product_id": "KB-2", "quantity": 1}]}),
        "grow": ("PATCH", one, {"quantity": 2}),
        "extend": ("PATCH", one, {"ttl_seconds": 3600}),
        "transfer": ("POST", "transfer", {"reservation_ids": [one], "customer_id": "c-2"}),
        "confirm": ("POST", f"{one}/confirm", {}),
        "cancel": ("DELETE", other, None),
    }
    asked = {}
    for name, (method, path, body) in calls.items():
        with statements() as seen:
            assert client.open(RESERVE + path, method=method, json=body).status_code in {200, 201}, name
        asked[name] = seen
    return asked


def test_without_a_budget_no_statement_is_added_to_any_write(client):
    asked = every_write(client)
    assert {name: len(seen) for name, seen in asked.items()} == WITHOUT_A_BUDGET
    assert "hold_budget_locks" not in str(asked)


def test_with_every_limit_set_three_statements_are_added_where_something_can_be_gained(client, app, monkeypatch):
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], **ALL_LIMITS))
    expected = {name: count + ASKED_FOR_A_BUDGET * (name in BUDGETED) for name, count in WITHOUT_A_BUDGET.items()}
    assert {name: len(seen) for name, seen in every_write(client).items()} == expected


# ── Counting ─────────────────────────────────────────────────────────────────────────────────────


def a_long_past(dead: int, customer: str = "c-1") -> str:
    """A customer with so many dead holds of every kind, a second apart, and with two live ones."""
    item = factories.hold(customer=customer).inventory_item_id
    factories.hold(2, customer=customer)
    ends = {Status.EXPIRED: -1, Status.CANCELLED: 1, Status.CONFIRMED: 1, Status.ACTIVE: -1}
    rows = [
        {
            "id": ids.new_id(), "inventory_item_id": item, "quantity": 1, "order_id": "o-1", "customer_id": customer,
            "status": status, "expires_at": NOON + sign * timedelta(seconds=number), "created_at": NOON,
            "updated_at": NOON, "extended_seconds": 0,
        }
        for status, sign in ends.items() for number in range(dead)
    ]  # fmt: skip
    db.session.execute(insert(Reservation.__table__), rows)
    db.session.commit()
    return customer


def counted(customer: str = "c-1", *, limit: int = 3) -> tuple[int, int, list[float]]:
    held = hold_budgets.held(customer, NOON)
    ends = hold_budgets.latest_expiries(customer, NOON, limit=limit)
    return held.units, held.holds, [(end - NOON).total_seconds() for end in ends]


def rows_read() -> int:
    """How many index entries and rows this connection has looked at so far, as the server counts them."""
    looks = ("Handler_read_first", "Handler_read_key", "Handler_read_last", "Handler_read_next", "Handler_read_prev")
    told = db.session.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
    return sum(int(value) for name, value in told if name in looks)


@pytest.mark.leaves_findings
def test_live_holds_and_the_latest_expiries_are_found_among_the_dead(app):
    factories.stock(10)
    a_long_past(4)
    factories.hold(5, customer="c-2")
    # Of each two that ended in the same second one is swept and the other is not.
    assert counted() == (3, 2, [0.0, 0.0, -1.0])
    assert counted(limit=6) == (3, 2, [0.0, 0.0, -1.0, -1.0, -2.0, -2.0])
    assert counted("nobody") == (0, 0, [])


@pytest.mark.leaves_findings
@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_counting_reads_no_more_rows_of_a_customer_with_four_thousand_dead_holds(app):
    factories.stock(10)
    read = {}
    for customer in (a_long_past(10, "new"), a_long_past(1_000, "old")):
        before = rows_read()
        assert counted(customer) == (3, 2, [0.0, 0.0, -1.0])
        read[customer] = rows_read() - before
    assert read["old"] == read["new"] < 20, read


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_counting_walks_the_index_on_sqlite_too_and_sorts_nothing(app):
    index = "INDEX ix_reservations_customer_id_status_expires_at (customer_id=? AND status=? AND expires_at"
    with statements() as seen:
        counted()
    for statement in seen:
        nothing = (None,) * statement.count("?")
        asked = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", nothing)
        plan = [row[3] for row in asked]
        assert all(index in line for line in plan if line.startswith(("SEARCH", "SCAN reservations"))), plan
        assert index in str(plan) and "TEMP B-TREE" not in str(plan)


# ── The rows to wait at ──────────────────────────────────────────────────────────────────────────


def test_the_migration_makes_every_place_a_customer_may_wait_at(app):
    with db.engine.connect() as connection:
        slots = connection.execute(text("SELECT slot FROM hold_budget_locks ORDER BY slot")).scalars().all()
    assert slots == list(range(hold_budgets.SLOTS))


def test_a_place_that_is_lost_is_an_error_and_never_a_lock_on_nothing(app, client, monkeypatch):
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], **ALL_LIMITS))
    monkeypatch.setattr(hold_budgets, "crc32", lambda _: -1, raising=True)
    monkeypatch.setattr(hold_budgets, "SLOTS", hold_budgets.SLOTS + 1)
    factories.stock(1)
    body = {"product_id": "KB-1", "quantity": 1, "order_id": "o-1", "customer_id": "c-1"}
    assert client.post(RESERVE, json=body).status_code == 500
    assert factories.numbers() == (1, 0, 1)
