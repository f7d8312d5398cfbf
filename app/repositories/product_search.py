"""Finding products by their words, codes and barcodes. The one file that knows which engine looks for the words.

MySQL and MariaDB have FULLTEXT indexes, SQLite has FTS5. What is found and how it ranks follows from what matches
where, not from an engine's own measure of relevance: all agree, and a page stays as it is while nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    column,
    false,
    func,
    literal,
    or_,
    select,
    table,
    union_all,
)
from sqlalchemy.dialects.mysql import match

from app.errors import InvalidBarcode, PageTooDeep
from app.extensions import db
from app.models import barcodes
from app.models.categories import Category
from app.models.products import END_OF_WORD, Product, ProductWords
from app.models.search_words import means_only_itself, words
from app.models.skus import Sku
from app.repositories import categories as category_rows
from app.repositories.pages import COUNTED, Page
from app.utils.paging import PageRequest

products, skus, categories = Product.__table__.c, Sku.__table__.c, Category.__table__.c
FACETS = 50


class Rank(IntEnum):
    """How well a product fits, the best first. Of several reasons the best one counts."""

    EXACT_CODE = 0
    BEGINNING_OF_CODE = 1
    WORDS_OF_NAME = 2
    BEGINNINGS_IN_NAME = 3
    SOME_IN_NAME = 4
    DESCRIPTION = 5


def having_words(text: str) -> Subquery | None:
    """The products, deleted ones too, that have every word of `text`, as a subquery of their ids; None without words.

    For the stock, which is found by the code of each SKU and by the words of its product, also after that is gone.
    """
    wanted = words(text)
    if not wanted:
        return None
    return select(_id().label("catalog_product_id")).where(_has(wanted, "name", "description")).subquery("having_words")


def page(text: str, asked: PageRequest, *, category: int | None = None) -> Page:
    """Ids of live products, the best first; `category` stands for all below it as well.

    A product is found by the barcode or the code, or its beginning, of a live SKU; and by having every word of
    `text` in its name or description, each whole or as the beginning of a longer word. The meta counts the whole
    match, also by category: the biggest of these counts are its `facets`.
    """
    offset = (asked.page - 1) * asked.per_page
    if offset >= COUNTED:
        raise PageTooDeep(f"pages go up to row {COUNTED}; search for more words", maximum_rows=COUNTED)
    found = _matching(text)
    statement = select(products.id).join(found, found.c.catalog_product_id == products.id)
    statement = statement.where(products.archived_at.is_(None))
    if category is not None:
        top = category_rows.find(category)
        statement = statement.where(false() if top is None else products.category_id.in_(category_rows.ids_within(top)))
    counts = _counts(statement)
    ordered = statement.order_by(found.c.rank, products.name, products.id)
    ids = db.session.execute(ordered.offset(offset).limit(asked.per_page)).scalars().all() if counts else []
    return Page(ids, _meta(asked, counts))


def _counts(statement: Select[Any]) -> list[dict[str, Any]]:
    """How many of the products each category has, the most first."""
    count = func.count().label("count")
    each = statement.with_only_columns(products.category_id, count).group_by(products.category_id).subquery()
    named = select(each.c.category_id, categories.name, each.c.count)
    named = named.outerjoin(Category, categories.id == each.c.category_id)
    rows = db.session.execute(named.order_by(each.c.count.desc(), categories.name_key, each.c.category_id))
    return [dict(row._mapping) for row in rows]


def _meta(asked: PageRequest, counts: list[dict[str, Any]]) -> dict[str, Any]:
    total = sum(each["count"] for each in counts)
    exact = total if total <= COUNTED else None
    return {
        "page": asked.page,
        "per_page": asked.per_page,
        "total": exact,
        "pages": None if exact is None else -(-exact // asked.per_page),
        "facets": [each for each in counts if each["category_id"] is not None][:FACETS],
    }


def _matching(text: str) -> Subquery:
    """Each product that `text` finds, deleted ones too, with its best rank."""
    reasons = union_all(*_by_code(text.strip()), *_by_words(words(text))).subquery("reasons")
    best = select(reasons.c.catalog_product_id, func.min(reasons.c.rank).label("rank"))
    return best.group_by(reasons.c.catalog_product_id).subquery("matching")


# ── Codes and barcodes ───────────────────────────────────────────────────────────────────────────


def _by_code(text: str) -> Iterator[Select[Any]]:
    """By the code as it is written; by its beginning, also when that was typed in other letters."""
    yield _of_skus(or_(skus.sku_code == text, skus.gtin.in_(_gtins(text))), Rank.EXACT_CODE)
    if text and text.isascii():
        # A range instead of LIKE: every engine takes the index for it, and no character stands for another.
        starts = sorted({text, text.upper(), text.lower()})
        ranges = [and_(skus.sku_code >= each, skus.sku_code < each[:-1] + chr(ord(each[-1]) + 1)) for each in starts]
        yield _of_skus(or_(*ranges), Rank.BEGINNING_OF_CODE)


def _of_skus(condition: ColumnElement[bool], rank: Rank) -> Select[Any]:
    found = select(skus.catalog_product_id, literal(rank.value).label("rank"))
    return found.where(condition, skus.archived_at.is_(None))


def _gtins(text: str) -> list[str]:
    try:
        return barcodes.candidates(text)
    except InvalidBarcode:
        return []


# ── Words ────────────────────────────────────────────────────────────────────────────────────────

WORDS: Any = ProductWords.__table__.c
FTS5 = table("product_search", column("rowid"), column("product_search")).c
# An engine is given words, never a text as somebody typed it: nobody can write in its query language.


def _by_words(wanted: list[str]) -> Iterator[Select[Any]]:
    if wanted:
        rank = case(
            (_has(wanted, "name", whole=True), Rank.WORDS_OF_NAME.value),
            (_has(wanted, "name"), Rank.BEGINNINGS_IN_NAME.value),
            (_has(wanted, "name", any_of=True), Rank.SOME_IN_NAME.value),
            else_=Rank.DESCRIPTION.value,
        )
        found = select(_id().label("catalog_product_id"), rank.label("rank"))
        yield found.where(_has(wanted, "name", "description"))


def _id() -> ColumnElement[int]:
    key: ColumnElement[int] = products.id if _is_sqlite() else WORDS.catalog_product_id
    return key


def _has(wanted: list[str], *columns: str, whole: bool = False, any_of: bool = False) -> ColumnElement[bool]:
    """Whether all words, or `any_of` them, are in these columns, `whole` or as beginnings of words."""
    found: ColumnElement[bool]
    if _is_sqlite():
        terms = [f'"{word}"{_end(word, whole, "", "*")}' for word in wanted]
        query = f"{{{' '.join(columns)}}} : ({(' OR ' if any_of else ' AND ').join(terms)})"
        found = products.id.in_(select(FTS5.rowid).where(FTS5.product_search.op("MATCH")(query)))
    else:
        query = " ".join(f"{'' if any_of else '+'}{word}{_end(word, whole, END_OF_WORD, '*')}" for word in wanted)
        found = match(*(WORDS[name] for name in columns), against=query).in_boolean_mode()
    return found


def _end(word: str, whole: bool, end: str, beginning: str) -> str:
    return end if whole or means_only_itself(word) else beginning


def _is_sqlite() -> bool:
    return bool(db.session.get_bind().dialect.name == "sqlite")
