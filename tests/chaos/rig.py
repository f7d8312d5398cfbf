"""What the faults are done to: private servers, the service's own processes, and a proxy before each server."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import URL, make_url

from tests import servers
from tests.chaos import clocks, disks
from tests.chaos.proxy import Proxy
from tests.e2e.replay_all import run_flask
from tests.processes import Server, new_home

SWEEP_SECONDS, CACHE_SECONDS = 2.0, 5
SETTINGS = {
    "EXPIRY_INTERVAL_SECONDS": str(SWEEP_SECONDS), "CACHE_DEFAULT_TIMEOUT": str(CACHE_SECONDS), "LOG_LEVEL": "WARNING",
    "WEB_PROCESSES": "2", "WEB_THREADS": "8",
}  # fmt: skip
USER = "inventory"


@dataclass(slots=True)
class Rig:
    """`disk` is a small one that may be filled: of SQLite, or of the file Redis appends to."""

    checked_url: str
    env: dict[str, str]
    services: list[Server] = field(default_factory=list)
    workers: list[Server] = field(default_factory=list)
    database: Server | None = None
    redis: Server | None = None
    database_proxy: Proxy | None = None
    redis_proxy: Proxy | None = None
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

    def ending_soon(self) -> int:
        """Holds that are active and run out within the next minute; the long ones do not count."""
        active = "SELECT COUNT(*) FROM reservations WHERE status = 'active' AND expires_at <"
        if self.database is not None:
            return int(self.sql(f"{active} UTC_TIMESTAMP(6) + INTERVAL 60 SECOND")[0][0])
        with closing(sqlite3.connect(make_url(self.checked_url).database or "", timeout=10)) as connection:
            return int(connection.execute(f"{active} datetime('now', '+60 seconds')").fetchone()[0])


@contextmanager
def embedded() -> Iterator[Rig]:
    """SQLite on a small disk where that may be mounted, and one service without anything else."""
    folder, left_out = new_home("embedded"), list[str]()
    with ExitStack() as stack:
        disk = _small_disk(folder, 24, stack, left_out)
        url = f"sqlite:///{folder / 'inventory.db'}"
        rig = Rig(url, {**SETTINGS, "FLASK_ENV": "development", "DATABASE_URL": url}, disk=disk, left_out=left_out)
        _migrate(rig)
        rig.services.append(_started(stack, servers.service(rig.env)))
        yield rig


@contextmanager
def server() -> Iterator[Rig]:
    """MariaDB that writes every commit to disk, Redis with a file, two services and two workers, one of each
    with a clock that is hours off."""
    with ExitStack() as stack:
        rig = _with_servers(stack)
        _migrate(rig)
        rig.api_key = _flask(rig, "api-keys", "create", "chaos", "--scope", "admin").strip()
        ahead, behind = _clocks(rig)
        rig.services += [_started(stack, servers.service(rig.env | clock)) for clock in ({}, ahead)]
        rig.workers += [_started(stack, servers.worker(rig.env | clock)) for clock in ({}, behind)]
        yield rig


def _with_servers(stack: ExitStack) -> Rig:
    database, redis = servers.mariadb(durable=True, private=True), servers.redis(appendonly=True, private=True)
    if database is None or redis is None:
        raise servers.ServerMissing(servers.HOW_TO_GET["redis" if database else "mariadb"])
    left_out: list[str] = []
    redis.stop()
    disk = _small_disk(redis.home, 32, stack, left_out)
    redis.start()
    for one in (database, redis):
        stack.callback(one.stop)
    proxies = [Proxy(_url(database).port or 0, mysql=True).start(), Proxy(_url(redis).port or 0).start()]
    for proxy in proxies:
        stack.callback(proxy.stop)
    checked = servers.fresh_database(database)
    env = {
        **SETTINGS, "FLASK_ENV": "production",
        "DATABASE_URL": _as_user(checked, proxies[0].port), "REDIS_URL": f"redis://127.0.0.1:{proxies[1].port}/0",
    }  # fmt: skip
    rig = Rig(checked, env, database=database, redis=redis, disk=disk, left_out=left_out)
    rig.database_proxy, rig.redis_proxy = proxies
    _make_user(rig)
    return rig


def _make_user(rig: Rig) -> None:
    """The service's own user, who may do nothing to the server, so that a read-only server is one for it."""
    name = make_url(rig.checked_url).database
    rig.sql(f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{USER}'")
    rig.sql(f"GRANT ALL ON {name}.* TO '{USER}'@'%'")


def _as_user(url: str, port: int) -> str:
    return make_url(url).set(username=USER, password=USER, port=port).render_as_string(hide_password=False)


def _small_disk(folder: Path, megabytes: int, stack: ExitStack, left_out: list[str]) -> Path | None:
    if disks.small_disk(folder, megabytes=megabytes):
        stack.callback(disks.unmount, folder)
        return folder
    left_out.append("full disks: no small one may be mounted here")
    return None


def _migrate(rig: Rig) -> None:
    _flask(rig, "db", "upgrade")


def _flask(rig: Rig, *words: str) -> str:
    done = run_flask(rig.env, *words)
    if done.returncode != 0:
        raise RuntimeError(f"flask {' '.join(words)} ended with {done.returncode}: {done.stdout}")
    return done.stdout


def _started(stack: ExitStack, process: Server) -> Server:
    stack.callback(_end, process)
    return process


def _end(process: Server) -> None:
    if process.running:
        os.killpg(process.pid, signal.SIGCONT)
    process.stop(within=10)


def _clocks(rig: Rig) -> tuple[dict[str, str], dict[str, str]]:
    """For a service whose clock is two hours ahead and a worker whose clock is two hours behind."""
    shim = clocks.shim(new_home("clocks"))
    if shim is None:
        rig.left_out.append("clocks that are off: there is no C compiler")
        return {}, {}
    return clocks.off_by(2 * clocks.HOURS, shim), clocks.off_by(-2 * clocks.HOURS, shim)


def _url(server_: Server) -> URL:
    return make_url(server_.url)
