"""Promise units for a limited time; change the promise, give it back, or let it run out.

Decisions are made on locked items in memory and written by guarded statements. When units are short,
holds that have run out are expired in the same transaction and the decision is made once more, so a
buyer never waits for a worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.errors import HoldTimeExceeded
from app.extensions import settings
from app.models.allocation import Allocation, Line, Share, merged
from app.models.reservations import Hold, Status
from app.models.stock import Cause
from app.repositories import locations, reservations
from app.services import hold_budgets, refusals
from app.services.stock import Book
from app.utils import clock, ids
from app.utils.transactions import transactional


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """For whom units are held: the caller's own references."""

    order_id: str
    customer_id: str
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch got, and with `allow_partial` what it did not get."""

    reservations: list[Hold]
    shortages: list[dict[str, Any]] = field(default_factory=list)


# ── Making holds ─────────────────────────────────────────────────────────────────────────────────


def reserve(line: Line, owner: Owner, *, ttl_seconds: int | None = None) -> Hold:
    """Hold all of `line` at one location, or raise `InsufficientStock` and hold nothing."""
    return reserve_batch([line], owner, ttl_seconds=ttl_seconds).reservations[0]


@refusals.informed
@transactional
def reserve_batch(
    lines: Sequence[Line],
    owner: Owner,
    *,
    ttl_seconds: int | None = None,
    split: bool = False,
    allow_partial: bool = False,
) -> Batch:
    """Hold every line or none; with `allow_partial` whatever there is, but at least one unit.

    Safe under any concurrency: never more is promised than there is, nor more than one customer may hold. The
    customer's budget must have room for all that is asked for, with `allow_partial` too.
    """
    seconds, wanted = _checked_ttl(ttl_seconds), merged(list(lines))
    budget = hold_budgets.locked(owner.customer_id)
    if budget is not None:
        budget.require(units=sum(line.quantity for line in wanted), holds=len(wanted))
    book = Book.open([(line.product_id, line.location) for line in wanted])
    until = book.now + timedelta(seconds=seconds)
    _require_known_locations(wanted, book)
    allocation = _allocate(book, wanted, split=split, partial=allow_partial)
    if allocation.is_refused:
        refusals.count_when_refused(allocation.shortages)
        raise allocation.refusal()
    if budget is not None:
        # A line that was split makes several holds.
        budget.require_room(units=0, holds=len(allocation.shares))
    refusals.count_when_committed(allocation.shortages)
    made = [_hold(book, share, owner, until) for share in allocation.shares]
    book.write()
    refusals.inform(allocation.shortages)
    return Batch(made, [dict(error.facts) for error in allocation.shortages])


def _allocate(book: Book, lines: list[Line], *, split: bool, partial: bool) -> Allocation:
    allocation = _plan(book, lines, split=split, partial=partial)
    while allocation.shortages and book.make_room():
        allocation = _plan(book, lines, split=split, partial=partial)
    return allocation


def _plan(book: Book, lines: list[Line], *, split: bool, partial: bool) -> Allocation:
    allocation = Allocation(settings().allocation_strategy, split=split, partial=partial)
    # Lines that name a location first: the others can go elsewhere.
    for line in sorted(lines, key=lambda line: line.location is None):
        allocation.add(line, book.places(line.product_id, line.location))
    return allocation


def _hold(book: Book, share: Share, owner: Owner, until: datetime) -> Hold:
    hold = Hold(
        id=ids.new_id(),
        inventory_item_id=share.stock.id,
        product_id=share.stock.product_id,
        location=share.stock.location,
        quantity=share.units,
        order_id=owner.order_id,
        customer_id=owner.customer_id,
        status=Status.ACTIVE,
        expires_at=until,
        created_at=book.now,
        updated_at=book.now,
        notes=owner.notes,
    )
    book.hold(hold, Cause(reservation_id=hold.id, reference_id=hold.order_id))
    return hold


def _checked_ttl(ttl_seconds: int | None) -> int:
    seconds = settings().reservation_ttl_seconds if ttl_seconds is None else ttl_seconds
    longest = settings().reservation_max_ttl_seconds
    if seconds > longest:
        raise HoldTimeExceeded(
            f"a hold may last {longest} seconds in all",
            max_total_seconds=longest,
            errors={"ttl_seconds": [f"Must be at most {longest}."]},
        )
    return seconds


def _require_known_locations(lines: list[Line], book: Book) -> None:
    named = {line.location for line in lines if line.location and not book.places(line.product_id, line.location)}
    unknown = named - locations.ids_of(named).keys() if named else set()
    if unknown:
        raise refusals.unknown_location(min(unknown))


# ── Changing live holds ──────────────────────────────────────────────────────────────────────────


@refusals.informed
@transactional
def change(reservation_id: str, *, quantity: int | None = None, ttl_seconds: int | None = None) -> Hold:
    """Resize a live hold and/or let it end `ttl_seconds` from now. One that has run out is never revived."""
    [hold] = locked = reservations.lock([reservation_id])
    budget = hold_budgets.locked(hold.customer_id)
    book = Book.open_for(locked)
    hold.require_live(book.now)
    if budget is not None and quantity is not None and quantity > hold.quantity:
        budget.require(units=quantity - hold.quantity, holds=0)
    if quantity is not None and quantity != hold.quantity:
        _resize(book, hold, quantity)
    if ttl_seconds is not None:
        hold.extend(book.now, seconds=ttl_seconds, longest=settings().reservation_max_ttl_seconds)
    book.changed(hold)
    book.write()
    return hold


def _resize(book: Book, hold: Hold, quantity: int) -> None:
    stock, more = book.item(hold.inventory_item_id), quantity - hold.quantity
    cause = Cause(reservation_id=hold.id, reference_id=hold.order_id, reason=f"resized from {hold.quantity}")
    if more > 0:
        book.decide_demand(stock, lambda: stock.hold(more, cause))
    else:
        stock.shrink(-more, cause)
    hold.quantity, hold.updated_at = quantity, book.now


@transactional
def hand_over(
    reservation_ids: Sequence[str], *, customer_id: str | None = None, order_id: str | None = None
) -> list[Hold]:
    """Give live holds to another customer or order without letting go of a unit; all of them or none.

    Whoever gets them needs room for them. A cool-down does not matter: nothing is held that was not held before.
    """
    locked = reservations.lock(reservation_ids)
    gained = [hold.quantity for hold in locked if customer_id not in (None, hold.customer_id)]
    budget = hold_budgets.locked(customer_id) if customer_id and gained else None
    book = Book([])
    for hold in locked:
        hold.require_live(book.now)
    if budget is not None:
        budget.require_room(units=sum(gained), holds=len(gained))
    for hold in locked:
        hold.customer_id = customer_id or hold.customer_id
        hold.order_id = order_id or hold.order_id
        hold.updated_at = book.now
        book.changed(hold)
    book.write()
    return locked


# ── Giving back ──────────────────────────────────────────────────────────────────────────────────


@transactional
def cancel(reservation_id: str) -> Hold:
    """Give the units back. Again gives the same answer; a confirmed or expired hold says so."""
    [hold] = locked = reservations.lock([reservation_id])
    if hold.status == Status.CANCELLED:
        return hold
    book = Book.open_for(locked)
    hold.require_live(book.now)
    book.item(hold.inventory_item_id).release(hold.quantity, Cause(reservation_id=hold.id, reference_id=hold.order_id))
    hold.cancel(book.now)
    book.changed(hold)
    book.write()
    return hold


@transactional
def expire_overdue(*, limit: int) -> int:
    """Expire up to `limit` overdue holds and give their units back. Any number of these may run at once."""
    overdue = reservations.lock_overdue(clock.now(), limit=limit)
    if not overdue:
        return 0
    book = Book.open_for(overdue)
    expired = book.expire(overdue)
    book.write()
    return expired
