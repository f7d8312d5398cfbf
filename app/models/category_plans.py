"""What an import does with each category: keep it, make it, change it or refuse it.

A name that one category leaves is free for another one, in whatever order the files name the two. Who leaves shows
only once all is decided, so it is decided again until nobody leaves who was taken to stay.

Pure: decided from what the files say and what is stored. What is decided once is decided the same again, so that a
second import of the same files finds everything as it should be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.models.categories import name_key
from app.models.category_actions import (
    Action,
    Change,
    Keep,
    Make,
    Ref,
    Refuse,
    Slot,
    Stored,
    slot_of,
    told_apart,
)
from app.models.category_forest import Forest, Key, Node
from app.models.category_turns import in_turn
from app.models.imported import Remark


@dataclass(slots=True)
class Plan:
    """`actions` has parents before children."""

    actions: list[Action] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def planned(forest: Forest, stored: Sequence[Stored]) -> Plan:
    leaving, stuck = set[int](), set[int]()
    while True:
        planner = _Planner(stored, leaving - stuck, stuck)
        plan = planner.plan(forest)
        # Both only grow, so this ends.
        if planner.left <= leaving and not (planner.refused & leaving) - stuck:
            return Plan(in_turn(plan.actions, stored), plan.remarks)
        stuck |= planner.refused & leaving
        leaving |= planner.left


class _Planner:
    """`_slots` is who has a name on a level, kept as it will be after the actions so far. Those who are `leaving`
    have none until their turn; those who are `stuck` stay, for where they would go was taken.
    """

    def __init__(self, stored: Iterable[Stored], leaving: set[int], stuck: set[int]) -> None:
        self.left: set[int] = set()
        self.refused: set[int] = set()
        self._plan = Plan()
        self._stored = {each.id: each for each in stored}
        self._by_external = {each.external_id: each for each in self._stored.values() if each.external_id}
        self._slots: dict[Slot, Ref] = {
            slot_of(each): each.id for each in self._stored.values() if not each.deleted and each.id not in leaving
        }
        self._stuck = stuck
        self._claimed: dict[Ref, dict[str, Any]] = {}
        self._refs: dict[Key, Ref] = {}
        self._refused_keys: set[Key] = set()

    def plan(self, forest: Forest) -> Plan:
        for node in (node for level in forest.levels for node in level):
            action = self._decide(node)
            if isinstance(action, Refuse):
                self._refused_keys.add(node.key)
                if known := self._by_external.get(node.external_id or ""):
                    self.refused.add(known.id)
            self._plan.actions.append(action)
        return self._plan

    def _decide(self, node: Node) -> Action:
        if node.parent is not None and node.parent in self._refused_keys:
            return Refuse(node, "what it hangs below was refused")
        parent = None if node.parent is None else self._refs[node.parent]
        known = self._by_external.get(node.external_id) if node.external_id else None
        if known is not None:
            self._refs[node.key] = known.id
            return self._kept_or_changed(node, known, parent)
        holder = self._slots.get((parent, name_key(node.name or node.external_id or "")))
        if node.external_id is None and holder is not None:
            return self._called_so(node, holder)
        if self._may_adopt(holder):
            return self._adopt(node, self._stored[holder])  # type: ignore[index]
        return self._made(node, parent)

    def _kept_or_changed(self, node: Node, known: Stored, parent: Ref | None) -> Action:
        if known.deleted:
            return Refuse(node, f"category {known.id} is deleted; restore it first")
        target = parent if node.placed else known.parent_id
        wanted = node.name if node.own and node.name else known.name
        name = self._free_name(node, target, wanted, known.id)
        before, after = slot_of(known), (target, name_key(name or ""))
        if name is None or (known.id in self._stuck and after != before):
            return Refuse(node, f"two categories have the name {wanted!r} there")
        if after != before:
            self.left.add(known.id)
        if self._slots.get(before) == known.id:
            del self._slots[before]
        self._slots[after] = known.id
        values = self._claim(node, known.id, known.attributes) | ({"name": name} if name != known.name else {})
        if target == known.parent_id and not values:
            return Keep(node, known.id)
        if after != before:
            self._remark_marked(node, name, wanted)
        return Change(node, known, values, (target,) if target != known.parent_id else ())

    def _called_so(self, node: Node, holder: Ref) -> Action:
        """A category without an id is the one that is called so there."""
        self._refs[node.key] = holder
        if holder in self._claimed:
            if _added(self._claimed[holder], node):
                return Refuse(node, "another row says other attributes of the same category")
            return Keep(node, holder)
        known = self._stored[holder]  # type: ignore[index]
        values = self._claim(node, holder, known.attributes)
        return Change(node, known, values) if values else Keep(node, holder)

    def _may_adopt(self, holder: Ref | None) -> bool:
        """One that was made from a name alone is the one that a file now gives an id, unless another has it by then."""
        return isinstance(holder, int) and self._stored[holder].external_id is None and holder not in self._claimed

    def _adopt(self, node: Node, known: Stored) -> Change:
        self._refs[node.key] = known.id
        self._remark("adopted", node, known.name)
        values = {"external_id": node.external_id} | self._claim(node, known.id, known.attributes)
        if node.own and node.name and node.name != known.name:
            values["name"] = node.name
        return Change(node, known, values)

    def _made(self, node: Node, parent: Ref | None) -> Action:
        wanted = node.name or str(node.key)
        name = self._free_name(node, parent, wanted, node.key)
        if name is None:
            return Refuse(node, f"two categories have the name {wanted!r} there")
        self._remark_marked(node, name, wanted)
        if node.external_id and not node.own:
            self._remark("unknown_category" if node.by_product else "only_mentioned", node, name)
            if node.name is None:
                self._remark("nameless", node, "")
        self._refs[node.key] = node.key
        self._slots[parent, name_key(name)] = node.key
        self._claim(node, node.key, {})
        return Make(node, name, parent)

    def _free_name(self, node: Node, parent: Ref | None, name: str, me: Ref) -> str | None:
        """The name, or with its id behind it when a sibling has it, or None when that is taken as well."""
        if self._slots.get((parent, name_key(name)), me) == me:
            return name
        marked = told_apart(name, node.external_id)
        return marked if self._slots.get((parent, name_key(marked)), me) == me else None

    def _remark_marked(self, node: Node, name: str, wanted: str) -> None:
        if name != wanted:
            self._remark("same_name", node, name)

    def _remark(self, kind: str, node: Node, detail: str) -> None:
        self._plan.remarks.append(Remark(kind, node.origin, node.external_id or "", detail))

    def _claim(self, node: Node, ref: Ref, attributes: dict[str, Any]) -> dict[str, Any]:
        """The category is what this node means; the change of its attributes, if that is one."""
        self._claimed[ref] = attributes | node.attributes
        return _added(attributes, node)


def _added(attributes: dict[str, Any], node: Node) -> dict[str, Any]:
    """What the node's own row says and is not stored so, compared as JSON is written: there 1, 1.0 and true differ."""
    merged = attributes | node.attributes
    same = json.dumps(merged, sort_keys=True) == json.dumps(attributes, sort_keys=True)
    return {} if same else {"attributes": merged}
