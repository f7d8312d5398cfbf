"""Two at the same instant, in threads: exactly one has its way, and without the guards both have."""

from __future__ import annotations

import pytest

from tests.concurrency import races, scenes
from tests.concurrency.guards import ALL, Guard

every_scene = pytest.mark.parametrize("scene", scenes.SCENES, ids=lambda scene: scene.__name__)
# Two creations have no row to lock or to compare with: between them stands the unique key alone.
scenes_of_one_row = pytest.mark.parametrize("scene", scenes.OF_ONE_ROW, ids=lambda scene: scene.__name__)
# Extending moves no unit: it leaves no row in the ledger to collide with, and without locks it can end in a
# deadlock with a sweep instead of in damage. Its control is the one without threads.
scenes_of_two_movements = pytest.mark.parametrize("scene", scenes.OF_TWO_MOVEMENTS, ids=lambda scene: scene.__name__)


def assert_one_had_its_way(answers: list[races.Answer], stage: scenes.Scene) -> None:
    assert sorted(answer.won for answer in answers) == [False, True], answers
    assert {(answer.status, answer.code) for answer in answers if not answer.won} <= stage.refusals


@every_scene
def test_exactly_one_of_two_at_the_same_instant_has_its_way(app, time, scene):
    stage = scene(time)
    assert_one_had_its_way(races.at_once(app, stage.first, stage.second), stage)


@every_scene
def test_the_guarded_write_alone_lets_exactly_one_have_its_way(app, time, without, scene):
    stage = scene(time)
    without(Guard.LOCKS, Guard.SEQUENCE)
    assert_one_had_its_way(races.at_once(app, stage.first, stage.second, patience=races.CERTAINLY), stage)


@scenes_of_one_row
def test_the_lock_alone_lets_exactly_one_have_its_way(app, time, without, scene):
    stage = scene(time)
    without(Guard.CHECKS, Guard.SEQUENCE, Guard.KEY)
    assert_one_had_its_way(races.at_once(app, stage.first, stage.second), stage)


@pytest.mark.leaves_findings
@pytest.mark.parametrize(
    "scene", [*scenes.OF_TWO_MOVEMENTS, scenes.two_creations_of_one_item], ids=lambda scene: scene.__name__
)
def test_control_without_guards_both_have_their_way_and_the_numbers_are_wrong(app, time, without, scene):
    stage = scene(time)
    without(*ALL)
    answers = races.at_once(app, stage.first, stage.second, patience=races.CERTAINLY)
    assert [answer.won for answer in answers] == [True, True], answers
    assert stage.harmed()


@scenes_of_two_movements
def test_the_ledgers_sequence_is_the_last_line_and_lets_nobody_else_in(app, time, without, scene):
    stage = scene(time)
    without(Guard.LOCKS, Guard.CHECKS)
    answers = races.at_once(app, stage.first, stage.second, patience=races.CERTAINLY)
    assert sum(answer.won for answer in answers) == 1, answers
