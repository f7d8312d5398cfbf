"""What the service must do, said a second time and as plainly as possible: dictionaries and no database.

Written from the rules alone and sharing no code with the service, so that both would have to be wrong
in the same way for a fault to stay unseen. A refusal is named by the code a client gets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta

Key = tuple[str, str]
Wanted = tuple[str, str | None, int]


class Refused(Exception):
    """The service must refuse this, with this code."""


@dataclass
class Item:
    quantity: int = 0
    version: int = 0
    minimum: int = 0
    archived: bool = False


@dataclass
class Promise:
    id: str
    key: Key
    units: int
    customer: str
    order: str
    made: datetime
    ends: datetime
    status: str = "active"


@dataclass
class StockModel:
    """Every item and every promise. `status` is the stored one: overdue promises stay active until somebody acts."""

    now: datetime
    priorities: dict[str, int]
    strategy: str
    longest: timedelta
    items: dict[Key, Item] = field(default_factory=dict)
    promises: dict[str, Promise] = field(default_factory=dict)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        before = deepcopy((self.items, self.promises))
        try:
            yield
        except Refused:
            self.items, self.promises = before
            raise

    def occupied(self, key: Key) -> int:
        return sum(p.units for p in self.promises.values() if p.key == key and p.status == "active")

    def held(self, key: Key) -> int:
        return self.occupied(key) - sum(promise.units for promise in self.overdue([key]))

    def free(self, key: Key) -> int:
        return self.items[key].quantity - self.occupied(key)

    def overdue(self, keys: Collection[Key]) -> list[Promise]:
        late = [p for p in self.promises.values() if p.status == "active" and p.ends <= self.now and p.key in keys]
        return sorted(late, key=lambda promise: (promise.ends, promise.id))

    def next_end(self) -> datetime | None:
        ends = [p.ends for p in self.promises.values() if p.status == "active" and p.ends > self.now]
        return min(ends, default=None)

    # ── Stock ────────────────────────────────────────────────────────────────────────────────────

    def create(self, key: Key, quantity: int, minimum: int) -> None:
        item = self.items.get(key)
        if item is not None and not item.archived:
            raise Refused("already_exists")
        if item is None:
            item = self.items[key] = Item(minimum=minimum)
        else:
            item.archived, item.version = False, item.version + 1
            self.set_minimum(key, minimum)
        item.quantity, item.version = quantity, item.version + (quantity > 0)

    def adjust(self, key: Key, change: int) -> None:
        item = self._open(key)
        if change < 0:
            self._need(key, -change)
        item.quantity, item.version = item.quantity + change, item.version + 1

    def count(self, key: Key, counted: int, *, stale: bool) -> None:
        item = self._item(key)
        if stale:
            raise Refused("version_mismatch")
        self._open(key)
        self._until(lambda: counted >= self.occupied(key), key, "below_reserved")
        if counted != item.quantity:
            item.quantity, item.version = counted, item.version + 1

    def set_minimum(self, key: Key, minimum: int) -> None:
        item = self._open(key)
        if minimum != item.minimum:
            item.minimum, item.version = minimum, item.version + 1

    def transfer(self, product: str, source: str, target: str, units: int) -> None:
        origin, destination = (product, source), (product, target)
        self._item(origin)
        there = self.items.setdefault(destination, Item())
        there.archived, there.version = False, there.version + there.archived
        self.adjust(origin, -units)
        self.adjust(destination, units)

    def archive(self, key: Key) -> None:
        item = self._open(key)
        self._until(lambda: not item.quantity and not self.occupied(key), key, "item_not_empty")
        item.archived, item.version = True, item.version + 1

    # ── Promises ─────────────────────────────────────────────────────────────────────────────────

    def plan(self, wanted: list[Wanted], *, split: bool, partial: bool) -> tuple[list[tuple[Key, int]], list[int]]:
        """Which item gives how many units, and what is missing per line that is short."""
        summed: dict[tuple[str, str | None], int] = {}
        for product, location, units in wanted:
            summed[product, location] = summed.get((product, location), 0) + units
        touched = [key for key in self.items if any(place in ((*key,), (key[0], None)) for place in summed)]
        shares, missing = self._planned(summed, split=split, partial=partial)
        if missing and self.expire(touched):
            shares, missing = self._planned(summed, split=split, partial=partial)
        if missing and not (partial and shares):
            raise Refused("insufficient_stock")
        return shares, missing

    def promise(self, promise: Promise) -> None:
        self.promises[promise.id] = promise
        self.items[promise.key].version += 1

    def confirm(self, promise_id: str, units: int | None, *, reacquire: bool) -> None:
        promise = self.promises[promise_id]
        units = promise.units if units is None else units
        if promise.status == "confirmed":
            if units != promise.units:
                raise Refused("already_confirmed")
            return
        if units > promise.units:
            raise Refused("quantity_above_hold")
        gone = self._ended(promise)
        if gone and not (gone == "reservation_expired" and reacquire):
            raise Refused(gone)
        self._take(promise, units)

    def confirm_many(self, promise_ids: Collection[str], order: str | None, *, reacquire: bool) -> None:
        for promise_id in sorted(set(promise_ids)):
            promise = self.promises[promise_id]
            if order is not None and promise.status != "confirmed":
                promise.order = order
            self.confirm(promise_id, None, reacquire=reacquire)

    def cancel(self, promise_id: str) -> None:
        promise = self.promises[promise_id]
        if promise.status != "cancelled":
            self._require_live(promise)
            promise.status = "cancelled"
            self.items[promise.key].version += 1

    def extend(self, promise_id: str, seconds: int) -> None:
        promise = self._require_live(self.promises[promise_id])
        if self.now + timedelta(seconds=seconds) > promise.made + self.longest:
            raise Refused("hold_time_exceeded")
        promise.ends = self.now + timedelta(seconds=seconds)

    def resize(self, promise_id: str, units: int) -> None:
        promise = self._require_live(self.promises[promise_id])
        if units > promise.units:
            self._need(promise.key, units - promise.units)
        if units != promise.units:
            promise.units = units
            self.items[promise.key].version += 1

    def hand_over(self, promise_ids: Collection[str], customer: str) -> None:
        for promise_id in sorted(set(promise_ids)):
            self._require_live(self.promises[promise_id]).customer = customer

    def expire(self, keys: Collection[Key], limit: int | None = None) -> int:
        late = self.overdue(keys)[:limit]
        for promise in late:
            promise.status = "expired"
            self.items[promise.key].version += 1
        return len(late)

    # ── Rules ────────────────────────────────────────────────────────────────────────────────────

    def _item(self, key: Key) -> Item:
        if key not in self.items:
            raise Refused("inventory_item_not_found")
        return self.items[key]

    def _open(self, key: Key) -> Item:
        item = self._item(key)
        if item.archived:
            raise Refused("item_archived")
        return item

    def _need(self, key: Key, units: int) -> None:
        self._until(lambda: self.free(key) >= units, key, "insufficient_stock")

    def _until(self, allowed: Callable[[], bool], key: Key, code: str) -> None:
        """Allowed as things are, or once what is overdue on this item has been expired."""
        if not allowed() and not (self.expire([key]) and allowed()):
            raise Refused(code)

    def _ended(self, promise: Promise) -> str | None:
        if promise.status in ("confirmed", "cancelled"):
            return f"already_{promise.status}"
        return "reservation_expired" if promise.status == "expired" or promise.ends <= self.now else None

    def _require_live(self, promise: Promise) -> Promise:
        code = self._ended(promise)
        if code:
            raise Refused(code)
        return promise

    def _take(self, promise: Promise, units: int) -> None:
        item = self.items[promise.key]
        if promise.status == "expired":
            self._open(promise.key)
            self._need(promise.key, units)
            item.version += 1
        elif units < promise.units:
            item.version += 1
        promise.status, promise.units = "confirmed", units
        item.quantity, item.version = item.quantity - units, item.version + 1

    def _planned(
        self, summed: dict[tuple[str, str | None], int], *, split: bool, partial: bool
    ) -> tuple[list[tuple[Key, int]], list[int]]:
        shares: list[tuple[Key, int]] = []
        taken: Counter[Key] = Counter()
        missing = []
        for (product, location), units in sorted(summed.items(), key=lambda line: line[0][1] is None):
            given = self._given(self._ranked(product, location, taken), units, split=split)
            short = units - sum(given.values())
            if short:
                missing.append(short)
            if not short or partial:
                shares += given.items()
                taken.update(given)
        return shares, missing

    def _ranked(self, product: str, location: str | None, taken: Counter[Key]) -> list[tuple[Key, int]]:
        """The open places of a product with what is still free there, the one to serve first first."""
        places = [key for key in self.items if key[0] == product and location in (None, key[1])]
        if places and all(self.items[key].archived for key in places):
            raise Refused("item_archived")
        free = [(key, self.free(key) - taken[key]) for key in places if not self.items[key].archived]
        if self.strategy == "most_stock":
            return sorted(free, key=lambda place: (-place[1], place[0][1]))
        return sorted(free, key=lambda place: (self.priorities[place[0][1]], place[0][1]))

    @staticmethod
    def _given(ranked: list[tuple[Key, int]], units: int, *, split: bool) -> dict[Key, int]:
        if not split:
            whole = [key for key, free in ranked if free >= units]
            fullest = max(ranked, key=lambda place: place[1], default=None)
            if whole or not fullest:
                return {key: units for key in whole[:1]}
            return {fullest[0]: fullest[1]} if fullest[1] else {}
        given: dict[Key, int] = {}
        for key, free in ranked:
            part = min(free, units - sum(given.values()))
            if part:
                given[key] = part
        return given
