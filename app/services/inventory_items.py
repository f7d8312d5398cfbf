"""Bring stock in, count it, adjust it, move it, retire it: one use case each, one ledger row each.

`bulk` runs any number of them in one transaction with the same functions, row by row in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from app.errors import (
    AlreadyExists,
    DomainError,
    Invalid,
    LostRace,
    VersionMismatch,
    VersionRequired,
)
from app.models.stock import Cause, Movement, Stock
from app.models.stock_movements import MovementType
from app.repositories import inventory_items, locations, stock_movements
from app.services import refusals
from app.services.refusals import unknown_location
from app.services.stock import Book
from app.utils import database_errors, ids
from app.utils.transactions import transactional


class BulkRefused(Invalid):
    """A row of an atomic batch was refused, so none was applied; `index` names the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    product_id: str
    location: str
    quantity: int = 0
    minimum_stock_level: int = 0
    maximum_stock_level: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    product_id: str
    location: str
    quantity: int
    movement_type: MovementType
    reference_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New absolute values; what is absent stays. `versions` are those that If-Match names."""

    product_id: str
    location: str
    values: dict[str, Any]
    expected_quantity: int | None = None
    versions: frozenset[int] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    product_id: str
    location: str


Operation = Create | Adjust | Change | Archive


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row of a batch."""

    operation: Operation
    stock: Stock | None = None
    movement: Movement | None = None
    error: DomainError | None = None


@refusals.informed
@transactional
def run(operation: Operation) -> Any:
    """One operation in a transaction of its own: answers the ledger row it wrote, or None when nothing changed."""
    book, fresh = _open([operation])
    outcome = _apply(book, operation, fresh)
    book.write()
    return stock_movements.written([outcome.movement])[0] if outcome.movement else None


def bulk(operations: Sequence[Operation], *, atomic: bool = False) -> list[Outcome]:
    """Every operation in order, in one transaction. A refused row changes nothing and does not stop the others,
    unless `atomic`: then the first refusal raises `BulkRefused` and nothing is applied.
    """
    try:
        outcomes = _bulk(operations, atomic=atomic)
    except BulkRefused as refusal:
        refusals.inform([refusal.facts["refused"]])
        raise
    refusals.inform(outcome.error for outcome in outcomes)
    return outcomes


@transactional
def _bulk(operations: Sequence[Operation], *, atomic: bool) -> list[Outcome]:
    book, fresh = _open(operations)
    outcomes = []
    for index, operation in enumerate(operations):
        try:
            outcomes.append(_apply(book, operation, fresh))
        except DomainError as error:
            if atomic:
                raise BulkRefused(f"row {index}: {error}", index=index, refused=error) from error
            outcomes.append(Outcome(operation, error=error))
    book.write()
    return outcomes


@refusals.informed
@transactional
def transfer(product_id: str, *, source: str, target: str, quantity: int, reason: str | None = None) -> list[Any]:
    """Move units that nobody was promised; the target's row is made when it is missing. Answers both ledger rows."""
    book = Book.open([(product_id, source), (product_id, target)])
    stock = book.get(product_id, source)
    destination = book.at(product_id, target)
    if destination is None:
        if not _add_rows(book, [Create(product_id=product_id, location=target)]):
            raise unknown_location(target, field="to_location")
        destination = book.get(product_id, target)
    elif destination.archived_at is not None:
        _reopen(destination)
    cause = Cause(reference_id=ids.new_id(), reason=reason)
    gone = book.decide(stock, lambda: stock.change(MovementType.TRANSFER, -quantity, cause))
    came = destination.change(MovementType.TRANSFER, quantity, cause)
    book.write()
    return stock_movements.written([gone, came])


def _open(operations: Sequence[Operation]) -> tuple[Book, set[tuple[str, str]]]:
    """The book for these operations, and which of its rows were only now made for a `Create`."""
    book = Book.open([(operation.product_id, operation.location) for operation in operations])
    creates = [operation for operation in operations if isinstance(operation, Create)]
    return book, _add_rows(book, creates) if creates else set()


