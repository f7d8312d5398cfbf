"""What each store has, with what the catalogue says of it: names, prices and barcodes beside live numbers.

The stock leads. An item whose code the catalogue does not know is in every list, with nothing where its name would be.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, exists, false, func, literal, or_, select

from app.errors import BarcodeNotFound, InvalidBarcode
from app.extensions import db
from app.models import barcodes
from app.models.categories import Category
from app.models.inventory_items import StockStatus
from app.models.products import Product
from app.models.skus import Sku
from app.models.types import Money
from app.repositories import categories as category_rows
from app.repositories import inventory_items, pages, product_search
from app.repositories.live_items import LiveItems, code_contains, is_at, items, places
from app.utils.paging import PageRequest

skus, products, categories = Sku.__table__.c, Product.__table__.c, Category.__table__.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """`category` stands for everything below it as well; prices are in `currency`; `gtins` are barcodes' numbers."""

    location: str | None = None
    category: int | None = None
    search: str | None = None
    status: StockStatus | None = None
    low_stock: bool = False
    currency: str | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    gtins: tuple[str, ...] = ()


def page(filters: Filters, sort: str, asked: PageRequest, now: datetime) -> pages.Page:
    """Open items with live numbers, two or three statements however many there are."""
    seen = LiveItems(now)
    statement = _statement(seen).where(items.archived_at.is_(None), *_conditions(filters, seen))
    if filters.search is not None:
        statement = _searched(statement, filters.search)
    return pages.fetch(statement, _order(sort, seen), asked, filters=("store", filters))


def get(product_id: str, location: str, now: datetime) -> Row[Any]:
    """Also an archived one. Raises `InventoryItemNotFound`."""
    statement = _statement(LiveItems(now)).where(items.product_id == product_id, places.code == location)
    row = db.session.execute(statement).one_or_none()
    if row is None:
        raise inventory_items.not_found(product_id, location)
    return row


def require_barcode(barcode: str, gtins: Collection[str]) -> None:
    """Raises `BarcodeNotFound` when no SKU on sale has one of the numbers this barcode can stand for."""
    if not db.session.execute(select(exists().where(skus.gtin.in_(gtins)))).scalar():
        raise BarcodeNotFound(f"no SKU has the barcode {barcode}", barcode=barcode)


def with_catalogue(statement: Select[Any]) -> Select[Any]:
    """The items of `statement` beside their SKU, product and category; deleted ones still say what the stock is."""
    return (
        statement.outerjoin(Sku, skus.sku_code == items.product_id)
        .outerjoin(Product, products.id == skus.catalog_product_id)
        .outerjoin(Category, categories.id == products.category_id)
    )


# No name and no price sort as the least, since a cursor can name no NULL.
_KEYS: dict[str, ColumnElement[Any]] = {
    "name_key": func.lower(func.coalesce(products.name, "")),
    "currency_key": func.coalesce(skus.currency, ""),
    "price_key": func.coalesce(skus.price, literal(Decimal(0), Money)),
}
# The last one makes the order unique. Amounts of two currencies do not compare, so a price sorts within its own.
SORTS = {
    "product_id": ("product_id", "location_id"),
    "name": ("name_key", "product_id", "id"),
    "price": ("currency_key", "price_key", "id"),
    "quantity": ("quantity", "id"),
    "available_quantity": ("available_quantity", "id"),
}


def _statement(seen: LiveItems) -> Select[Any]:
    return with_catalogue(seen.statement()).add_columns(
        skus.catalog_product_id, products.name, products.description,
        products.category_id, categories.name.label("category_name"),
        skus.price, skus.currency, skus.unit, skus.barcode, skus.archived_at.label("sku_archived_at"),
        seen.status.label("status"), *(column.label(name) for name, column in _KEYS.items()),
    )  # fmt: skip


def _order(sort: str, seen: LiveItems) -> list[pages.Sort]:
    columns = {**items, **_KEYS, "available_quantity": seen.available}
    descending = sort.startswith("-")
    return [pages.Sort(columns[name], name, descending) for name in SORTS[sort.removeprefix("-")]]


def _conditions(filters: Filters, seen: LiveItems) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.location is not None:
        conditions.append(is_at(filters.location))
    if filters.category is not None:
        top = category_rows.find(filters.category)
        within = top and category_rows.ids_within(top, include_deleted=True)
        conditions.append(false() if within is None else products.category_id.in_(within))
    if filters.status is not None:
        conditions.append(seen.status == filters.status)
    if filters.low_stock:
        conditions.append(seen.is_low)
    if filters.gtins:
        conditions.append(skus.gtin.in_(filters.gtins))
    return conditions + _prices(filters)


def _prices(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.currency is not None:
        conditions.append(skus.currency == filters.currency)
    if filters.min_price is not None:
        conditions.append(skus.price >= filters.min_price)
    if filters.max_price is not None:
        conditions.append(skus.price <= filters.max_price)
    return conditions


# ── Search ───────────────────────────────────────────────────────────────────────────────────────


def _searched(statement: Select[Any], text: str) -> Select[Any]:
    """Items by characters of their own code or their own barcode; by words of the product, all its SKUs."""
    found = [code_contains(text), skus.gtin.in_(_gtins(text))]
    named = product_search.having_words(text)
    if named is not None:
        statement = statement.outerjoin(named, named.c.catalog_product_id == products.id)
        found.append(named.c.catalog_product_id.is_not(None))
    return statement.where(or_(*found))


def _gtins(text: str) -> list[str]:
    try:
        return barcodes.candidates(text.strip())
    except InvalidBarcode:
        return []
