"""What the databases refuse by themselves, provoked for real, and that each refusal is understood."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.extensions import db
from app.utils.database_errors import Verdict, is_duplicate, is_retryable, verdict_of
from config import STATEMENT_SECONDS
from tests import factories
from tests.api.refusals import nothing_changes
from tests.processes import free_port


@contextmanager
def failing() -> Iterator[Callable[[], DBAPIError]]:
    """Runs a block that must fail in the database; gives the error once it has."""
    with pytest.raises(DBAPIError) as raised:
        yield lambda: raised.value


def run(statement: str, **values: Any) -> None:
    with db.engine.begin() as connection:
        connection.execute(text(statement), values)


FORBIDDEN = {
    "a location twice": (
        "INSERT INTO locations (code, name, priority, address, attributes, version, created_at, updated_at) "
        "SELECT code, name, priority, address, attributes, version, created_at, updated_at FROM locations",
        Verdict.DUPLICATE,
    ),
    "more reserved than there is": ("UPDATE inventory_items SET reserved_quantity = quantity + 1", Verdict.CHECK),
    "less than nothing reserved": ("UPDATE inventory_items SET reserved_quantity = -1", Verdict.CHECK),
    "less on hand than reserved": ("UPDATE inventory_items SET quantity = 1", Verdict.CHECK),
    "more than the limit": ("UPDATE inventory_items SET quantity = 1000000001", Verdict.CHECK),
    "a hold of nothing": ("UPDATE reservations SET quantity = 0", Verdict.CHECK),
    "a status nobody knows": ("UPDATE reservations SET status = 'sold'", Verdict.CHECK),
    "an item without a location": ("UPDATE inventory_items SET location_id = 999999", Verdict.REFERENCE),
    "an item gone from under its ledger": ("DELETE FROM inventory_items", Verdict.REFERENCE),
    "history rewritten": ("UPDATE stock_movements SET quantity_change = 99", Verdict.BUG),
    "history deleted": ("DELETE FROM stock_movements", Verdict.BUG),
    "one row of history deleted": ("DELETE FROM stock_movements WHERE sequence = 2", Verdict.BUG),
}


@pytest.mark.parametrize(("statement", "verdict"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_database_itself_refuses(app, statement, verdict):
    factories.stock(10)
    factories.hold(4)
    with nothing_changes():
        with failing() as error:
            run(statement)
        assert verdict_of(error()) is verdict
        assert ("append-only" in str(error().orig)) is ("stock_movements" in statement)


def test_a_duplicate_is_told_from_other_broken_rules(app):
    factories.stock(10)
    with pytest.raises(IntegrityError) as twice:
        run(FORBIDDEN["a location twice"][0])
    with pytest.raises(IntegrityError) as orphan:
        run(FORBIDDEN["an item without a location"][0])
    assert (is_duplicate(twice.value), is_duplicate(orphan.value)) == (True, False)


def test_waiting_too_long_for_a_lock_is_to_be_tried_again(app):
    factories.stock(10)
    with db.engine.connect() as holder, db.engine.connect() as waiter:
        lock_for_writing(holder)
        with failing() as error:
            lock_for_writing(waiter, patience=0)
        assert is_retryable(error())
        holder.rollback()
        waiter.rollback()
        if waiter.dialect.name == "sqlite":
            waiter.exec_driver_sql("PRAGMA busy_timeout=15000")


def lock_for_writing(connection: Connection, *, patience: int | None = None) -> None:
    if connection.dialect.name == "sqlite":
        raw: Any = connection.connection.dbapi_connection
        if patience is not None:
            raw.execute(f"PRAGMA busy_timeout={patience}")
        connection.execution_options(sqlite_begin="IMMEDIATE").begin()
    else:
        if patience is not None:
            connection.execute(text(f"SET innodb_lock_wait_timeout={patience}"))
        connection.execute(text("SELECT id FROM inventory_items FOR UPDATE"))


def test_a_connection_killed_by_the_server_is_lost(server_app):
    with db.engine.connect() as victim, db.engine.connect() as killer:
        number = victim.execute(text("SELECT CONNECTION_ID()")).scalar_one()
        killer.execute(text(f"KILL {number}"))
        with failing() as error:
            victim.execute(text("SELECT 1"))
        assert verdict_of(error()) is Verdict.LOST


def test_a_server_that_does_not_listen_is_down():
    engine = create_engine(f"mysql+pymysql://nobody@127.0.0.1:{free_port()}/none")
    with pytest.raises(OperationalError) as refused, engine.connect():
        pass
    assert verdict_of(refused.value) is Verdict.DOWN


def test_a_database_file_that_may_not_be_written_or_found_is_down(tmp_path):
    file = tmp_path / "some.db"
    with create_engine(f"sqlite:///{file}").begin() as connection:
        connection.execute(text("CREATE TABLE t (words TEXT)"))
    for url, statement in (
        (f"sqlite:///file:{file}?mode=ro&uri=true", "INSERT INTO t VALUES ('x')"),
        (f"sqlite:///{tmp_path}/no/such/folder.db", "SELECT 1"),
    ):
        with failing() as error, create_engine(url).begin() as connection:
            connection.execute(text(statement))
        assert verdict_of(error()) is Verdict.DOWN


def test_a_database_without_room_is_full(tmp_path):
    with failing() as error, create_engine(f"sqlite:///{tmp_path}/small.db").begin() as connection:
        connection.execute(text("CREATE TABLE t (words TEXT)"))
        connection.execute(text("PRAGMA max_page_count=3"))
        connection.execute(text("INSERT INTO t VALUES (hex(zeroblob(100000)))"))
    assert verdict_of(error()) is Verdict.FULL


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_no_statement_outlives_its_bound_on_the_server(app):
    with db.engine.connect() as connection:
        bound = connection.execute(text("SELECT @@SESSION.max_statement_time")).scalar_one()
    assert float(bound) == STATEMENT_SECONDS
