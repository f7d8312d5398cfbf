"""The items one unit of work touches: locked in one order, changed in memory, written once.

Every use case that moves stock goes through a `Book`, so there is one order of locks (reservations by id,
then items by id), one place that writes the ledger, and one that tells the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from functools import partial
from typing import TypeVar

from app.errors import BelowReserved, InsufficientStock, ItemNotEmpty, LostRace
from app.extensions import cache
from app.models.reservations import Hold, Status
from app.models.stock import Cause, Stock
from app.repositories import inventory_items, reservations, stock_movements
from app.services import refusals
from app.utils import clock, metrics
from app.utils.transactions import after_commit

T = TypeVar("T")
EXPIRED_ON_DEMAND = 500
# Under these tags lookups are cached; STOCK stands for every list, which any change may alter.
STOCK = "stock"


def item_tag(product_id: str) -> str:
    return f"item:{product_id}"


def reservation_tag(reservation_id: str) -> str:
    return f"reservation:{reservation_id}"


class Book:
    """What one unit of work knows and changes. Written at its end with `write`; dropped by raising."""

    def __init__(self, stocks: Iterable[Stock]) -> None:
        # Asked for only now that the items are locked: what lapsed while we waited has lapsed, and the
        # times in an item's ledger follow its sequence.
        self.now: datetime = clock.now()
        self._stocks: dict[int, Stock] = {}
        self._at: dict[tuple[str, str], Stock] = {}
        self._new: list[Hold] = []
        self._changed: dict[str, Hold] = {}
        # Reservations this unit of work decides about itself: making room must not end them behind its back.
        self._own: set[str] = set()
        self.include(stocks)

    @classmethod
    def open(cls, keys: Iterable[inventory_items.Key]) -> Book:
        """Lock the items of these products and locations."""
        return cls(inventory_items.lock(keys))

    @classmethod
    def open_for(cls, holds: Collection[Hold]) -> Book:
        """Lock the items of these reservations, which the caller has locked before."""
        book = cls(inventory_items.lock_ids({hold.inventory_item_id for hold in holds}))
        book._own = {hold.id for hold in holds}
        return book

    def include(self, stocks: Iterable[Stock]) -> None:
        for stock in stocks:
            self._stocks[stock.id] = stock
            self._at[stock.product_id, stock.location] = stock

    def item(self, item_id: int) -> Stock:
        return self._stocks[item_id]

    def at(self, product_id: str, location: str) -> Stock | None:
        return self._at.get((product_id, location))

    def get(self, product_id: str, location: str) -> Stock:
        """Raises `InventoryItemNotFound` when the product has no row there."""
        stock = self.at(product_id, location)
        if stock is None:
            raise inventory_items.not_found(product_id, location)
        return stock

    def places(self, product_id: str, location: str | None) -> list[Stock]:
        if location is not None:
            stock = self.at(product_id, location)
            return [stock] if stock else []
        return [stock for stock in self._stocks.values() if stock.product_id == product_id]

    def hold(self, hold: Hold, cause: Cause) -> None:
        """A new reservation of an item of this book."""
        self.item(hold.inventory_item_id).hold(hold.quantity, cause)
        self._new.append(hold)

    def changed(self, hold: Hold) -> None:
        self._changed[hold.id] = hold

    def expire(self, holds: Iterable[Hold]) -> int:
        """Give back what these overdue reservations held, one `expiry` row each."""
        count = 0
        for hold in holds:
            hold.expire(self.now)
            self.item(hold.inventory_item_id).expire(
                hold.quantity, Cause(reservation_id=hold.id, reason="hold ran out")
            )
            self.changed(hold)
            count += 1
        return count

    def expire_overdue(self, stocks: Iterable[Stock] | None = None) -> int:
        """Expire on demand: what is overdue on these items (all of the book's by default), here and now."""
        ids = [stock.id for stock in (self._stocks.values() if stocks is None else stocks)]
        if not ids:
            return 0
        overdue = reservations.lock_overdue(self.now, limit=EXPIRED_ON_DEMAND, item_ids=ids, others_than=self._done())
        return self.expire(overdue)

    def make_room(self, stocks: Iterable[Stock] | None = None) -> bool:
        """Expire what is overdue on these items (all of the book's by default); False when nothing is.

        Raises `LostRace` when somebody else has overdue holds of theirs locked: their units are as good as free,
        so nobody is refused for them. Letting go of our locks lets the other one finish.
        """
        items = list(self._stocks.values() if stocks is None else stocks)
        if self.expire_overdue(items):
            return True
        ids = [stock.id for stock in items]
        if ids and reservations.is_any_overdue(self.now, item_ids=ids, others_than=self._done()):
            raise LostRace("overdue holds of these items are being ended elsewhere")
        return False

    def decide_demand(self, stock: Stock, decision: Callable[[], T]) -> T:
        """`decide`, and count the units as demand denied when it is refused."""
        try:
            return self.decide(stock, decision)
        except InsufficientStock as refusal:
            refusals.count_when_refused([refusal])
            raise

    def _done(self) -> set[str]:
        """Reservations not to be taken from the database again: decided here, and not written yet."""
        return self._own | self._changed.keys()

    def decide(self, stock: Stock, decision: Callable[[], T]) -> T:
        """Decide; as long as too much is promised, expire what is overdue on this item and decide again."""
        while True:
            try:
                return decision()
            except (InsufficientStock, BelowReserved, ItemNotEmpty):
                if not self.make_room([stock]):
                    raise

    def write(self) -> None:
        """Write everything once, the ledger last; raises `LostRace` when a guard refuses."""
        touched = [stock for _, stock in sorted(self._stocks.items()) if stock.movements]
        inventory_items.save(touched, self.now)
        reservations.add(self._new)
        reservations.save(self._changed.values())
        stock_movements.append((row for stock in touched for row in stock.movements), self.now)
        after_commit(partial(cache().forget, self._tags(touched)))
        after_commit(self._count)

    def _tags(self, touched: Iterable[Stock]) -> set[str]:
        tags = {item_tag(stock.product_id) for stock in touched}
        tags |= {item_tag(hold.product_id) for hold in self._changed.values()}
        return tags | {reservation_tag(hold_id) for hold_id in self._changed} | {STOCK}

    def _count(self) -> None:
        for hold in self._new:
            if hold.status == Status.ACTIVE:
                metrics.RESERVATIONS.labels("created").inc()
        for hold in self._changed.values():
            if hold.status != hold.seen[0]:
                metrics.RESERVATIONS.labels(hold.status).inc()
