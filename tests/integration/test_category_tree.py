"""Any sequence of changes leaves a tree of categories that a plain model agrees with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.errors import DomainError
from app.extensions import db
from app.models import Category
from app.repositories import categories as category_rows
from app.services import categories
from tests.conftest import Time

NAMES = st.sampled_from(["a", "A", "b", "c", "ß", "SS"])
PICK = st.integers(0, 30)


class Node:
    """A category as the model has it; `deleted` is the number of the deletion it went with."""

    def __init__(self, name: str, parent: Node | None) -> None:
        self.name, self.parent, self.deleted = name, parent, 0

    def line(self) -> list[Node]:
        return [*(self.parent.line() if self.parent else []), self]


class TreeMachine(RuleBasedStateMachine):
    """The service beside a tree of plain objects: each call is refused by both or done by both."""

    time: Time

    @initialize()
    def empty(self) -> None:
        db.session.rollback()
        with db.engine.begin() as connection:
            for _ in range(25):  # leaves first: the foreign key holds parents
                connection.exec_driver_sql(
                    "DELETE FROM categories WHERE id NOT IN"
                    " (SELECT parent_id FROM (SELECT parent_id FROM categories WHERE parent_id IS NOT NULL) AS above)"
                )
        self.nodes: dict[int, Node] = {}
        self.deletions = 0

    def pick(self, number: int) -> int | None:
        """An id that exists, or the top when nothing does."""
        known = sorted(self.nodes)
        return known[number % len(known)] if known else None

    def below(self, node: Node) -> list[Node]:
        return [each for each in self.nodes.values() if node in each.line()]

    def is_free(self, name: str, parent: Node | None, besides: Node | None = None) -> bool:
        return all(
            each is besides or each.deleted or each.parent is not parent or each.name.casefold() != name.casefold()
            for each in self.nodes.values()
        )

    def agree(self, allowed: bool, call, *args, **kwargs):
        try:
            answer = call(*args, **kwargs)
        except DomainError as refusal:
            assert not allowed, refusal
            return None
        assert allowed, "the model refuses this"
        return answer

    @rule(name=NAMES, number=PICK, top=st.booleans())
    def create(self, name: str, number: int, top: bool) -> None:
        parent_id = None if top else self.pick(number)
        parent = self.nodes[parent_id] if parent_id else None
        allowed = not (parent and parent.deleted) and self.is_free(name, parent)
        made = self.agree(allowed, categories.create, {"name": name, "parent_id": parent_id})
        if made is not None:
            self.nodes[made.id] = Node(name, parent)

    @rule(number=PICK, name=NAMES)
    def rename(self, number: int, name: str) -> None:
        category_id = self.pick(number)
        if category_id is None:
            return
        node = self.nodes[category_id]
        allowed = not node.deleted and self.is_free(name, node.parent, node)
        if self.agree(allowed, self.change, category_id, {"name": name}):
            node.name = name

    @rule(number=PICK, goal=PICK, top=st.booleans())
    def move(self, number: int, goal: int, top: bool) -> None:
        category_id = self.pick(number)
        if category_id is None:
            return
        parent_id = None if top else self.pick(goal)
        node, parent = self.nodes[category_id], self.nodes[parent_id] if parent_id else None
        allowed = (
            not node.deleted
            and not (parent and (parent.deleted or node in parent.line()))
            and self.is_free(node.name, parent, node)
        )
        if self.agree(allowed, self.change, category_id, {"parent_id": parent_id}):
            node.parent = parent

    @rule(number=PICK)
    def delete(self, number: int) -> None:
        category_id = self.pick(number)
        if category_id is None:
            return
        node = self.nodes[category_id]
        if self.agree(not node.deleted, categories.delete, category_id):
            self.deletions += 1
            for each in self.below(node):
                each.deleted = each.deleted or self.deletions
            self.time.forward(seconds=1)

    @rule(number=PICK)
    def restore(self, number: int) -> None:
        category_id = self.pick(number)
        if category_id is None:
            return
        node = self.nodes[category_id]
        back = [each for each in self.below(node) if node.deleted and each.deleted == node.deleted]
        allowed = not (node.deleted and node.parent and node.parent.deleted) and all(
            self.is_free(each.name, each.parent, each) for each in back
        )
        if self.agree(allowed, categories.restore, category_id):
            for each in back:
                each.deleted = 0

    @rule(number=PICK)
    def remove(self, number: int) -> None:
        category_id = self.pick(number)
        if category_id is None:
            return
        node = self.nodes[category_id]
        if self.agree(self.below(node) == [node], categories.remove, category_id):
            del self.nodes[category_id]

    def change(self, category_id: int, values: dict[str, Any]) -> Category:
        version = category_rows.get(category_id).version
        return categories.update(category_id, values, version=version, versions=None)

    @invariant()
    def the_rows_are_what_the_model_says(self) -> None:
        if not hasattr(self, "nodes"):
            return
        db.session.rollback()
        ids = {node: category_id for category_id, node in self.nodes.items()}
        expected = {
            category_id: (
                node.name,
                ids.get(node.parent) if node.parent else None,
                "/" + "".join(f"{ids[each]}/" for each in node.line()),
                len(node.line()),
                bool(node.deleted),
            )
            for category_id, node in self.nodes.items()
        }
        rows = db.session.query(Category).all()
        assert expected == {
            row.id: (row.name, row.parent_id, row.path, row.depth, row.archived_at is not None) for row in rows
        }


@pytest.fixture
def machine(app, time):
    return type("Machine", (TreeMachine,), {"time": time})


def test_the_tree_stays_a_tree_whatever_is_done_to_it(machine):
    thorough = settings(max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=thorough)


def test_control_a_move_that_forgets_what_is_below_is_found(machine, monkeypatch):
    monkeypatch.setattr(category_rows, "move_below", lambda *args, **kwargs: None)
    run = machine()
    run.empty()
    for name, top in (("a", True), ("b", False), ("c", True)):
        run.create(name, 0, top)
    run.the_rows_are_what_the_model_says()
    run.move(0, 2, False)
    with pytest.raises(AssertionError):
        run.the_rows_are_what_the_model_says()
