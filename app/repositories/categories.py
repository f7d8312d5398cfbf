"""Categories: the tree's locks, the one statement that moves a subtree, and the lists people read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Row, Select, String, and_, func, literal, select, update
from sqlalchemy.exc import DBAPIError

from app.errors import CategoryNotFound, LostRace
from app.extensions import db
from app.models.categories import Category
from app.models.products import Product
from app.repositories import pages
from app.utils import database_errors
from app.utils.paging import PageRequest

columns = Category.__table__.c


# ── Locking and writing ──────────────────────────────────────────────────────────────────────────


def lock(ids: Collection[int]) -> dict[int, Category]:
    """The rows that exist, locked by ascending id until the transaction ends and read after that."""
    statement = select(Category).where(columns.id.in_(sorted(ids))).order_by(columns.id).with_for_update()
    rows = db.session.execute(statement.execution_options(populate_existing=True)).scalars()
    return {row.id: row for row in rows}


def keep_open(ids: Collection[int]) -> set[int]:
    """Which of them exist and are live; these cannot be closed before the transaction ends."""
    statement = select(columns.id).where(columns.id.in_(sorted(ids)), columns.archived_at.is_(None))
    return set(db.session.execute(statement.order_by(columns.id).with_for_update(read=True)).scalars())


def lock_subtree(category_id: int) -> dict[int, Category]:
    """The live rows from this one down, locked by ascending id; {} when it is not live itself.

    Raises `LostRace` when something was hung below them or taken away before all were locked.
    """
    found = _live_below(category_id)
    rows = lock(found)
    if _live_below(category_id) != found:
        raise LostRace(f"the tree below category {category_id} was changed")
    return rows


def _live_below(category_id: int) -> set[int]:
    top = select(columns.path).where(columns.id == category_id, columns.archived_at.is_(None))
    path = db.session.execute(top).scalar_one_or_none()
    if path is None:
        return set()
    return set(db.session.execute(select(columns.id).where(_within(path), columns.archived_at.is_(None))).scalars())


def add(new: Sequence[Category]) -> None:
    """Raises IntegrityError when a sibling has the name or another category the external id."""
    db.session.add_all(new)
    db.session.flush()


def place(new: Iterable[Category], parent_paths: Mapping[int, str]) -> None:
    """Give new rows their paths, which need the ids that the insert made."""
    for category in new:
        above = "/" if category.parent_id is None else parent_paths[category.parent_id]
        category.path = f"{above}{category.id}/"
    db.session.flush()


def save(category: Category, **values: Any) -> None:
    """Raises `LostRace` when the category changed since it was read, IntegrityError for a name that is taken."""
    statement = update(Category.__table__).where(columns.id == category.id, columns.version == category.version)
    result: CursorResult[Any] = db.session.execute(statement.values(version=category.version + 1, **values))  # type: ignore[assignment]
    if result.rowcount != 1:
        raise LostRace(f"category {category.id} changed under version {category.version}")
    db.session.expire_all()


def move_below(old_path: str, new_path: str, *, deeper: int) -> None:
    """Everything below `old_path`, deleted rows too, follows to `new_path`: one statement however much it is.

    Raises `LostRace` when something was hung so deep meanwhile that the tree would get too many levels.
    """
    rest = func.substr(columns.path, len(old_path) + 1)
    statement = update(Category.__table__).where(_within(old_path), columns.path != old_path)
    statement = statement.values(path=literal(new_path, String).concat(rest), depth=columns.depth + deeper)
    try:
        db.session.execute(statement, execution_options={"synchronize_session": False})
    except DBAPIError as error:
        if database_errors.verdict_of(error) is database_errors.Verdict.CHECK:
            raise LostRace("the tree grew below while it was moved") from error
        raise
    db.session.expire_all()


def archive(ids: Collection[int], now: datetime) -> None:
    _set_archived(ids, archived_at=now, level_key=None, updated_at=now)


def revive(ids: Collection[int], now: datetime) -> None:
    """Raises IntegrityError when a sibling has taken a name meanwhile."""
    level = func.coalesce(columns.parent_id, 0)
    _set_archived(ids, archived_at=None, level_key=level, updated_at=now)


def _set_archived(ids: Collection[int], **values: Any) -> None:
    statement = update(Category.__table__).where(columns.id.in_(sorted(ids)))
    db.session.execute(
        statement.values(version=columns.version + 1, **values), execution_options={"synchronize_session": False}
    )
    db.session.expire_all()


def remove(category: Category) -> None:
    db.session.delete(category)
    db.session.flush()


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────


def find(category_id: int) -> Category | None:
    return db.session.execute(select(Category).where(columns.id == category_id)).scalar_one_or_none()


def get(category_id: int) -> Category:
    category = find(category_id)
    if category is None:
        raise not_found(category_id)
    return category


def not_found(category_id: int, **facts: Any) -> CategoryNotFound:
    return CategoryNotFound(f"no category {category_id}", category_id=category_id, **facts)


def page(asked: PageRequest, *, parent_id: int | None, include_deleted: bool) -> pages.Page:
    """All categories, or with `parent_id` those right below it (0: the top level)."""
    statement = _listed(include_deleted)
    if parent_id is not None:
        statement = statement.where(columns.parent_id.is_(None) if parent_id == 0 else columns.parent_id == parent_id)
    order = [pages.Sort(columns.depth, "depth"), pages.Sort(columns.name_key, "name_key"), pages.Sort(columns.id, "id")]
    return pages.fetch(statement, order, asked, filters=("categories", parent_id, include_deleted))


def subtree(category: Category, asked: PageRequest, *, include_deleted: bool) -> pages.Page:
    """The category and all below it, parents before their children."""
    statement = _listed(include_deleted).where(_within(category.path))
    order = [pages.Sort(columns.depth, "depth"), pages.Sort(columns.name_key, "name_key"), pages.Sort(columns.id, "id")]
    return pages.fetch(statement, order, asked, filters=("subtree", category.id, include_deleted))


def live_nodes() -> Sequence[Row[Any]]:
    """Id, parent and name of every live category, in the order of a tree that is built from the top."""
    statement = select(columns.id, columns.parent_id, columns.name).where(columns.archived_at.is_(None))
    return db.session.execute(statement.order_by(columns.depth, columns.name_key, columns.id)).all()


def every() -> Sequence[Any]:
    """Id, parent, name, external id, attributes, version and whether it is deleted, of all there are."""
    named = [columns[name] for name in ("id", "parent_id", "name", "external_id", "attributes", "version")]
    statement = select(*named, columns.archived_at.is_not(None).label("deleted"))
    return list(db.session.execute(statement.order_by(columns.id)))


def ids_within(category: Category, *, include_deleted: bool = False) -> Select[Any]:
    """The ids of the subtree, live ones only unless asked for, as a subquery for filters."""
    ids = select(columns.id).where(_within(category.path))
    return ids if include_deleted else ids.where(columns.archived_at.is_(None))


def shown(ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """For each of these categories how a product names it: `id`, `name`, `path` of names from the top down to it."""
    return {
        category_id: {"id": category_id, "name": line[-1].name, "path": [row.name for row in line]}
        for category_id, line in lines_to(ids).items()
    }


def lines_to(ids: Collection[int]) -> dict[int, list[Row[Any]]]:
    """For each of these categories the rows from the top down to it, each with `id` and `name`.

    Two statements, however many they are.
    """
    lines = {category_id: ids_on(path) for category_id, path in paths_of(ids).items()}
    above = {each for line in lines.values() for each in line}
    statement = select(columns.id, columns.name).where(columns.id.in_(above))
    rows = {row.id: row for row in db.session.execute(statement)} if above else {}
    return {category_id: [rows[each] for each in line] for category_id, line in lines.items()}


def paths_of(ids: Collection[int]) -> dict[int, str]:
    """The paths of those that exist."""
    if not ids:
        return {}
    found = db.session.execute(select(columns.id, columns.path).where(columns.id.in_(set(ids))))
    return {row.id: row.path for row in found}


def ids_on(path: str) -> list[int]:
    return [int(part) for part in path.strip("/").split("/")]


def what_hangs_on(category: Category) -> dict[str, int]:
    """How many rows refer to it, deleted ones as well: what bars its removal for good."""
    products = Product.__table__.c
    children = db.session.execute(select(func.count()).where(columns.parent_id == category.id)).scalar_one()
    held = db.session.execute(select(func.count()).where(products.category_id == category.id)).scalar_one()
    return {"children": children, "products": held}


def live_products_in(ids: Collection[int]) -> list[tuple[int, int]]:
    """How many live products hang in each of these categories, those without any left out."""
    products = Product.__table__.c
    statement = (
        select(products.category_id, func.count())
        .where(products.category_id.in_(set(ids)), products.archived_at.is_(None))
        .group_by(products.category_id)
        .order_by(products.category_id)
    )
    return [(category_id, count) for category_id, count in db.session.execute(statement)]


def deepest_below(category: Category) -> int:
    depth: int = db.session.execute(select(func.max(columns.depth)).where(_within(category.path))).scalar_one()
    return depth


def archived_with(category: Category) -> list[int]:
    """The ids of the subtree that were deleted at the same moment as its top."""
    statement = select(columns.id).where(_within(category.path), columns.archived_at == category.archived_at)
    return list(db.session.execute(statement).scalars())


def _listed(include_deleted: bool) -> Select[Any]:
    statement = select(*columns)
    return statement if include_deleted else statement.where(columns.archived_at.is_(None))


def _within(path: str) -> ColumnElement[bool]:
    # A range instead of LIKE: every engine takes the index for it, and "0" is the character after "/".
    return and_(columns.path >= path, columns.path < f"{path[:-1]}0")
