"""Reads and writes stock as CSV and JSON files, without a database.

A row that cannot be used is told of with the line it stands on; a file that cannot be used says why.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from marshmallow import ValidationError

from app.cli import tables
from app.cli.tables import FORMULA_STARTS, UnusableFile
from app.schemas.fields import SIGNED_NUMBER, Whole
from app.schemas.inventory_items import ItemNew

LEVELS = ("minimum_stock_level", "maximum_stock_level")
COLUMNS = ("product_id", "quantity", "location", *LEVELS)
REQUIRED = ("product_id", "quantity")
NUMBERS = ("quantity", *LEVELS)
# An export says these as well. They follow from reservations, so an import reads past them.
DERIVED = ("reserved_quantity", "available_quantity")
EXPORTED = (*COLUMNS, *DERIVED)
MAX_BYTES, MAX_ROWS = 100_000_000, 500_000


class ItemCounted(ItemNew):
    """As a new item over HTTP, but an absent quantity is an omission and not a count of 0."""

    quantity = Whole(required=True)


@dataclass(frozen=True, slots=True)
class StockRow:
    """One good row. `levels` has only those that the row names; `number` is its place among the rows."""

    number: int
    place: str
    product_id: str
    location: str
    quantity: int
    levels: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.product_id, self.location


@dataclass(frozen=True, slots=True)
class BadRow:
    number: int
    place: str
    reason: str


SHAPE = ItemCounted()


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────


def read_stock(path: Path, *, location: str) -> Iterator[StockRow | BadRow]:
    """Every row in order, good or bad; one that names no location belongs to `location`.

    Raises `UnusableFile`, also after some rows.
    """
    first: dict[tuple[str, str], str] = {}
    for number, (place, values) in enumerate(_rows(path), 1):
        if number > MAX_ROWS:
            raise UnusableFile(f"it has more than {MAX_ROWS:,} rows; divide it")
        row = _checked(number, place, values, location)
        if isinstance(row, StockRow) and first.setdefault(row.key, place) != place:
            where = f"{row.product_id} at {row.location}"
            row = BadRow(number, place, f"{where} is on {first[row.key]} already")
        yield row


def _rows(path: Path) -> Iterator[tables.Placed]:
    data = tables.content(path, most=MAX_BYTES)
    match path.suffix.lower():
        case ".csv":
            return _csv_rows(tables.text(data))
        case ".json":
            return tables.json_rows(data)
    raise UnusableFile("its name must end in .csv or .json")


def _csv_rows(table: str) -> Iterator[tables.Placed]:
    for place, values in tables.csv_rows(table, check_header=_check_header):
        yield place, values if isinstance(values, str) else _said(values)


def _check_header(names: list[str]) -> None:
    if not names:
        raise UnusableFile(f"it is empty; its first line must name the columns: {', '.join(COLUMNS)}")
    wrong = {
        "unknown columns": [name for name in dict.fromkeys(names) if name not in EXPORTED],
        "missing columns": [name for name in REQUIRED if name not in names],
        "columns named twice": [name for name, times in Counter(names).items() if times > 1],
    }
    problems = [f"{what}: {', '.join(map(repr, found))}" for what, found in wrong.items() if found]
    if problems:
        raise UnusableFile("; ".join(problems))


def _said(values: dict[str, str]) -> dict[str, Any]:
    """An empty cell says nothing. Text that is no number is left for the schema to refuse."""
    cells = {name: cell.strip() for name, cell in values.items()}
    return {
        name: int(cell) if name in NUMBERS and SIGNED_NUMBER.fullmatch(cell) else cell
        for name, cell in cells.items()
        if cell
    }


def _checked(number: int, place: str, values: dict[str, Any] | str, location: str) -> StockRow | BadRow:
    if isinstance(values, str):
        return BadRow(number, place, values)
    said = {name: value for name, value in values.items() if name not in DERIVED}
    try:
        loaded = SHAPE.load({"location": location} | said)
    except ValidationError as error:
        reasons = [f"{name}: {' '.join(messages)}" for name, messages in error.messages_dict.items()]
        return BadRow(number, place, " ".join(reasons))
    levels = {name: loaded[name] for name in LEVELS if name in loaded}
    return StockRow(number, place, loaded["product_id"], loaded["location"], loaded["quantity"], levels)


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────


def write_csv(items: Iterable[Any], out: IO[str]) -> int:
    """Writes items as they come and answers how many there were."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(EXPORTED)
    count = 0
    for item in items:
        writer.writerow([_cell(getattr(item, name)) for name in EXPORTED])
        count += 1
    return count


def write_json(items: Iterable[Any], out: IO[str]) -> int:
    """One object per line, so that a line number in a complaint means something."""
    count = 0
    out.write("[")
    for item in items:
        written = json.dumps({name: getattr(item, name) for name in EXPORTED})
        out.write(f"{',' if count else ''}\n{written}")
        count += 1
    out.write("\n]\n")
    return count


def _cell(value: Any) -> Any:
    """Text that looks like a formula is marked as text; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
