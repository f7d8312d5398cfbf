"""A service and its workers that are asked to stop: who is told first, who is still served, and what nobody loses."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
import redis
import requests
from sqlalchemy import Connection, NullPool, create_engine, text

from app.jobs.worker import LEASE_KEY
from config import Config, normalised
from tests import servers
from tests.e2e.deployments import Deployment, embedded, eventually, on, server
from tests.e2e.test_processes import is_free, order_for
from tests.processes import Server

READY, LIVE = "/api/v1/health/ready", "/api/v1/health/live"
EXPIRED = "SELECT COUNT(*) FROM reservations WHERE status = 'expired'"
both_backends = pytest.mark.parametrize("backend", ["embedded", "server"])


def ask_to_stop(process: Server) -> float:
    os.kill(process.pid, signal.SIGTERM)
    return time.monotonic()


def assert_ended_well(process: Server, *, within: float) -> float:
    """It ended by itself, with code 0: when that was."""
    eventually(lambda: process.exit_code is not None, within=within, because=f"{process.name} has ended")
    assert process.exit_code == 0
    return time.monotonic()


@both_backends
def test_readiness_goes_first_while_everybody_is_still_served_and_then_the_port_is_free(backend, request):
    with on(backend, request, DRAIN_SECONDS="3") as deployment:
        service = deployment.serve()
        deployment.stock("KB-1", quantity=10)
        assert deployment.call("GET", "/health/ready").headers["Connection"] == "keep-alive"
        asked = ask_to_stop(service)
        refused = eventually(lambda: not_ready(service), within=3, because="readiness says no")[0]
        assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
        assert (refused.json()["code"], refused.headers["Connection"]) == ("stopping", "close")
        for process in range(6):  # whichever of them answers
            assert len(not_ready(service)) == 1, process
            assert deployment.call("GET", "/health/live").headers["Connection"] == "close"
        held = deployment.call("POST", "/reservations/", order_for("KB-1"))
        assert held.status_code == 201
        assert time.monotonic() < asked + 3, "too slow a machine to tell: this was to happen while it drains"
        ended = assert_ended_well(service, within=20)
        assert ended > asked + 3
        assert is_free(urlsplit(service.url).port)
        assert deployment.number("SELECT COUNT(*) FROM reservations WHERE status = 'active'") == 1


def not_ready(service: Server) -> list[requests.Response]:
    answer = requests.get(f"{service.url}{READY}", timeout=10)
    return [] if answer.status_code == 200 else [answer]


def test_by_default_production_drains_and_a_laptop_does_not(monkeypatch):
    for name, value in {"DATABASE_URL": "mysql://db/inventory", "REDIS_URL": "redis://cache/0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLASK_ENV", "production")
    assert Config.from_env().drain_seconds == 5
    monkeypatch.setenv("FLASK_ENV", "development")
    assert Config.from_env().drain_seconds == 0


@contextmanager
def locked_item(deployment: Deployment, product_id: str) -> Iterator[Connection]:
    """Somebody else holds the row, so that whoever wants it waits."""
    engine = create_engine(normalised(deployment.env["DATABASE_URL"]), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT id FROM inventory_items WHERE product_id = :p FOR UPDATE"), {"p": product_id})
        yield connection


def test_a_request_that_is_under_way_is_finished_and_a_new_client_is_refused_at_once(mariadb, redis_server):
    with server(mariadb, redis_server) as deployment, ThreadPoolExecutor() as callers:
        service = deployment.serve()
        deployment.stock("KB-1", quantity=1)
        with locked_item(deployment, "KB-1") as lock:
            waiting = callers.submit(deployment.call, "POST", "/reservations/", order_for("KB-1"))
            eventually(lambda: is_waited_for(deployment), within=10, because="the request waits for the row")
            ask_to_stop(service)
            eventually(lambda: is_refused(service), within=10, because="new clients are refused")
            assert not waiting.done() and service.running
            lock.rollback()
        assert waiting.result(timeout=10).status_code == 201
        assert_ended_well(service, within=10)
        assert deployment.number("SELECT SUM(quantity) FROM reservations WHERE status = 'active'") == 1
        deployment.assert_in_order()


def is_waited_for(deployment: Deployment) -> bool:
    # InnoDB shows a picture of its locks that it renews only when nobody looked at it for a tenth of a second.
    time.sleep(0.15)
    waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    return deployment.number(waiting) > 0


def is_refused(service: Server) -> bool:
    address = urlsplit(service.url)
    with suppress(ConnectionRefusedError), socket.create_connection((address.hostname, address.port), timeout=5):
        return False
    return True


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once_also_while_it_drains(second):
    with embedded(DRAIN_SECONDS="60") as deployment:
        service = deployment.serve()
        ask_to_stop(service)
        eventually(lambda: not_ready(service), within=10, because="it drains")
        os.kill(service.pid, second)
        assert_ended_well(service, within=20)


def test_a_second_signal_ends_it_also_while_it_waits_for_a_request(mariadb, redis_server):
    with server(mariadb, redis_server) as deployment, ThreadPoolExecutor() as callers:
        service = deployment.serve()
        deployment.stock("KB-1", quantity=1)
        with locked_item(deployment, "KB-1"):
            waiting = callers.submit(deployment.call, "POST", "/reservations/", order_for("KB-1"))
            eventually(lambda: is_waited_for(deployment), within=10, because="the request waits for the row")
            ask_to_stop(service)
            eventually(lambda: is_refused(service), within=10, because="new clients are refused")
            ask_to_stop(service)
            assert_ended_well(service, within=20)
        # Cut off, or on a slow machine refused because it had waited too long for the row; served it was not.
        assert waiting.exception(timeout=30) is not None or waiting.result().status_code == 503
        eventually(lambda: not is_waited_for(deployment), within=10, because="the database has noticed")
        assert deployment.number("SELECT COUNT(*) FROM reservations") == 0
        deployment.assert_in_order()


class Balancer:
    """Which of the services is ready, as whoever stands before them asks again and again."""

    def __init__(self, *services: Server) -> None:
        self.ready = [service.url for service in services]

    def ask(self, over: threading.Event) -> None:
        while not over.wait(0.05):
            self.ready = [url for url in self.ready if requests.get(f"{url}{READY}", timeout=10).status_code == 200]


class Buyer:
    """Buys one unit after another, of whichever service is ready, and does not try anything twice."""

    def __init__(self, balancer: Balancer, number: int) -> None:
        self.balancer, self.number = balancer, number
        self.held: list[str] = []
        self.told: Counter[str] = Counter()

    def shop(self, over: threading.Event) -> None:
        with requests.Session() as session:
            while not over.is_set():
                self.told[self.buy(session)] += 1

    def buy(self, session: requests.Session) -> str:
        url = self.balancer.ready[self.number % len(self.balancer.ready)]
        try:
            answer = session.post(f"{url}/api/v1/reservations/", json=order_for("KB-1"), timeout=20)
        except requests.ConnectionError as error:
            return str(error)
        if answer.status_code == 201:
            self.held.append(answer.json()["data"]["id"])
        return str(answer.status_code)


@contextmanager
def shopping(balancer: Balancer, count: int) -> Iterator[list[Buyer]]:
    buyers, over = [Buyer(balancer, number) for number in range(count)], threading.Event()
    with ThreadPoolExecutor(count + 1) as pool:
        running = [pool.submit(one.shop, over) for one in buyers] + [pool.submit(balancer.ask, over)]
        try:
            yield buyers
        finally:
            over.set()
        for one in running:
            one.result(timeout=30)


def test_of_two_services_one_stops_under_load_and_nobody_who_asks_for_readiness_notices(mariadb, redis_server):
    # Long enough for the balancer to hear of it on a busy machine, where it waits in line like everybody else.
    with server(mariadb, redis_server, LOG_LEVEL="WARNING", DRAIN_SECONDS="6") as deployment:
        first, second = deployment.serve(), deployment.serve()
        deployment.stock("KB-1", quantity=100_000)
        with shopping(Balancer(first, second), 8) as buyers:
            eventually(lambda: all(len(one.held) > 5 for one in buyers), within=20, because="all are buying")
            ask_to_stop(first)
            assert_ended_well(first, within=20)
            so_far = [len(one.held) for one in buyers]
            eventually(
                lambda: all(len(one.held) > had + 5 for one, had in zip(buyers, so_far, strict=True)),
                within=20,
                because="all have gone on with the other service",
            )
        assert set(sum((one.told for one in buyers), Counter())) == {"201"}
        held = [reservation for one in buyers for reservation in one.held]
        stored = {row[0] for row in deployment.sql("SELECT id FROM reservations WHERE status = 'active'")}
        assert len(held) == len(set(held)) and set(held) == stored
        deployment.assert_in_order()


# ── Workers ──────────────────────────────────────────────────────────────────────────────────────

HOLDS = 300


def test_a_worker_that_is_asked_to_stop_ends_with_its_batch_and_the_next_one_does_the_rest(mariadb, redis_server):
    products = [f"P-{number}" for number in range(60)]
    settings = {"EXPIRY_INTERVAL_SECONDS": "1", "EXPIRY_BATCH_SIZE": "2", "LOG_LEVEL": "INFO", "WEB_PROCESSES": "1"}
    with server(mariadb, redis_server, **settings) as deployment:
        deployment.serve()
        deployment.stock(*products, quantity=HOLDS // len(products))
        for _ in range(HOLDS // len(products)):
            deployment.hold(*products, ttl=1)
        eventually(lambda: deployment.overdue() == HOLDS, within=10, because="all holds are overdue")
        worker = deployment.work()
        eventually(lambda: deployment.number(EXPIRED), within=10, because="the sweep has begun")
        ask_to_stop(worker)
        assert_ended_well(worker, within=10)
        left = deployment.overdue()
        assert 0 < left < HOLDS, "it was not stopped in the middle"
        deployment.assert_each_hold_ended_once()
        deployment.work()
        eventually(lambda: deployment.overdue() == 0, within=20, because="the next worker has swept the rest")
        assert deployment.number(EXPIRED) == HOLDS
        deployment.assert_in_order()


def test_a_worker_that_leads_and_is_asked_to_stop_hands_the_lease_over_at_once(mariadb, redis_server):
    lease_seconds = 62
    with (
        server(mariadb, redis_server, EXPIRY_INTERVAL_SECONDS="60", LOG_LEVEL="INFO") as deployment,
        redis.Redis.from_url(redis_server.url) as shared,
    ):
        first = deployment.work()
        leader = eventually(lambda: shared.get(LEASE_KEY), within=5, because="the first leads")
        second = deployment.work()
        assert shared.get(LEASE_KEY) == leader
        assert shared.ttl(LEASE_KEY) > lease_seconds / 2
        ask_to_stop(first)
        eventually(lambda: shared.get(LEASE_KEY) not in {leader, None}, within=15, because="the second leads")
        assert_ended_well(first, within=15)
        assert second.running
        ask_to_stop(second)
        assert_ended_well(second, within=10)
        assert shared.get(LEASE_KEY) is None, "it was given back by whoever went last"


def test_a_worker_that_is_asked_to_stop_while_redis_is_away_stops(mariadb):
    private = servers.redis(private=True)
    if private is None:
        pytest.skip(servers.HOW_TO_GET["redis"])
    with private, server(mariadb, private, EXPIRY_INTERVAL_SECONDS="1") as deployment:
        worker = deployment.work()
        private.kill()
        lost = "could not connect to Redis|lost Redis"
        eventually(lambda: any(part in worker.log.read_text() for part in lost.split("|")), within=20, because=lost)
        ask_to_stop(worker)
        assert_ended_well(worker, within=15)
