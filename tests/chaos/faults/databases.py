"""Faults of the database itself, and of what it is told and tells at COMMIT."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

import pymysql
from sqlalchemy import make_url

from tests.chaos.clients import HOT
from tests.chaos.faults.kinds import DATABASE, EMBEDDED, fault, full_disk, repeated, stopped
from tests.chaos.proxy import Proxy
from tests.chaos.rig import Rig
from tests.processes import Server


@fault("kill the database", DATABASE)
def kill_database(rig: Rig, random: Random) -> Iterator[str]:
    _database(rig).kill()
    yield "SIGKILL"
    _database(rig).start()


@fault("restart the database", DATABASE)
def restart_database(rig: Rig, random: Random) -> Iterator[str]:
    _database(rig).stop()
    yield "SIGTERM"
    _database(rig).start()


@fault("stop the database", DATABASE)
def stop_database(rig: Rig, random: Random) -> Iterator[str]:
    with stopped(_database(rig)):
        yield "SIGSTOP"


@fault("kill database connections", DATABASE)
def kill_connections(rig: Rig, random: Random) -> Iterator[str]:
    def kill_some() -> None:
        for (session,) in rig.sql("SELECT id FROM information_schema.processlist WHERE user = 'inventory'"):
            if random.random() < 0.5:
                with suppress(pymysql.Error):  # it has ended by itself
                    rig.sql(f"KILL {session}")

    with repeated(kill_some, every=0.3):
        yield "half of them, again and again"


@fault("hold row locks", DATABASE)
def hold_locks(rig: Rig, random: Random) -> Iterator[str]:
    with rig.connect() as connection, connection.cursor() as cursor:
        names = ", ".join(f"'{name}'" for name in HOT)
        cursor.execute(f"SELECT id FROM inventory_items WHERE product_id IN ({names}) FOR UPDATE")
        yield "the hot items"


@fault("lock rows in the wrong order", DATABASE)
def lock_backwards(rig: Rig, random: Random) -> Iterator[str]:
    def lock() -> None:
        with rig.connect() as connection, connection.cursor() as cursor:
            for name in reversed(HOT):
                cursor.execute(f"SELECT id FROM inventory_items WHERE product_id = '{name}' FOR UPDATE")
                threading.Event().wait(0.05)

    with repeated(lock, every=0.1):
        yield "the hot items, again and again"


@fault("read-only database", DATABASE)
def read_only(rig: Rig, random: Random) -> Iterator[str]:
    rig.sql("SET GLOBAL read_only = 1")
    yield "for the service's user"
    rig.sql("SET GLOBAL read_only = 0")


@fault("too few database connections", DATABASE)
def few_connections(rig: Rig, random: Random) -> Iterator[str]:
    # One connection for both, since there may be no room for another.
    with rig.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'inventory'")
        sessions = list(cursor.fetchall())
        cursor.execute("SET GLOBAL max_connections = 10")
        for (session,) in sessions:
            with suppress(pymysql.Error):  # it has ended by itself
                cursor.execute(f"KILL {session}")
        yield "10 for everybody"
        cursor.execute("SET GLOBAL max_connections = 500")


@fault("lose replies to COMMIT", DATABASE)
def lose_replies(rig: Rig, random: Random) -> Iterator[str]:
    with _lost(_proxy(rig), replies=random.randint(5, 30)) as told:
        yield told


@fault("lose COMMITs on their way", DATABASE)
def lose_commits(rig: Rig, random: Random) -> Iterator[str]:
    with _lost(_proxy(rig), requests=random.randint(5, 30)) as told:
        yield told


@fault("full disk", DATABASE, EMBEDDED, needs_disk=True)
def full_disk_of_sqlite(rig: Rig, random: Random) -> Iterator[str]:
    with full_disk(rig):
        yield "of SQLite"


@fault("hold the write lock", DATABASE, EMBEDDED)
def hold_write_lock(rig: Rig, random: Random) -> Iterator[str]:
    path = make_url(rig.checked_url).database or ""
    connection = sqlite3.connect(path, timeout=15, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    yield "of SQLite"
    connection.execute("ROLLBACK")
    connection.close()


@contextmanager
def _lost(proxy: Proxy, *, replies: int = 0, requests: int = 0) -> Iterator[str]:
    proxy.lose_commits(replies=replies, requests=requests)
    yield f"the next {replies or requests}"
    proxy.heal()


def _database(rig: Rig) -> Server:
    assert rig.database is not None
    return rig.database


def _proxy(rig: Rig) -> Proxy:
    assert rig.database_proxy is not None
    return rig.database_proxy
