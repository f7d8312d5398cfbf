"""The two backends every test of behaviour runs on, at an instant that only a test can move.

`embedded` is SQLite without Redis, `server` is MariaDB (or MySQL) with Redis, both made by the migrations.
After each test that used the application, everything that must always be true is checked.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import text

from app import create_app
from app.extensions import cache, db
from app.utils import clock
from app.utils.cache import EmbeddedCache
from config import Config
from tests import factories, servers

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
BACKENDS = ("embedded", "server")


@dataclass
class Time:
    """The test's own clock. Caches keep real time, so moving on empties them."""

    instant: datetime = NOON

    def forward(self, **by: float) -> datetime:
        self.instant += timedelta(**by)
        cache().clear()
        return self.instant


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.Server]:
    server = servers.mariadb()
    if server is None:
        pytest.skip(servers.HOW_TO_GET["mariadb"])
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.Server]:
    server = servers.redis()
    if server is None:
        pytest.skip(servers.HOW_TO_GET["redis"])
    yield server
    server.stop()


@pytest.fixture(scope="session")
def embedded_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("embedded")
    app = create_app(Config(env="testing", database_url=f"sqlite:///{folder / 'inventory.db'}").checked())
    with app.app_context():
        upgrade()
        db.engine.dispose()
    shutil.copy(folder / "inventory.db", folder / "template.db")
    return app


@pytest.fixture(scope="session")
def server_app(mariadb: servers.Server, redis_server: servers.Server) -> Iterator[Flask]:
    url = servers.fresh_database(mariadb)
    app = create_app(Config(env="testing", database_url=url, redis_url=redis_server.url).checked())
    with app.app_context():
        upgrade()
        yield app
        db.engine.dispose()
    servers.drop_database(url)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(backend: str, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application on one backend with an empty database; checked by the audit afterwards."""
    app: Flask = request.getfixturevalue(f"{backend}_app")
    with app.app_context():
        _empty(app)
        yield app
        db.session.rollback()
        if request.node.get_closest_marker("leaves_findings") is None:
            factories.assert_audit_is_clean()
        db.session.remove()


class Client(FlaskClient):
    """Ends the session with each request, as a server does; the test's own context would keep its snapshot."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        answer = super().open(*args, **kwargs)
        db.session.remove()
        return answer


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    app.test_client_class = Client
    return app.test_client()


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Every test happens at noon of 2030-01-01 until it moves on."""
    mine = Time()
    monkeypatch.setattr(clock, "now", lambda: mine.instant)
    return mine


def _empty(app: Flask) -> None:
    db.session.remove()
    cache().clear()
    if db.engine.dialect.name == "sqlite":
        _restore_template(Path(str(db.engine.url.database)))
    else:
        _truncate()


def _restore_template(file: Path) -> None:
    db.engine.dispose()
    watcher = cache()
    if isinstance(watcher, EmbeddedCache):
        watcher.close()
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    shutil.copy(file.with_name("template.db"), file)


def _truncate() -> None:
    """TRUNCATE, because the ledger's triggers refuse DELETE."""
    with db.engine.connect() as connection:
        connection.execute(text("SET FOREIGN_KEY_CHECKS = 0"))
        for table in reversed(db.metadata.sorted_tables):
            if table.name == "locations":
                connection.execute(text("DELETE FROM locations WHERE code <> 'default'"))
                connection.execute(text("UPDATE locations SET version = 1, priority = 100, name = 'Default location'"))
            elif table.name == "hold_budget_locks":
                continue  # made by the migration, and nothing of a test is in them
            elif table.name != "product_search" or connection.scalar(text("SELECT COUNT(*) FROM product_search")):
                # Emptying that one, with its full-text indexes, takes longer than the others, and most tests leave it.
                connection.execute(text(f"TRUNCATE TABLE {table.name}"))
        connection.execute(text("SET FOREIGN_KEY_CHECKS = 1"))
        connection.commit()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "leaves_findings: the test breaks the numbers on purpose")
    os.environ.pop("DATABASE_URL", None)
    os.environ.pop("REDIS_URL", None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A skip must be seen: half of the claims were not tried."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if "SKIPPED, no" in reason:
            terminalreporter.write_line(f"!!! {reason}", red=True, bold=True)
            break
