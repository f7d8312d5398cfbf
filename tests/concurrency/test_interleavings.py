"""The same scenes without threads: the second runs to its end at the worst moment of the first."""

from __future__ import annotations

from operator import attrgetter

import pytest

from app.repositories import reservations
from tests import factories
from tests.concurrency import races, scenes
from tests.concurrency.guards import ALL, Guard
from tests.concurrency.test_races import assert_one_had_its_way, every_scene

either_way = pytest.mark.parametrize(
    "actors", [attrgetter("first", "second"), attrgetter("second", "first")], ids=["in_order", "reversed"]
)


@either_way
@every_scene
def test_whoever_commits_at_the_last_moment_before_the_lock_is_seen(app, backend, time, scene, actors):
    stage = scene(time)
    # SQLite's lock is the transaction itself, so nobody can slip in once that has begun.
    last_moment = races.TRANSACTION_BEGINS if backend == "embedded" else races.ANYTHING_IS_LOCKED
    answers = races.just_before(app, last_moment, *actors(stage))
    assert [answer.won for answer in answers] == [False, True], answers
    assert_one_had_its_way(answers, stage)


@either_way
@every_scene
def test_whoever_commits_between_an_unlocked_read_and_the_write_is_seen_by_the_guard(app, time, without, scene, actors):
    stage = scene(time)
    without(Guard.LOCKS, Guard.SEQUENCE)
    answers = races.just_after(app, races.ITEMS_ARE_READ, *actors(stage))
    assert [answer.won for answer in answers] == [False, True], answers
    assert_one_had_its_way(answers, stage)


@pytest.mark.leaves_findings
@either_way
@every_scene
def test_control_without_guards_whoever_commits_in_between_is_overwritten(app, time, without, scene, actors):
    stage = scene(time)
    without(*ALL)
    answers = races.just_after(app, races.ITEMS_ARE_READ, *actors(stage))
    assert [answer.won for answer in answers] == [True, True], answers
    assert stage.harmed()


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_a_sweep_passes_over_a_hold_that_is_being_confirmed_and_does_not_wait(app, time):
    stage = scenes.confirm_against_expiry(time)
    answers = races.just_after(app, [(reservations, "lock")], stage.first, stage.second)
    assert answers == [races.Answer(200), races.Answer(404, "nothing_overdue")]


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_control_without_its_lock_the_hold_that_is_being_confirmed_is_swept(app, time, without):
    stage = scenes.confirm_against_expiry(time)
    without(Guard.LOCKS)
    answers = races.just_after(app, [(reservations, "lock")], stage.first, stage.second)
    assert answers == [races.Answer(410, "reservation_expired"), races.Answer(200)]


def a_buyer_in_need(time):
    """One unit, promised to somebody whose time runs out in this instant; and a buyer whose clock says it has."""
    held = scenes.about_to_expire(time, units=1)
    confirm = races.call("POST", f"/reservations/{held.id}/confirm")
    return held, confirm, races.a_moment_later(scenes.buyer(1))


def test_a_buyer_who_expires_a_hold_on_demand_is_seen_by_its_owner(app, backend, time):
    held, confirm, buyer = a_buyer_in_need(time)
    last_moment = races.TRANSACTION_BEGINS if backend == "embedded" else races.ANYTHING_IS_LOCKED
    answers = races.just_before(app, last_moment, confirm, buyer)
    assert answers == [races.Answer(410, "reservation_expired"), races.Answer(201)]
    assert (scenes.ends(held), factories.numbers()) == (1, (1, 1, 0))


def test_an_owner_who_confirms_first_is_seen_by_the_buyer_in_need(app, backend, time):
    held, confirm, buyer = a_buyer_in_need(time)
    last_moment = races.TRANSACTION_BEGINS if backend == "embedded" else races.ANYTHING_IS_LOCKED
    answers = races.just_before(app, last_moment, buyer, confirm)
    assert answers == [races.Answer(409, "insufficient_stock"), races.Answer(200)]
    assert (scenes.ends(held), factories.numbers()) == (1, (0, 0, 0))


@pytest.mark.leaves_findings
def test_control_without_guards_owner_and_buyer_both_get_the_unit(app, time, without):
    held, confirm, buyer = a_buyer_in_need(time)
    without(*ALL)
    answers = races.just_after(app, races.ITEMS_ARE_READ, confirm, buyer)
    assert answers == [races.Answer(200), races.Answer(201)]
    assert scenes.ends(held) == 2
