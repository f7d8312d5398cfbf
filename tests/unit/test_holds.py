"""The one-way life of a promise, tick by tick."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import AlreadyCancelled, AlreadyConfirmed, HoldTimeExceeded, ReservationExpired
from app.models.reservations import Hold, Status

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def hold(status: str = Status.ACTIVE, *, seconds: int = 60) -> Hold:
    return Hold(
        id="r-1",
        inventory_item_id=1,
        product_id="KB-1",
        location="default",
        quantity=5,
        order_id="o-1",
        customer_id="c-1",
        status=status,
        expires_at=NOON + timedelta(seconds=seconds),
        created_at=NOON,
        updated_at=NOON,
    )


def test_a_hold_lives_until_its_last_tick_and_has_lapsed_at_its_end():
    promise = hold()
    assert not promise.is_lapsed(promise.expires_at - TICK)
    assert promise.is_lapsed(promise.expires_at)
    promise.require_live(promise.expires_at - TICK)
    with pytest.raises(ReservationExpired):
        promise.require_live(promise.expires_at)


@pytest.mark.parametrize("ended", [Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED])
def test_what_has_ended_does_not_lapse(ended):
    assert not hold(ended).is_lapsed(NOON + timedelta(days=1))


@pytest.mark.parametrize(
    ("ended", "error"),
    [
        (Status.CONFIRMED, AlreadyConfirmed),
        (Status.CANCELLED, AlreadyCancelled),
        (Status.EXPIRED, ReservationExpired),
    ],
)
def test_each_end_has_its_own_refusal_before_and_after_the_time(ended, error):
    for moment in (NOON, NOON + timedelta(days=1)):
        with pytest.raises(error) as refused:
            hold(ended).require_live(moment)
        assert refused.value.facts["reservation_id"] == "r-1"
        assert refused.value.facts["reservation_status"] == ended


def test_a_reader_sees_a_lapsed_hold_as_expired_since_its_end():
    seen = hold().seen_at(NOON + timedelta(seconds=75))
    assert (seen.status, seen.expired_at) == (Status.EXPIRED, NOON + timedelta(seconds=60))


def test_a_reader_sees_a_live_hold_as_it_is():
    seen = hold().seen_at(NOON + timedelta(seconds=59))
    assert (seen.status, seen.expired_at) == (Status.ACTIVE, None)


def test_extending_counts_from_now_and_remembers_how_much_was_added():
    promise = hold()
    promise.extend(NOON + timedelta(seconds=30), seconds=60, longest=3600)
    assert promise.expires_at == NOON + timedelta(seconds=90)
    assert promise.extended_seconds == 30


def test_extending_may_reach_the_longest_time_but_not_a_second_more():
    promise = hold()
    now = NOON + timedelta(seconds=30)
    with pytest.raises(HoldTimeExceeded) as refused:
        promise.extend(now, seconds=3571, longest=3600)
    assert refused.value.facts["latest_expires_at"] == NOON + timedelta(seconds=3600)
    assert promise.expires_at == NOON + timedelta(seconds=60)
    promise.extend(now, seconds=3570, longest=3600)
    assert promise.expires_at == NOON + timedelta(seconds=3600)


def test_shortening_adds_no_seconds():
    promise = hold()
    promise.extend(NOON, seconds=10, longest=3600)
    assert (promise.expires_at, promise.extended_seconds) == (NOON + timedelta(seconds=10), 0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 300)), max_size=20))
def test_no_row_of_extensions_outlives_the_longest_time(steps):
    promise, now = hold(), NOON
    for waited, seconds in steps:
        now += timedelta(seconds=waited)
        with suppress(HoldTimeExceeded):
            promise.extend(now, seconds=seconds, longest=240)
        assert promise.expires_at <= NOON + timedelta(seconds=240)


def test_confirming_a_part_keeps_the_part_as_the_quantity():
    promise = hold()
    promise.confirm(NOON, quantity=3)
    assert (promise.status, promise.quantity, promise.confirmed_at) == (Status.CONFIRMED, 3, NOON)
    assert (promise.cancelled_at, promise.expired_at, promise.reacquired_at) == (None, None, None)


def test_reacquiring_is_a_confirmation_that_says_it_was_late():
    promise, late = hold(Status.EXPIRED), NOON + timedelta(seconds=61)
    promise.reacquire(late, quantity=5)
    assert (promise.status, promise.reacquired_at, promise.confirmed_at) == (Status.CONFIRMED, late, late)


def test_every_hold_remembers_the_status_it_was_read_with():
    promise = hold()
    promise.cancel(NOON)
    assert (promise.status, promise.seen[0]) == (Status.CANCELLED, Status.ACTIVE)
    assert promise.cancelled_at == NOON
