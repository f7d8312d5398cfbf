"""The order in which names change hands: who gives a name away to one whose turn comes first steps aside before it.

Siblings cannot have one name even for a moment. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count

from app.models.categories import name_key
from app.models.category_actions import Action, Aside, Change, Make, Ref, Slot, Stored, slot_of, told_apart


def in_turn(actions: Iterable[Action], stored: Sequence[Stored]) -> list[Action]:
    """The actions, with those that step aside put in where they are needed.

    Whoever steps aside has changed once by its own turn, and says its name there again.
    """
    turns = _Turns(actions, stored)
    for action in turns.actions:
        turns.take(action)
    return turns.ordered


class _Turns:
    def __init__(self, actions: Iterable[Action], stored: Sequence[Stored]) -> None:
        self.actions = list(actions)
        self.ordered: list[Action] = []
        self._waiting = {action.stored.id: action for action in self.actions if isinstance(action, Change)}
        self._held: dict[Slot, Ref] = {slot_of(each): each.id for each in stored if not each.deleted}
        changing = [action for action in self.actions if isinstance(action, Make | Change)]
        self._taken = {*self._held, *map(_slot_after, changing)}

    def take(self, action: Action) -> None:
        if isinstance(action, Change):
            action = self._waiting.pop(action.stored.id)
            self._held.pop(slot_of(action.stored))
        if isinstance(action, Make | Change):
            slot = _slot_after(action)
            if slot in self._held:
                self._step_aside(self._held.pop(slot))
            self._held[slot] = action.stored.id if isinstance(action, Change) else action.node.key
        self.ordered.append(action)

    def _step_aside(self, holder: Ref) -> None:
        change = self._waiting[holder]  # type: ignore[index]
        stored = change.stored
        aside = replace(stored, name=self._free_name(stored), version=stored.version + 1)
        self.ordered.append(Aside(change.node, stored, aside.name))
        self._held[slot_of(aside)] = stored.id
        self._waiting[stored.id] = replace(change, stored=aside, values={"name": stored.name} | change.values)

    def _free_name(self, stored: Stored) -> str:
        """With its id behind it, as the second of two siblings with one name would be called."""
        for number in count(1):
            name = told_apart(stored.name, stored.external_id if number == 1 else f"{stored.external_id} {number}")
            slot = (stored.parent_id, name_key(name))
            if slot not in self._taken:
                self._taken.add(slot)
                return name
        raise AssertionError("there is always a free number")


def _slot_after(action: Make | Change) -> Slot:
    if isinstance(action, Make):
        return action.parent, name_key(action.name)
    above = action.parent[0] if action.parent else action.stored.parent_id
    return above, name_key(action.values.get("name", action.stored.name))
