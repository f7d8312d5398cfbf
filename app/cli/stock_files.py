"""Reads and writes stock as CSV and JSON files, without a database.

A row that cannot be used is told of with the line it stands on; a file that cannot be used says why.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from marshmallow import ValidationError

from app.schemas.fields import SIGNED_NUMBER, Whole
from app.schemas.inventory_items import ItemNew
from app.utils import strict_json

LEVELS = ("minimum_stock_level", "maximum_stock_level")
COLUMNS = ("product_id", "quantity", "location", *LEVELS)
REQUIRED = ("product_id", "quantity")
NUMBERS = ("quantity", *LEVELS)
# An export says these as well. They follow from reservations, so an import reads past them.
DERIVED = ("reserved_quantity", "available_quantity")
EXPORTED = (*COLUMNS, *DERIVED)
# A file is held in memory: one transaction cannot be run again from a stream that was read.
MAX_BYTES, MAX_ROWS = 100_000_000, 500_000
BETWEEN_ELEMENTS = re.compile(r"[ \t\r\n,]*")
# What a spreadsheet would run as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class UnusableFile(ValueError):
    """The file is no table of stock."""


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


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Where each row stands, and its values or why it has none."""
    if path.stat().st_size > MAX_BYTES:
        raise UnusableFile(f"it is larger than {MAX_BYTES:,} bytes; divide it")
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    match path.suffix.lower():
        case ".csv":
            return _csv_rows(_text(data))
        case ".json":
            return _json_rows(data)
    raise UnusableFile("its name must end in .csv or .json")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnusableFile(f"line {line} is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8") from None


def _csv_rows(text: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line, header = 1, None
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if header is None and any(stripped):
                header = _checked_header(stripped)
            elif header is not None and any(stripped):
                yield f"line {line}", _named(header, stripped)
            # A quoted cell may go over several lines: a row is told of by the one it begins on.
            line = reader.line_num + 1
    except csv.Error as error:
        raise UnusableFile(f"line {line} is not CSV: {error}") from None
    if header is None:
        raise UnusableFile(f"it is empty; its first line must name the columns: {', '.join(COLUMNS)}")


def _checked_header(names: list[str]) -> list[str]:
    wrong = {
        "unknown columns": [name for name in dict.fromkeys(names) if name not in EXPORTED],
        "missing columns": [name for name in REQUIRED if name not in names],
        "columns named twice": [name for name, times in Counter(names).items() if times > 1],
    }
    problems = [f"{what}: {', '.join(map(repr, found))}" for what, found in wrong.items() if found]
    if problems:
        raise UnusableFile("; ".join(problems))
    return names


def _named(header: list[str], cells: list[str]) -> dict[str, Any] | str:
    """The cells by column; an empty one says nothing. Text that is no number is left for the schema to refuse."""
    if len(cells) != len(header):
        return f"it has {len(cells)} cells and the header {len(header)}"
    return {
        name: int(cell) if name in NUMBERS and SIGNED_NUMBER.fullmatch(cell) else cell
        for name, cell in zip(header, cells, strict=True)
        if cell
    }


def _json_rows(data: bytes) -> Iterator[tuple[str, dict[str, Any] | str]]:
    text = _text(data)
    try:
        values = strict_json.parse(data)
    except strict_json.InvalidJson as error:
        raise UnusableFile(f"it is not JSON: {error}") from None
    if not isinstance(values, list):
        raise UnusableFile("it must be a JSON array of objects")
    for number, (line, value) in enumerate(zip(_element_lines(text), values, strict=True), 1):
        yield f"line {line}, row {number}", value if isinstance(value, dict) else "it must be an object"


def _element_lines(text: str) -> Iterator[int]:
    """The line that each element of this JSON array begins on; the parser tells values only."""
    decoder = json.JSONDecoder()
    line, counted, end = 1, 0, text.index("[") + 1
    while True:
        between = BETWEEN_ELEMENTS.match(text, end)
        start = between.end() if between else end
        if text[start] == "]":
            return
        line += text.count("\n", counted, start)
        counted = start
        yield line
        _, end = decoder.raw_decode(text, start)


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
