"""Reads the files of a catalogue. What is in a file decides what it is, not its name; packed with gzip or not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from app.cli import tables
from app.cli.catalogue_paths import Reading, category_row, link_row
from app.cli.catalogue_rows import (
    BARCODE_COLUMNS,
    CODE_COLUMNS,
    FOR_SALE,
    OF_EITHER,
    OF_SKU,
    product_row,
    store_row,
)
from app.cli.tables import UnusableFile
from app.models.category_forest import key_of
from app.models.imported import BadRow, CategoryRow, Content, LinkRow, Origin, ProductRow, Remark, StoreRow

MAX_BYTES, MAX_ROWS = 200_000_000, 500_000
JSON_START = re.compile(rb"\s*[\[{]")
# A text that begins as a formula, or with such a mark already, is written with a mark in front of it.
MARKED = re.compile(r"'+[=+\-@\t\r]")
CODES = {*CODE_COLUMNS, *BARCODE_COLUMNS, *OF_SKU, "code", "stock", "variant_of", "verbatim"}
READERS: dict[str, Callable[[Mapping[str, Any], Reading], CategoryRow | LinkRow | StoreRow | ProductRow]] = {
    "categories": category_row,
    "links": link_row,
    "stores": store_row,
    "products": product_row,
}


def read(path: Path, name: str, content: Content) -> tuple[str, int]:
    """Add what the file says to `content`; answers its kind and how many rows it has. Raises `UnusableFile`."""
    data = tables.content(path, most=MAX_BYTES)
    if JSON_START.match(data):
        rows = list(tables.json_rows(data))
        kind = _kind({key for _, values in rows if isinstance(values, dict) for key in values} if rows else {"sku"})
    else:
        header: list[str] = []
        rows = list(tables.csv_rows(tables.text(data), check_header=partial(_check_header, header)))
        rows = [(place, values if isinstance(values, str) else _said(values)) for place, values in rows]
        kind = _kind(set(header))
    if len(rows) > MAX_ROWS:
        raise UnusableFile(f"it has more than {MAX_ROWS:,} rows; divide it")
    _read_rows(kind, name, rows, content)
    return kind, len(rows)


def _check_header(header: list[str], names: list[str]) -> None:
    """Keeps the header as well, which tells what kind of table it is."""
    if not names:
        raise UnusableFile("it is empty")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise UnusableFile(f"columns named twice: {', '.join(map(repr, twice))}")
    header.extend(names)


def _kind(columns: set[str]) -> str:
    if {"parent_id", "child_id"} <= columns:
        return "links"
    if "subCategories" in columns or ("path" in columns and "price" not in columns):
        return "categories"
    if {"zip", "city"} & columns and {"id", "code"} & columns and _is_of_stores(columns):
        return "stores"
    if set(CODE_COLUMNS) & columns:
        return "products"
    raise UnusableFile(
        f"it is no table of products, categories or stores: its columns are {', '.join(sorted(columns))}"
    )


def _is_of_stores(columns: set[str]) -> bool:
    """Of a table with a city or a ZIP code and a code. Raises `UnusableFile` when it can be one of products too."""
    for_sale = FOR_SALE & columns
    if for_sale and set(CODE_COLUMNS) & columns:
        return False
    if unclear := for_sale | OF_EITHER & columns:
        named = ", ".join(sorted({"zip", "city"} & columns)), ", ".join(sorted(unclear))
        raise UnusableFile(f"it can be a table of stores ({named[0]}) or of products ({named[1]}); rename one or other")
    return True


def _said(values: Mapping[str, str]) -> dict[str, str]:
    """An empty cell says nothing; spaces around a text are told of, around a code they are the file's own."""
    cells = {name: cell.strip() if name in CODES else cell for name, cell in values.items()}
    return {name: cell[1:] if MARKED.match(cell) else cell for name, cell in cells.items() if cell}


def _read_rows(kind: str, file: str, rows: Iterable[tables.Placed], content: Content) -> None:
    found: list[Any] = getattr(content, kind)
    remarks: dict[tuple[str, str, str], Remark] = {}
    more_columns: dict[str, None] = {}
    for place, values in rows:
        reading = Reading(Origin(file, place), more_columns=more_columns)
        try:
            row = _row(kind, values, reading)
            _require_first(kind, row, reading, content)
        except ValueError as error:
            content.bad[kind].append(BadRow(reading.origin, reading.id, str(error)))
        else:
            found.append(row)
            for key, remark in reading.remarks.items():
                remarks.setdefault(key, remark)
    content.remarks += remarks.values()
    if more_columns:
        content.remarks.append(Remark("more_columns", Origin(file, "its columns"), "", ", ".join(more_columns)))


def _require_first(kind: str, row: Any, reading: Reading, content: Content) -> None:
    """Raises ValueError when this call has read a row about the same record. Links may say a thing twice."""
    if kind == "links":
        return
    record = (kind, key_of(row) if kind == "categories" else row.code)
    if (first := content.first.get(record)) is not None:
        where = first.place if first.file == reading.origin.file else str(first)
        raise ValueError(f"{reading.id or row.name} is on {where} already")
    content.first[record] = reading.origin


def _row(kind: str, values: dict[str, Any] | str, reading: Reading) -> CategoryRow | LinkRow | StoreRow | ProductRow:
    if isinstance(values, str):
        raise ValueError(values)
    reading.verbatim = values.get("verbatim") in (True, "true")
    return READERS[kind](values, reading)
