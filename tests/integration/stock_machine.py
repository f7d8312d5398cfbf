"""A machine that makes random calls to the service and to the model, and compares answers, refusals and numbers.

Few products, few locations and small quantities, so that the calls get in each other's way all the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar
from unittest.mock import patch

from flask import current_app
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import func, select, text

from app.errors import DomainError
from app.extensions import db
from app.models.allocation import Line
from app.models.inventory_items import InventoryItem
from app.models.stock_movements import MovementType
from app.repositories import inventory_items as item_rows
from app.services import audit, confirmations, inventory_items, reservations
from app.services.inventory_items import Adjust, Archive, Change, Create
from app.utils import ids, problems
from tests.conftest import NOON, Time
from tests.integration.stock_model import Item, Key, Promise, Refused, StockModel, Wanted

T = TypeVar("T")
LOCATIONS = {"default": 100, "east": 50, "west": 150}
LONGEST = 240
UNITS = st.integers(1, 6)
SECONDS = st.sampled_from([10, 10, 60, 60, LONGEST, LONGEST + 1])
# Before most calls no time passes; before some it runs to the next end of a hold, where one tick decides.
WAITS = st.sampled_from(["", "", "", "to the end", "to the end", "to just before the end", "long"])
CHANGES = st.sampled_from([MovementType.INBOUND, MovementType.OUTBOUND, MovementType.ADJUSTMENT, MovementType.LOSS])

# Drawn from what there is, and most often from what has run out: that is where calls get in each other's way.
KEYS = st.runner().flatmap(lambda machine: st.sampled_from(machine.keys()))
HOLDS = st.runner().flatmap(lambda machine: st.sampled_from(machine.hold_ids()))
LINES = st.lists(st.tuples(KEYS, st.booleans(), UNITS), min_size=1, max_size=3)

STORED_ITEMS = text(
    """
    SELECT i.product_id, l.code, i.quantity, i.reserved_quantity, i.version, i.minimum_stock_level,
           CASE WHEN i.archived_at IS NULL THEN 0 ELSE 1 END AS archived
    FROM inventory_items i JOIN locations l ON l.id = i.location_id WHERE i.id > :first
    """
)
STORED_HOLDS = text(
    "SELECT id, quantity, status, customer_id, order_id FROM reservations WHERE inventory_item_id > :first"
)

# The same examples in every run: a failure here is everybody's failure, not one run's bad luck. Ten per round,
# because from the eleventh on Hypothesis mostly repeats what it had, and the wish here is for variety. A failing
# run shows its steps as they were: shrinking them takes minutes a round, so add Phase.shrink when you look into one.
THOROUGH = settings(
    max_examples=10,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
ROUNDS = range(10)


class StockMachine(RuleBasedStateMachine):
    """Every rule asks the model first, then the service, and compares."""

    time: Time
    run_number = count()

    def __init__(self) -> None:
        super().__init__()
        self.time.instant = NOON
        self.moved = True
        number = next(self.run_number)
        self.products = [f"P{number}-A", f"P{number}-B"]
        self.first_item = db.session.execute(select(func.coalesce(func.max(InventoryItem.id), 0))).scalar_one()
        self.model = StockModel(NOON, LOCATIONS, "priority", timedelta(seconds=LONGEST))
        # Ids in the order they are given out, so that a failing example runs the same way again.
        serial = count()
        self.ids = patch.object(ids, "new_id", lambda: f"00000000-0000-7000-{number:04x}-{next(serial):012x}")
        self.ids.start()

    def teardown(self) -> None:
        self.time.instant = NOON + timedelta(days=365)
        try:
            reservations.expire_overdue(limit=10_000)
        finally:
            self.ids.stop()

    def keys(self) -> list[Key]:
        late = [promise.key for promise in self.model.overdue(self.model.items)]
        everywhere = [(product, place) for product in self.products for place in LOCATIONS]
        return [*self.model.items, *everywhere, *late, *late]

    def hold_ids(self) -> list[str]:
        active = [promise.id for promise in self.model.promises.values() if promise.status == "active"]
        ended = [promise.id for promise in self.model.promises.values() if promise.status != "active"]
        return [*active, *active, *ended[-4:]]

    @initialize(
        strategy=st.sampled_from(["priority", "most_stock"]),
        stock=st.lists(st.tuples(KEYS, st.integers(1, 8)), min_size=3, max_size=6),
        holds=st.lists(st.tuples(KEYS, UNITS, SECONDS), max_size=6),
    )
    def open_the_shop(self, strategy: str, stock: list[tuple[Key, int]], holds: list[tuple[Key, int, int]]) -> None:
        config = current_app.extensions["settings"]
        current_app.extensions["settings"] = replace(config, allocation_strategy=strategy)
        self.model.strategy = strategy
        for key, quantity in stock:
            self.create("", key, quantity, 0)
        for key, units, seconds in holds:
            self.reserve("", [(key, True, units)], seconds, split=False, partial=True)

    # ── Stock ────────────────────────────────────────────────────────────────────────────────────

    @rule(
        wait=WAITS,
        key=KEYS,
        what=st.sampled_from(["create", "set minimum", "archive", "empty and archive"]),
        n=st.integers(0, 3),
    )
    def manage(self, wait: str, key: Key, what: str, n: int) -> None:
        if what == "create":
            self.create(wait, key, quantity=2 * n, minimum=n)
        elif what == "set minimum":
            self.set_minimum(wait, key, n)
        else:
            if what == "empty and archive":
                self.recount(wait, key, counted=0, by_version=True, stale=0)
            self.archive(wait, key)

    def create(self, wait: str, key: Key, quantity: int, minimum: int) -> None:
        wanted = Create(product_id=key[0], location=key[1], quantity=quantity, minimum_stock_level=minimum)
        self.agree(wait, lambda: self.model.create(key, quantity, minimum), lambda: inventory_items.run(wanted))

    def set_minimum(self, wait: str, key: Key, minimum: int) -> None:
        wanted = Change(product_id=key[0], location=key[1], values={"minimum_stock_level": minimum})
        self.agree(wait, lambda: self.model.set_minimum(key, minimum), lambda: inventory_items.run(wanted))

    def archive(self, wait: str, key: Key) -> None:
        wanted = Archive(product_id=key[0], location=key[1])
        self.agree(wait, lambda: self.model.archive(key), lambda: inventory_items.run(wanted))

    @rule(wait=WAITS, key=KEYS, units=UNITS, kind=CHANGES, up=st.booleans())
    def adjust(self, wait: str, key: Key, units: int, kind: MovementType, up: bool) -> None:
        more = up if kind is MovementType.ADJUSTMENT else kind is MovementType.INBOUND
        change = units if more else -units
        wanted = Adjust(product_id=key[0], location=key[1], quantity=change, movement_type=kind)
        self.agree(wait, lambda: self.model.adjust(key, change), lambda: inventory_items.run(wanted))

    @rule(wait=WAITS, key=KEYS, counted=st.integers(0, 8), by_version=st.booleans(), stale=st.sampled_from([0, 0, 1]))
    def recount(self, wait: str, key: Key, counted: int, by_version: bool, stale: int) -> None:
        """On the strength of the version or of the quantity that a reader was told."""
        item = self.model.items.get(key, Item())
        token: dict[str, Any] = {"expected_quantity": item.quantity + stale}
        if by_version:
            token = {"versions": frozenset({item.version + stale})}
        wanted = Change(product_id=key[0], location=key[1], values={"quantity": counted}, **token)
        self.agree(wait, lambda: self.model.count(key, counted, stale=bool(stale)), lambda: inventory_items.run(wanted))

    @rule(wait=WAITS, source=KEYS, away=st.integers(1, 2), units=UNITS)
    def transfer(self, wait: str, source: Key, away: int, units: int) -> None:
        places = sorted(LOCATIONS)
        product, origin = source
        target = places[(places.index(origin) + away) % len(places)]
        self.agree(
            wait,
            lambda: self.model.transfer(product, origin, target, units),
            lambda: inventory_items.transfer(product, source=origin, target=target, quantity=units),
        )

    # ── Holds ────────────────────────────────────────────────────────────────────────────────────

    @rule(wait=WAITS, lines=LINES, seconds=SECONDS, split=st.booleans(), partial=st.booleans())
    def reserve(self, wait: str, lines: list[tuple[Key, bool, int]], seconds: int, split: bool, partial: bool) -> None:
        wanted: list[Wanted] = [(key[0], key[1] if named else None, units) for key, named, units in lines]
        owner = reservations.Owner(order_id="o-1", customer_id="c-1")
        asked = [Line(product, units, place) for product, place, units in wanted]
        planned, batch = self.agree(
            wait,
            lambda: self.plan(wanted, seconds, split=split, partial=partial),
            lambda: reservations.reserve_batch(asked, owner, ttl_seconds=seconds, split=split, allow_partial=partial),
        )
        if planned is not None:
            self.compare(batch, *planned)
            for hold, (key, units) in zip(batch.reservations, planned[0], strict=True):
                ends = self.time.instant + timedelta(seconds=seconds)
                self.model.promise(Promise(hold.id, key, units, "c-1", "o-1", self.time.instant, ends))

    def plan(self, wanted: list[Wanted], seconds: int, *, split: bool, partial: bool) -> Any:
        if seconds > LONGEST:
            raise Refused("hold_time_exceeded")
        return self.model.plan(wanted, split=split, partial=partial)

    def compare(self, batch: reservations.Batch, shares: list[tuple[Key, int]], missing: list[int]) -> None:
        assert [((hold.product_id, hold.location), hold.quantity) for hold in batch.reservations] == shares
        assert [short["shortage"] for short in batch.shortages] == missing

    @precondition(lambda self: self.model.promises)
    @rule(wait=WAITS, hold=HOLDS, units=st.none() | UNITS, on_expired=st.sampled_from(["reject", "reacquire"]))
    def confirm(self, wait: str, hold: str, units: int | None, on_expired: str) -> None:
        self.agree(
            wait,
            lambda: self.model.confirm(hold, units, reacquire=on_expired == "reacquire"),
            lambda: confirmations.confirm(hold, quantity=units, on_expired=on_expired),
        )

    @precondition(lambda self: self.model.promises)
    @rule(
        wait=WAITS,
        several=st.lists(HOLDS, min_size=2, max_size=4),
        order=st.sampled_from([None, "o-2"]),
        on_expired=st.sampled_from(["reject", "reacquire", "reacquire"]),
    )
    def confirm_many(self, wait: str, several: list[str], order: str | None, on_expired: str) -> None:
        self.agree(
            wait,
            lambda: self.model.confirm_many(several, order, reacquire=on_expired == "reacquire"),
            lambda: confirmations.confirm_many(several, order_id=order, on_expired=on_expired),
        )

    @precondition(lambda self: self.model.promises)
    @rule(wait=WAITS, hold=HOLDS)
    def cancel(self, wait: str, hold: str) -> None:
        self.agree(wait, lambda: self.model.cancel(hold), lambda: reservations.cancel(hold))

    @precondition(lambda self: self.model.promises)
    @rule(wait=WAITS, hold=HOLDS, seconds=SECONDS)
    def extend(self, wait: str, hold: str, seconds: int) -> None:
        _, extended = self.agree(
            wait, lambda: self.model.extend(hold, seconds), lambda: reservations.change(hold, ttl_seconds=seconds)
        )
        if extended is not None:
            assert extended.expires_at == self.model.promises[hold].ends

    @precondition(lambda self: self.model.promises)
    @rule(wait=WAITS, hold=HOLDS, units=UNITS)
    def resize(self, wait: str, hold: str, units: int) -> None:
        self.agree(wait, lambda: self.model.resize(hold, units), lambda: reservations.change(hold, quantity=units))

    @precondition(lambda self: self.model.promises)
    @rule(wait=WAITS, several=st.lists(HOLDS, min_size=1, max_size=3), customer=st.sampled_from(["c-1", "c-2"]))
    def hand_over(self, wait: str, several: list[str], customer: str) -> None:
        self.agree(
            wait,
            lambda: self.model.hand_over(several, customer),
            lambda: reservations.hand_over(several, customer_id=customer),
        )

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────

    def pass_time(self, wait: str) -> None:
        if not wait:
            return
        end = self.model.next_end()
        if wait == "long" or end is None:
            end = self.time.instant + timedelta(seconds=45)
        tick = timedelta(microseconds=1) if wait == "to just before the end" else timedelta()
        self.model.now = self.time.instant = max(end - tick, self.time.instant)
        self.moved = True

    @rule(wait=WAITS)
    def look(self, wait: str) -> None:
        self.pass_time(wait)

    @precondition(lambda self: self.model.overdue(self.model.items))
    @rule(limit=st.integers(1, 3))
    def sweep(self, limit: int) -> None:
        assert reservations.expire_overdue(limit=limit) == self.model.expire(self.model.items, limit)
        self.moved = True

    # ── What must be the case after every step ───────────────────────────────────────────────────

    @invariant()
    def what_is_stored_is_what_the_model_says(self) -> None:
        rows = db.session.execute(STORED_ITEMS, {"first": self.first_item})
        items = {(row.product_id, row.code): tuple(row[2:]) for row in rows}
        assert items == {key: self.stored(key) for key in self.model.items}
        found = db.session.execute(STORED_HOLDS, {"first": self.first_item})
        holds = {row.id: tuple(row[1:]) for row in found}
        promises = self.model.promises.values()
        assert holds == {p.id: (p.units, p.status, p.customer, p.order) for p in promises}

    def stored(self, key: Key) -> tuple[int, int, int, int, int]:
        item = self.model.items[key]
        return item.quantity, self.model.occupied(key), item.version, item.minimum, int(item.archived)

    @invariant()
    def readers_see_what_the_model_says_and_the_audit_is_clean(self) -> None:
        if not self.moved:
            return
        self.moved = False
        rows = [row for product in self.products for row in item_rows.find(product, None, self.time.instant)]
        seen = {
            (row.product_id, row.location): (row.quantity, row.reserved_quantity, row.available_quantity)
            for row in rows
        }
        assert seen == {key: self.live(key) for key in self.model.items}
        db.session.rollback()
        assert audit.check(after=self.first_item).findings == []

    def live(self, key: Key) -> tuple[int, int, int]:
        quantity, held = self.model.items[key].quantity, self.model.held(key)
        return quantity, held, quantity - held

    def agree(self, wait: str, predict: Callable[[], T], act: Callable[[], Any]) -> tuple[T | None, Any]:
        """Both do it, or both refuse it with the same code."""
        self.pass_time(wait)
        predicted = done = expected = refused = None
        try:
            with self.model.all_or_nothing():
                predicted = predict()
        except Refused as refusal:
            expected = str(refusal)
        try:
            done = act()
        except DomainError as error:
            refused = problems.code_of(type(error))
        assert refused == expected
        self.moved |= refused is None
        return predicted, done
