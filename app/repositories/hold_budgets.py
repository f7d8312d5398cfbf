"""Hold budgets: the rows at which requests of one customer wait for each other, and what counts against a customer."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zlib import crc32

from sqlalchemy import CursorResult, Select, func, select, union_all, update

from app.extensions import db
from app.models.hold_budgets import Held, HoldBudgetLock
from app.models.reservations import Reservation, Status
from app.models.types import total

locks, holds = HoldBudgetLock.__table__.c, Reservation.__table__.c
SLOTS = 1024
# Said by name: for the latest few in order, MariaDB would at times rather walk what ran out of all customers.
BY_CUSTOMER = "FORCE INDEX (ix_reservations_customer_id_status_expires_at)"


def lock(customer_id: str) -> None:
    """Let no other request for this customer count or hold before the transaction ends.

    The row is written, not only locked: nodes of a cluster do not tell each other their locks, but of two that
    write one row only one commits.
    """
    mine = locks.slot == crc32(customer_id.encode()) % SLOTS
    result: CursorResult[Any] = db.session.execute(  # type: ignore[assignment]
        update(HoldBudgetLock.__table__).where(mine).values(turns=locks.turns + 1)
    )
    if result.rowcount != 1:
        # Nobody would wait for anybody, and nobody would notice.
        raise LookupError(f"hold_budget_locks has lost rows; there are to be {SLOTS}, numbered from 0")


def held(customer_id: str, now: datetime) -> Held:
    """What the customer holds now; holds that ran out are not read, however many there are."""
    statement = _of(customer_id, Status.ACTIVE, total(holds.quantity), func.count(), func.min(holds.expires_at))
    units, count, first_end = db.session.execute(statement.where(holds.expires_at > now)).one()
    return Held(units=units, holds=count, next_release_at=first_end)


def latest_expiries(customer_id: str, now: datetime, *, limit: int) -> list[datetime]:
    """When the customer's latest holds ran out, swept or not, the newest first."""
    # One ordered look into the index per status: both at once would have to be sorted, all of them.
    looks = [
        _of(customer_id, status, holds.expires_at)
        .where(holds.expires_at <= now)
        .order_by(holds.expires_at.desc())
        .limit(limit)
        .subquery()
        for status in (Status.ACTIVE, Status.EXPIRED)
    ]
    ends = db.session.execute(union_all(*(select(look.c.expires_at) for look in looks))).scalars()
    return sorted(ends, reverse=True)[:limit]


def _of(customer_id: str, status: Status, *what: Any) -> Select[Any]:
    chosen = select(*what).where(holds.customer_id == customer_id, holds.status == status)
    for dialect in ("mysql", "mariadb"):
        chosen = chosen.with_hint(Reservation.__table__, BY_CUSTOMER, dialect)
    return chosen
