"""Commands that bring stock in and out: seed, reset-demo, import-stock, export-stock."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import click
from flask.cli import with_appcontext
from flask_migrate import downgrade, upgrade
from sqlalchemy import Row

from app.cli.plainly import told_plainly
from app.cli.stock_files import BadRow, StockRow, UnusableFile, read_stock, write_csv, write_json
from app.extensions import cache, db, settings
from app.models.locations import DEFAULT
from app.models.stock import Stock
from app.repositories import inventory_items as item_rows
from app.repositories import locations as location_rows
from app.services import inventory_items, locations
from app.services.inventory_items import Change, Create
from app.utils import clock, context, ids
from app.utils.paging import PageRequest
from app.utils.transactions import transactional
from config import ROOT

SEEDS = ROOT / "database" / "seeds"
T = TypeVar("T")
CHUNK = 500
# Every page sorts what is left of the table anew, so few large ones are quicker than many small ones.
PAGE = 5_000
LONGEST_REASON = 255
# Low enough for most of the demo's products and too high for some, so that there is something to see.
DEMO_MINIMUM, DEMO_MINIMUM_IN_STORE = 5, 2
WRITERS = {"csv": write_csv, "json": write_json}


# ── Commands ─────────────────────────────────────────────────────────────────────────────────────


@click.command("seed")
@click.option("--if-empty", is_flag=True, help="Do nothing, and say nothing, when there is any inventory.")
@with_appcontext
def seed(if_empty: bool) -> None:
    """Put in the demo stock: 200 real products at the default location and in three stores.

    What is there already stays as it is, so running it again changes nothing.
    """
    with told_plainly(), context.acting_as("seed", ids.new_id()):
        if not if_empty or item_rows.is_empty():
            _seed()


@click.command("reset-demo")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def reset_demo(yes: bool) -> None:
    """DESTROY EVERYTHING in the database and start the demo again.

    Every item, reservation, location and ledger row is lost for good, the demo's and your own: the ledger
    refuses to forget single rows, so all tables are dropped and made anew. The Redis database of REDIS_URL is
    emptied with them, whoever else uses it. A reader of the change feed has to begin again at 0.

    Refused where FLASK_ENV is production. Stop the service meanwhile.
    """
    if settings().is_production:
        raise click.ClickException("this is production (FLASK_ENV); reset-demo would destroy its stock and history")
    if not yes:
        name = db.engine.url.render_as_string(hide_password=True)
        click.confirm(f"Destroy all stock, reservations and history in {name}?", abort=True)
    with told_plainly(), context.acting_as("reset-demo", ids.new_id()):
        # Asked first, because a cache that cannot be emptied afterwards would show what is gone.
        cache().ping()
        db.session.remove()
        downgrade(revision="base")
        upgrade()
        cache().clear()
        _seed()


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
        _require_location(location)
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
            _require_location(location)
        with _written_whole(file) as out:
            count = WRITERS[chosen](_every_item(location), out)
    click.echo(f"{count:,} items exported", err=True)


# ── The demo ─────────────────────────────────────────────────────────────────────────────────────


def _seed() -> None:
    made = _sow(_demo_stock())
    if made:
        click.echo(f"demo stock: {len(made):,} items, {sum(create.quantity for create in made):,} units")
    else:
        click.echo("the demo stock is there already; nothing was changed")


@transactional
def _sow(stock: Sequence[Create]) -> list[Create]:
    """Make what is missing and answer it; an item somebody archived is not missing."""
    for place in _seed_file("locations.json"):
        if location_rows.find(place["code"]) is None:
            locations.create(place)
    made: list[Create] = []
    for chunk in _chunks(stock, label="seed"):
        there = {(item.product_id, item.location) for item in item_rows.lock(_keys(chunk))}
        missing = [create for create in chunk if (create.product_id, create.location) not in there]
        if missing:
            inventory_items.bulk(missing, atomic=True)
        made += missing
    return made


def _demo_stock() -> list[Create]:
    """Every product at the default location; of three in four, one store has a quarter of the units on its shelf."""
    stores = [None, *(place["code"] for place in _seed_file("locations.json"))]
    stock = []
    for position, product in enumerate(_seed_file("products.json")):
        store, units = stores[position % len(stores)], product["stock"]
        shelf = units // 4 if store else 0
        stock.append(_opening(product["id"], DEFAULT, units - shelf, DEMO_MINIMUM))
        if store and shelf:
            stock.append(_opening(product["id"], store, shelf, DEMO_MINIMUM_IN_STORE))
    return stock


def _opening(product_id: str, location: str, quantity: int, minimum: int) -> Create:
    return Create(product_id=product_id, location=location, quantity=quantity, minimum_stock_level=minimum)


def _seed_file(name: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((SEEDS / name).read_text(encoding="utf-8"))
    return content


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
    for chunk in _chunks(rows, label="import"):
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


@contextmanager
def _written_whole(file: str) -> Iterator[IO[str]]:
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


# ── Of both ──────────────────────────────────────────────────────────────────────────────────────


def _require_location(code: str) -> None:
    if not location_rows.ids_of({code}):
        raise click.BadParameter(f"no location {code!r}", param_hint="--location")


def _chunks(rows: Sequence[T], *, label: str) -> Iterator[Sequence[T]]:
    with click.progressbar(length=len(rows), label=label, file=sys.stderr) as bar:
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            yield chunk
            bar.update(len(chunk))


def _keys(stock: Iterable[Create]) -> list[tuple[str, str]]:
    return [(create.product_id, create.location) for create in stock]
