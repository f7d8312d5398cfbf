"""More requests than threads: who waited too long is told to come back, so that the others wait less."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.deployments import eventually, server
from tests.e2e.test_stopping import is_waited_for, locked_item, order_for


def test_a_request_that_waited_too_long_for_a_thread_is_refused_and_health_is_not(mariadb, redis_server):
    settings = {"WEB_PROCESSES": "1", "WEB_THREADS": "1", "CLIENT_QUEUE_SECONDS": "0.2"}
    with server(mariadb, redis_server, **settings) as deployment, ThreadPoolExecutor() as callers:
        deployment.serve()
        deployment.stock("KB-1", quantity=1)
        with locked_item(deployment, "KB-1") as lock:
            first = callers.submit(deployment.call, "POST", "/reservations/", order_for("KB-1"))
            eventually(lambda: is_waited_for(deployment), within=10, because="the only thread waits for the row")
            second = callers.submit(deployment.call, "POST", "/reservations/", order_for("KB-1"))
            health = callers.submit(deployment.call, "GET", "/health/live")
            # Both arrive while the thread is taken; a request that is not answered within this is waiting.
            for each in (second, health):
                assert not _is_done(each, within=0.5)
            lock.rollback()
        assert first.result(timeout=10).status_code == 201
        refused = second.result(timeout=10)
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert (refused.headers["Retry-After"], refused.headers["Content-Type"]) == ("1", "application/problem+json")
        assert health.result(timeout=10).status_code == 200
        assert deployment.call("GET", "/inventory/KB-1").json()["data"]["reserved_quantity"] == 1
        deployment.assert_in_order()


def _is_done(future, *, within):
    try:
        future.result(timeout=within)
    except TimeoutError:
        return False
    return True
