"""What a migration takes from code that knows only the schema before it; and rows as that code would write them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Engine, Inspector, MetaData, Table, insert, inspect, select
from sqlalchemy.types import JSON, DateTime, LargeBinary, String

# Alembic's own, and what the database keeps by itself for searching.
IGNORED = {"alembic_version", "product_search"}
# Where any other value would break a rule of the table, or is the table's own to give.
VALUES: dict[str, Any] = {
    "version": 1, "status": "active", "quantity": 5, "reserved_quantity": 2, "sequence": 1, "movement_type": "inbound",
    "quantity_change": 5, "reserved_change": 2, "quantity_after": 5, "reserved_after": 2, "depth": 1,
}  # fmt: skip
UNUSED = itertools.count(1_000_000)
MOMENT = datetime(2030, 1, 1, 12, 0, 0, 123456)


@dataclass(slots=True)
class Shape:
    """One table or view as code meets it."""

    columns: dict[str, str]
    required: set[str] = field(default_factory=set)
    unique: set[tuple[str, ...]] = field(default_factory=set)
    checks: set[str] = field(default_factory=set)
    references: set[tuple[str, ...]] = field(default_factory=set)


def shapes(engine: Engine) -> dict[str, Shape]:
    looked = inspect(engine)
    tables = {name: _table(looked, name) for name in looked.get_table_names() if name not in IGNORED}
    views = {
        name: Shape({column["name"]: "" for column in looked.get_columns(name)}) for name in looked.get_view_names()
    }
    return tables | views


def _table(looked: Inspector, name: str) -> Shape:
    columns = looked.get_columns(name)
    keys = {tuple(looked.get_pk_constraint(name)["constrained_columns"])}
    unique = {tuple(map(str, index["column_names"])) for index in looked.get_indexes(name) if index["unique"]}
    return Shape(
        columns={column["name"]: str(column["type"]) for column in columns},
        required={
            column["name"]
            for column in columns
            if not column["nullable"] and column["default"] is None and column.get("autoincrement") is not True
        },
        unique=keys | unique | {tuple(key["column_names"]) for key in looked.get_unique_constraints(name)},
        checks={str(check["sqltext"]) for check in looked.get_check_constraints(name)},
        references={tuple(key["constrained_columns"]) for key in looked.get_foreign_keys(name)},
    )


def taken_away(before: dict[str, Shape], after: dict[str, Shape]) -> list[str]:
    """Every reason why code written for `before` may fail on `after`."""
    return [reason for name, old in before.items() for reason in _taken(name, old, after.get(name))]


def _taken(name: str, old: Shape, new: Shape | None) -> Iterator[str]:
    if new is None:
        yield f"{name} is gone"
        return
    for column, kind in old.columns.items():
        if column not in new.columns:
            yield f"{name}.{column} is gone"
        elif new.columns[column] != kind:
            yield f"{name}.{column} was {kind} and is {new.columns[column]}"
    yield from (f"{name}.{column} must be given now" for column in sorted(new.required - old.required))
    yield from (f"{name} refuses two with the same {', '.join(key)} now" for key in sorted(new.unique - old.unique))
    yield from (f"{name} takes two with the same {', '.join(key)} now" for key in sorted(old.unique - new.unique))
    yield from (f"{name} checks {check} now" for check in sorted(new.checks - old.checks))
    yield from (f"{name} must refer by {', '.join(key)} now" for key in sorted(new.references - old.references))


def known(engine: Engine) -> MetaData:
    """The tables with their present columns, for statements that name these and no others."""
    metadata = MetaData()
    metadata.reflect(engine, only=lambda name, _metadata: name not in IGNORED)
    return metadata


def write_one_of_each(connection: Connection, metadata: MetaData, mark: str) -> dict[str, dict[str, Any]]:
    """A row for every table, naming all the columns it knows and referring to the rows before it. Marks must ascend,
    so that each row is the last of its table.
    """
    written: dict[str, dict[str, Any]] = {}
    for table in metadata.sorted_tables:
        row = {column.name: _value(column, mark, written) for column in table.columns if not _given(column)}
        connection.execute(insert(table).values(row))
        written[table.name] = dict(zip(table.columns.keys(), _rows(connection, table)[-1], strict=True))
    return written


def everything(connection: Connection, metadata: MetaData) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, in the columns that `metadata` knows."""
    return {table.name: _rows(connection, table) for table in metadata.sorted_tables}


def _rows(connection: Connection, table: Table) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]


def _given(column: Column[Any]) -> bool:
    """By the database itself: a number that counts up."""
    return column.primary_key and column.autoincrement is not False and column.type.python_type is int


def _value(column: Column[Any], mark: str, written: dict[str, dict[str, Any]]) -> Any:
    for key in column.foreign_keys:
        there = written.get(key.column.table.name)  # not yet, for a table that refers to itself
        return None if there is None else there[key.column.name]
    if column.name in VALUES and isinstance(VALUES[column.name], column.type.python_type):
        return VALUES[column.name]
    if isinstance(column.type, DateTime):
        return MOMENT
    if isinstance(column.type, JSON):
        return {}
    if isinstance(column.type, LargeBinary):
        return b"{}"
    if isinstance(column.type, String):
        # MariaDB keeps JSON as text without a limit, and checks that it is JSON.
        return f"{mark}-{column.name}"[: column.type.length] if column.type.length else "{}"
    return next(UNUSED)
