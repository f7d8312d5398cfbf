"""Inventory items: the row locks, the guarded write, and the lists people read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Row, and_, bindparam, exists, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from app.errors import InventoryItemNotFound, LostRace
from app.extensions import db
from app.models.inventory_items import InventoryItem
from app.models.stock import Movement, Stock
from app.repositories import pages
from app.repositories.live_items import LiveItems, code_contains, is_at, items, places
from app.utils.paging import PageRequest

Key = tuple[str, str | None]  # product id, and the location's code or None for every location


# ── Locking and writing ──────────────────────────────────────────────────────────────────────────


def lock(keys: Iterable[Key]) -> list[Stock]:
    """Lock the rows of `keys` until the transaction ends, in ascending order of id: the only order there is.

    Missing rows are simply not in the answer. Locking several rows through an index on another column
    would take them in that index's order, so their ids are looked up first.
    """
    wanted = set(keys)
    if len(wanted) == 1:
        product_id, location = next(iter(wanted))
        if location is not None:
            return _locked(and_(items.product_id == product_id, is_at(location)))
    return lock_ids(_ids(wanted)) if wanted else []


def lock_ids(ids: Collection[int]) -> list[Stock]:
    return _locked(items.id.in_(sorted(ids))) if ids else []


def _locked(condition: ColumnElement[bool]) -> list[Stock]:
    # Scalar subqueries instead of a join: FOR UPDATE would lock the joined location rows as well.
    location = select(places.code).where(places.id == items.location_id).scalar_subquery()
    priority = select(places.priority).where(places.id == items.location_id).scalar_subquery()
    rows = db.session.execute(
        select(
            items.id, items.product_id, location, priority, items.quantity, items.reserved_quantity,
            items.minimum_stock_level, items.maximum_stock_level, items.version, items.archived_at,
        ).where(condition).order_by(items.id).with_for_update()
    )  # fmt: skip
    return [Stock(*row) for row in rows]


def _ids(keys: set[Key]) -> list[int]:
    anywhere = {product_id for product_id, location in keys if location is None}
    at_one: dict[str, set[str]] = {}
    for product_id, location in keys:
        if location is not None:
            at_one.setdefault(location, set()).add(product_id)
    conditions = [items.product_id.in_(anywhere)] if anywhere else []
    conditions += [and_(is_at(location), items.product_id.in_(products)) for location, products in at_one.items()]
    return list(db.session.execute(select(items.id).where(or_(*conditions))).scalars())


# Built once: compiling it for every row would cost more than running it.
_quantity = items.quantity + bindparam("quantity_change")
_reserved = items.reserved_quantity + bindparam("reserved_change")
_GUARDED_WRITE = (
    update(InventoryItem.__table__)
    .where(items.id == bindparam("item_id"), items.version == bindparam("seen_version"))
    .where(_reserved >= 0, _quantity >= _reserved)
    .values(
        quantity=_quantity,
        reserved_quantity=_reserved,
        version=bindparam("new_version"),
        minimum_stock_level=bindparam("new_minimum"),
        maximum_stock_level=bindparam("new_maximum"),
        archived_at=bindparam("new_archived_at"),
        updated_at=bindparam("now"),
    )
)


def save(stocks: Iterable[Stock], now: datetime) -> None:
    """Write what changed, each row guarded by the version it was read at and by its own invariant.

    Raises `LostRace` when a guard refuses: somebody changed a row in between, and nothing may be kept.
    """
    changes = [
        {
            "item_id": stock.id,
            "seen_version": stock.seen_version,
            "quantity_change": sum(movement.quantity_change for movement in stock.movements),
            "reserved_change": sum(movement.reserved_change for movement in stock.movements),
            "new_version": stock.version,
            "new_minimum": stock.minimum_stock_level,
            "new_maximum": stock.maximum_stock_level,
            "new_archived_at": stock.archived_at,
            "now": now,
        }
        for stock in stocks
    ]
    if changes:
        result: CursorResult[Any] = db.session.execute(_GUARDED_WRITE, changes)  # type: ignore[assignment]
        if result.rowcount != len(changes):
            raise LostRace(f"{len(changes) - result.rowcount} of {len(changes)} items were not as read any more")


def overwrite(stock: Stock, movement: Movement, now: datetime) -> None:
    """Set the counters of a locked item to what `movement` says they are. Only the audit's repair may."""
    statement = update(InventoryItem.__table__).where(items.id == stock.id, items.version == stock.seen_version)
    db.session.execute(
        statement.values(
            quantity=movement.quantity_after,
            reserved_quantity=movement.reserved_after,
            version=movement.sequence,
            updated_at=now,
        )
    )


