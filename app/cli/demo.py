"""The demo: products in categories with stock, put in with `seed`, back to its start with `reset-demo`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext
from flask_migrate import downgrade, upgrade

from app.cli import catalogue_files
from app.cli.plainly import told_plainly
from app.cli.progress import in_chunks
from app.extensions import cache, db, settings
from app.models.imported import Content
from app.models.locations import DEFAULT
from app.repositories import inventory_items as item_rows
from app.repositories import locations as location_rows
from app.services import catalogue_imports, inventory_items, locations
from app.services.catalogue_imports import Report
from app.services.inventory_items import Create
from app.utils import context, ids
from app.utils.transactions import transactional
from config import ROOT

SEEDS = ROOT / "database" / "seeds"
# Low enough for most of the demo's products and too high for some, so that there is something to see.
DEMO_MINIMUM, DEMO_MINIMUM_IN_STORE = 5, 2
CHUNK = 500


@click.command("seed")
@click.option("--if-empty", is_flag=True, help="Do nothing, and say nothing, when there is any inventory.")
@with_appcontext
def seed(if_empty: bool) -> None:
    """Put in the demo: 200 real products in their categories, with stock at the default location and in three stores.

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
    refuses to forget single rows, so all tables are dropped and made anew. Our entries in Redis go with
    them. A reader of the change feed has to begin again at 0.

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


def _seed() -> None:
    report, made = _sow(_demo_stock())
    products = report.products.created
    for row in report.products.refused:
        click.echo(f"{row.id} is not in the catalogue: {row.reason}", err=True)
    if products:
        click.echo(f"demo catalogue: {products:,} products, {report.categories.created:,} new categories", err=True)
    if made:
        click.echo(f"demo stock: {len(made):,} items, {sum(create.quantity for create in made):,} units")
    elif products:
        click.echo("the demo stock is there already; its products were added to the catalogue")
    else:
        click.echo("the demo stock is there already; nothing was changed")


@transactional
def _sow(stock: Sequence[Create]) -> tuple[Report, list[Create]]:
    """Make what is missing and answer it; what somebody deleted or archived is not missing."""
    for place in _seed_file("locations.json"):
        if location_rows.find(place["code"]) is None:
            locations.create(place)
    content = Content()
    catalogue_files.read(SEEDS / "products.json", "products.json", content)
    content.products = catalogue_imports.missing(content.products)
    report = catalogue_imports.run(content, partial(in_chunks, size=CHUNK), location=None)
    return report, _stock(stock)


def _stock(stock: Sequence[Create]) -> list[Create]:
    made: list[Create] = []
    for chunk in in_chunks(stock, size=CHUNK, label="seed"):
        there = {
            (item.product_id, item.location)
            for item in item_rows.lock((create.product_id, create.location) for create in chunk)
        }
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
