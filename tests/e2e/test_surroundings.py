"""What a machine does to a service: a log nobody reads, no room for temporary files, time zones, too few handles."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import create_engine, text

from tests import servers
from tests.chaos import disks
from tests.e2e.deployments import Deployment, embedded, eventually, server
from tests.e2e.test_processes import order_for
from tests.processes import Server, free_port, new_home

MANY = 300  # more lines than fit into a pipe
FEW_HANDLES = 64
LOGS = {
    "a pipe that nobody empties": "{serve} 2>&1 | sleep 600",
    "a pipe whose reader has gone": "{serve} 2>&1 | head -n 1",
    "a full disk": "exec {serve} > /dev/full 2>&1",
    "nothing at all": "exec {serve} >&- 2>&-",
}


def served_by(shell: str, env: dict[str, str]) -> Server:
    """The service, started by a shell so that its output goes where the shell says."""
    home, port = new_home("service"), free_port()
    own = {name: value for name, value in os.environ.items() if name in servers.KEPT_VARIABLES}
    where = {"HOST": "127.0.0.1", "PORT": str(port), "TMPDIR": str(home), "PYTHONUNBUFFERED": "1"}
    url, command = f"http://127.0.0.1:{port}", ["sh", "-c", shell.format(serve=f"{sys.executable} run.py")]
    return Server("service", url, command=command, ready=is_live, home=home, env={**own, **where, **env}).start()


def is_live(service: Server) -> bool:
    try:
        return requests.get(f"{service.url}/api/v1/health/live", timeout=5).status_code == 200
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """A database and nothing running yet."""
    with embedded(LOG_LEVEL="INFO", FLASK_SKIP_DOTENV="1") as migrated:
        yield migrated


@pytest.mark.parametrize("shell", LOGS.values(), ids=LOGS)
def test_whatever_becomes_of_its_log_the_service_goes_on(deployment, shell):
    service = served_by(shell, deployment.env)
    try:
        with requests.Session() as session:
            told = {session.get(f"{service.url}/api/v1/locations/", timeout=10).status_code for _ in range(MANY)}
            opened = session.post(f"{service.url}/api/v1/locations/", json={"code": service.home.name, "name": "New"})
        assert (told, opened.status_code) == ({200}, 201)
    finally:
        service.kill()


def test_a_reader_of_the_log_who_comes_late_gets_every_line(deployment):
    heard = new_home("reader") / "lines"
    late = f"{sys.executable} -c 'import sys, time; time.sleep(1); sys.stdout.writelines(sys.stdin)' > {heard}"
    service = served_by(f"{{serve}} 2>&1 | {late}", deployment.env)
    for number in range(50):
        requests.get(f"{service.url}/api/v1/locations/", headers={"X-Request-ID": f"line-{number}"}, timeout=10)
    os.kill(children(service)[0], signal.SIGTERM)
    eventually(lambda: not service.running, within=30, because="the service has ended, and so its reader")
    lines = [json.loads(line) for line in heard.read_text().splitlines() if line.startswith("{")]
    assert {f"line-{number}" for number in range(50)} <= {line["request_id"] for line in lines}


@pytest.fixture
def full_temporary_folder() -> Iterator[Path]:
    folder = new_home("disk")
    if not disks.mount(folder, megabytes=1):
        pytest.skip("no small disk may be mounted here")
    yield folder
    disks.unmount(folder)


def test_without_room_for_temporary_files_everything_is_answered(full_temporary_folder):
    metrics = new_home("metrics")  # they are in memory where there is such a folder, and never in TMPDIR's
    with embedded(TMPDIR=str(full_temporary_folder), PROMETHEUS_MULTIPROC_DIR=str(metrics)) as deployment:
        deployment.serve()
        deployment.stock("KB-1", quantity=1)
        disks.fill(full_temporary_folder)
        for path in ("/inventory/KB-1", "/inventory/", "/locations/", "/movements/", "/reservations/", "/health/"):
            assert deployment.call("GET", path).status_code == 200, path
        assert deployment.call("POST", "/reservations/", order_for("KB-1")).status_code == 201
        assert requests.get(f"{deployment.url}/metrics", timeout=10).status_code == 200
        deployment.env |= {"TMPDIR": str(metrics)}
        deployment.assert_in_order()


@pytest.fixture
def far_away() -> Iterator[Server]:
    """A database server whose own time is Kathmandu's."""
    private = servers.mariadb(private=True)
    if private is None:
        pytest.skip(servers.HOW_TO_GET["mariadb"])
    with create_engine(private.url).connect() as connection:
        connection.execute(text("SET GLOBAL time_zone = '+05:45'"))
    yield private
    private.stop()


