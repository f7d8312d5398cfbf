"""SKUs: the row locks, the guarded writes, what the catalogue says of a code, and the lists people read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Row, bindparam, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.errors import LostRace, SkuNotFound
from app.extensions import db
from app.models.products import Product
from app.models.skus import PriceChange, Sku
from app.repositories import categories, pages
from app.utils import database_errors
from app.utils.paging import PageRequest

columns, products, price_changes = Sku.__table__.c, Product.__table__.c, PriceChange.__table__.c


# ── Locking and writing ──────────────────────────────────────────────────────────────────────────


def lock(sku_code: str) -> Sku | None:
    """The row, locked until the transaction ends and read after that."""
    return next(iter(_locked(columns.sku_code == sku_code)), None)


def lock_of_product(product_id: int, *, archived_at: datetime | None) -> list[Sku]:
    """The product's live SKUs, or those that were deleted at this moment, locked by ascending id.

    The product is locked already, so that none is added.
    """
    # Found first and locked by id: through the index of the product they would be locked in that index's order.
    ids = list(db.session.execute(select(columns.id).where(columns.catalog_product_id == product_id)).scalars())
    return [sku for sku in _locked(columns.id.in_(ids)) if sku.archived_at == archived_at]


def _locked(condition: ColumnElement[bool]) -> list[Sku]:
    statement = select(Sku).where(condition).order_by(columns.id).with_for_update()
    return list(db.session.execute(statement.execution_options(populate_existing=True)).scalars())


def add(skus: Sequence[Sku]) -> None:
    """Raises `LostRace` when somebody else took a code or a barcode after it was found to be free."""
    db.session.add_all(skus)
    try:
        db.session.flush()
    except IntegrityError as error:
        raise _lost(error) from error


def save(sku: Sku, **values: Any) -> None:
    """Raises `LostRace` when the SKU changed since it was read, or its new barcode was taken meanwhile."""
    statement = update(Sku.__table__).where(columns.id == sku.id, columns.version == sku.version)
    _write(statement.values(version=sku.version + 1, **values), None, 1)


_SET_ARCHIVED = (
    update(Sku.__table__)
    .where(columns.id == bindparam("sku_id"), columns.version == bindparam("seen_version"))
    .values(
        version=columns.version + 1,
        gtin=bindparam("new_gtin"),
        archived_at=bindparam("new_archived_at"),
        updated_at=bindparam("now"),
    )
)


def set_archived(
    skus: Sequence[Sku], *, archived_at: datetime | None, gtins: Mapping[str, str | None], now: datetime
) -> None:
    """Delete or, without `archived_at`, restore these. `gtins` has the numbers of their barcodes by SKU code."""
    rows = [
        {
            "sku_id": sku.id,
            "seen_version": sku.version,
            "new_gtin": gtins.get(sku.sku_code),
            "new_archived_at": archived_at,
            "now": now,
        }
        for sku in skus
    ]
    if rows:
        _write(_SET_ARCHIVED, rows, len(rows))


def _write(statement: Any, rows: list[dict[str, Any]] | None, count: int) -> None:
    try:
        result: CursorResult[Any] = db.session.execute(statement, rows)  # type: ignore[assignment]
    except IntegrityError as error:
        raise _lost(error) from error
    if result.rowcount != count:
        raise LostRace(f"{count - result.rowcount} of {count} SKUs were not as read any more")
    db.session.expire_all()


def _lost(error: IntegrityError) -> Exception:
    return LostRace("the code or the barcode was taken meanwhile") if database_errors.is_duplicate(error) else error


def add_prices(changes: Iterable[PriceChange]) -> None:
    db.session.add_all(changes)
    db.session.flush()


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────


def find(sku_code: str) -> Sku | None:
    return db.session.execute(select(Sku).where(columns.sku_code == sku_code)).scalar_one_or_none()


def get(sku_code: str) -> Sku:
    sku = find(sku_code)
    if sku is None:
        raise not_found(sku_code)
    return sku


def find_many(codes: Collection[str]) -> dict[str, Sku]:
    """Those that exist, deleted ones too, by code: one statement, however many."""
    if not codes:
        return {}
    found = db.session.execute(select(Sku).where(columns.sku_code.in_(sorted(set(codes))))).scalars()
    return {sku.sku_code: sku for sku in found}


def not_found(sku_code: str, **facts: Any) -> SkuNotFound:
    return SkuNotFound(f"no SKU {sku_code}", sku_code=sku_code, **facts)


def taken(*, codes: Collection[str], gtins: Collection[str]) -> Sequence[Row[Any]]:
    """Code, number and whether it is deleted of every SKU that has one of these codes or numbers."""
    statement = select(columns.sku_code, columns.gtin, columns.archived_at.is_not(None).label("deleted"))
    statement = statement.where(or_(columns.sku_code.in_(sorted(codes)), columns.gtin.in_(sorted(gtins))))
    return db.session.execute(statement).all()


def codes_of(product_id: int) -> list[str]:
    """The codes of all SKUs of a product, deleted ones too."""
    return list(db.session.execute(select(columns.sku_code).where(columns.catalog_product_id == product_id)).scalars())


def of_products(ids: Collection[int]) -> dict[int, list[Row[Any]]]:
    """By product its live SKUs, of a deleted product those that were deleted with it, the oldest first."""
    belongs = or_(columns.archived_at.is_(None), columns.archived_at == products.archived_at)
    statement = select(*columns).join_from(Sku.__table__, Product.__table__).where(products.id.in_(set(ids)), belongs)
    found: dict[int, list[Row[Any]]] = {}
    for row in db.session.execute(statement.order_by(columns.id)):
        found.setdefault(row.catalog_product_id, []).append(row)
    return found


def page(asked: PageRequest, *, catalog_product_id: int | None, include_deleted: bool) -> pages.Page:
    statement = select(*columns)
    if catalog_product_id is not None:
        statement = statement.where(columns.catalog_product_id == catalog_product_id)
    if not include_deleted:
        statement = statement.where(columns.archived_at.is_(None))
    order = [pages.Sort(columns.sku_code, "sku_code")]
    return pages.fetch(statement, order, asked, filters=("skus", catalog_product_id, include_deleted))


def prices(sku: Sku, asked: PageRequest) -> pages.Page:
    """What it cost and costs, the newest change first."""
    statement = select(*price_changes).where(price_changes.sku_id == sku.id)
    return pages.fetch(statement, [pages.Sort(price_changes.id, "id", True)], asked, filters=("prices", sku.id))


def details(sku_code: str) -> dict[str, Any] | None:
    """What is sold under this code, the SKU's own attributes over the product's; None when nothing is."""
    statement = (
        select(
            *(columns[name] for name in ("sku_code", "catalog_product_id", "currency", "unit", "barcode")),
            columns.price, columns.attributes.label("own"), products.attributes.label("general"),
            products.name, products.description, products.category_id,
        )
        .join_from(Sku.__table__, Product.__table__)
        .where(columns.sku_code == sku_code, columns.archived_at.is_(None), products.archived_at.is_(None))
    )  # fmt: skip
    row = db.session.execute(statement).one_or_none()
    if row is None:
        return None
    said = dict(row._mapping)
    category_id, own, general = (said.pop(name) for name in ("category_id", "own", "general"))
    category = categories.shown([category_id])[category_id] if category_id else None
    return said | {"price": f"{row.price:.2f}", "category": category, "attributes": general | own}