def insert_many(rows: list[dict[str, Any]]) -> None:
    """New rows without stock; raises IntegrityError when one is there already."""
    if rows:
        db.session.execute(insert(InventoryItem.__table__), rows)


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    product_id: tuple[str, ...] = ()
    location: str | None = None
    low_stock: bool | None = None
    out_of_stock: bool | None = None
    has_reservations: bool | None = None
    q: str | None = None


def page(filters: Filters, sort: str, asked: PageRequest, now: datetime) -> pages.Page:
    """Items with live numbers; archived ones are left out."""
    seen = LiveItems(now)
    statement = seen.statement().where(items.archived_at.is_(None), *_conditions(filters, seen))
    return pages.fetch(statement, _order(sort), asked, filters=("inventory", filters))


def find(product_id: str, location: str | None, now: datetime) -> Sequence[Row[Any]]:
    """Every row of a product, or its row at one location, with live numbers; [] when there is none."""
    statement = LiveItems(now).statement().where(items.product_id == product_id)
    if location is not None:
        statement = statement.where(places.code == location)
    return db.session.execute(statement.order_by(places.priority, places.code)).all()


def get(product_id: str, location: str, now: datetime) -> Row[Any]:
    rows = find(product_id, location, now)
    if not rows:
        raise not_found(product_id, location)
    return rows[0]


def not_found(product_id: str, location: str | None) -> InventoryItemNotFound:
    where = f" at {location}" if location else ""
    return InventoryItemNotFound(f"no inventory of {product_id}{where}", product_id=product_id, location=location)


def find_many(product_ids: Collection[str], now: datetime, location: str | None = None) -> Sequence[Row[Any]]:
    """The open items of these products, at one location or at all."""
    statement = LiveItems(now).statement().where(items.product_id.in_(product_ids), items.archived_at.is_(None))
    if location is not None:
        statement = statement.where(places.code == location)
    return db.session.execute(statement).all()


def is_location_used(location_id: int) -> bool:
    in_use = and_(items.location_id == location_id, items.archived_at.is_(None))
    return bool(db.session.execute(select(exists().where(in_use))).scalar())


def is_empty() -> bool:
    return not db.session.execute(select(exists().select_from(InventoryItem.__table__))).scalar()


def _conditions(filters: Filters, seen: LiveItems) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.product_id:
        conditions.append(items.product_id.in_(filters.product_id))
    if filters.location is not None:
        conditions.append(is_at(filters.location))
    if filters.q is not None:
        conditions.append(code_contains(filters.q))
    for wanted, holds in (
        (filters.low_stock, seen.is_low),
        (filters.out_of_stock, seen.is_out),
        (filters.has_reservations, seen.reserved > 0),
    ):
        if wanted is not None:
            conditions.append(holds if wanted else ~holds)
    return conditions


SORTS = {
    "product_id": items.product_id,
    "quantity": items.quantity,
    "created_at": items.created_at,
    "updated_at": items.updated_at,
}


def _order(sort: str) -> list[pages.Sort]:
    """The second column makes it unique; by product it is the one the index has, in the same direction."""
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    second = (items.location_id, "location_id") if name == "product_id" else (items.id, "id")
    return [pages.Sort(SORTS[name], name, descending), pages.Sort(*second, descending)]
