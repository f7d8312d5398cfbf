"""Many processes with many threads write to one SQLite file; and what each other way to begin a transaction costs."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployments import embedded
from tests.processes import ROOT

PROCESSES, THREADS, TIMES = 4, 16, 5
PATIENCE_SECONDS = 15


def test_four_processes_with_sixteen_threads_each_lose_nothing_on_one_file_and_nobody_is_told_it_is_locked():
    with embedded(LOG_LEVEL="WARNING", WEB_THREADS=str(THREADS)) as deployment:
        with ThreadPoolExecutor(PROCESSES) as starters:
            services = [starters.submit(deployment.serve) for _ in range(PROCESSES)]
        urls = [service.result().url for service in services]
        deployment.stock("KB-1", quantity=100_000)
        told, held = buyers_of_each(urls)
        # Who waits longer than SQLite's patience is told to come again; on a slow disk that may happen.
        assert set(told) <= {"201", "503 database_busy"}
        assert sum(told.values()) == PROCESSES * THREADS * TIMES
        assert told["201"] == len(set(held)) > PROCESSES * THREADS
        assert {row[0] for row in deployment.sql("SELECT id FROM reservations")} == set(held)
        assert deployment.number("SELECT reserved_quantity FROM inventory_items") == len(held)
        assert [service.result().log.read_text().count('"level": "ERROR"') for service in services] == [0] * PROCESSES
        deployment.assert_in_order()


def buyers_of_each(urls: list[str]) -> tuple[Counter[str], list[str]]:
    """What the customers of all these services were told together, and the holds they were promised."""
    command = [sys.executable, "-m", "tests.e2e.buyers", "KB-1", str(THREADS), str(TIMES)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    crowds = [subprocess.Popen([*command, url], cwd=ROOT, **pipes) for url in urls]
    with ThreadPoolExecutor(len(urls)) as starters:
        outputs = list(starters.map(lambda crowd: crowd.communicate("go\n", timeout=120)[0], crowds))
    tallies = [json.loads(output) for output in outputs]
    told = sum((Counter(tally["told"]) for tally in tallies), Counter())
    return told, [held for tally in tallies for held in tally["held"]]


# ── Controls: one counter, read and then written, as a unit of work that decides ─────────────────


@pytest.fixture
def counter(tmp_path: Path) -> Callable[..., Any]:
    """Opens connections to a file with one counter in it, as the service opens its own."""
    file = tmp_path / "counter.db"
    connect = partial(sqlite3.connect, file, timeout=PATIENCE_SECONDS, check_same_thread=False)
    with closing(connect(isolation_level=None)) as first:
        first.execute("PRAGMA journal_mode=WAL")
        first.execute("CREATE TABLE counter (units INTEGER)")
        first.execute("INSERT INTO counter VALUES (0)")
    return connect


def read(connection: sqlite3.Connection) -> int:
    [(units,)] = connection.execute("SELECT units FROM counter").fetchall()
    return int(units)


def write(connection: sqlite3.Connection, units: int) -> None:
    connection.execute("UPDATE counter SET units = ?", (units,))


def count_up(connect: Callable[..., Any], times: int) -> None:
    with closing(connect(isolation_level=None)) as connection:
        for _ in range(times):
            connection.execute("BEGIN IMMEDIATE")
            write(connection, read(connection) + 1)
            connection.execute("COMMIT")


def test_begun_as_the_service_begins_no_count_of_sixty_four_threads_is_lost(counter):
    threads = PROCESSES * THREADS
    with ThreadPoolExecutor(threads) as crowd:
        for done in [crowd.submit(count_up, counter, TIMES) for _ in range(threads)]:
            done.result()
    with closing(counter()) as connection:
        assert read(connection) == threads * TIMES


def test_control_left_to_the_driver_one_of_two_counts_is_lost(counter):
    """A read belongs to no transaction there, so both decide on the same number."""
    with closing(counter()) as one, closing(counter()) as other:
        seen = read(one), read(other)
        for connection, units in zip((one, other), seen, strict=True):
            write(connection, units + 1)
            connection.commit()
        assert read(one) == 1


def test_control_with_a_deferred_begin_the_second_of_two_is_refused_at_once_whatever_its_patience(counter):
    with closing(counter(isolation_level=None)) as one, closing(counter(isolation_level=None)) as other:
        for connection in (one, other):
            connection.execute("BEGIN DEFERRED")
            assert read(connection) == 0
        write(one, 1)
        one.execute("COMMIT")
        started = time.monotonic()
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            write(other, 1)
        assert time.monotonic() - started < PATIENCE_SECONDS / 3
        assert read(one) == 1, "of two counts one is gone"
