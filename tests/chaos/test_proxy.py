"""The proxy does to a real connection what it says, and nothing when healed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pymysql
import pytest
from sqlalchemy import make_url

from tests import servers
from tests.chaos.faults import FAULTS
from tests.chaos.proxy import DOWN, UP, Proxy
from tests.chaos.supervisor import schedule
from tests.processes import Server

LOST = {2006, 2013}


@pytest.fixture
def database(mariadb: Server) -> Iterator[str]:
    url = servers.fresh_database(mariadb)
    with closing(connected(url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE notes (id INT PRIMARY KEY)")
    yield url
    servers.drop_database(url)


@pytest.fixture
def proxy(mariadb: Server) -> Iterator[Proxy]:
    started = Proxy(make_url(mariadb.url).port or 0, mysql=True).start()
    yield started
    started.stop()


def connected(url: str, port: int | None = None) -> pymysql.Connection[pymysql.cursors.Cursor]:
    parsed = make_url(url)
    return pymysql.connect(
        host="127.0.0.1", port=port or parsed.port or 0, user=parsed.username, password=parsed.password or "",
        database=parsed.database, connect_timeout=2, read_timeout=1,
    )  # fmt: skip


def write(url: str, port: int, number: int) -> int | None:
    """Insert and commit on a new connection; the number of the error, if there was one."""
    connection = connected(url, port)
    try:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO notes VALUES (%s)", (number,))
        connection.commit()
    except pymysql.Error as error:
        return int(error.args[0])
    finally:
        connection._force_close()
    return None


def notes(url: str) -> list[int]:
    with closing(connected(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM notes ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def test_a_lost_reply_leaves_the_commit_and_a_lost_commit_leaves_nothing(database, proxy):
    proxy.lose_commits(replies=1)
    assert write(database, proxy.port, 1) in LOST
    proxy.lose_commits(requests=1)
    assert write(database, proxy.port, 2) in LOST
    assert write(database, proxy.port, 3) is None
    assert (notes(database), proxy.commits_lost) == ([1, 3], 2)


def test_refused_connections_are_welcome_again_when_healed(database, proxy):
    proxy.refuse()
    with pytest.raises(pymysql.OperationalError):
        connected(database, proxy.port)
    proxy.heal()
    assert write(database, proxy.port, 1) is None


def test_a_connection_that_is_cut_is_lost(database, proxy):
    with closing(connected(database, proxy.port)) as connection:
        proxy.cut()
        with pytest.raises(pymysql.OperationalError):
            connection.ping(reconnect=False)
    assert write(database, proxy.port, 1) is None


@pytest.mark.parametrize("way", [UP, DOWN])
def test_what_is_held_back_arrives_when_healed(database, proxy, way):
    with closing(connected(database, proxy.port)) as connection, connection.cursor() as cursor:
        proxy.stall(way)
        with pytest.raises(pymysql.OperationalError):
            cursor.execute("INSERT INTO notes VALUES (1)")
    proxy.heal()
    assert write(database, proxy.port, 2) is None


def test_a_forgotten_connection_is_silent_for_good_and_a_new_one_is_not(database, proxy):
    connection = connected(database, proxy.port)
    proxy.black_hole()
    proxy.heal()
    with pytest.raises(pymysql.OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    connection._force_close()
    assert write(database, proxy.port, 1) is None


@pytest.mark.parametrize("kind", ["server", "embedded"])
def test_a_seed_gives_one_schedule_in_which_every_kind_of_fault_comes(kind):
    known = {fault.name for fault in FAULTS if kind in fault.backends}
    first, again = schedule(1, kind, disk=True), schedule(1, kind, disk=True)
    rounds = [next(first) for _ in known]
    assert rounds == [next(again) for _ in known]
    assert rounds != [turn for turn, _ in zip(schedule(2, kind, disk=True), known, strict=False)]
    assert {fault.name for turn in rounds for fault in turn.faults} == known
