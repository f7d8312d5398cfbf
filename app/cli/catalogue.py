"""Commands that bring a catalogue in and out: import-catalogue, export-catalogue."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
from flask.cli import with_appcontext

from app.cli import catalogue_export, catalogue_files
from app.cli.catalogue_export import CATEGORY_COLUMNS, CATEGORY_ROWS, PRODUCT_COLUMNS, WRITERS
from app.cli.catalogue_report import Account, as_json, tell
from app.cli.plainly import told_plainly
from app.cli.progress import in_chunks
from app.cli.stock import require_location
from app.cli.tables import UnusableFile, written_whole
from app.models.imported import Content
from app.models.locations import DEFAULT
from app.repositories import products as product_rows
from app.services import catalogue_imports
from app.services.catalogue_imports import Report
from app.utils import context, ids
from app.utils.transactions import transactional

# Not more, for on SQLite everybody else waits to write while one is under way.
CHUNK = 200
Files = list[tuple[str, str, int]]


@click.command("import-catalogue")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would happen and change nothing.")
@click.option("--location", default=DEFAULT, show_default=True, metavar="CODE", help="For the stock of new items.")
@click.option("--json", "in_json", is_flag=True, help="The report as JSON, with every repair.")
@with_appcontext
def import_catalogue(files: tuple[Path, ...], dry_run: bool, location: str, in_json: bool) -> None:
    """Bring products, categories and stores in from FILES, in UTF-8, packed with gzip or not.

    What a file is, its columns tell: products (JSON array of objects, or CSV), a category tree (JSON, or CSV),
    links between parent and child categories (CSV, beside their tree), stores (CSV). Give the files that belong
    together in one call.

    What is there is compared first: a row that says nothing new writes nothing, and what a row does not say stays
    as it is. Stock opens new items only. A row that cannot be used is told of with its line and the reason, and
    the others are imported, 200 to a transaction; the exit code is then 1. What broke off is finished by running
    it again. A dry run does everything in one transaction and undoes it: on SQLite others wait to write meanwhile.
    """
    with told_plainly(), context.acting_as("import-catalogue", ids.new_id()):
        require_location(location)
        content, read = _read(files)
        report = _undone(content, location) if dry_run else _import(content, location)
    account = Account(read, content, report, dry_run)
    if in_json:
        click.echo(as_json(account))
    else:
        tell(account)
    raise SystemExit(1 if account.all_refused() else 0)


@click.command("export-catalogue")
@click.argument("file", default="-", type=click.Path(dir_okay=False, writable=True, allow_dash=True))
@click.option("--format", "kind", type=click.Choice(list(WRITERS)), help="Otherwise FILE's ending decides, else csv.")
@click.option("--categories", "of_categories", is_flag=True, help="The category tree instead of the products.")
@click.option("--location", default=DEFAULT, show_default=True, metavar="CODE", help="Whose stock is told.")
@with_appcontext
def export_catalogue(file: str, kind: str | None, of_categories: bool, location: str) -> None:
    """Write every product, a row for each SKU, to FILE or to standard output: a table that import-catalogue takes back.

    What is deleted is left out, and so is a product without a SKU: how many, standard error tells.
    """
    chosen = kind or ("json" if file.lower().endswith(".json") else "csv")
    with told_plainly():
        require_location(location)
        with written_whole(file) as out:
            write = WRITERS[chosen]
            if of_categories:
                count = write(CATEGORY_ROWS[chosen](), CATEGORY_COLUMNS, out)
            else:
                count = write(catalogue_export.products(location), PRODUCT_COLUMNS, out)
    click.echo(f"{count:,} {'categories' if of_categories else 'SKUs'} exported", err=True)
    if not of_categories and (without := product_rows.count_without_skus()):
        click.echo(f"products left out because they have no SKU: {without:,}", err=True)


class _Undone(Exception):
    """Raised to roll everything back, with what would have become of the rows."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


def _import(content: Content, location: str) -> Report:
    return catalogue_imports.run(content, partial(in_chunks, size=CHUNK), location=location)


def _undone(content: Content, location: str) -> Report:
    @transactional
    def load() -> None:
        raise _Undone(_import(content, location))

    try:
        load()
    except _Undone as undone:
        return undone.report
    raise AssertionError("a dry run always ends undone")


def _read(files: tuple[Path, ...]) -> tuple[Content, Files]:
    content, read = Content(), Files()
    for file in files:
        name = click.format_filename(file, shorten=True)
        try:
            kind, rows = catalogue_files.read(file, name, content)
        except UnusableFile as error:
            raise click.ClickException(f"{name} cannot be imported: {error}") from error
        read.append((name, kind, rows))
    return content, read
