"""What one customer may hold: the exact boundaries of a budget, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate, product

import pytest

from app.errors import HoldBudgetExceeded, HoldCoolDown
from app.models.hold_budgets import Held, HoldBudget, HoldLimits
from config import Config, ConfigurationError

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
THREE_A_MINUTE = HoldLimits(expiries=3, window=timedelta(seconds=60), cool_down=timedelta(seconds=100))


def budget(limits, *, units=0, holds=0, next_release_at=None, now=NOON, expiries=()):
    held = Held(units=units, holds=holds, next_release_at=next_release_at)
    return HoldBudget(customer_id="c-1", now=now, limits=limits, held=held, expiries=expiries)


def seconds(*after_noon):
    return [NOON + timedelta(seconds=second) for second in after_noon]


# ── Units and holds ──────────────────────────────────────────────────────────────────────────────


def test_the_last_unit_of_a_budget_is_given_and_one_more_is_not():
    mine = budget(HoldLimits(units=10), units=7, holds=2, next_release_at=NOON + TICK)
    mine.require(units=3, holds=1)
    with pytest.raises(HoldBudgetExceeded) as refused:
        mine.require(units=4, holds=1)
    assert refused.value.facts == {
        "customer_id": "c-1",
        "limited": "units",
        "limit": 10,
        "held": 7,
        "requested": 4,
        "left": 3,
        "next_release_at": NOON + TICK,
    }


def test_the_last_hold_of_a_budget_is_given_and_one_more_is_not():
    mine = budget(HoldLimits(holds=3), units=500, holds=2)
    mine.require(units=500, holds=1)
    with pytest.raises(HoldBudgetExceeded) as refused:
        mine.require(units=1, holds=2)
    told = refused.value.facts
    assert [told[name] for name in ("limited", "limit", "held", "requested", "left")] == ["holds", 3, 2, 2, 1]


def test_a_hold_that_only_grows_is_not_one_more_hold():
    full = budget(HoldLimits(units=10, holds=2), units=9, holds=2)
    full.require(units=1, holds=0)
    with pytest.raises(HoldBudgetExceeded):
        full.require(units=2, holds=0)


def test_who_has_more_than_a_limit_that_was_lowered_is_refused_only_what_grows():
    over = budget(HoldLimits(units=5, holds=1), units=9, holds=4)
    over.require(units=0, holds=0)
    with pytest.raises(HoldBudgetExceeded) as refused:
        over.require(units=1, holds=0)
    assert refused.value.facts["left"] == 0


def test_without_limits_everything_fits():
    budget(HoldLimits(), units=10**9, holds=10**6, expiries=[NOON] * 1000).require(units=10**9, holds=100)


# ── The cool-down ────────────────────────────────────────────────────────────────────────────────


def test_one_expiry_less_than_the_limit_starts_nothing():
    budget(THREE_A_MINUTE, expiries=seconds(2, 1)).require(units=1, holds=1)


def test_expiries_start_a_cool_down_when_they_lie_less_than_a_window_apart():
    assert budget(THREE_A_MINUTE, expiries=seconds(60, 30, 0)).cool_down_ends() is None
    within = [NOON + timedelta(seconds=60) - TICK, *seconds(30, 0)]
    assert budget(THREE_A_MINUTE, expiries=within).cool_down_ends() == NOON + timedelta(seconds=160) - TICK


def test_a_cool_down_ends_at_its_last_instant_and_says_how_many_whole_seconds_are_left():
    ends = NOON + timedelta(seconds=110)
    with pytest.raises(HoldCoolDown) as refused:
        budget(THREE_A_MINUTE, now=ends - TICK, expiries=seconds(10, 5, 0)).require(units=2, holds=1)
    assert refused.value.facts == {
        "customer_id": "c-1",
        "requested_units": 2,
        "requested_holds": 1,
        "limit": 3,
        "window_seconds": 60,
        "last_expired_at": NOON + timedelta(seconds=10),
        "cool_down_seconds": 100,
        "cool_down_ends_at": ends,
        "retry_after_seconds": 1,
    }
    budget(THREE_A_MINUTE, now=ends, expiries=seconds(10, 5, 0)).require(units=2, holds=1)


def test_a_further_expiry_never_ends_a_cool_down_early():
    """The latest three lie further apart than a window, those before them do not."""
    assert budget(THREE_A_MINUTE, expiries=seconds(90, 10, 5, 0)).cool_down_ends() == NOON + timedelta(seconds=110)


def test_an_expiry_during_a_cool_down_prolongs_it_when_it_is_one_too_many_again():
    assert budget(THREE_A_MINUTE, expiries=seconds(50, 10, 5, 0)).cool_down_ends() == NOON + timedelta(seconds=150)


def test_the_cool_down_bars_what_there_is_room_for_and_not_what_is_only_handed_over():
    cooling = budget(THREE_A_MINUTE, now=NOON + timedelta(seconds=20), expiries=seconds(10, 5, 0))
    with pytest.raises(HoldCoolDown):
        cooling.require(units=1, holds=0)
    cooling.require_room(units=1, holds=1)


def is_cooling(limits, expiries, now):
    """The rule in its own words, over everything that ever ran out."""
    return any(
        last <= now < last + limits.cool_down
        and sum(last - limits.window < earlier <= last for earlier in expiries[at:]) >= limits.expiries
        for at, last in enumerate(expiries)
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
@pytest.mark.parametrize(("window", "cool_down"), [(10, 5), (10, 10), (5, 13), (2, 7)])
def test_the_few_latest_expiries_tell_what_all_of_them_would(limit, window, cool_down):
    limits = HoldLimits(expiries=limit, window=timedelta(seconds=window), cool_down=timedelta(seconds=cool_down))
    for gaps in product((0, 3, 7), repeat=6):
        times = seconds(*(-ago for ago in accumulate(gaps)))
        ends = budget(limits, expiries=times[: limits.telling_expiries]).cool_down_ends()
        assert (ends is not None and ends > NOON) == is_cooling(limits, times, NOON), gaps


# ── Settings ─────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_limited_unless_the_operator_says_so(monkeypatch):
    monkeypatch.setenv("FLASK_ENV", "development")
    config = Config.from_env()
    assert (config.hold_budget_units, config.hold_budget_holds, config.hold_budget_expiries) == (0, 0, 0)
    assert (config.hold_budget_window_seconds, config.hold_budget_cool_down_seconds) == (3600, 900)


@pytest.mark.parametrize("name", ["UNITS", "HOLDS", "EXPIRIES", "WINDOW_SECONDS", "COOL_DOWN_SECONDS"])
def test_each_limit_is_read_from_the_environment_and_refused_by_name_when_it_is_none(monkeypatch, name):
    monkeypatch.setenv("FLASK_ENV", "development")
    monkeypatch.setenv(f"HOLD_BUDGET_{name}", "7")
    assert getattr(Config.from_env(), f"hold_budget_{name.lower()}") == 7
    monkeypatch.setenv(f"HOLD_BUDGET_{name}", "-1")
    with pytest.raises(ConfigurationError, match=f"HOLD_BUDGET_{name}"):
        Config.from_env()
