"""Confirm promises: the units leave for good, whole or in part, together with others, or late.

A confirmed hold is a sale and no hoarding, so no budget of holds is asked, not even for units taken once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import AlreadyConfirmed, QuantityAboveHold, ReservationExpired
from app.models.reservations import Hold, Status
from app.models.stock import Cause
from app.repositories import reservations
from app.services import refusals
from app.services.stock import Book
from app.utils.transactions import transactional

REJECT, REACQUIRE = "reject", "reacquire"


@refusals.informed
@transactional
def confirm(reservation_id: str, *, quantity: int | None = None, on_expired: str = REJECT) -> Hold:
    """The units leave. With `quantity` only so many do and the rest is given back.

    Again gives the same answer. A hold that has run out is refused, or with `on_expired="reacquire"`
    taken once more if the units are still there.
    """
    [hold] = locked = reservations.lock([reservation_id])
    book = Book.open_for(locked)
    _confirm(book, hold, quantity=quantity, on_expired=on_expired)
    book.write()
    return hold


@refusals.informed
@transactional
def confirm_many(
    reservation_ids: Sequence[str], *, order_id: str | None = None, on_expired: str = REJECT
) -> list[Hold]:
    """Confirm all of them, under `order_id` when one is given, or none."""
    locked = reservations.lock(reservation_ids)
    book = Book.open_for(locked)
    for hold in locked:
        if order_id is not None and hold.status != Status.CONFIRMED:
            hold.order_id = order_id
        _confirm(book, hold, quantity=None, on_expired=on_expired)
    book.write()
    return locked


def _confirm(book: Book, hold: Hold, *, quantity: int | None, on_expired: str) -> None:
    units = hold.quantity if quantity is None else quantity
    if hold.status == Status.CONFIRMED:
        if units != hold.quantity:
            raise AlreadyConfirmed(
                f"reservation {hold.id} is confirmed with {hold.quantity} units", quantity=hold.quantity
            )
        return
    if units > hold.quantity:
        raise QuantityAboveHold(
            f"the reservation holds {hold.quantity} units",
            quantity=hold.quantity,
            requested=units,
            errors={"quantity": [f"Must be at most {hold.quantity}."]},
        )
    try:
        hold.require_live(book.now)
    except ReservationExpired:
        if on_expired != REACQUIRE:
            raise
        _reacquire(book, hold, units)
    else:
        _give_back_rest(book, hold, units)
        hold.confirm(book.now, quantity=units)
    book.item(hold.inventory_item_id).take(units, _cause(hold))
    book.changed(hold)


def _reacquire(book: Book, hold: Hold, units: int) -> None:
    """Take the units of a hold that has run out once more. Overdue but not expired yet, it still has them."""
    if hold.status == Status.ACTIVE:
        _give_back_rest(book, hold, units)
    else:
        stock = book.item(hold.inventory_item_id)
        cause = Cause(reservation_id=hold.id, reference_id=hold.order_id, reason="re-acquired after it ran out")
        book.decide_demand(stock, lambda: stock.hold(units, cause))
    hold.reacquire(book.now, quantity=units)


def _give_back_rest(book: Book, hold: Hold, units: int) -> None:
    rest = hold.quantity - units
    if rest:
        cause = Cause(reservation_id=hold.id, reference_id=hold.order_id, reason="confirmed in part")
        book.item(hold.inventory_item_id).release(rest, cause)


def _cause(hold: Hold) -> Cause:
    return Cause(reservation_id=hold.id, reference_id=hold.order_id)
