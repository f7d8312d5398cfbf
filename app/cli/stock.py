"""Commands that bring stock in and out: import-stock, export-stock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext
from sqlalchemy import Row

from app.cli.plainly import told_plainly
from app.cli.progress import in_chunks
from app.cli.stock_files import BadRow, StockRow, read_stock, write_csv, write_json
from app.cli.tables import UnusableFile, written_whole
from app.models.locations import DEFAULT
from app.models.stock import Stock
from app.repositories import inventory_items as item_rows
from app.repositories import locations as location_rows
from app.services import inventory_items
from app.services.inventory_items import Change, Create
from app.utils import clock, context, ids
from app.utils.paging import PageRequest
from app.utils.transactions import transactional

T = TypeVar("T")
CHUNK = 500
# Every page sorts what is left of the table anew, so few large ones are quicker than many small ones.
PAGE = 5_000
LONGEST_REASON = 255
WRITERS = {"csv": write_csv, "json": write_json}


# ── Commands ─────────────────────────────────────────────────────────────────────────────────────


@click.command("import-stock")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would happen and change nothing.")
@click.option("--partial", is_flag=True, help="Import the good rows although others are refused.")
@click.option("--location", default=DEFAULT, show_default=True, metavar="CODE", help="For rows that name none.")
@with_appcontext
def import_stock(file: Path, dry_run: bool, partial: bool, location: str) -> None:
    """Count stock from FILE (.csv with a header, or .json with an array of objects, in UTF-8).

    Columns: product_id and quantity; location, minimum_stock_level and maximum_stock_level may be absent or
    empty, and an empty level stays what it was. reserved_quantity and available_quantity, which an export has,
    are read past. A product that is new at its location opens with the quantity, one that is there is set to it
    as counted. A row that changes nothing writes nothing.

    All rows are imported or none, in one transaction: on SQLite others wait to write until it is through. With
    --partial the good rows are imported, 500 to a transaction. The exit code is 1 when any row was refused.
    """
    with told_plainly(), context.acting_as("import-stock", ids.new_id()):
        require_location(location)
        name = click.format_filename(file, shorten=True)
        rows, bad = _read(file, name, location)
        tally = _import(rows, bad, reason=f"import {name}"[:LONGEST_REASON], dry_run=dry_run, partial=partial)
        _report(name, tally, dry_run=dry_run, partial=partial)
    raise SystemExit(1 if tally.refused else 0)


@click.command("export-stock")
@click.argument("file", default="-", type=click.Path(dir_okay=False, writable=True, allow_dash=True))
@click.option("--format", "kind", type=click.Choice(list(WRITERS)), help="Otherwise FILE's ending decides, else csv.")
@click.option("--location", metavar="CODE", help="Only the items there.")
@with_appcontext
def export_stock(file: str, kind: str | None, location: str | None) -> None:
    """Write every item to FILE, or to standard output: a table that import-stock takes back.

    Archived items are left out. Each item is written once, with the numbers it had when it was read.
    """
    chosen = kind or ("json" if file.lower().endswith(".json") else "csv")
    with told_plainly():
        if location is not None:
            require_location(location)
        with written_whole(file) as out:
            count = WRITERS[chosen](_every_item(location), out)
    click.echo(f"{count:,} items exported", err=True)


# ── Import ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Tally:
    """What became of rows."""

    created: int = 0
    counted: int = 0
    unchanged: int = 0
    refused: list[BadRow] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.created += other.created
        self.counted += other.counted
        self.unchanged += other.unchanged
        self.refused += other.refused


class _Undone(Exception):
    """Raised to roll everything back, with what would have become of the rows."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.tally = tally


def _import(rows: list[StockRow], bad: list[BadRow], *, reason: str, dry_run: bool, partial: bool) -> Tally:
    """Bad rows or not, the good ones are tried, so that one run tells of every row there is something to say about."""
    ordered = _in_lock_order(rows)
    if partial and not dry_run:
        tally = _load(ordered, reason)
    else:
        tally = _all_or_none(ordered, reason, keep=lambda seen: not (dry_run or bad or seen.refused))
    tally.refused = sorted(bad + tally.refused, key=lambda row: row.number)
    return tally


