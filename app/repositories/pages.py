"""Pages of a list: numbered up to a depth that stays cheap, by cursor at constant cost to any depth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import ColumnElement, Row, Select, and_, false, func, or_, select

from app.errors import InvalidCursor, PageTooDeep
from app.extensions import db, settings
from app.models.types import Money, UTCDateTime
from app.utils.paging import PageRequest

COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Sort:
    column: ColumnElement[Any]
    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Any]
    meta: dict[str, Any]

    def mapped(self, convert: Callable[[Any], Any]) -> Page:
        return Page([convert(row) for row in self.rows], self.meta)


def fetch(statement: Select[Any], order: list[Sort], asked: PageRequest, *, filters: object) -> Page:
    """One page of `statement`. `order` ends with a unique column; its names are labels of the statement.

    `filters` is whatever tells this list from another one: a cursor works only for the list it came from.
    """
    signer = _signer(order, filters)
    total = None
    if asked.cursor is None:
        total = _count(statement, order[-1].column)
        offset = (asked.page - 1) * asked.per_page
        if offset >= COUNTED:
            raise PageTooDeep(f"pages go up to row {COUNTED}; read further with ?cursor=", maximum_rows=COUNTED)
        rest = statement.offset(offset)
    else:
        rest = statement.where(_after(order, _read_cursor(signer, asked.cursor, order)))
    ordered = rest.order_by(*(sort.column.desc() if sort.descending else sort.column for sort in order))
    rows = db.session.execute(ordered.limit(asked.per_page + 1)).all()
    more = len(rows) > asked.per_page
    rows = rows[: asked.per_page]
    return Page(rows, _meta(asked, total, _write_cursor(signer, rows[-1], order) if more else None))


def _meta(asked: PageRequest, total: int | None, next_cursor: str | None) -> dict[str, Any]:
    exact = total if total is not None and total <= COUNTED else None
    return {
        "page": asked.page if asked.cursor is None else None,
        "per_page": asked.per_page,
        "total": exact,
        "pages": None if exact is None else -(-exact // asked.per_page),
        "next_cursor": next_cursor,
    }


def _count(statement: Select[Any], key: ColumnElement[Any]) -> int:
    """How many rows there are, counting no further than one past the depth that is counted exactly."""
    # By one column: ten thousand wide rows would be written into a table of their own to be counted.
    bounded = statement.with_only_columns(key).order_by(None).limit(COUNTED + 1).subquery()
    return db.session.execute(select(func.count()).select_from(bounded)).scalar_one()


def _signer(order: list[Sort], filters: object) -> URLSafeSerializer:
    shape = repr(([(sort.name, sort.descending) for sort in order], filters))
    return URLSafeSerializer(settings().secret_key, salt=hashlib.sha256(shape.encode()).hexdigest())


def _write_cursor(signer: URLSafeSerializer, row: Row[Any], order: list[Sort]) -> str:
    written = signer.dumps([_plain(row._mapping[sort.name]) for sort in order])
    return written if isinstance(written, str) else written.decode()


def _read_cursor(signer: URLSafeSerializer, cursor: str, order: list[Sort]) -> list[Any]:
    try:
        values = signer.loads(cursor)
    except BadData:
        raise InvalidCursor("the cursor was not given out for this list") from None
    return [_typed(value, sort.column) for sort, value in zip(order, values, strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _typed(value: Any, column: ColumnElement[Any]) -> Any:
    if isinstance(column.type, UTCDateTime):
        return datetime.fromisoformat(value)
    return Decimal(value) if isinstance(column.type, Money) else value


def _after(order: list[Sort], values: list[Any]) -> ColumnElement[bool]:
    """Rows that come after `values` in `order`: later in the first column, or equal there and later in the next."""
    condition: ColumnElement[bool] = false()
    for sort, value in reversed(list(zip(order, values, strict=True))):
        beyond = sort.column < value if sort.descending else sort.column > value
        condition = or_(beyond, and_(sort.column == value, condition))
    first, value = order[0], values[0]
    # Said once more as one plain range, so that the scan begins at the cursor instead of sorting all that follows.
    return and_(first.column <= value if first.descending else first.column >= value, condition)
