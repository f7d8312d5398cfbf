"""What keeps two buyers apart, taken away piece by piece: a race test that passes without it proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from unittest import mock

from sqlalchemy import Engine, Select, event, func, select, text, update

from app.extensions import db
from app.models.inventory_items import InventoryItem
from app.models.reservations import Hold, Reservation
from app.models.stock import Movement, Stock
from app.models.stock_movements import StockMovement
from app.repositories import inventory_items, reservations, stock_movements


class Guard(StrEnum):
    LOCKS = "row locks, and on SQLite BEGIN IMMEDIATE"
    CHECKS = "the conditions of the guarded writes"
    SEQUENCE = "the unique sequence of the ledger"
    KEY = "the unique key of an item"


ALL = frozenset(Guard)


def removed(guards: Collection[Guard]) -> AbstractContextManager[ExitStack]:
    """The service without these, while the context lasts."""
    with ExitStack() as stack:
        for guard in sorted(guards):
            stack.enter_context(_REMOVE[guard]())
        return stack.pop_all()


@contextmanager
def _without_locks():
    if db.engine.dialect.name == "sqlite":
        with _driver_left_alone(db.engine):
            yield
    else:
        with mock.patch.object(Select, "with_for_update", lambda self, **_how: self):
            yield


@contextmanager
def _driver_left_alone(engine: Engine):
    """SQLite as Python's driver has it: reads belong to no transaction, the first write begins one."""

    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = ""

    def never_begin(_connection, _cursor, statement: str, parameters: Any, *_rest: Any) -> tuple[str, Any]:
        return ("-- the driver begins by itself" if statement.startswith("BEGIN") else statement), parameters

    # A connection that is still in use now would go back to a pool that nobody empties any more.
    db.session.rollback()
    engine.dispose()
    event.listen(engine, "connect", connect)
    event.listen(engine, "before_cursor_execute", never_begin, retval=True)
    try:
        yield
    finally:
        db.session.rollback()
        event.remove(engine, "before_cursor_execute", never_begin)
        event.remove(engine, "connect", connect)
        engine.dispose()


def _without_checks() -> AbstractContextManager[Any]:
    stack = ExitStack()
    stack.enter_context(mock.patch.object(inventory_items, "save", _overwrite_items))
    stack.enter_context(mock.patch.object(reservations, "save", _overwrite_reservations))
    return stack


def _overwrite_items(stocks: Iterable[Stock], now: datetime) -> None:
    """The numbers as they were worked out in memory, whatever the row says by now."""
    names = ("quantity", "reserved_quantity", "version", "archived_at")
    for stock in stocks:
        values = {name: getattr(stock, name) for name in names} | {"updated_at": now}
        db.session.execute(update(InventoryItem.__table__).where(InventoryItem.id == stock.id).values(values))


def _overwrite_reservations(changed: Iterable[Hold]) -> None:
    moments = ("expires_at", "confirmed_at", "cancelled_at", "expired_at", "reacquired_at", "updated_at")
    names = ("quantity", "status", "extended_seconds", *moments)
    for hold in changed:
        values = {name: getattr(hold, name) for name in names}
        db.session.execute(update(Reservation.__table__).where(Reservation.id == hold.id).values(values))


def _without_sequence() -> AbstractContextManager[Any]:
    """Every row of the ledger takes the next free number of its item instead of the one it was decided under."""
    append: Callable[..., None] = stock_movements.append

    def append_anyhow(movements: Iterable[Movement], now: datetime) -> None:
        for movement in movements:
            mine = StockMovement.inventory_item_id == movement.inventory_item_id
            last = db.session.execute(select(func.max(StockMovement.sequence)).where(mine)).scalar() or 0
            append([replace(movement, sequence=last + 1)], now)

    return mock.patch.object(stock_movements, "append", append_anyhow)


@contextmanager
def _without_key():
    name, server = "uq_inventory_items_product_id_location_id", db.engine.dialect.name != "sqlite"
    db.session.rollback()
    _run(f"DROP INDEX {name}" + (" ON inventory_items" if server else ""))
    try:
        yield
    finally:
        db.session.remove()
        if server:  # an embedded database starts afresh with each test
            tables = ("stock_movements", "reservations", "inventory_items")
            _run("SET FOREIGN_KEY_CHECKS = 0", *(f"TRUNCATE TABLE {table}" for table in tables))
            _run(f"CREATE UNIQUE INDEX {name} ON inventory_items (product_id, location_id)")


def _run(*statements: str) -> None:
    with db.engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
        if "FOREIGN_KEY_CHECKS" in statements[0]:
            connection.execute(text("SET FOREIGN_KEY_CHECKS = 1"))
        connection.commit()


_REMOVE: dict[Guard, Callable[[], AbstractContextManager[Any]]] = {
    Guard.LOCKS: _without_locks,
    Guard.CHECKS: _without_checks,
    Guard.SEQUENCE: _without_sequence,
    Guard.KEY: _without_key,
}
