"""Sums over the stock: what there is and what it is worth, by location and category, and in which units it is sold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, BigInteger, ColumnElement, Row, Select, String, case, func, literal, select, union_all

from app.extensions import db
from app.models.amounts import worth
from app.models.categories import Category
from app.models.products import Product
from app.models.skus import Sku
from app.models.types import total
from app.repositories import pages
from app.repositories.live_items import LiveItems, is_at, items, places
from app.repositories.store_products import with_catalogue
from app.utils.paging import PageRequest

SUMMED = ("quantity", "reserved_quantity", "available_quantity", "low_stock", "out_of_stock")
skus, products, categories = Sku.__table__.c, Product.__table__.c, Category.__table__.c


def sums(location: str | None, now: datetime) -> Sequence[Row[Any]]:
    """The sums of every location, and then those of every category, of the open items.

    Each comes in as many rows as it has currencies, one of them for items without a price. One statement, so that
    all are sums over the same stock. Rows of a category have no `location`, and `products` is in the others alone.
    """
    open_items = _priced(location, now).cte("open_items")
    no_place, no_category, no_name = literal(None, String), literal(None, BigInteger), literal(None, String)
    products = _open(select(func.count(items.product_id.distinct())), location).scalar_subquery()
    by_location = _summed(open_items, open_items.c.location, no_category, no_name, products)
    by_category = _summed(open_items, no_place, open_items.c.category_id, open_items.c.category_name, literal(0))
    return db.session.execute(union_all(by_location, by_category)).all()


def categories_in_stock(location: str | None, asked: PageRequest, now: datetime) -> pages.Page:
    """Those with available units of their own, by name: how many products and units that are."""
    seen = LiveItems(now)
    statement = with_catalogue(seen.statement()).with_only_columns(
        categories.id, categories.name, categories.name_key, categories.parent_id,
        func.count(items.product_id.distinct()).label("products"), total(seen.available).label("available_quantity"),
    )  # fmt: skip
    statement = _open(statement, location).where(categories.id.is_not(None), seen.available > 0)
    statement = statement.group_by(categories.id, categories.name, categories.name_key, categories.parent_id)
    order = [pages.Sort(categories.name_key, "name_key"), pages.Sort(categories.id, "id")]
    return pages.fetch(statement, order, asked, filters=("categories in stock", location))


def units(location: str | None, asked: PageRequest, now: datetime) -> pages.Page:
    """In which units the items are sold: how many products and how many units on hand each of them has."""
    statement = with_catalogue(LiveItems(now).statement()).with_only_columns(
        skus.unit, func.count(items.product_id.distinct()).label("products"), total(items.quantity).label("quantity")
    )
    statement = _open(statement, location).where(skus.unit.is_not(None)).group_by(skus.unit)
    return pages.fetch(statement, [pages.Sort(skus.unit, "unit")], asked, filters=("units", location))


def _priced(location: str | None, now: datetime) -> Select[Any]:
    seen = LiveItems(now)
    statement = with_catalogue(seen.statement()).with_only_columns(
        items.product_id, places.code.label("location"), items.quantity, seen.reserved.label("reserved_quantity"),
        seen.available.label("available_quantity"),
        case((seen.is_low, 1), else_=0).label("low_stock"), case((seen.is_out, 1), else_=0).label("out_of_stock"),
        products.category_id, categories.name.label("category_name"), skus.price, skus.currency,
    )  # fmt: skip
    return _open(statement, location)


def _open(statement: Select[Any], location: str | None) -> Select[Any]:
    statement = statement.where(items.archived_at.is_(None))
    return statement if location is None else statement.where(is_at(location))


def _summed(
    open_items: CTE,
    place: ColumnElement[Any],
    category_id: ColumnElement[Any],
    category_name: ColumnElement[Any],
    products: ColumnElement[int],
) -> Select[Any]:
    row = open_items.c
    return select(
        place.label("location"),
        category_id.label("category_id"),
        category_name.label("category_name"),
        row.currency,
        func.count().label("items"),
        *(total(row[name]).label(name) for name in SUMMED),
        worth(row.quantity, row.price).label("value"),
        products.label("products"),
    ).group_by(place, category_id, category_name, row.currency)
