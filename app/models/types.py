"""Column types that mean the same on every engine."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Cast, DateTime, Dialect, Integer, LargeBinary, Numeric, String, cast, func
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

# Up to 16 MB on MySQL and MariaDB, whose plain BLOB holds 64 kB.
Bytes = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
BigId = BigInteger().with_variant(Integer, "sqlite")


def byte_string(length: int) -> String:
    """Text compared byte for byte: `abc` and `ABC` are two codes on every engine."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


def total(values: Any) -> Cast[int]:
    """The sum as a whole number, 0 of nothing: MySQL and MariaDB would make it a decimal."""
    return cast(func.coalesce(func.sum(values), 0), BigInteger)


class UTCDateTime(TypeDecorator[datetime]):
    """Aware in Python, naive UTC with microseconds in the database, which stores no zone."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


def words(length: int) -> String:
    """Text for people, compared without minding case; on MySQL and MariaDB without minding accents either."""
    server = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_unicode_520_ci")
    return String(length).with_variant(server, "mysql", "mariadb").with_variant(String(length, "NOCASE"), "sqlite")


class Money(TypeDecorator[Decimal]):
    """An exact amount with two decimals: a decimal column, on SQLite, which has none, whole hundredths.

    Sums and products of it stay exact on every engine, but carry this type only when told so (`type_coerce`).
    """

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(14, 2))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        if value is None or dialect.name != "sqlite":
            return value
        return int(value.scaleb(2).to_integral_exact())

    def process_result_value(self, value: Decimal | int | None, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        amount = Decimal(value).scaleb(-2) if dialect.name == "sqlite" else Decimal(value)
        return amount.quantize(Decimal("0.01"))