def test_no_time_depends_on_the_zone_of_the_service_its_worker_or_the_database(far_away, redis_server):
    zone = {"TZ": "America/St_Johns", "EXPIRY_INTERVAL_SECONDS": "1"}
    with server(far_away, redis_server, **zone, WEB_PROCESSES="1") as deployment:
        deployment.serve()
        deployment.stock("KB-1", quantity=2)
        before = datetime.now(UTC)
        held = deployment.call("POST", "/reservations/", order_for("KB-1") | {"ttl_seconds": 2}).json()["data"]
        made, ends = (datetime.fromisoformat(held[name]) for name in ("created_at", "expires_at"))
        assert held["created_at"].endswith("Z")
        assert before - timedelta(seconds=1) < made < datetime.now(UTC) + timedelta(seconds=1)
        assert ends - made == timedelta(seconds=2)
        [(stored,)] = deployment.sql("SELECT expires_at FROM reservations")
        assert stored.replace(tzinfo=UTC) == ends
        path = f"/reservations/{held['id']}"
        assert deployment.call("GET", path).json()["data"]["expires_at"] == held["expires_at"]
        deployment.work()
        ended = "SELECT expired_at FROM reservations WHERE status = 'expired'"
        [(expired,)] = eventually(lambda: deployment.sql(ended), within=8, because="the worker has swept")
        assert timedelta(0) <= expired.replace(tzinfo=UTC) - ends < timedelta(seconds=7)
        deployment.assert_in_order()


def children(process: Server) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process.pid)], stdout=subprocess.PIPE, text=True, check=False)
    return [int(child) for child in found.stdout.split()]


@pytest.fixture
def short_of_handles() -> Iterator[tuple[Deployment, Server]]:
    """A service that learns only when they are used up that it may have few."""
    with embedded(LOG_LEVEL="ERROR", CLIENT_HEADER_SECONDS="1") as deployment:
        service = deployment.serve()
        for process in (service.pid, *children(service)):
            resource.prlimit(process, resource.RLIMIT_NOFILE, (FEW_HANDLES, FEW_HANDLES))
        yield deployment, service


def test_more_connections_than_handles_cost_only_themselves(short_of_handles):
    deployment, service = short_of_handles
    deployment.stock("KB-1", quantity=1)
    processes = children(service)
    address = urlsplit(service.url)
    with ExitStack() as idle:
        for _ in range(2 * FEW_HANDLES):
            idle.enter_context(socket.create_connection((address.hostname, address.port), timeout=5))
        answer = deployment.call("GET", "/inventory/KB-1")
        assert answer.status_code == 200
    assert deployment.call("POST", "/reservations/", order_for("KB-1")).status_code == 201
    assert service.running
    assert children(service) == processes, "none was ended by it, and with it the requests it was at"
    deployment.assert_in_order()


def test_a_service_that_may_open_few_files_takes_no_more_connections_than_it_can_bear(deployment):
    service = served_by(f"ulimit -n {FEW_HANDLES}; exec {{serve}}", deployment.env | {"CLIENT_HEADER_SECONDS": "1"})
    address = urlsplit(service.url)
    try:
        processes = children(service)
        with ExitStack() as idle:
            for _ in range(2 * FEW_HANDLES):
                idle.enter_context(socket.create_connection((address.hostname, address.port), timeout=5))
            assert open_files(processes) < FEW_HANDLES, "some are left for the database"
            assert requests.get(f"{service.url}/api/v1/locations/", timeout=60).status_code == 200
        assert children(service) == processes
    finally:
        service.kill()


def open_files(processes: list[int]) -> int:
    if not Path("/proc/self/fd").exists():
        pytest.skip("it looks into /proc")
    return max(len([*Path(f"/proc/{process}/fd").iterdir()]) for process in processes)