def _all_or_none(rows: Sequence[StockRow], reason: str, *, keep: Callable[[Tally], bool]) -> Tally:
    @transactional
    def load() -> Tally:
        tally = _load(rows, reason)
        if not keep(tally):
            raise _Undone(tally)
        return tally

    try:
        return load()
    except _Undone as undone:
        return undone.tally


def _load(rows: Sequence[StockRow], reason: str) -> Tally:
    tally = Tally()
    for chunk in in_chunks(rows, size=CHUNK, label="import"):
        tally.add(_load_chunk(chunk, reason))
    return tally


@transactional
def _load_chunk(rows: Sequence[StockRow], reason: str) -> Tally:
    """Locked before they are looked at, so that nobody changes an item between the look and the count."""
    there = {(item.product_id, item.location): item for item in item_rows.lock(row.key for row in rows)}
    outcomes = inventory_items.bulk([_operation(row, there.get(row.key), reason) for row in rows])
    tally = Tally()
    for row, outcome in zip(rows, outcomes, strict=True):
        if outcome.error is not None:
            tally.refused.append(BadRow(row.number, row.place, str(outcome.error)))
        elif isinstance(outcome.operation, Create):
            tally.created += 1
        elif outcome.movement is not None:
            tally.counted += 1
        else:
            tally.unchanged += 1
    return tally


def _operation(row: StockRow, item: Stock | None, reason: str) -> Create | Change:
    if item is None or item.archived_at is not None:
        return Create(product_id=row.product_id, location=row.location, quantity=row.quantity, **row.levels)
    values = {"quantity": row.quantity} | row.levels
    return Change(
        product_id=row.product_id,
        location=row.location,
        values=values,
        expected_quantity=item.quantity,
        reason=reason,
    )


def _in_lock_order(rows: Sequence[StockRow]) -> list[StockRow]:
    """By the id of the item, new ones last: one transaction locks them chunk by chunk, and everyone locks upwards."""
    known: dict[tuple[str, str], int] = {}
    for start in range(0, len(rows), CHUNK):
        products = {row.product_id for row in rows[start : start + CHUNK]}
        known |= {(item.product_id, item.location): item.id for item in item_rows.find_many(products, clock.now())}
    return sorted(rows, key=lambda row: known.get(row.key, sys.maxsize))


def _read(file: Path, name: str, location: str) -> tuple[list[StockRow], list[BadRow]]:
    good: list[StockRow] = []
    bad: list[BadRow] = []
    try:
        for row in read_stock(file, location=location):
            if isinstance(row, StockRow):
                good.append(row)
            else:
                bad.append(row)
    except UnusableFile as error:
        raise click.ClickException(f"{name} cannot be imported: {error}") from error
    return good, bad


def _report(name: str, tally: Tally, *, dry_run: bool, partial: bool) -> None:
    for row in tally.refused:
        click.echo(f"{row.place}: {row.reason}", err=True)
    numbers = f"{tally.created:,} created, {tally.counted:,} counted, {tally.unchanged:,} unchanged"
    refused = f"{len(tally.refused):,} refused"
    if tally.refused and not partial:
        click.echo(f"{name}: {refused}, so nothing was changed; with --partial: {numbers}")
    elif dry_run:
        click.echo(f"{name}: would be {numbers}, {refused}; dry run, nothing was changed")
    else:
        click.echo(f"{name}: {numbers}, {refused}")


# ── Export ───────────────────────────────────────────────────────────────────────────────────────


def _every_item(location: str | None) -> Iterator[Row[Any]]:
    """Page after page by cursor: however many items there are, only one page of them is in memory."""
    filters, cursor = item_rows.Filters(location=location), None
    while True:
        asked = PageRequest(per_page=PAGE, cursor=cursor)
        page = item_rows.page(filters, "product_id", asked, clock.now())
        yield from page.rows
        cursor = page.meta["next_cursor"]
        if cursor is None:
            return


# ── Of both ──────────────────────────────────────────────────────────────────────────────────────


def require_location(code: str) -> None:
    if not location_rows.ids_of({code}):
        raise click.BadParameter(f"no location {code!r}", param_hint="--location")