def _add_rows(book: Book, creates: Iterable[Create]) -> set[tuple[str, str]]:
    """Insert empty rows for what is missing, at locations that exist, and lock them into the book."""
    missing = {
        (create.product_id, create.location): create
        for create in reversed(list(creates))
        if book.at(create.product_id, create.location) is None
    }
    known = locations.ids_of({location for _, location in missing}, keep_open=True) if missing else {}
    rows = [_empty_row(create, known[create.location], book) for create in missing.values() if create.location in known]
    try:
        inventory_items.insert_many(rows)
    except IntegrityError as error:
        if database_errors.is_duplicate(error):
            raise LostRace("somebody else created the same item") from error
        raise
    added = {key for key, create in missing.items() if create.location in known}
    if added:
        book.include(inventory_items.lock(added))
    return added


def _empty_row(create: Create, location_id: int, book: Book) -> dict[str, Any]:
    return {
        "product_id": create.product_id,
        "location_id": location_id,
        "quantity": 0,
        "reserved_quantity": 0,
        "version": 0,
        "minimum_stock_level": create.minimum_stock_level,
        "maximum_stock_level": create.maximum_stock_level,
        "created_at": book.now,
        "updated_at": book.now,
    }


def _apply(book: Book, operation: Operation, fresh: set[tuple[str, str]]) -> Outcome:
    key = (operation.product_id, operation.location)
    if key in fresh and not isinstance(operation, Create):
        raise inventory_items.not_found(*key)  # its row is there for a Create that comes later
    match operation:
        case Create():
            return _create(book, operation, fresh)
        case Adjust():
            stock = book.get(operation.product_id, operation.location)
            return Outcome(operation, stock, _adjust(book, stock, operation))
        case Change():
            stock = book.get(operation.product_id, operation.location)
            return Outcome(operation, stock, book.decide(stock, lambda: _change(stock, operation)))
        case Archive():
            stock = book.get(operation.product_id, operation.location)
            return Outcome(operation, stock, book.decide(stock, lambda: stock.archive(book.now)))


def _create(book: Book, create: Create, fresh: set[tuple[str, str]]) -> Outcome:
    key = (create.product_id, create.location)
    stock = book.at(*key)
    if stock is None:
        raise unknown_location(create.location)
    movement = None
    if key in fresh:
        fresh.discard(key)
    elif stock.archived_at is not None:
        movement = _reopen(stock)
        movement = stock.set_levels(create.minimum_stock_level, create.maximum_stock_level) or movement
    else:
        raise AlreadyExists(
            f"{create.product_id} has inventory at {create.location}",
            product_id=create.product_id,
            location=create.location,
        )
    if create.quantity:
        movement = stock.change(MovementType.INBOUND, create.quantity, Cause(reason="opening stock"))
    return Outcome(create, stock, movement)


def _reopen(stock: Stock) -> Movement:
    """An archived item comes back, unless its location has been closed since."""
    if stock.location not in locations.ids_of({stock.location}, keep_open=True):
        raise unknown_location(stock.location)
    return stock.reopen()


def _adjust(book: Book, stock: Stock, adjust: Adjust) -> Movement:
    cause = Cause(reference_id=adjust.reference_id, reason=adjust.reason)
    return book.decide(stock, lambda: stock.change(adjust.movement_type, adjust.quantity, cause))


def _change(stock: Stock, change: Change) -> Movement | None:
    _require_current(stock, change)
    levels = (
        change.values.get("minimum_stock_level", stock.minimum_stock_level),
        change.values.get("maximum_stock_level", stock.maximum_stock_level),
    )
    if levels[1] is not None and levels[0] > levels[1]:
        raise Invalid(
            "minimum_stock_level must not be above maximum_stock_level",
            errors={"minimum_stock_level": [f"Must not be above {levels[1]}."]},
        )
    counted = stock.quantity
    if "quantity" in change.values:
        movement = stock.count(change.values["quantity"], Cause(reason=change.reason or f"counted, {counted} before"))
        return stock.set_levels(*levels) or movement
    return stock.set_levels(*levels)


def _require_current(stock: Stock, change: Change) -> None:
    """Compare and set: an absolute quantity says what it was decided on."""
    facts = {"product_id": stock.product_id, "location": stock.location, "version": stock.seen_version}
    if "quantity" in change.values and change.versions is None and change.expected_quantity is None:
        raise VersionRequired("send If-Match or expected_quantity to set a quantity", **facts)
    # The version that was read: expiring overdue holds to make room must not count as somebody else's change.
    if change.versions is not None and stock.seen_version not in change.versions:
        raise VersionMismatch(f"the item is at version {stock.seen_version}", **facts)
    if change.expected_quantity not in (None, stock.quantity):
        raise VersionMismatch(f"the item has {stock.quantity} units", quantity=stock.quantity, **facts)
