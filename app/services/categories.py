"""The category tree: grown, renamed, moved with everything below, closed and opened again.

Who changes where something hangs locks the rows from the top down to it first, by ascending id, and reads the
paths once more: so no two moves together make a circle, and nothing is hung below what is being moved.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError

from app.errors import (
    AlreadyExists,
    CategoryCircle,
    CategoryInUse,
    CategoryTooDeep,
    LostRace,
    ParentDeleted,
    UnknownCategory,
)
from app.models.categories import MAX_DEPTH, ROOT, Category, name_key
from app.repositories import categories
from app.services import catalogue
from app.services.versions import require_current
from app.utils import clock
from app.utils.transactions import transactional

NAMED_IN_REFUSAL = 10


@transactional
def create(values: dict[str, Any]) -> Category:
    """`name`, and `parent_id`, `external_id`, `attributes` where given. Raises `AlreadyExists` for a name taken
    by a sibling, `UnknownCategory` for a parent that is not there.
    """
    return create_many([values])[0]


@transactional
def create_many(rows: Sequence[dict[str, Any]]) -> list[Category]:
    """All of these, each as `create` takes it, or none; the parents are there already."""
    parents = _lock_parents({row["parent_id"] for row in rows if row.get("parent_id") is not None})
    now = clock.now()
    made = [_new(row, parents.get(row.get("parent_id") or ROOT), now) for row in rows]
    try:
        categories.add(made)
    except IntegrityError:
        raise _taken(made[0].name if len(made) == 1 else f"one of {len(made)}") from None
    categories.place(made, {parent.id: parent.path for parent in parents.values()})
    catalogue.changed()
    return made


def _new(values: dict[str, Any], parent: Category | None, now: datetime) -> Category:
    name = values["name"].strip()
    category = Category(
        name=name,
        name_key=name_key(name),
        parent_id=parent.id if parent else None,
        level_key=parent.id if parent else ROOT,
        path="",
        depth=parent.depth + 1 if parent else 1,
        external_id=values.get("external_id"),
        attributes=values.get("attributes", {}),
        created_at=now,
        updated_at=now,
    )
    if category.depth > MAX_DEPTH:
        raise CategoryTooDeep(f"the tree has at most {MAX_DEPTH} levels", maximum_depth=MAX_DEPTH)
    return category


@transactional
def update(
    category_id: int, values: dict[str, Any], *, version: int | None, versions: frozenset[int] | None
) -> Category:
    """Change what is given under the version it was read at; a `parent_id` (None: the top) moves the subtree.

    What is as it was is not written, and the version stays.
    """
    category, parent = _lock_for_change(category_id, values)
    require_current(category, version=version, versions=versions, category_id=category_id)
    changes: dict[str, Any] = {name: values[name] for name in ("attributes", "external_id") if name in values}
    if "name" in values:
        name = values["name"].strip()
        changes |= {"name": name, "name_key": name_key(name)}
    if "parent_id" in values:
        changes |= _hung_below(category, parent)
    changes = catalogue.differing(category, changes)
    if changes:
        _write(category, changes)
    return categories.get(category_id)


def _write(category: Category, changes: dict[str, Any]) -> None:
    old_path, old_depth = category.path, category.depth
    try:
        categories.save(category, **changes, updated_at=clock.now())
    except IntegrityError:
        raise _taken(changes.get("name", category.name)) from None
    if "path" in changes:
        deeper = changes.get("depth", old_depth) - old_depth
        categories.move_below(old_path, changes["path"], deeper=deeper)
    if changes.keys() & {"name", "path"}:
        catalogue.renamed()
    catalogue.changed()


@transactional
def delete(category_id: int, *, versions: frozenset[int] | None = None) -> Category:
    """Close a category with everything below it. Raises `CategoryInUse` while live products hang there."""
    subtree = categories.lock_subtree(category_id)
    category = _live(subtree.get(category_id) or categories.find(category_id), category_id)
    require_current(category, version=None, versions=versions, required=False, category_id=category_id)
    _require_no_products(subtree)
    categories.archive(subtree, clock.now())
    catalogue.renamed()
    return categories.get(category_id)


@transactional
def remove(category_id: int, *, versions: frozenset[int] | None = None) -> Category:
    """Take the row away for good, deleted before or not. Raises `CategoryInUse` when anything refers to it."""
    category = _locked(category_id)
    require_current(category, version=None, versions=versions, required=False, category_id=category_id)
    hanging = categories.what_hangs_on(category)
    if any(hanging.values()):
        raise CategoryInUse(
            f"{hanging['children']} categories and {hanging['products']} products hang on category {category_id},"
            " deleted ones counted",
            category_id=category_id,
            **hanging,
        )
    categories.remove(category)
    catalogue.renamed()
    return category


@transactional
def restore(category_id: int, *, versions: frozenset[int] | None = None) -> Category:
    """Open a category again, with what was closed together with it. Of an open one nothing changes."""
    parent_id = categories.get(category_id).parent_id
    rows = categories.lock({category_id} if parent_id is None else {category_id, parent_id})
    category = rows.get(category_id)
    if category is None or category.parent_id != parent_id:
        raise LostRace(f"category {category_id} was moved or removed before it was locked")
    require_current(category, version=None, versions=versions, required=False, category_id=category_id)
    if category.archived_at is None:
        return category
    parent = None if parent_id is None else rows.get(parent_id)
    if parent is not None and parent.archived_at is not None:
        raise ParentDeleted(f"category {parent.id} above it is deleted", category_id=parent.id)
    try:
        categories.revive(categories.archived_with(category), clock.now())
    except IntegrityError:
        raise _taken(category.name) from None
    catalogue.renamed()
    return categories.get(category_id)


def tree() -> list[dict[str, Any]]:
    """Every live category, nested: `id`, `name`, `children`; siblings by name."""
    nodes: dict[int | None, dict[str, Any]] = {None: {"children": []}}
    for row in categories.live_nodes():
        nodes[row.id] = {"id": row.id, "name": row.name, "children": []}
        nodes[row.parent_id]["children"].append(nodes[row.id])
    top: list[dict[str, Any]] = nodes[None]["children"]
    return top


def _locked(category_id: int) -> Category:
    category = categories.lock([category_id]).get(category_id)
    if category is None:
        raise categories.not_found(category_id)
    return category


def _live(category: Category | None, category_id: int) -> Category:
    if category is None:
        raise categories.not_found(category_id)
    if category.archived_at is not None:
        raise categories.not_found(category_id, deleted=True)
    return category


def _lock_parents(ids: Collection[int]) -> dict[int, Category]:
    """The parents, locked so that they neither go nor move before the children hang below them."""
    parents = categories.lock(ids) if ids else {}
    for parent_id in ids:
        if parent_id not in parents or parents[parent_id].archived_at is not None:
            raise _unknown(parent_id)
    return parents


def _lock_for_change(category_id: int, values: dict[str, Any]) -> tuple[Category, Category | None]:
    if "parent_id" in values:
        return _lock_for_move(category_id, values["parent_id"])
    return _live(_locked(category_id), category_id), None


def _lock_for_move(category_id: int, parent_id: int | None) -> tuple[Category, Category | None]:
    """The category and its new parent, with all above either locked and their paths read after that."""
    paths = categories.paths_of([category_id] if parent_id is None else [category_id, parent_id])
    rows = categories.lock({each for path in paths.values() for each in categories.ids_on(path)})
    if any(each not in rows or rows[each].path != path for each, path in paths.items()):
        raise LostRace("the tree was changed above one of these categories")
    category = _live(rows.get(category_id), category_id)
    parent = None if parent_id is None else rows.get(parent_id)
    if parent_id is not None and (parent is None or parent.archived_at is not None):
        raise _unknown(parent_id)
    return category, parent


def _hung_below(category: Category, parent: Category | None) -> dict[str, Any]:
    """What moving `category` below `parent` (None: to the top) makes of its own row."""
    if parent is not None and parent.path.startswith(category.path):
        raise CategoryCircle(
            f"category {parent.id} is category {category.id} or hangs below it",
            category_id=category.id,
            parent_id=parent.id,
        )
    depth = parent.depth + 1 if parent else 1
    if categories.deepest_below(category) + depth - category.depth > MAX_DEPTH:
        raise CategoryTooDeep(f"the tree has at most {MAX_DEPTH} levels", maximum_depth=MAX_DEPTH)
    return {
        "parent_id": parent.id if parent else None,
        "level_key": parent.id if parent else ROOT,
        "path": f"{parent.path if parent else '/'}{category.id}/",
        "depth": depth,
    }


def _require_no_products(ids: Collection[int]) -> None:
    held = categories.live_products_in(ids)
    if held:
        products = sum(count for _, count in held)
        raise CategoryInUse(
            f"{products} products hang in it or below it",
            products=products,
            categories=[category_id for category_id, _ in held[:NAMED_IN_REFUSAL]],
        )


def _unknown(category_id: int) -> UnknownCategory:
    return UnknownCategory(
        f"no category {category_id}", category_id=category_id, errors={"parent_id": ["There is no such category."]}
    )


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"another category has this name ({name}) beside it, or this external id", name=name)
