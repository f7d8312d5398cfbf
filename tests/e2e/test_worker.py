"""Workers that die, and more of them than are needed: every hold that runs out ends exactly once, and in time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.e2e.deployments import SWEEP_GRACE_SECONDS, Deployment, eventually, log_lines, server
from tests.processes import Server

INTERVAL_SECONDS = 1
LIMIT = 1 + INTERVAL_SECONDS + SWEEP_GRACE_SECONDS
PRODUCTS = [f"P-{number}" for number in range(100)]
HOLDS = 500
SETTINGS = {"EXPIRY_INTERVAL_SECONDS": str(INTERVAL_SECONDS), "LOG_LEVEL": "INFO", "WEB_PROCESSES": "1"}
EXPIRED = "SELECT COUNT(*) FROM reservations WHERE status = 'expired'"


@pytest.fixture
def deployment(mariadb: Server, redis_server: Server) -> Iterator[Deployment]:
    """A service without a worker, and batches so small that a sweep takes a while."""
    with server(mariadb, redis_server, EXPIRY_BATCH_SIZE="2", **SETTINGS) as running:
        running.serve()
        running.stock(*PRODUCTS, quantity=HOLDS // len(PRODUCTS))
        yield running


def promise_everything(deployment: Deployment) -> None:
    """Every unit is held for a second."""
    for _ in range(HOLDS // len(PRODUCTS)):
        deployment.hold(*PRODUCTS, ttl=1)


def swept_by(worker: Server) -> int:
    return sum(line["expired"] for line in log_lines(worker) if line["message"] == "swept")


def assert_each_hold_ended_once(deployment: Deployment) -> None:
    assert deployment.number(EXPIRED) == HOLDS
    assert deployment.number("SELECT COUNT(*) FROM stock_movements WHERE movement_type = 'expiry'") == HOLDS
    assert deployment.number("SELECT SUM(reserved_quantity) FROM inventory_items") == 0
    deployment.assert_in_order()


def test_a_worker_killed_in_the_middle_of_a_sweep_is_carried_on_from_by_another(deployment):
    promise_everything(deployment)
    eventually(
        lambda: deployment.overdue() == HOLDS, within=10, because="all holds are overdue, and no worker is there"
    )
    killed = deployment.work()
    eventually(lambda: deployment.number(EXPIRED), within=10, because="the sweep has begun")
    killed.kill()
    left = deployment.overdue()
    assert 0 < left < HOLDS, "the worker was not killed in the middle"
    deployment.work()
    eventually(lambda: deployment.overdue() == 0, within=LIMIT, because="another worker has swept the rest")
    assert_each_hold_ended_once(deployment)


def test_two_workers_with_two_tickers_share_the_work_and_release_nothing_twice(deployment, redis_server):
    workers = [deployment.work(), deployment.work()]
    promise_everything(deployment)
    eventually(lambda: deployment.number(EXPIRED) == HOLDS, within=LIMIT, because="all holds have expired")
    with redis.Redis.from_url(redis_server.url) as queue:
        assert queue.llen("rq:queue:expiry") <= 2
    assert_each_hold_ended_once(deployment)
    assert sum(map(swept_by, workers)) == HOLDS


def test_when_the_worker_that_holds_the_lease_is_killed_another_takes_over(deployment):
    first, second = deployment.work(), deployment.work()
    deployment.hold(*PRODUCTS, ttl=1)
    eventually(lambda: deployment.number(EXPIRED) == 100, within=LIMIT, because="the first hundred have expired")
    first.kill()
    deployment.work()  # it finds the lease taken: by the second, or still by the first
    second.kill()
    deployment.hold(*PRODUCTS, ttl=1)
    lease = 3 * INTERVAL_SECONDS
    eventually(lambda: deployment.number(EXPIRED) == 200, within=LIMIT + lease, because="the next hundred have")
    deployment.assert_in_order()
