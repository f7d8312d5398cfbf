"""The migrations are the only maker of schemas, and they make what the models say, on every engine."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from app import models
from app.extensions import db
from app.models.types import byte_string
from tests import factories, servers

METADATA = models.InventoryItem.metadata


def belongs_to_one_engine_only(thing, name, kind, *others):
    """Words are searched in a table of their own, which on SQLite is a virtual one with tables of its own."""
    return db.engine.dialect.name == "sqlite" and name.startswith(("product_search", "ft_product_search"))


def test_models_and_migrations_agree(app):
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_object": lambda *of: not belongs_to_one_engine_only(*of)},
        )
        assert compare_metadata(context, METADATA) == []


def test_codes_are_compared_byte_for_byte(app):
    factories.stock(1, "abc")
    factories.stock(2, "ABC")
    assert (factories.numbers("abc")[0], factories.numbers("ABC")[0]) == (1, 2)


def test_every_identifier_column_is_declared_to_be_compared_by_bytes():
    compared = {type(byte_string(1)).__name__}
    names = {"code", "product_id", "order_id", "customer_id", "reservation_id", "reference_id", "location", "cart_id"}
    for table in METADATA.tables.values():
        for column in table.columns:
            if column.name in names:
                assert "mysql" in column.type._variant_mapping, f"{table.name}.{column.name}"
                assert type(column.type).__name__ in compared


@pytest.mark.parametrize("statement", ["UPDATE stock_movements SET reason = 'forged'", "DELETE FROM stock_movements"])
def test_the_ledger_refuses_to_be_changed_by_anybody(app, statement):
    factories.stock(5)
    with pytest.raises(DBAPIError, match="append-only"), db.engine.begin() as connection:
        connection.execute(text(statement))
    db.session.rollback()


@pytest.mark.parametrize(
    "forged", ["reserved_quantity = quantity + 1", "reserved_quantity = -1", "quantity = -1", "quantity = 1000000001"]
)
def test_the_database_itself_refuses_impossible_numbers(app, forged):
    factories.stock(5)
    with pytest.raises(DBAPIError), db.engine.begin() as connection:
        connection.execute(text(f"UPDATE inventory_items SET {forged}"))
    db.session.rollback()
    assert factories.numbers() == (5, 0, 5)


def test_the_views_tell_what_the_api_tells(app):
    factories.stock(10, minimum=6)
    factories.hold(4)
    with db.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM inventory_overview")).one()._mapping
        assert (row["on_hand"], row["reserved"], row["available"], row["stock_status"]) == (10, 4, 6, "low")
        held = connection.execute(text("SELECT * FROM active_reservations_summary")).one()._mapping
        assert (held["product_id"], held["reservations"], held["units"]) == ("KB-1", 1, 4)
        assert connection.execute(text("SELECT COUNT(*) FROM movement_log")).scalar() == 2


def test_going_down_and_up_again_leaves_the_same_schema(tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}"
    for command in ("upgrade", "downgrade", "upgrade"):
        done = _flask(url, "db", command)
        assert done.returncode == 0, done.stderr


def test_two_instances_may_migrate_at_the_same_time(mariadb, tmp_path):
    for url in (f"sqlite:///{tmp_path / 'y.db'}", servers.fresh_database(mariadb)):
        running = [_start(url, "db", "upgrade") for _ in range(2)]
        ended = [(process.communicate(timeout=60)[1], process.returncode) for process in running]
        assert [code for _, code in ended] == [0, 0], ended


def test_an_index_serves_every_foreign_key_and_every_list(app):
    indexed = {
        table: {tuple(index["column_names"]) for index in inspect(db.engine).get_indexes(table)}
        for table in ("reservations", "stock_movements")
    }
    assert ("status", "expires_at", "id") in indexed["reservations"]
    assert ("inventory_item_id", "status", "expires_at") in indexed["reservations"]
    assert ("inventory_item_id", "sequence") in indexed["stock_movements"]


def _environment(url):
    return {"FLASK_ENV": "development", "DATABASE_URL": url, "FLASK_SKIP_DOTENV": "1", "PATH": "/usr/bin:/bin"}


def _start(url, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "run", *words],
        env=_environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _flask(url, *words):
    process = _start(url, *words)
    _, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, stderr=errors)
