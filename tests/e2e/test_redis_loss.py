"""Losing Redis loses nothing but latency: not its contents, not its process, not all of it for a while."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
import redis

from tests import servers
from tests.e2e.buyers import buying
from tests.e2e.deployments import SWEEP_GRACE_SECONDS, Deployment, eventually, log_lines, server
from tests.processes import Server

INTERVAL_SECONDS = 1
LIMIT = 1 + INTERVAL_SECONDS + SWEEP_GRACE_SECONDS
SETTINGS = {"EXPIRY_INTERVAL_SECONDS": str(INTERVAL_SECONDS), "LOG_LEVEL": "INFO", "WEB_PROCESSES": "1"}
PRODUCTS = [f"P-{number}" for number in range(20)]
EXPIRED = "SELECT COUNT(*) FROM reservations WHERE status = 'expired'"


@pytest.fixture(scope="module")
def private_redis() -> Iterator[Server]:
    """One that may be emptied and killed, and that remembers nothing."""
    private = servers.redis(private=True)
    if private is None:
        pytest.skip(servers.HOW_TO_GET["redis"])
    yield private
    private.stop()


@pytest.fixture(scope="module")
def everything(mariadb: Server, private_redis: Server) -> Iterator[tuple[Deployment, Server]]:
    """A service and its worker; each test leaves both running, as they would have to in life."""
    with server(mariadb, private_redis, **SETTINGS) as deployment:
        deployment.serve()
        deployment.stock("KB-1", *PRODUCTS, quantity=10_000)
        yield deployment, deployment.work()


@pytest.fixture
def deployment(everything: tuple[Deployment, Server], private_redis: Server) -> Iterator[Deployment]:
    running, worker = everything
    yield running
    bring_back(private_redis)
    assert worker.running
    assert running.services[0].running


def assert_holds_still_end(deployment: Deployment, *, within: float = LIMIT) -> None:
    before = deployment.number(EXPIRED)
    deployment.hold(*PRODUCTS, ttl=1)
    eventually(
        lambda: deployment.number(EXPIRED) >= before + len(PRODUCTS), within=within, because="these holds expired"
    )


def assert_in_order(deployment: Deployment) -> None:
    assert deployment.overdue() == 0
    deployment.assert_in_order()


def test_emptying_redis_under_load_loses_no_expiry_and_shows_no_old_number(deployment, private_redis):
    before = deployment.number(EXPIRED)
    with buying(deployment.url, "KB-1", buyers=4) as tally:
        deployment.hold(*PRODUCTS, ttl=1)
        with redis.Redis.from_url(private_redis.url) as client:
            for _ in range(20):
                client.flushall()
        eventually(
            lambda: deployment.number(EXPIRED) >= before + len(PRODUCTS), within=LIMIT, because="these holds expired"
        )
    assert set(tally.told) == {"201"}
    promised = deployment.number("SELECT SUM(quantity) FROM reservations WHERE status = 'active'")
    shown = deployment.call("GET", "/inventory/KB-1").json()["data"]
    assert shown["reserved_quantity"] == promised == len(tally.held)
    assert_in_order(deployment)


def test_redis_killed_and_restarted_empty_is_found_again_by_service_and_worker(deployment, private_redis):
    with buying(deployment.url, "KB-1", buyers=4) as tally:
        deployment.hold(*PRODUCTS, ttl=1)
        private_redis.kill()
        private_redis.start()
        assert_holds_still_end(deployment)
    assert set(tally.told) == {"201"}
    eventually(lambda: x_cache(deployment) == "hit", within=15, because="lookups are cached again")
    with redis.Redis.from_url(private_redis.url) as client:
        eventually(
            lambda: client.exists("inventory:expiry:leader"), within=15, because="a ticker holds the lease again"
        )
    assert_holds_still_end(deployment)
    assert_in_order(deployment)


@pytest.mark.parametrize("away", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_without_redis_everything_answers_quickly_and_the_worker_sweeps_by_itself(
    deployment, everything, private_redis, away
):
    os.kill(private_redis.pid, away)
    waits = []
    for _ in range(10):
        started = time.monotonic()
        [held] = deployment.hold("KB-1", ttl=3600)
        waits.append(time.monotonic() - started)
        started = time.monotonic()
        assert deployment.call("POST", f"/reservations/{held}/confirm").status_code == 200
        waits.append(time.monotonic() - started)
        assert x_cache(deployment) == "bypass"
    assert max(waits) < 2
    assert sorted(waits)[len(waits) // 2] < 0.3
    health = deployment.call("GET", "/health/").json()["data"]
    assert (health["status"], health["checks"]["cache"]["status"]) == ("degraded", "degraded")
    assert_holds_still_end(deployment)
    said = [line["message"] for line in log_lines(everything[1])]
    assert "Redis does not answer; sweeping without the queue" in said
    bring_back(private_redis)
    eventually(lambda: x_cache(deployment) == "hit", within=30, because="lookups are cached again")
    assert_holds_still_end(deployment)
    assert_in_order(deployment)


def bring_back(private_redis: Server) -> None:
    """Frozen, it goes on as if nothing had been; killed, it starts with nothing."""
    if private_redis.running:
        os.kill(private_redis.pid, signal.SIGCONT)
    private_redis.start()


def x_cache(deployment: Deployment) -> str:
    return str(deployment.call("GET", "/inventory/KB-1").headers["X-Cache"])
