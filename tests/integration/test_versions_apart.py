"""While a new version is rolled out the one before it still runs, on the new schema; and a step back is possible."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Engine, create_engine, text

from app import create_app
from app.extensions import db
from config import ROOT, Config
from tests import servers
from tests.integration.schema_changes import everything, known, shapes, taken_away, write_one_of_each


def revisions() -> list[str]:
    """Oldest first."""
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(ROOT / "database" / "migrations"))
    return [script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()][::-1]


ALL = revisions()


@pytest.fixture
def empty(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The application on a database without a schema."""
    mariadb = request.getfixturevalue("mariadb") if backend == "server" else None
    url = servers.fresh_database(mariadb) if mariadb else f"sqlite:///{tmp_path / 'inventory.db'}"
    app = create_app(Config(env="testing", database_url=url).checked())
    with app.app_context():
        yield app
        db.engine.dispose()
    if mariadb:
        servers.drop_database(url)


def test_no_migration_takes_anything_from_the_version_before_it(empty):
    upgrade(revision=ALL[0])
    before = shapes(db.engine)
    for revision in ALL[1:]:
        upgrade(revision=revision)
        after = shapes(db.engine)
        assert taken_away(before, after) == [], f"what {revision} takes from the version before it"
        before = after


@pytest.mark.parametrize("older", ALL[:-1])
def test_an_older_version_writes_and_reads_every_row_it_knows_on_the_newest_schema(empty, older):
    upgrade(revision=older)
    old = known(db.engine)
    with db.engine.begin() as connection:
        write_one_of_each(connection, old, "1")
        kept = everything(connection, old)
    upgrade()
    with db.engine.begin() as connection:
        assert everything(connection, old) == kept, "the migration changed rows"
        written = write_one_of_each(connection, old, "2")
        grown = {name: [*rows, tuple(written[name].values())] for name, rows in kept.items()}
        assert everything(connection, old) == grown
        connection.execute(text("UPDATE inventory_items SET reserved_quantity = 1, version = 2 WHERE version = 1"))
        connection.execute(text("UPDATE reservations SET status = 'cancelled', cancelled_at = created_at"))


def test_a_step_back_and_forward_again_keeps_every_row_of_what_both_know(empty):
    upgrade(revision=ALL[-2])
    old = known(db.engine)
    upgrade()
    with db.engine.begin() as connection:
        write_one_of_each(connection, known(db.engine), "1")
        kept = everything(connection, old)
    newest = shapes(db.engine)
    downgrade()
    with db.engine.begin() as connection:
        assert everything(connection, old) == kept
        write_one_of_each(connection, old, "2")
        kept = everything(connection, old)
    upgrade()
    with db.engine.connect() as connection:
        assert everything(connection, old) == kept
    assert shapes(db.engine) == newest


# ── Controls: what a careless migration does is seen ─────────────────────────────────────────────

CARELESS = {
    "things is gone": "DROP TABLE things",
    "things.words is gone": "ALTER TABLE things DROP COLUMN words",
    "things.number must be given now": "ALTER TABLE things MODIFY number BIGINT NOT NULL",
    "things.number was BIGINT and is INTEGER": "ALTER TABLE things MODIFY number INTEGER",
    "things.colour must be given now": "ALTER TABLE things ADD COLUMN colour VARCHAR(8) NOT NULL",
    "things refuses two with the same words now": "CREATE UNIQUE INDEX uq ON things (words)",
    "things takes two with the same number now": "DROP INDEX uq_number ON things",
    "things checks `number` > 0 now": "ALTER TABLE things ADD CONSTRAINT positive CHECK (number > 0)",
    "things must refer by number now": "ALTER TABLE things ADD FOREIGN KEY (number) REFERENCES others (id)",
    "seen.number is gone": "CREATE OR REPLACE VIEW seen AS SELECT id FROM others",
}
KINDLY = [
    "ALTER TABLE things ADD COLUMN colour VARCHAR(8)",
    "ALTER TABLE things ADD COLUMN colour VARCHAR(8) NOT NULL DEFAULT 'red'",
    "CREATE INDEX ix ON things (words)",
    "CREATE TABLE more (id BIGINT PRIMARY KEY)",
    "CREATE OR REPLACE VIEW seen AS SELECT id, number, number AS again FROM others",
]


@pytest.fixture
def things(mariadb: servers.Server) -> Iterator[Engine]:
    url = servers.fresh_database(mariadb)
    engine = create_engine(url)
    run(
        engine,
        "CREATE TABLE things (id BIGINT AUTO_INCREMENT PRIMARY KEY, words VARCHAR(8) NOT NULL, number BIGINT)",
        "CREATE UNIQUE INDEX uq_number ON things (number)",
        "CREATE TABLE others (id BIGINT PRIMARY KEY, number BIGINT)",
        "CREATE VIEW seen AS SELECT id, number FROM others",
    )
    yield engine
    engine.dispose()
    servers.drop_database(url)


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def changed_by(engine: Engine, statement: str) -> list[str]:
    before = shapes(engine)
    run(engine, statement)
    return taken_away(before, shapes(engine))


@pytest.mark.parametrize(("reason", "statement"), CARELESS.items())
def test_control_what_a_careless_migration_takes_is_named(things, reason, statement):
    assert changed_by(things, statement) == [reason]


@pytest.mark.parametrize("statement", KINDLY)
def test_control_what_only_adds_takes_nothing(things, statement):
    assert changed_by(things, statement) == []
