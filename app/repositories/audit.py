"""The questions whose answers must all be empty: what must always be true, asked of the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, or_, select

from app.extensions import db
from app.models.inventory_items import InventoryItem
from app.models.reservations import Reservation, Status
from app.models.stock_movements import MovementType, StockMovement
from app.models.types import total

items, holds, rows = InventoryItem.__table__.c, Reservation.__table__.c, StockMovement.__table__.c


def snapshot() -> Connection:
    """A connection whose statements all see one moment, also while others write."""
    connection = db.engine.connect()
    if db.engine.dialect.name != "sqlite":  # a deferred read transaction of SQLite is a snapshot as it is
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def in_transaction() -> Connection:
    """The connection of the current unit of work, for a repair that looks again at what it has locked."""
    return db.session.connection()


def item_ids(connection: Connection, *, after: int, limit: int) -> list[int]:
    statement = select(items.id).where(items.id > after).order_by(items.id).limit(limit)
    return list(connection.execute(statement).scalars())


def counters(connection: Connection, first: int, last: int) -> Sequence[Row[Any]]:
    """Per item whose numbers disagree: its counters, what the ledger adds up to, and what active holds add up to."""
    ledger = (
        select(
            rows.inventory_item_id,
            total(rows.quantity_change).label("quantity"),
            total(rows.reserved_change).label("reserved"),
            func.max(rows.sequence).label("sequence"),
            func.count().label("count"),
        )
        .where(rows.inventory_item_id.between(first, last))
        .group_by(rows.inventory_item_id)
        .subquery()
    )
    active = (
        select(holds.inventory_item_id, total(holds.quantity).label("units"))
        .where(holds.inventory_item_id.between(first, last), holds.status == Status.ACTIVE)
        .group_by(holds.inventory_item_id)
        .subquery()
    )
    said = [
        func.coalesce(ledger.c[name], 0).label(f"ledger_{name}")
        for name in ("quantity", "reserved", "sequence", "count")
    ]
    held = func.coalesce(active.c.units, 0).label("held")
    statement = (
        select(items.id, items.product_id, items.quantity, items.reserved_quantity, items.version, *said, held)
        .join_from(InventoryItem.__table__, ledger, ledger.c.inventory_item_id == items.id, isouter=True)
        .outerjoin(active, active.c.inventory_item_id == items.id)
        .where(items.id.between(first, last))
    )
    numbers = statement.subquery().c
    return connection.execute(
        select(*numbers).where(
            or_(
                numbers.quantity != numbers.ledger_quantity,
                numbers.reserved_quantity != numbers.ledger_reserved,
                numbers.version != numbers.ledger_sequence,
                numbers.version != numbers.ledger_count,
                numbers.reserved_quantity != numbers.held,
                numbers.reserved_quantity < 0,
                numbers.reserved_quantity > numbers.quantity,
            )
        )
    ).all()


def broken_links(connection: Connection, first: int, last: int) -> Sequence[Row[Any]]:
    """Ledger rows that do not follow from the row before: a gap, or balances that are not the last plus the change."""
    window = {"partition_by": rows.inventory_item_id, "order_by": rows.sequence}
    chain = (
        select(
            rows.id, rows.inventory_item_id, rows.sequence, rows.quantity_change, rows.reserved_change,
            rows.quantity_after, rows.reserved_after,
            func.coalesce(func.lag(rows.sequence).over(**window), 0).label("sequence_before"),
            func.coalesce(func.lag(rows.quantity_after).over(**window), 0).label("quantity_before"),
            func.coalesce(func.lag(rows.reserved_after).over(**window), 0).label("reserved_before"),
        )
        .where(rows.inventory_item_id.between(first, last))
        .subquery()
        .c
    )  # fmt: skip
    broken = or_(
        chain.sequence != chain.sequence_before + 1,
        chain.quantity_after != chain.quantity_before + chain.quantity_change,
        chain.reserved_after != chain.reserved_before + chain.reserved_change,
    )
    return connection.execute(select(*chain).where(broken)).all()


def unfinished_holds(connection: Connection, first: int, last: int) -> Sequence[Row[Any]]:
    """Reservations whose ledger rows do not tell their story: see the conditions below, one for each end."""
    movements = _movements_of(first, last).subquery().c
    counts = [
        func.coalesce(movements[name], 0).label(name) for name in ("outbound", "outbound_units", "ends", "reserved")
    ]
    story = (
        select(
            holds.id, holds.inventory_item_id, holds.status, holds.quantity, holds.expires_at, holds.confirmed_at,
            holds.cancelled_at, holds.expired_at, holds.reacquired_at, *counts,
        )
        .outerjoin_from(Reservation.__table__, movements.reservation_id.table, movements.reservation_id == holds.id)
        .where(holds.inventory_item_id.between(first, last))
        .subquery()
        .c
    )  # fmt: skip
    confirmed, cancelled, expired = (
        story.status == end for end in (Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED)
    )
    wrong = or_(
        and_(story.status == Status.ACTIVE, story.reserved != story.quantity),
        and_(story.status != Status.ACTIVE, story.reserved != 0),
        and_(confirmed, or_(story.outbound != 1, story.outbound_units != -story.quantity)),
        and_(~confirmed, story.outbound != 0),
        and_(or_(cancelled, expired), story.ends != 1),
        and_(confirmed, story.reacquired_at.is_(None), story.confirmed_at >= story.expires_at),
        and_(confirmed, story.confirmed_at.is_(None)),
        and_(
            cancelled,
            or_(story.cancelled_at.is_(None), story.confirmed_at.isnot(None), story.expired_at.isnot(None)),
        ),
        and_(
            expired,
            or_(
                story.expired_at.is_(None),
                story.expired_at < story.expires_at,
                story.confirmed_at.isnot(None),
            ),
        ),
    )
    return connection.execute(select(*story).where(wrong)).all()


def _movements_of(first: int, last: int) -> Select[Any]:
    """Per reservation: how often and with how many units it went out, how often it was given back, the sum held."""
    outbound = rows.movement_type == MovementType.OUTBOUND
    ends = rows.movement_type.in_([MovementType.RELEASE, MovementType.EXPIRY])
    return (
        select(
            rows.reservation_id,
            total(case((outbound, 1), else_=0)).label("outbound"),
            total(case((outbound, rows.quantity_change), else_=0)).label("outbound_units"),
            total(case((ends, 1), else_=0)).label("ends"),
            total(rows.reserved_change).label("reserved"),
        )
        .where(rows.inventory_item_id.between(first, last), rows.reservation_id.isnot(None))
        .group_by(rows.reservation_id)
    )
