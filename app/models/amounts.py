"""What units are worth, summed by the database without losing a cent.

MySQL and MariaDB sum decimals of any size. SQLite counts in whole numbers of 64 bits, fewer than a single row at
the limits of stock and price needs, and beyond them in floats. So it sums three parts of the price, each small enough
that it takes tens of thousands of such rows to overflow, which SQLite reports as an error.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeEngine

from app.models.types import Money

PART = 100_000


class _Worth(Money):
    """On SQLite the three sums as text, the one that counts most first."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String())
        return super().load_dialect_impl(dialect)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is not None and dialect.name == "sqlite":
            high, middle, low = map(int, value.split())
            value = (high * PART + middle) * PART + low
        return super().process_result_value(value, dialect)


class worth(FunctionElement[Decimal]):  # noqa: N801 - reads like the functions of the database beside it
    """The sum of units times amount, given as two columns; nothing where no row has an amount."""

    type = _Worth()
    inherit_cache = True


@compiles(worth)
def _of_decimals(element: worth, compiler: Any, **kwargs: Any) -> str:
    units, amount = (compiler.process(each, **kwargs) for each in element.clauses)
    return f"SUM({units} * {amount})"


@compiles(worth, "sqlite")
def _of_hundredths(element: worth, compiler: Any, **kwargs: Any) -> str:
    units, amount = (compiler.process(each, **kwargs) for each in element.clauses)
    parts = (f"{amount} / {PART * PART}", f"{amount} / {PART} % {PART}", f"{amount} % {PART}")
    return " || ' ' || ".join(f"SUM({units} * ({part}))" for part in parts)
