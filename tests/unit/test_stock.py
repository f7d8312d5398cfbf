"""One item's numbers: what may happen to them, and that every change leaves the row that explains it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BelowReserved, DomainError, InsufficientStock, ItemArchived, ItemNotEmpty, QuantityLimit
from app.models.stock import Cause, Stock
from app.models.stock_movements import MovementType
from config import MAX_QUANTITY

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def stock(quantity: int = 10, reserved: int = 0, *, archived: bool = False) -> Stock:
    return Stock(
        id=1,
        product_id="KB-1",
        location="default",
        location_priority=100,
        quantity=quantity,
        reserved_quantity=reserved,
        minimum_stock_level=0,
        maximum_stock_level=None,
        version=7,
        archived_at=NOON if archived else None,
    )


def numbers(item: Stock) -> tuple[int, int, int]:
    return item.quantity, item.reserved_quantity, item.version


def test_a_hold_reserves_and_leaves_the_units_on_hand():
    item = stock(10, 3)
    row = item.hold(7, Cause(reservation_id="r-1"))
    assert numbers(item) == (10, 10, 8)
    assert (row.movement_type, row.quantity_change, row.reserved_change) == (MovementType.RESERVATION, 0, 7)
    assert (row.quantity_after, row.reserved_after, row.sequence) == (10, 10, 8)
    assert row.cause.reservation_id == "r-1"


def test_one_unit_more_than_available_is_refused_with_the_true_numbers():
    item = stock(10, 3)
    with pytest.raises(InsufficientStock) as refused:
        item.hold(8, Cause())
    facts = refused.value.facts
    assert (facts["requested"], facts["available_quantity"]) == (8, 7)
    assert (facts["reserved_quantity"], facts["shortage"]) == (3, 1)
    assert numbers(item) == (10, 3, 7)
    assert item.movements == []


@pytest.mark.parametrize(
    ("act", "kind", "changes"),
    [
        (Stock.release, MovementType.RELEASE, (0, -2)),
        (Stock.expire, MovementType.EXPIRY, (0, -2)),
        (Stock.take, MovementType.OUTBOUND, (-2, -2)),
        (Stock.shrink, MovementType.RESERVATION, (0, -2)),
    ],
)
def test_every_end_of_a_hold_is_one_row_of_its_own_kind(act, kind, changes):
    item = stock(10, 5)
    row = act(item, 2, Cause())
    assert (row.movement_type, (row.quantity_change, row.reserved_change)) == (kind, changes)
    assert numbers(item) == (10 + changes[0], 5 + changes[1], 8)


def test_taking_stock_away_never_cuts_into_what_is_promised():
    item = stock(10, 4)
    with pytest.raises(InsufficientStock):
        item.change(MovementType.DAMAGE, -7, Cause())
    item.change(MovementType.DAMAGE, -6, Cause())
    assert numbers(item) == (4, 4, 8)


def test_an_item_holds_a_billion_units_and_not_one_more():
    item = stock(MAX_QUANTITY - 1)
    item.change(MovementType.INBOUND, 1, Cause())
    with pytest.raises(QuantityLimit) as refused:
        item.change(MovementType.INBOUND, 1, Cause())
    assert (refused.value.facts["quantity"], refused.value.facts["maximum"]) == (1_000_000_000, 1_000_000_000)
    assert numbers(item) == (1_000_000_000, 0, 8)


def test_a_count_of_the_same_number_leaves_no_row():
    item = stock(10, 4)
    assert item.count(10, Cause()) is None
    assert (numbers(item), item.movements) == ((10, 4, 7), [])


def test_a_count_may_come_down_to_what_is_promised_but_not_below():
    item = stock(10, 4)
    with pytest.raises(BelowReserved) as refused:
        item.count(3, Cause())
    assert (refused.value.facts["requested"], refused.value.facts["reserved_quantity"]) == (3, 4)
    row = item.count(4, Cause())
    assert row is not None
    assert (row.movement_type, row.quantity_change) == (MovementType.ADJUSTMENT, -6)
    assert numbers(item) == (4, 4, 8)


def test_levels_that_stay_the_same_leave_no_row_and_new_ones_leave_a_row_of_no_units():
    item = stock(10)
    assert item.set_levels(0, None) is None
    row = item.set_levels(2, 20)
    assert row is not None
    assert (row.quantity_change, row.reserved_change, row.sequence) == (0, 0, 8)
    assert (item.minimum_stock_level, item.maximum_stock_level) == (2, 20)


@pytest.mark.parametrize(("quantity", "reserved"), [(1, 0), (1, 1)])
def test_an_item_with_stock_or_promises_is_not_archived(quantity, reserved):
    item = stock(quantity, reserved)
    with pytest.raises(ItemNotEmpty):
        item.archive(NOON)
    assert (item.archived_at, item.movements) == (None, [])


def test_an_empty_item_is_archived_with_a_row():
    item = stock(0)
    assert item.archive(NOON).cause.reason == "archived"
    assert (item.archived_at, item.version) == (NOON, 8)


def test_an_archived_item_is_reopened_with_a_row():
    item = stock(0, archived=True)
    assert item.reopen().cause.reason == "reopened"
    assert (item.archived_at, item.version) == (None, 8)


@pytest.mark.parametrize(
    "act",
    [
        lambda item: item.hold(1, Cause()),
        lambda item: item.change(MovementType.INBOUND, 1, Cause()),
        lambda item: item.count(5, Cause()),
        lambda item: item.set_levels(1, None),
        lambda item: item.archive(NOON),
    ],
)
def test_an_archived_item_can_only_be_read(act):
    item = stock(0, archived=True)
    with pytest.raises(ItemArchived):
        act(item)
    assert item.movements == []


CHANGES = st.lists(
    st.tuples(st.sampled_from(["hold", "release", "take", "in", "out", "count"]), st.integers(0, 12)), max_size=30
)


@given(CHANGES)
def test_whatever_is_asked_the_rows_add_up_and_reserved_stays_between_zero_and_on_hand(changes):
    item = stock(10, 0)
    for name, units in changes:
        with suppress(DomainError):
            _apply(item, name, units)
        assert 0 <= item.reserved_quantity <= item.quantity
    assert item.quantity == 10 + sum(row.quantity_change for row in item.movements)
    assert item.reserved_quantity == sum(row.reserved_change for row in item.movements)
    assert [row.sequence for row in item.movements] == list(range(8, 8 + len(item.movements)))
    assert item.version == item.seen_version + len(item.movements)


def _apply(item: Stock, name: str, units: int) -> None:
    promised = min(units, item.reserved_quantity)
    match name:
        case "hold":
            item.hold(units, Cause())
        case "release":
            item.release(promised, Cause())
        case "take":
            item.take(promised, Cause())
        case "in":
            item.change(MovementType.INBOUND, units, Cause())
        case "out":
            item.change(MovementType.OUTBOUND, -units, Cause())
        case "count":
            item.count(units, Cause())
