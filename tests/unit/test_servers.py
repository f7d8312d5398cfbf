"""The servers other tests rely on: private, restartable on the same port and data, and gone afterwards."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
import redis
from sqlalchemy import make_url

from tests import servers
from tests.processes import ROOT, Server, ServerFailed


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    server = servers.mariadb(durable=True, private=True)
    if server is None:
        pytest.skip(servers.HOW_TO_GET["mariadb"])
    yield server
    server.stop()


@pytest.fixture
def new_redis() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        server.stop()


@pytest.fixture
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL", "CI"):
        monkeypatch.delenv(name, raising=False)


def start_redis(started: list[Server], *, appendonly: bool = False) -> Server:
    server = servers.redis(appendonly=appendonly, private=True)
    if server is None:
        pytest.skip(servers.HOW_TO_GET["redis"])
    started.append(server)
    return server


def query(url: str, *statements: str) -> tuple[tuple[object, ...], ...]:
    parsed = make_url(url)
    assert parsed.host and parsed.port and parsed.username and parsed.password
    with (
        pymysql.connect(
            host=parsed.host,
            port=parsed.port,
            user=parsed.username,
            password=str(parsed.password),
            database=parsed.database,
            autocommit=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


def is_gone(pid: int, *, within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while _is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # one that has ended but was not collected yet is a zombie
    return not (status.exists() and ") Z " in status.read_text())


def test_a_fresh_database_is_empty_and_compares_text_by_bytes(mariadb: Server) -> None:
    url = servers.fresh_database(mariadb)
    assert query(url, "SHOW TABLES") == ()
    assert query(url, "SELECT @@character_set_database, @@collation_database") == (("utf8mb4", "utf8mb4_bin"),)
    servers.drop_database(url)
    name = make_url(url).database
    assert query(mariadb.url, f"SELECT schema_name FROM information_schema.schemata WHERE schema_name = '{name}'") == ()


def test_two_fresh_databases_do_not_see_each_other(mariadb: Server) -> None:
    one, other = servers.fresh_database(mariadb), servers.fresh_database(mariadb)
    query(one, "CREATE TABLE stock (units INT)")
    assert query(other, "SHOW TABLES") == ()
    servers.drop_database(one)
    servers.drop_database(other)


def test_a_database_server_killed_and_started_again_keeps_its_port_and_what_was_committed(
    mariadb: Server,
) -> None:
    url = servers.fresh_database(mariadb)
    query(url, "CREATE TABLE stock (units INT) ENGINE=InnoDB", "INSERT INTO stock VALUES (45)")
    first = mariadb.pid
    mariadb.kill()
    assert is_gone(first)
    with pytest.raises(pymysql.OperationalError):
        query(url, "SELECT 1")
    mariadb.start()
    assert mariadb.pid != first
    assert query(url, "SELECT units FROM stock") == ((45,),)


def test_durability_is_a_choice(mariadb: Server) -> None:
    assert query(mariadb.url, "SELECT @@innodb_flush_log_at_trx_commit") == ((1,),)
    quick = servers.mariadb(private=True)
    assert quick is not None
    assert query(quick.url, "SELECT @@innodb_flush_log_at_trx_commit") == ((0,),)
    pid = quick.pid
    quick.stop()
    assert is_gone(pid)
    assert "Shutdown complete" in quick.log.read_text()


def test_a_redis_forgets_when_it_is_killed_unless_told_to_append(new_redis: list[Server]) -> None:
    for appendonly, kept in ((False, None), (True, b"kept")):
        server = start_redis(new_redis, appendonly=appendonly)
        with redis.Redis.from_url(server.url) as client:
            client.set("key", "kept")
        server.kill()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("key") == kept


def test_a_stopped_server_leaves_no_process_and_its_port_is_free(new_redis: list[Server]) -> None:
    server = start_redis(new_redis)
    pid = server.pid
    server.stop()
    assert not server.running
    assert is_gone(pid)
    with redis.Redis.from_url(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_nothing_outlives_a_test_process_that_is_killed(new_redis: list[Server]) -> None:
    start_redis(new_redis)  # skips where there is no Redis
    start = "from tests import servers; server = servers.redis(private=True)"
    program = f"{start}; print(server.pid, server.home, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as tests:
        assert tests.stdout is not None
        pid, home = tests.stdout.readline().split()
        assert not is_gone(int(pid), within=0)
        tests.kill()
    assert is_gone(int(pid))
    deadline = time.monotonic() + 10
    while Path(home).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(home).parent.exists()


def test_killing_a_server_kills_its_children_too() -> None:
    command = ["sh", "-c", "sleep 600 & echo $! && wait"]
    server = Server("family", "", command=command, ready=lambda it: it.log.read_text().endswith("\n")).start()
    child = int(server.log.read_text())
    assert not is_gone(child, within=0)
    server.kill()
    assert is_gone(child)


def test_a_server_that_ignores_the_polite_signal_is_killed() -> None:
    command = ["sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.1; done"]
    server = Server("stubborn", "", command=command, ready=lambda it: "ready" in it.log.read_text()).start()
    pid = server.pid
    server.stop(within=0.3)
    assert is_gone(pid)


def test_a_server_that_cannot_start_says_why() -> None:
    server = Server("broken", "", command=["sh", "-c", "echo no such table; exit 3"], ready=lambda it: False)
    with pytest.raises(ServerFailed, match="no such table"):
        server.start()
    assert not server.running


@pytest.mark.usefixtures("nothing_given")
def test_a_server_that_was_given_is_used_and_never_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "mysql+pymysql://shop:secret@db.example:3306/")
    monkeypatch.setenv("TEST_REDIS_URL", "redis://cache.example:6379/4")
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    database, cache = servers.mariadb(), servers.redis()
    assert database is not None and cache is not None
    assert database.url == "mysql+pymysql://shop:secret@db.example:3306/"
    assert cache.url == "redis://cache.example:6379/5", "each test process has a database of its own"
    for server in (database, cache):
        assert not server.owned
        server.stop()
        with pytest.raises(RuntimeError, match="private=True"):
            server.kill()


@pytest.mark.usefixtures("nothing_given")
def test_without_a_binary_the_caller_may_skip_but_not_where_ci_promises_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "_find", lambda names: None)
    monkeypatch.setattr(servers, "_install", lambda packages, names: None)
    assert servers.mariadb() is None
    assert servers.redis() is None
    monkeypatch.setenv("CI", "true")
    with pytest.raises(servers.ServerMissing, match="apt-get install mariadb-server"):
        servers.mariadb()
    with pytest.raises(servers.ServerMissing, match="apt-get install redis-server"):
        servers.redis()


def test_the_service_is_a_real_process_that_can_be_killed_and_started_again(tmp_path: Path) -> None:
    env = {"FLASK_ENV": "development", "DATABASE_URL": f"sqlite:///{tmp_path / 'inventory.db'}"}
    migrated = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "run", "db", "upgrade"],
        env={**os.environ, **env},
        cwd=ROOT,
        check=False,
    )
    assert migrated.returncode == 0
    service = servers.service(env)
    first = service.pid
    assert answers(service.url) == 200
    service.kill()
    assert is_gone(first)
    with pytest.raises(OSError):
        answers(service.url)
    service.start()
    assert answers(service.url) == 200
    assert "/api/v1/health/live" in service.log.read_text()
    last = service.pid
    service.stop()
    assert is_gone(last)


def answers(url: str) -> int:
    with urllib.request.urlopen(f"{url}/api/v1/health/ready", timeout=5) as answer:
        return int(answer.status)


def test_the_service_sees_nothing_of_the_developers_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///precious.db")
    monkeypatch.setenv("REDIS_URL", "redis://precious:6379/0")
    seen = servers._environment({"DATABASE_URL": "sqlite:///throwaway.db"}, Path("/its/own/folder"))
    assert seen["DATABASE_URL"] == "sqlite:///throwaway.db"
    assert "REDIS_URL" not in seen
    assert seen["PATH"] == os.environ["PATH"]
    assert seen["TMPDIR"] == "/its/own/folder", "what it leaves behind goes away with it"


def test_a_server_is_asked_to_stop_before_it_is_killed() -> None:
    command = ["sh", "-c", "trap 'echo goodbye; exit 0' TERM; echo ready; while true; do sleep 0.05; done"]
    server = Server("polite", "", command=command, ready=lambda it: "ready" in it.log.read_text()).start()
    server.stop()
    assert server.log.read_text().split() == ["ready", "goodbye"]
