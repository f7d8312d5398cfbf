"""Tables in CSV and JSON files: their rows, each with where it stands, and files that are written whole."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from app.utils import strict_json

# A row is its cells by column, or why it has none.
Placed = tuple[str, dict[str, Any] | str]
BETWEEN_ELEMENTS = re.compile(r"[ \t\r\n,]*")
# What a spreadsheet would run as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
GZIP = b"\x1f\x8b"


class UnusableFile(ValueError):
    """The file is not what the command imports."""


def content(path: Path, *, most: int) -> bytes:
    """What is in the file, unpacked if it was packed with gzip, and without a byte order mark.

    A file is held in memory: one transaction cannot be run again from a stream that was read.
    """
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(most + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnusableFile(f"it cannot be unpacked: {error}") from None
    if len(data) > most:
        raise UnusableFile(f"it is larger than {most:,} bytes; divide it")
    return data.removeprefix(codecs.BOM_UTF8)


def text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnusableFile(f"line {line} is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8") from None


def csv_rows(table: str, *, check_header: Callable[[list[str]], object]) -> Iterator[Placed]:
    """The rows below the header. Cells are as written; a row of nothing but space is none."""
    reader = csv.reader(io.StringIO(table, newline=""), strict=True)
    line, header = 1, None
    try:
        for cells in reader:
            if header is None and any(cell.strip() for cell in cells):
                header = [cell.strip() for cell in cells]
                check_header(header)
            elif header is not None and any(cell.strip() for cell in cells):
                yield f"line {line}", _named(header, cells)
            # A quoted cell may go over several lines: a row is told of by the one it begins on.
            line = reader.line_num + 1
    except csv.Error as error:
        raise UnusableFile(f"line {line} is not CSV: {error}") from None
    if header is None:
        check_header([])


def _named(header: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) != len(header):
        return f"it has {len(cells)} cells and the header {len(header)}"
    return dict(zip(header, cells, strict=True))


def json_rows(data: bytes) -> Iterator[Placed]:
    """The elements of an array of objects."""
    lines = text(data)
    try:
        values = strict_json.parse(data)
    except strict_json.InvalidJson as error:
        raise UnusableFile(f"it is not JSON: {error}") from None
    if not isinstance(values, list):
        raise UnusableFile("it must be a JSON array of objects")
    for number, (line, value) in enumerate(zip(_element_lines(lines), values, strict=True), 1):
        yield f"line {line}, row {number}", value if isinstance(value, dict) else "it must be an object"


def _element_lines(array: str) -> Iterator[int]:
    """The line that each element of this JSON array begins on; the parser tells values only."""
    decoder = json.JSONDecoder()
    line, counted, end = 1, 0, array.index("[") + 1
    while True:
        between = BETWEEN_ELEMENTS.match(array, end)
        start = between.end() if between else end
        if array[start] == "]":
            return
        line += array.count("\n", counted, start)
        counted = start
        yield line
        _, end = decoder.raw_decode(array, start)


@contextmanager
def written_whole(file: str) -> Iterator[IO[str]]:
    """A file appears, or replaces an older one, only once all of it is written: half a table looks like a whole one."""
    path = Path(file)
    if file == "-" or (path.exists() and not path.is_file()):
        with click.open_file(file, "w", encoding="utf-8") as out:
            yield out
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as out:
            try:
                yield out
            except BaseException:
                part.unlink()
                raise
        part.replace(path)
    except OSError as error:
        raise click.FileError(file, error.strerror) from error
