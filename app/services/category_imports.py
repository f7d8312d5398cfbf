"""Brings in categories: what the files say of the tree is planned whole, then done chunk by chunk, parents first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from app.errors import DomainError
from app.models import category_forest, category_plans
from app.models.categories import name_key
from app.models.category_actions import Action, Aside, Change, Keep, Make, Ref, Refuse, Stored
from app.models.category_forest import Key
from app.models.imported import Content, Origin, ProductRow, Step, Tally
from app.repositories import categories as category_rows
from app.services import categories
from app.services.import_rows import attempt, refuse
from app.utils.transactions import refusable, transactional


@dataclass(frozen=True, slots=True)
class _Row:
    origin: Origin
    code: str


class CategoryImport:
    """`ids` says which category each key stands for, as far as the actions were done."""

    def __init__(self, content: Content) -> None:
        stored = [Stored(**row._mapping) for row in category_rows.every()]
        self.products = _with_places(content, {name_key(each.name) for each in stored if not each.deleted})
        forest = category_forest.grown(content.categories, content.links, self.products)
        plan = category_plans.planned(forest, stored)
        self.actions = plan.actions
        self.ids: dict[Key, int] = {}
        self.tally = Tally(refused=forest.bad, remarks=forest.remarks + plan.remarks)

    def bring_in(self, actions: Sequence[Action]) -> None:
        """These in one transaction; those before them are through."""
        tally, ids = _bring_in(actions, self.ids)
        self.tally.add(tally)
        self.ids |= ids


@transactional
def _bring_in(actions: Sequence[Action], known: dict[Key, int]) -> tuple[Tally, dict[Key, int]]:
    chunk = _Chunk(known)
    for action in actions:
        chunk.take(action)
    chunk.make()
    return chunk.tally, chunk.ids


class _Chunk:
    """New categories wait until something needs one of them, so that many are made by one statement."""

    def __init__(self, known: dict[Key, int]) -> None:
        self.tally, self.ids = Tally(), dict(known)
        self._waiting: dict[Key, Make] = {}

    def take(self, action: Action) -> None:
        row = _row(action)
        match action:
            case Refuse(_, reason):
                refuse(row, self.tally, reason)
            case Keep(node, ref):
                if (found := self._id(ref)) is not None:
                    self.ids[node.key] = found
                    self.tally.unchanged += 1
                else:
                    refuse(row, self.tally, "the category it means was refused")
            case Change(node, stored, values, parent):
                self.ids[node.key] = stored.id
                self.tally.changed += attempt(row, self.tally, partial(self._change, stored, values, parent))
            case Aside(_, stored, name):
                attempt(row, self.tally, partial(self._change, stored, {"name": name}, ()))
            case Make(node, _, above):
                if above is not None and self._id(above) is None:
                    refuse(row, self.tally, "what it hangs below was refused")
                else:
                    self._waiting[node.key] = action

    def make(self) -> None:
        """All that wait; one that is refused makes them be tried one by one."""
        waiting, self._waiting = list(self._waiting.values()), {}
        if not waiting:
            return
        try:
            with refusable():
                made = categories.create_many([self._values(each) for each in waiting])
        except DomainError:
            for each in waiting:
                self.tally.created += attempt(_row(each), self.tally, partial(self._make_one, each))
        else:
            self.ids |= {each.node.key: category.id for each, category in zip(waiting, made, strict=True)}
            self.tally.created += len(made)

    def _make_one(self, action: Make) -> None:
        self.ids[action.node.key] = categories.create(self._values(action)).id

    def _values(self, action: Make) -> dict[str, Any]:
        above = None if action.parent is None else self._id(action.parent)
        said = {"external_id": action.node.external_id, "attributes": action.node.attributes}
        return said | {"name": action.name, "parent_id": above}

    def _change(self, stored: Stored, values: dict[str, Any], parent: tuple[Ref | None, ...]) -> None:
        for above in parent:
            values = values | {"parent_id": None if above is None else self._id(above)}
        categories.update(stored.id, values, version=stored.version, versions=None)

    def _id(self, ref: Ref) -> int | None:
        """None when it was to be made and could not."""
        if isinstance(ref, int):
            return ref
        if ref in self._waiting:
            self.make()
        return self.ids.get(ref)


def _row(action: Action) -> _Row:
    return _Row(action.node.origin, action.node.external_id or action.node.name or "")


def _with_places(content: Content, names: set[str]) -> list[ProductRow]:
    """The products, where a category's name alone that nobody knows is a category at the top."""
    if any(row.leaf for row in content.products):
        steps = [step for row in content.categories for step in (*row.path, *row.children)]
        steps += [step for row in content.products for step in row.path or ()]
        named = [step.name for step in steps] + [row.name for row in content.categories]
        names = names | {name_key(name) for name in named if name}
    return [
        replace(row, path=(Step(None, row.leaf),), leaf=None) if row.leaf and name_key(row.leaf) not in names else row
        for row in content.products
    ]
