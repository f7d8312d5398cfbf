"""Column types that mean the same on every engine."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Cast, DateTime, Dialect, Integer, LargeBinary, String, cast, func
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
