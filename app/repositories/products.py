"""Products: the row locks, the guarded write, and the views people read, related rows by one statement each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Row, false, func, select, update

from app.errors import LostRace, ProductNotFound
from app.extensions import db
from app.models.products import Product
from app.models.skus import Sku
from app.repositories import categories, pages, skus
from app.utils.paging import PageRequest

columns = Product.__table__.c


# ── Locking and writing ──────────────────────────────────────────────────────────────────────────


def lock(product_id: int) -> Product | None:
    """The row, locked until the transaction ends and read after that."""
    statement = select(Product).where(columns.id == product_id).with_for_update()
    return db.session.execute(statement.execution_options(populate_existing=True)).scalar_one_or_none()


def keep_open(product_id: int) -> bool:
    """Whether it exists and is live; then it cannot be deleted before the transaction ends."""
    statement = select(columns.id).where(columns.id == product_id, columns.archived_at.is_(None))
    return db.session.execute(statement.with_for_update(read=True)).scalar_one_or_none() is not None


def add(product: Product) -> None:
    db.session.add(product)
    db.session.flush()


def save(product: Product, **values: Any) -> None:
    """Raises `LostRace` when the product changed since it was read."""
    statement = update(Product.__table__).where(columns.id == product.id, columns.version == product.version)
    result: CursorResult[Any] = db.session.execute(statement.values(version=product.version + 1, **values))  # type: ignore[assignment]
    if result.rowcount != 1:
        raise LostRace(f"product {product.id} changed under version {product.version}")
    db.session.expire_all()


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """`category` stands for everything below it as well; `q` are characters of the name."""

    category: int | None = None
    q: str | None = None
    include_deleted: bool = False


def find(product_id: int) -> Product | None:
    return db.session.execute(select(Product).where(columns.id == product_id)).scalar_one_or_none()


def get(product_id: int) -> Product:
    product = find(product_id)
    if product is None:
        raise not_found(product_id)
    return product


def not_found(product_id: int, **facts: Any) -> ProductNotFound:
    return ProductNotFound(f"no product {product_id}", catalog_product_id=product_id, **facts)


def page(filters: Filters, sort: str, asked: PageRequest) -> pages.Page:
    """Views of the products, with their categories and SKUs."""
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    order = [pages.Sort(columns[name], name, descending), pages.Sort(columns.id, "id", descending)]
    statement = select(*columns).where(*_conditions(filters))
    found = pages.fetch(statement, order, asked, filters=("products", filters))
    return pages.Page(_views(found.rows), found.meta)


def views(ids: Collection[int]) -> list[dict[str, Any]]:
    """What is shown of those that exist, in the order of `ids`: four statements, however many."""
    if not ids:
        return []
    rows = db.session.execute(select(*columns).where(columns.id.in_(set(ids)))).all()
    shown = {view["id"]: view for view in _views(rows)}
    return [shown[each] for each in ids if each in shown]


def count_without_skus() -> int:
    """How many live products have no live SKU."""
    sold = select(Sku.__table__.c.id).where(
        Sku.__table__.c.catalog_product_id == columns.id, Sku.__table__.c.archived_at.is_(None)
    )
    statement = select(func.count()).select_from(Product.__table__)
    return db.session.execute(statement.where(columns.archived_at.is_(None), ~sold.exists())).scalar_one()


def view(product_id: int) -> dict[str, Any]:
    found = views([product_id])
    if not found:
        raise not_found(product_id)
    return found[0]


def _views(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    if not rows:
        return []
    sold = skus.of_products([row.id for row in rows])
    named = categories.shown({row.category_id for row in rows if row.category_id is not None})
    return [dict(row._mapping) | {"category": named.get(row.category_id), "skus": sold.get(row.id, [])} for row in rows]


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if not filters.include_deleted:
        conditions.append(columns.archived_at.is_(None))
    if filters.q is not None:
        # Not LIKE: a percent sign stands for itself. The database lowers both, as far as it knows letters.
        conditions.append(func.instr(func.lower(columns.name), func.lower(filters.q)) > 0)
    if filters.category is not None:
        top = categories.find(filters.category)
        within = top and categories.ids_within(top, include_deleted=filters.include_deleted)
        conditions.append(false() if within is None else columns.category_id.in_(within))
    return conditions
