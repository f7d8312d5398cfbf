"""The ledger: appended to, never changed; read by item, as a feed, and as of a moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, func, insert, select, tuple_
from sqlalchemy.exc import OperationalError

from app.extensions import db
from app.models.inventory_items import InventoryItem
from app.models.locations import Location
from app.models.stock import Movement
from app.models.stock_movements import StockMovement
from app.repositories import pages
from app.utils import context
from app.utils.paging import PageRequest

rows, items, places = StockMovement.__table__.c, InventoryItem.__table__.c, Location.__table__.c
# An id is given out and its row inserted within one statement: a gap younger than this is waited for, an older
# one is looked at.
SETTLE = timedelta(seconds=1)


def append(movements: Iterable[Movement], now: datetime) -> None:
    actor, request_id = context.actor(), context.request_id()
    written = [
        {
            "inventory_item_id": movement.inventory_item_id,
            "sequence": movement.sequence,
            "movement_type": movement.movement_type,
            "quantity_change": movement.quantity_change,
            "reserved_change": movement.reserved_change,
            "quantity_after": movement.quantity_after,
            "reserved_after": movement.reserved_after,
            "reservation_id": movement.cause.reservation_id,
            "reference_id": movement.cause.reference_id,
            "reason": movement.cause.reason,
            "actor": actor,
            "request_id": request_id,
            "created_at": now,
        }
        for movement in movements
    ]
    if written:
        db.session.execute(insert(StockMovement.__table__), written)


def written(movements: Collection[Movement]) -> list[Row[Any]]:
    """The rows of `movements` as stored, in the same order."""
    keys = [(movement.inventory_item_id, movement.sequence) for movement in movements]
    found = db.session.execute(_statement().where(tuple_(rows.inventory_item_id, rows.sequence).in_(keys)))
    by_key = {(row.inventory_item_id, row.sequence): row for row in found}
    return [by_key[key] for key in keys]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    product_id: str | None = None
    location: str | None = None
    movement_type: str | None = None
    reference_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def feed(filters: Filters, *, after: int, limit: int, now: datetime) -> Sequence[Row[Any]]:
    """Rows after the one with id `after`, oldest first, and none that an earlier row could still slip in before.

    Ids are given out before commits, so a gap may be a transaction that is still on its way: the feed waits
    there until the gap has proved to be empty. A reader who goes on from the last id it saw misses nothing.
    """
    last = db.session.execute(_ids(filters, after, limit)).scalars().all()[-1:]
    if last and db.engine.dialect.name != "sqlite":  # one writer at a time commits its ids in order
        # The rows are read last, so whatever has come before the horizon by then is among them.
        last = [_settled_until(after, last[0], now)]
    if not last:
        return []
    page = _ids(filters, after, limit).where(rows.id <= last[0]).subquery()
    return db.session.execute(_statement().join(page, page.c.id == rows.id).order_by(rows.id)).all()


def _ids(filters: Filters, after: int, limit: int) -> Select[Any]:
    """The ids of a page, found in the ledger alone where the filters allow it."""
    statement = select(rows.id).where(rows.id > after, *_conditions(filters))
    if filters.product_id is not None or filters.location is not None:
        statement = _joined(statement)
    return statement.order_by(rows.id).limit(limit)


def _settled_until(after: int, last: int, now: datetime) -> int:
    """The highest id up to `last` before which no row can still appear."""
    previous = func.coalesce(func.lag(rows.id).over(order_by=rows.id), after).label("previous")
    seen = select(rows.id, previous, rows.created_at).where(rows.id > after, rows.id <= last).subquery()
    gaps = select(seen).where(seen.c.id > seen.c.previous + 1).order_by(seen.c.id)
    for gap in db.session.execute(gaps).all():
        if gap.created_at > now - SETTLE or _is_in_flight(gap.previous + 1, gap.id - 1):
            return int(gap.previous)
    return last


def _is_in_flight(first: int, last: int) -> bool:
    """Whether an uncommitted insert holds a row in this range: locking it then fails at once."""
    probe = select(rows.id).where(rows.id.between(first, last)).limit(1).with_for_update(nowait=True)
    try:
        with db.engine.connect() as connection:
            # A row here was committed after we looked, so it was in flight.
            return connection.execute(probe).first() is not None
    except OperationalError:
        return True


def newest(product_id: str, location: str | None, *, limit: int) -> Sequence[Row[Any]]:
    statement = _statement().where(*_conditions(Filters(product_id=product_id, location=location)))
    return db.session.execute(statement.order_by(rows.id.desc()).limit(limit)).all()


def page(filters: Filters, asked: PageRequest) -> pages.Page:
    """Newest first."""
    statement = _statement().where(*_conditions(filters))
    return pages.fetch(statement, [pages.Sort(rows.id, "id", descending=True)], asked, filters=("movements", filters))


def balances_at(product_id: str, location: str | None, moment: datetime) -> Sequence[Any]:
    """What the ledger says every item of the product had at `moment`; items that did not exist yet are left out."""
    last = (
        select(rows.inventory_item_id, func.max(rows.sequence).label("sequence"))
        .join_from(StockMovement.__table__, InventoryItem.__table__, rows.inventory_item_id == items.id)
        .where(items.product_id == product_id, rows.created_at <= moment)
        .group_by(rows.inventory_item_id)
        .subquery()
    )
    statement = (
        select(places.code.label("location"), rows.quantity_after, rows.reserved_after, rows.sequence, rows.created_at)
        .join_from(last, StockMovement.__table__,
                   and_(rows.inventory_item_id == last.c.inventory_item_id, rows.sequence == last.c.sequence))
        .join(InventoryItem.__table__, items.id == rows.inventory_item_id)
        .join(Location.__table__, places.id == items.location_id)
        .order_by(places.priority, places.code)
    )  # fmt: skip
    if location is not None:
        statement = statement.where(places.code == location)
    return db.session.execute(statement).all()


def _statement() -> Select[Any]:
    return _joined(select(*rows, items.product_id, places.code.label("location")))


def _joined(statement: Select[Any]) -> Select[Any]:
    return (
        statement.select_from(StockMovement.__table__)
        .join(InventoryItem.__table__, rows.inventory_item_id == items.id)
        .join(Location.__table__, places.id == items.location_id)
    )


def _conditions(filters: Filters) -> list[Any]:
    conditions: list[Any] = []
    for value, column in (
        (filters.product_id, items.product_id),
        (filters.location, places.code),
        (filters.movement_type, rows.movement_type),
        (filters.reference_id, rows.reference_id),
    ):
        if value is not None:
            conditions.append(column == value)
    if filters.since is not None:
        conditions.append(rows.created_at >= filters.since)
    if filters.until is not None:
        conditions.append(rows.created_at < filters.until)
    return conditions
