"""Reservations: the row locks, the guarded writes, and the lists people read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Select, and_, bindparam, exists, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from app.errors import LostRace, ReservationNotFound
from app.extensions import db
from app.models.inventory_items import InventoryItem
from app.models.locations import Location
from app.models.reservations import Hold, Reservation, Status
from app.models.types import total
from app.repositories import pages
from app.utils.paging import PageRequest

holds, items, places = Reservation.__table__.c, InventoryItem.__table__.c, Location.__table__.c
_STORED = [column.name for column in holds]
_SEEN = ("seen_id", "seen_status", "seen_quantity", "seen_expires_at")
_JOINED = {"product_id": items.product_id, "location": places.code}
_COLUMNS = [
    _JOINED.get(field.name, holds.get(field.name)).label(field.name) for field in fields(Hold) if field.name != "seen"
]
_CHANGEABLE = (
    "quantity", "order_id", "customer_id", "status", "expires_at", "confirmed_at", "cancelled_at", "expired_at",
    "reacquired_at", "notes", "extended_seconds", "updated_at",
)  # fmt: skip


# ── Locking and writing ──────────────────────────────────────────────────────────────────────────


def lock(ids: Collection[str]) -> list[Hold]:
    """Lock reservations until the transaction ends, in ascending order of id; all of them or `ReservationNotFound`."""
    wanted = sorted(set(ids))
    locked = select(holds.id).where(holds.id.in_(wanted)).order_by(holds.id).with_for_update()
    found = set(db.session.execute(locked).scalars())
    missing = [reservation_id for reservation_id in wanted if reservation_id not in found]
    if missing:
        raise ReservationNotFound(f"no reservation {missing[0]}", reservation_id=missing[0])
    return _holds(select(*_COLUMNS).where(holds.id.in_(wanted)).order_by(holds.id))


def lock_overdue(
    now: datetime, *, limit: int, item_ids: Collection[int] | None = None, others_than: Collection[str] = ()
) -> list[Hold]:
    """Lock active reservations whose time is over, oldest first, passing over those somebody else has locked."""
    overdue = _overdue(now, item_ids, others_than)
    order = (holds.expires_at, holds.id)
    locked = select(holds.id).where(*overdue).order_by(*order).limit(limit).with_for_update(skip_locked=True)
    ids = list(db.session.execute(locked).scalars())
    return _holds(select(*_COLUMNS).where(holds.id.in_(ids)).order_by(holds.id)) if ids else []


def is_any_overdue(now: datetime, *, item_ids: Collection[int], others_than: Collection[str]) -> bool:
    """Whether active reservations of these items are overdue, locked by somebody or not."""
    return bool(db.session.execute(select(exists().where(*_overdue(now, item_ids, others_than)))).scalar())


def _overdue(
    now: datetime, item_ids: Collection[int] | None, others_than: Collection[str]
) -> list[ColumnElement[bool]]:
    overdue = [holds.status == Status.ACTIVE, holds.expires_at <= now]
    if item_ids is not None:
        overdue.append(holds.inventory_item_id.in_(sorted(item_ids)))
    if others_than:
        overdue.append(holds.id.not_in(sorted(others_than)))
    return overdue


def add(new: Iterable[Hold]) -> None:
    rows = [{name: getattr(hold, name) for name in _STORED} for hold in new]
    if rows:
        db.session.execute(insert(Reservation.__table__), rows)


def save(changed: Collection[Hold]) -> None:
    """Write changed reservations, each guarded by the status, quantity and end it was read with.

    Raises `LostRace` when one was ended by somebody else in between. Those that only expired, which may be
    many at once, are written in one statement.
    """
    expired = [hold for hold in changed if hold.status == Status.EXPIRED]
    others = [hold for hold in changed if hold.status != Status.EXPIRED]
    if expired:
        _expire(expired)
    if others:
        _save_each(others)


def _expire(expired: Collection[Hold]) -> None:
    moment = next(iter(expired)).updated_at
    statement = (
        update(Reservation.__table__)
        .where(holds.id.in_([hold.id for hold in expired]), holds.status == Status.ACTIVE, holds.expires_at <= moment)
        .values(status=Status.EXPIRED, expired_at=holds.expires_at, updated_at=moment)
    )
    _require(db.session.execute(statement), len(expired))  # type: ignore[arg-type]


def _save_each(changed: Collection[Hold]) -> None:
    statement = (
        update(Reservation.__table__)
        .where(holds.id == bindparam("seen_id"), holds.status == bindparam("seen_status"))
        .where(holds.quantity == bindparam("seen_quantity"), holds.expires_at == bindparam("seen_expires_at"))
        .values({name: bindparam(f"new_{name}") for name in _CHANGEABLE})
    )
    rows = [
        dict(zip(_SEEN, (hold.id, *hold.seen), strict=True))
        | {f"new_{name}": getattr(hold, name) for name in _CHANGEABLE}
        for hold in changed
    ]
    _require(db.session.execute(statement, rows), len(rows))  # type: ignore[arg-type]


def _require(result: CursorResult[Any], count: int) -> None:
    if result.rowcount != count:
        raise LostRace(f"{result.rowcount} of {count} reservations were still as read")


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    product_id: str | None = None
    location: str | None = None
    customer_id: str | None = None
    order_id: str | None = None
    status: str | None = None


def get(reservation_id: str, now: datetime) -> Hold:
    found = _holds(select(*_COLUMNS).where(holds.id == reservation_id))
    if not found:
        raise ReservationNotFound(f"no reservation {reservation_id}", reservation_id=reservation_id)
    return found[0].seen_at(now)


def page(filters: Filters, asked: PageRequest, now: datetime) -> pages.Page:
    """Newest first: ids are ordered by time."""
    statement = _joined(select(*_COLUMNS)).where(*_conditions(filters, now))
    found = pages.fetch(
        statement, [pages.Sort(holds.id, "id", descending=True)], asked, filters=("reservations", filters)
    )
    return found.mapped(lambda row: Hold(*row).seen_at(now))


def live(item_ids: Collection[int], now: datetime, *, limit: int) -> list[Hold]:
    """The live reservations of these items, the next to end first."""
    statement = select(*_COLUMNS).where(*_live(item_ids, now)).order_by(holds.expires_at, holds.id).limit(limit)
    return _holds(statement)


def next_release(item_ids: Collection[int], now: datetime) -> tuple[datetime | None, int]:
    """When units of these items come back next if nothing is confirmed, and how many then."""
    soonest = db.session.execute(select(func.min(holds.expires_at)).where(*_live(item_ids, now))).scalar()
    if soonest is None:
        return None, 0
    then = select(total(holds.quantity)).where(*_live(item_ids, now), holds.expires_at == soonest)
    return soonest, db.session.execute(then).scalar_one()


def seconds_to_next_expiry(now: datetime) -> float | None:
    """How long the live numbers stay as they are if nobody writes; None when nothing is going to expire."""
    statement = select(func.min(holds.expires_at)).where(holds.status == Status.ACTIVE, holds.expires_at > now)
    soonest = db.session.execute(statement).scalar()
    return None if soonest is None else (soonest - now) / timedelta(seconds=1)


def oldest_overdue(now: datetime) -> datetime | None:
    """Since when the sweep is behind; None when nothing is overdue."""
    statement = select(func.min(holds.expires_at)).where(holds.status == Status.ACTIVE, holds.expires_at <= now)
    return db.session.execute(statement).scalar()


def count_by_status() -> Sequence[Any]:
    statement = select(holds.status, func.count(), total(holds.quantity)).group_by(holds.status)
    return db.session.execute(statement).all()


def _live(item_ids: Collection[int], now: datetime) -> list[ColumnElement[bool]]:
    return [
        holds.inventory_item_id.in_(sorted(item_ids)),
        holds.status == Status.ACTIVE,
        holds.expires_at > now,
    ]


def _conditions(filters: Filters, now: datetime) -> list[ColumnElement[bool]]:
    wanted = [
        (filters.product_id, items.product_id == filters.product_id),
        (filters.location, places.code == filters.location),
        (filters.customer_id, holds.customer_id == filters.customer_id),
        (filters.order_id, holds.order_id == filters.order_id),
        (filters.status, _has_status(filters.status, now)),
    ]
    return [condition for value, condition in wanted if value is not None]


def _has_status(status: str | None, now: datetime) -> ColumnElement[bool]:
    """As readers see it: an active row whose time is over counts as expired."""
    active = and_(holds.status == Status.ACTIVE, holds.expires_at > now)
    if status == Status.ACTIVE:
        return active
    if status == Status.EXPIRED:
        return or_(holds.status == Status.EXPIRED, and_(holds.status == Status.ACTIVE, holds.expires_at <= now))
    same: ColumnElement[bool] = holds.status == status
    return same


def _joined(statement: Select[Any]) -> Select[Any]:
    return (
        statement.select_from(Reservation.__table__)
        .join(InventoryItem.__table__, items.id == holds.inventory_item_id)
        .join(Location.__table__, places.id == items.location_id)
    )


def _holds(statement: Select[Any]) -> list[Hold]:
    return [Hold(*row) for row in db.session.execute(_joined(statement))]
