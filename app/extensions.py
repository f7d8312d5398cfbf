"""The outside world as the application sees it: the database session, the cache and the settings."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.orm import DeclarativeBase

from config import IDLE_TRANSACTION_SECONDS, ROOT, STATEMENT_SECONDS, Config

if TYPE_CHECKING:
    from app.utils.cache import Cache


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)
migrate = Migrate(directory=str(ROOT / "database" / "migrations"))


def init_app(app: Flask, config: Config) -> None:
    from app.utils import cache, metrics

    app.extensions["settings"] = config
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        if config.is_sqlite:
            prepare_sqlite(db.engine)
        else:
            bound_statements(db.engine)
        metrics.watch_pool(db.engine)
        app.extensions["cache"] = cache.create(config, db.engine)


def settings() -> Config:
    return cast(Config, current_app.extensions["settings"])


def cache() -> Cache:
    return cast("Cache", current_app.extensions["cache"])


def bound_statements(engine: Engine) -> None:
    """No statement runs longer than this on the server, whatever becomes of the client that asked for it.

    MariaDB counts seconds for every statement, MySQL milliseconds for reads; neither knows the other's name.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            if engine.dialect.is_mariadb:  # type: ignore[attr-defined]
                cursor.execute(f"SET SESSION max_statement_time = {STATEMENT_SECONDS}")
                # A client that a firewall forgot in mid-transaction must not keep its row locks for hours.
                cursor.execute(f"SET SESSION idle_transaction_timeout = {IDLE_TRANSACTION_SECONDS}")
            else:
                cursor.execute(f"SET SESSION max_execution_time = {STATEMENT_SECONDS * 1000}")


def prepare_sqlite(engine: Engine) -> None:
    """Make SQLite serialise writers: WAL, and units of work that write begin with BEGIN IMMEDIATE.

    The driver's own mode lets two transactions read the same row and both write it; a deferred BEGIN
    fails with "database is locked" at the first write, whatever the busy timeout.
    """
    if engine.url.database and engine.url.database != ":memory:":
        from pathlib import Path

        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's begin event begins, never the driver
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")
