"""What MariaDB may do to a service besides dying: refuse writes, refuse connections, run full, turn its clock back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import make_url

from tests import servers
from tests.chaos import clocks, disks
from tests.e2e.buyers import buying
from tests.e2e.deployments import Deployment, eventually, server
from tests.e2e.test_processes import order_for
from tests.processes import Server, new_home

SETTINGS = {"LOG_LEVEL": "ERROR", "WEB_PROCESSES": "1", "EXPIRY_INTERVAL_SECONDS": "1"}
USER = "inventory"
ROOM_MEGABYTES = 16
REFUSALS = ("503 storage_full", "503 database_unavailable", "503 outcome_unknown", "503 database_busy")


def administer(database: Server, *statements: str) -> None:
    url = make_url(database.url)
    with closing(pymysql.connect(host=url.host, port=url.port or 0, user="tests", password="tests")) as connection:
        for statement in statements:
            connection.cursor().execute(statement)


# ── A server that refuses ────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def database() -> Iterator[Server]:
    private = servers.mariadb(private=True)
    if private is None:
        pytest.skip(servers.HOW_TO_GET["mariadb"])
    administer(private, f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{USER}'", f"GRANT ALL ON *.* TO '{USER}'@'%'")
    administer(private, f"REVOKE SUPER, READ ONLY ADMIN, CONNECTION ADMIN ON *.* FROM '{USER}'@'%'")
    yield private
    private.stop()


@pytest.fixture
def deployment(database: Server, redis_server: Server) -> Iterator[Deployment]:
    """Its user may do nothing to the server, so that what the server refuses is refused to it."""
    with server(database, redis_server, **SETTINGS) as running:
        url = make_url(running.env["DATABASE_URL"]).set(username=USER, password=USER)
        running.env["DATABASE_URL"] = url.render_as_string(hide_password=False)
        running.serve()
        running.stock("KB-1", quantity=1_000)
        yield running


def test_a_read_only_database_is_read_and_writes_are_refused_until_it_is_none(deployment, database):
    administer(database, "SET GLOBAL read_only = 1")
    try:
        refused = deployment.call("POST", "/reservations/", order_for("KB-1"))
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert refused.headers["Retry-After"] == "1"
        for path in ("/inventory/KB-1", "/inventory/", "/reservations/", "/health/live"):
            assert deployment.call("GET", path).status_code == 200, path
    finally:
        administer(database, "SET GLOBAL read_only = 0")
    assert deployment.call("POST", "/reservations/", order_for("KB-1")).status_code == 201
    assert deployment.number("SELECT COUNT(*) FROM reservations") == 1
    deployment.assert_in_order()


def test_without_a_connection_to_be_had_calls_are_refused_and_not_kept_waiting(deployment, database):
    url = make_url(database.url)
    who: dict[str, Any] = {"host": url.host, "port": url.port, "user": "tests", "password": "tests"}
    with closing(pymysql.connect(**who)) as admin, ExitStack() as others:
        cursor = admin.cursor()
        cursor.execute("SET GLOBAL max_connections = 10")
        try:
            cursor.execute(f"SELECT id FROM information_schema.processlist WHERE user = '{USER}'")
            for (session,) in cursor.fetchall():
                cursor.execute(f"KILL {session}")
            with pytest.raises(pymysql.Error, match="Too many connections"):
                while True:
                    others.enter_context(closing(pymysql.connect(**who)))
            refused = deployment.call("POST", "/reservations/", order_for("KB-1"))
            assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
            assert refused.elapsed < timedelta(seconds=5)
        finally:
            cursor.execute("SET GLOBAL max_connections = 500")
    assert deployment.call("POST", "/reservations/", order_for("KB-1")).status_code == 201
    assert deployment.number("SELECT COUNT(*) FROM reservations") == 1
    deployment.assert_in_order()


# ── A server that runs full, and one whose clock is turned back ──────────────────────────────────


@pytest.fixture
def private() -> Iterator[Server]:
    """A durable one that is not running, and whose command may be changed."""
    found = servers.mariadb(durable=True, private=True)
    if found is None:
        pytest.skip(servers.HOW_TO_GET["mariadb"])
    found.stop()
    yield found
    found.stop()


@pytest.fixture
def disk(private: Server) -> Iterator[Path]:
    """Where its data is: with little room left."""
    folder, data = new_home("disk"), private.home / "data"
    used = sum(file.stat().st_size for file in data.rglob("*")) >> 20
    if not disks.mount(folder, megabytes=used + ROOM_MEGABYTES):
        pytest.skip("no small disk may be mounted here")
    shutil.copytree(data, folder, dirs_exist_ok=True)
    private.command = [word.replace(f"--datadir={data}", f"--datadir={folder}") for word in private.command]
    yield folder
    private.kill()
    disks.unmount(folder)


def test_a_database_whose_disk_is_full_loses_nothing_and_needs_room_and_perhaps_a_start(private, disk, redis_server):
    private.start()
    with server(private, redis_server, **SETTINGS) as deployment:
        service = deployment.serve()
        deployment.stock("KB-1", quantity=1_000_000)
        with buying(service.url, "KB-1", buyers=8) as tally:
            eventually(lambda: tally.told["201"] > 50, within=20, because="buying before the disk is full")
            eventually(lambda: refused(tally, disk) > 20, within=120, because="the disk is full")
            disks.free(disk)
            private.start()  # this MariaDB ends itself when it cannot even roll back
            before = len(tally.held)
            eventually(lambda: len(tally.held) > before + 50, within=60, because="buying again")
        assert set(tally.told) <= {"201", *REFUSALS}
        assert tally.without_retry_after == 0
        stored = {row[0] for row in deployment.sql("SELECT id FROM reservations")}
        assert set(tally.held) <= stored
        assert len(stored) - len(tally.held) <= tally.told["503 outcome_unknown"]
        deployment.assert_in_order()


def refused(tally: Any, disk: Path) -> int:
    disks.fill(disk)
    return sum(tally.told[refusal] for refusal in REFUSALS)


def test_a_database_clock_turned_back_by_two_hours_only_lengthens_holds(private, redis_server):
    shim = clocks.shim(new_home("clocks"))
    if shim is None:
        pytest.skip("no clock can be set off here: there is no C compiler")
    right = private.command
    private.command = ["env", f"LD_PRELOAD={shim}", f"WALL_CLOCK_OFFSET={2 * clocks.HOURS}", *right]
    private.start()
    with server(private, redis_server, **SETTINGS) as deployment:
        deployment.serve()
        deployment.work()
        deployment.stock("KB-1", quantity=10)
        [early] = deployment.hold("KB-1", ttl=60)
        [long] = deployment.hold("KB-1", ttl=3600)
        ahead = deployment.sql("SELECT UTC_TIMESTAMP(6)")[0][0]
        private.stop()
        private.command = right
        private.start()
        back = eventually(lambda: deployment.sql("SELECT UTC_TIMESTAMP(6)"), within=10, because="it is back")[0][0]
        assert timedelta(hours=1, minutes=55) < ahead - back < timedelta(hours=2)
        call_again = partial(deployment.call, "POST", f"/reservations/{long}/confirm")
        eventually(lambda: call_again().status_code == 200, within=20, because="it can be bought before its time")
        [late] = deployment.hold("KB-1", ttl=1)
        status = "SELECT status FROM reservations WHERE id = :id"
        eventually(lambda: deployment.sql(status, id=late) == [("expired",)], within=8, because="its time came")
        assert deployment.sql(status, id=early) == [("active",)]
        ledger = deployment.sql("SELECT id, sequence FROM stock_movements ORDER BY id")
        assert [sequence for _, sequence in ledger] == list(range(1, len(ledger) + 1))
        deployment.assert_each_hold_ended_once()
        assert deployment.call("GET", "/audit").json()["data"]["findings"] == []
