"""What the faults are done to: private servers, the service's own processes, and a proxy before each server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import make_url

from tests.chaos.proxy import Proxy
from tests.processes import Server

SWEEP_SECONDS, CACHE_SECONDS = 2.0, 5


@dataclass(slots=True)
class Rig:
    """`env` leads our processes to the servers, `env | proxied` through the proxies before them. `disk` is a small
    one that may be filled: of SQLite, or of the file Redis appends to."""

    checked_url: str
    env: dict[str, str]
    services: list[Server] = field(default_factory=list)
    workers: list[Server] = field(default_factory=list)
    database: Server | None = None
    redis: Server | None = None
    database_proxy: Proxy | None = None
    redis_proxy: Proxy | None = None
    proxied: dict[str, str] = field(default_factory=dict)
    api_key: str | None = None
    disk: Path | None = None
    left_out: list[str] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        return [service.url for service in self.services]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """As administrator, and not through the proxy."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def connect(self) -> pymysql.Connection[pymysql.cursors.Cursor]:
        url = make_url(self.checked_url)
        return pymysql.connect(
            host=url.host or "", port=url.port or 0, user=url.username, password=url.password or "",
            database=url.database, connect_timeout=5, read_timeout=20,
        )  # fmt: skip

    def keep_logs(self, folder: Path) -> None:
        """What the processes said, beside the history it belongs to."""
        for process in (*self.services, *self.workers, self.database, self.redis):
            if process is not None:
                (folder / f"{process.home.name}.log").write_bytes(process.log.read_bytes())

    def ending_soon(self) -> int:
        """Holds that are active and run out within the next minute; the long ones do not count."""
        active = "SELECT COUNT(*) FROM reservations WHERE status = 'active' AND expires_at <"
        if self.database is not None:
            return int(self.sql(f"{active} UTC_TIMESTAMP(6) + INTERVAL 60 SECOND")[0][0])
        with closing(sqlite3.connect(make_url(self.checked_url).database or "", timeout=10)) as connection:
            return int(connection.execute(f"{active} datetime('now', '+60 seconds')").fetchone()[0])
