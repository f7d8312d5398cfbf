"""Many processes on one product, and what is left of a promise when a process dies under it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests import servers
from tests.e2e.buyers import LOST, buying
from tests.e2e.deployments import Deployment, embedded, eventually, on, server
from tests.processes import ROOT, Server

PROCESSES, THREADS, TIMES = 10, 4, 3
OUTAGE = {"201", LOST, "503 database_unavailable", "503 outcome_unknown", "503 database_busy"}
# A connection is checked (10 s), found dead, and made anew (10 s): what the settings of the driver allow.
LONGEST_HANG_SECONDS = 22
both_backends = pytest.mark.parametrize("backend", ["embedded", "server"])


def buy_in_processes(urls: Sequence[str], product_id: str) -> tuple[Counter[str], list[str]]:
    """What all threads of all processes were told together, and the holds they were promised."""
    command = [sys.executable, "-m", "tests.e2e.buyers", product_id, str(THREADS), str(TIMES), *urls]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    crowd = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as starters:
        outputs = starters.map(lambda process: process.communicate("go\n", timeout=60)[0], crowd)
        tallies = [json.loads(output) for output in outputs]
    told = sum((Counter(tally["told"]) for tally in tallies), Counter())
    return told, [held for tally in tallies for held in tally["held"]]


def reserved(deployment: Deployment, product_id: str) -> tuple[int, int, int]:
    """On hand, reserved, and the sum of live holds."""
    item = "SELECT quantity, reserved_quantity FROM inventory_items WHERE product_id = :product_id"
    [(quantity, promised)] = deployment.sql(item, product_id=product_id)
    return quantity, promised, deployment.number("SELECT SUM(quantity) FROM reservations WHERE status = 'active'")


@both_backends
def test_of_ten_processes_with_four_threads_each_exactly_forty_five_buyers_are_served(backend, request):
    with on(backend, request, LOG_LEVEL="WARNING") as deployment:
        # Two instances of the service on one database, where there is a server to share.
        urls = [deployment.serve().url for _ in range(1 if backend == "embedded" else 2)]
        deployment.stock("KB-1", quantity=45)
        told, held = buy_in_processes(urls, "KB-1")
        assert told == {"201": 45, "409 insufficient_stock": PROCESSES * THREADS * TIMES - 45}
        assert len(set(held)) == 45
        assert reserved(deployment, "KB-1") == (45, 45, 45)
        deployment.assert_in_order()


@both_backends
def test_a_service_killed_in_a_burst_has_lost_no_hold_it_acknowledged(backend, request):
    with on(backend, request, LOG_LEVEL="WARNING") as deployment:
        service = deployment.serve()
        deployment.stock("KB-1", quantity=100_000)
        with buying(service.url, "KB-1", buyers=8) as tally:
            eventually(lambda: len(tally.held) >= 100, within=20, because="a hundred holds")
            service.kill()
        assert set(tally.told) <= {"201", LOST}
        service.start()
        stored = {row[0] for row in deployment.sql("SELECT id FROM reservations WHERE status = 'active'")}
        assert set(tally.held) <= stored
        assert len(stored) <= len(tally.held) + tally.told[LOST]
        assert deployment.call("GET", f"/reservations/{tally.held[-1]}").json()["data"]["status"] == "active"
        deployment.assert_in_order()


@pytest.fixture
def database() -> Iterator[Server]:
    """One that may be killed, and that writes every commit to disk as production does."""
    private = servers.mariadb(durable=True, private=True)
    if private is None:
        pytest.skip(servers.HOW_TO_GET["mariadb"])
    yield private
    private.stop()


def test_a_database_killed_under_load_costs_an_outage_and_not_one_acknowledged_hold(database, redis_server):
    with server(database, redis_server, LOG_LEVEL="ERROR") as deployment:
        service = deployment.serve()
        deployment.stock("KB-1", quantity=100_000)
        with buying(service.url, "KB-1", buyers=8) as tally:
            eventually(lambda: len(tally.held) >= 100, within=20, because="a hundred holds")
            database.kill()
            down = deployment.call("POST", "/reservations/", order_for("KB-1"))
            assert (down.status_code, down.headers["Content-Type"]) == (503, "application/problem+json")
            assert (down.json()["code"], int(down.headers["Retry-After"])) == ("database_unavailable", 1)
            assert deployment.call("GET", "/health/live").status_code == 200
            assert deployment.call("GET", "/health/ready").status_code == 503
            refused = tally.told["503 database_unavailable"]
            eventually(lambda: tally.told["503 database_unavailable"] > refused + 8, within=20, because="refusals")
            database.start()
            before = len(tally.held)
            eventually(lambda: len(tally.held) > before + 50, within=20, because="buying again by itself")
        assert set(tally.told) <= OUTAGE
        assert tally.told[LOST] == tally.without_retry_after == 0
        assert tally.slowest < 10
        stored = {row[0] for row in deployment.sql("SELECT id FROM reservations")}
        assert set(tally.held) <= stored
        assert len(stored) - len(tally.held) <= tally.told["503 outcome_unknown"]
        deployment.assert_in_order()


def test_a_database_that_hangs_costs_a_request_no_more_than_its_timeouts(database, redis_server):
    with server(database, redis_server, LOG_LEVEL="ERROR", WEB_PROCESSES="1") as deployment:
        deployment.serve()
        deployment.stock("KB-1", quantity=1)
        os.kill(database.pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            hung = deployment.call("POST", "/reservations/", order_for("KB-1"))
            waited = time.monotonic() - started
        finally:
            os.kill(database.pid, signal.SIGCONT)
        assert (hung.status_code, hung.headers["Retry-After"]) == (503, "1")
        assert waited < LONGEST_HANG_SECONDS
        eventually(lambda: deployment.number("SELECT 1"), within=10, because="the database is back")
        assert deployment.call("POST", "/reservations/", order_for("KB-1")).status_code == 201
        deployment.assert_in_order()


def order_for(product_id: str) -> dict[str, Any]:
    return {"product_id": product_id, "quantity": 1, "order_id": "o-1", "customer_id": "c-1"}


def test_a_service_whose_first_process_is_killed_gives_its_port_back_while_clients_keep_calling():
    with embedded() as deployment, ThreadPoolExecutor() as clients:
        service = deployment.serve()
        calling = [clients.submit(call_until_refused, f"{service.url}/api/v1/health/live") for _ in range(4)]
        os.kill(service.pid, signal.SIGKILL)
        eventually(lambda: is_free(urlsplit(service.url).port), within=10, because="the orphan let go of the port")
        assert all(client.result() > 0 for client in calling)


def call_until_refused(url):
    """One kept-alive connection, used without a break until it ends: how many answers it got."""
    answers = 0
    with requests.Session() as session, suppress(requests.RequestException):
        while session.get(url, timeout=15).status_code == 200:
            answers += 1
    return answers


def is_free(port):
    with socket.socket() as wanted:
        wanted.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            wanted.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
