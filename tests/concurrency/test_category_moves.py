"""The tree under two editors at once: never a circle, never a child below what is being taken away or moved."""

from __future__ import annotations

import pytest

from app.extensions import db
from app.models import Category
from app.repositories import categories as category_rows
from app.services import categories
from tests.concurrency import races
from tests.concurrency.guards import Guard

TREE_IS_READ: list[races.Point] = [(category_rows, "lock")]


@pytest.fixture
def pair(app):
    """Two categories side by side, each with one below it."""
    made = {}
    for name in ("A", "B"):
        made[name] = categories.create({"name": name}).id
        made[name.lower()] = categories.create({"name": name.lower(), "parent_id": made[name]}).id
    return made


def move(category_id: int, parent_id: int | None) -> races.Actor:
    return races.call("POST", f"/categories/{category_id}/move", {"parent_id": parent_id, "version": 1})


def broken() -> list[str]:
    """What is wrong with the tree: rows whose path is not their parent's path and their own id."""
    db.session.rollback()
    rows = {row.id: row for row in db.session.query(Category)}
    wrong = []
    for row in rows.values():
        above = rows[row.parent_id].path if row.parent_id else "/"
        if (row.path, row.depth) != (f"{above}{row.id}/", above.count("/")):
            wrong.append(f"{row.name}: {row.path} below {above}")
        if row.archived_at is None and row.parent_id and rows[row.parent_id].archived_at is not None:
            wrong.append(f"{row.name} is live below a deleted one")
    return wrong


def test_of_two_moves_that_would_make_a_circle_one_wins(app, pair):
    answers = races.at_once(app, move(pair["A"], pair["b"]), move(pair["B"], pair["a"]), points=TREE_IS_READ)
    assert sorted(answer.won for answer in answers) == [False, True]
    assert {(answer.status, answer.code) for answer in answers if not answer.won} == {(409, "category_circle")}
    assert broken() == []


def test_control_without_the_locks_both_moves_win_and_the_tree_has_a_circle(app, pair, without):
    without(Guard.LOCKS)
    # One inside the other: side by side, the writes alone would at times end in a deadlock instead of in damage.
    answers = races.just_after(app, TREE_IS_READ, move(pair["A"], pair["b"]), move(pair["B"], pair["a"]))
    assert [answer.won for answer in answers] == [True, True]
    assert broken() != []


def test_what_is_created_below_a_moving_category_moves_along(app, pair):
    create = races.call("POST", "/categories/", {"name": "new", "parent_id": pair["a"]})
    answers = races.at_once(app, move(pair["A"], pair["B"]), create, points=TREE_IS_READ)
    assert [answer.won for answer in answers] == [True, True]
    assert broken() == []


@pytest.mark.parametrize("parent", ["A", "a"])
def test_nothing_is_created_below_what_is_deleted_at_the_same_instant(app, pair, parent):
    create = races.call("POST", "/categories/", {"name": "new", "parent_id": pair[parent]})
    answers = races.at_once(app, races.call("DELETE", f"/categories/{pair['A']}"), create, points=TREE_IS_READ)
    assert answers[0].won
    assert answers[1].won or (answers[1].status, answers[1].code) == (422, "unknown_category")
    assert broken() == []


def test_of_two_renames_under_one_version_one_wins(app, pair):
    def rename(name: str) -> races.Actor:
        return races.call("PUT", f"/categories/{pair['A']}", {"name": name, "version": 1})

    answers = races.at_once(app, rename("one"), rename("two"), points=TREE_IS_READ)
    assert sorted((answer.status, answer.code) for answer in answers) == [(200, None), (409, "version_conflict")]


def test_of_two_siblings_with_one_name_one_is_created(app, pair):
    create = races.call("POST", "/categories/", {"name": "twin", "parent_id": pair["A"]})
    answers = races.at_once(app, create, create, points=TREE_IS_READ)
    assert sorted((answer.status, answer.code) for answer in answers) == [(201, None), (409, "already_exists")]


def test_a_move_beside_a_creation_deep_below_it_is_refused_and_breaks_nothing(app):
    below = None
    line = []
    for level in range(18):
        below = categories.create({"name": f"level {level}", "parent_id": below}).id
        line.append(below)
    above = categories.create({"name": "below above", "parent_id": categories.create({"name": "above"}).id}).id
    create = races.call("POST", "/categories/", {"name": "new", "parent_id": line[-1]})
    answers = races.at_once(app, move(line[0], above), create, points=[*TREE_IS_READ, (category_rows, "deepest_below")])
    assert {(answer.status, answer.code) for answer in answers} <= {
        (200, None),
        (201, None),
        (409, "category_too_deep"),
    }
    assert broken() == []
