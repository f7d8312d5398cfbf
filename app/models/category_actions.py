"""What can become of a category in an import, and what the database holds before it. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.models.categories import name_key
from app.models.category_forest import Key, Node

NAME_LENGTH = 200
# A stored category by its row's id, one that is to be made by its key.
Ref = int | Key
# A name as siblings are compared, and below what.
Slot = tuple[Ref | None, str]


@dataclass(frozen=True, slots=True)
class Stored:
    id: int
    parent_id: int | None
    name: str
    external_id: str | None
    deleted: bool
    version: int
    attributes: dict[str, Any] = field(default_factory=dict)


def told_apart(name: str, mark: object) -> str:
    """The name with a mark behind it, for one whose sibling has the name."""
    behind = f" ({mark})"
    return name[: NAME_LENGTH - len(behind)] + behind


def slot_of(stored: Stored) -> Slot:
    return stored.parent_id, name_key(stored.name)


@dataclass(frozen=True, slots=True)
class Keep:
    node: Node
    ref: Ref


@dataclass(frozen=True, slots=True)
class Make:
    node: Node
    name: str
    parent: Ref | None


@dataclass(frozen=True, slots=True)
class Change:
    """`values` are name, external id and attributes where they change; `parent` is one of one where it changes."""

    node: Node
    stored: Stored
    values: dict[str, Any]
    parent: tuple[Ref | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    node: Node
    reason: str


@dataclass(frozen=True, slots=True)
class Aside:
    """It gives its name away before its own turn to change comes, and is called `name` until then."""

    node: Node
    stored: Stored
    name: str


Action = Keep | Make | Change | Refuse | Aside
