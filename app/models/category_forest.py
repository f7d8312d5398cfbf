"""Which categories an import speaks of, and below which one each of them hangs, as far as its files can say.

Pure. A category's own row decides; then the path of another one that leads through it, a product's path, and last
whoever names it as a child, the first of them where there are several.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.models.categories import name_key
from app.models.imported import BadRow, CategoryRow, LinkRow, Origin, ProductRow, Remark, Step

# A category without an id is known by what it hangs below and its name as siblings are compared.
Key = str | tuple["Key | None", str]
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`own` is whether a row of its own gives the name; `placed` whether that row says below what it hangs.

    What is neither is made when it is missing, and stays as it is when it is there. `by_product` is whether only
    a product's path names it. `attributes` are those its own row says.
    """

    key: Key
    origin: Origin
    name: str | None
    parent: Key | None
    own: bool = False
    placed: bool = False
    by_product: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def external_id(self) -> str | None:
        return self.key if isinstance(self.key, str) else None


@dataclass(slots=True)
class Forest:
    """`levels` holds the nodes, parents before children, all of one depth together."""

    levels: list[list[Node]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def keys_on(path: Path) -> list[Key]:
    """The keys of the categories on this path, from the top down."""
    keys: list[Key] = []
    for step in path:
        above = keys[-1] if keys else None
        keys.append(step.external_id or (above, name_key(step.name or "")))
    return keys


def key_of(row: CategoryRow) -> Key:
    return (keys_on(row.path) or [row.external_id or ""])[-1]


def grown(rows: Sequence[CategoryRow], links: Sequence[LinkRow], products: Iterable[ProductRow]) -> Forest:
    forest, nodes = Forest(), _own(rows)
    unplaced = {key for key, node in nodes.items() if not node.placed}
    for row in rows:
        _mention(nodes, unplaced, row.origin, row.path[:-1])
    for product in products:
        _mention(nodes, unplaced, product.origin, product.path or (), by_product=True)
    _hang_children(forest, nodes, unplaced, _children(rows, links))
    _refuse_unknown(forest, nodes, links)
    _order(forest, nodes)
    return forest


def _own(rows: Iterable[CategoryRow]) -> dict[Key, Node]:
    nodes: dict[Key, Node] = {}
    for row in rows:
        key, above = key_of(row), keys_on(row.path[:-1])
        nodes[key] = Node(
            key=key,
            origin=row.origin,
            name=row.name,
            parent=above[-1] if above else None,
            own=True,
            placed=bool(row.path),
            attributes=row.attributes,
        )
    return nodes


def _mention(
    nodes: dict[Key, Node], unplaced: set[Key], origin: Origin, path: Path, *, by_product: bool = False
) -> None:
    """What a path leads through is made as it says; of what is known by then only a missing place is taken."""
    above: Key | None = None
    for key, step in zip(keys_on(path), path, strict=True):
        if key not in nodes:
            nodes[key] = Node(key=key, origin=origin, name=step.name, parent=above, by_product=by_product)
        elif key in unplaced:
            nodes[key] = replace(nodes[key], parent=above, name=nodes[key].name or step.name)
        unplaced.discard(key)
        above = key


@dataclass(slots=True)
class _Children:
    """Who is named as a child: `parents` by whom, `names` where and as what."""

    parents: dict[str, dict[Key, None]] = field(default_factory=dict)
    names: dict[str, tuple[Origin, str | None]] = field(default_factory=dict)


def _children(rows: Iterable[CategoryRow], links: Iterable[LinkRow]) -> _Children:
    found = _Children()
    for link in links:
        found.parents.setdefault(link.child, {})[link.parent] = None
    for row in rows:
        for child in row.children:
            if child.external_id is not None:
                found.parents.setdefault(child.external_id, {})[key_of(row)] = None
                found.names.setdefault(child.external_id, (row.origin, child.name))
    return found


def _hang_children(forest: Forest, nodes: dict[Key, Node], unplaced: set[Key], children: _Children) -> None:
    """Who is named as a child, and hangs nowhere yet, hangs below the first that names it."""
    for key, (origin, name) in children.names.items():
        if key not in nodes:
            unplaced.add(key)
        known = nodes.get(key) or Node(key=key, origin=origin, name=name, parent=None)
        nodes[key] = replace(known, by_product=False)
    for key, parents in children.parents.items():
        if key not in nodes:
            continue
        if key in unplaced:
            nodes[key] = replace(nodes[key], parent=next((each for each in parents if each in nodes), None))
        if len(parents) > 1:
            detail = f"{len(parents)} parents, hangs below {nodes[key].parent or 'none'}"
            forest.remarks.append(Remark("several_parents", nodes[key].origin, key, detail))


def _refuse_unknown(forest: Forest, nodes: dict[Key, Node], links: Iterable[LinkRow]) -> None:
    for link in links:
        for end in (link.parent, link.child):
            if end not in nodes:
                forest.bad.append(BadRow(link.origin, end, "no file says what this category is called"))


def _order(forest: Forest, nodes: dict[Key, Node]) -> None:
    """Level by level from the top; those with an id first, for one without may mean one of them."""
    below: dict[Key | None, list[Node]] = {}
    for node in nodes.values():
        below.setdefault(node.parent, []).append(node)
    level, reached = below.get(None, []), set[Key]()
    while level:
        forest.levels.append(sorted(level, key=lambda node: (node.external_id is None, str(node.key))))
        reached.update(node.key for node in level)
        level = [child for node in level for child in below.get(node.key, [])]
    for key, node in nodes.items():
        if key not in reached:
            forest.bad.append(BadRow(node.origin, str(key), "it hangs below itself: its parents go in a circle"))
