"""Real deployments for the end-to-end tests: the service's own processes, and a look behind them at the database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from sqlalchemy import NullPool, create_engine, text

from config import normalised
from tests import servers
from tests.e2e.replay_all import run_flask
from tests.processes import Server, new_home

SWEEP_GRACE_SECONDS = 5.0
ENDED = "movement_type IN ('outbound', 'release', 'expiry')"


@dataclass(slots=True)
class Deployment:
    """A database that is migrated, and whatever was started on it; all of it ends with `stack`."""

    env: dict[str, str]
    stack: ExitStack
    services: list[Server] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.services[0].url

    def serve(self) -> Server:
        service = servers.service(self.env)
        self.stack.callback(service.stop)
        self.services.append(service)
        return service

    def work(self) -> Server:
        worker = servers.worker(self.env)
        self.stack.callback(worker.stop, within=5)
        return worker

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return requests.request(method, f"{self.url}/api/v1{path}", json=body, timeout=60, **more)

    def stock(self, *product_ids: str, quantity: int) -> None:
        rows = [{"op": "create", "product_id": product_id, "quantity": quantity} for product_id in product_ids]
        answer = self.call("POST", "/inventory/bulk", {"operations": rows, "atomic": True})
        assert answer.status_code == 200, answer.text

    def hold(self, *product_ids: str, ttl: int) -> list[str]:
        """One unit of each of these products, in one request."""
        items = [{"product_id": product_id, "quantity": 1} for product_id in product_ids]
        body = {"order_id": "o-1", "customer_id": "c-1", "ttl_seconds": ttl, "items": items}
        answer = self.call("POST", "/reservations/batch", body)
        assert answer.status_code == 201, answer.text
        return [held["id"] for held in answer.json()["data"]["reservations"]]

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        engine = create_engine(normalised(self.env["DATABASE_URL"]), poolclass=NullPool)
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    def number(self, statement: str, **values: Any) -> int:
        return int(self.sql(statement, **values)[0][0])

    def overdue(self) -> int:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        active = "SELECT COUNT(*) FROM reservations WHERE status = 'active' AND expires_at <= :now"
        return self.number(active, now=now)

    def assert_in_order(self) -> None:
        """Every rule holds, nothing is lying overdue for too long, and every hold that ended did so once."""
        ended = run_flask(self.env, "audit", "--json")
        report = json.loads(ended.stdout)
        assert (ended.returncode, report["findings"], report["sweep"]) == (0, [], [])
        self.assert_each_hold_ended_once()

    def assert_each_hold_ended_once(self) -> None:
        ends = f"SELECT COUNT(*), COUNT(DISTINCT reservation_id) FROM stock_movements WHERE {ENDED}"
        count, distinct = self.sql(f"{ends} AND reservation_id IS NOT NULL")[0]
        assert count == distinct == self.number("SELECT COUNT(*) FROM reservations WHERE status <> 'active'")


@contextmanager
def embedded(**settings: str) -> Iterator[Deployment]:
    """SQLite without Redis; nothing is running yet."""
    url = f"sqlite:///{new_home('embedded') / 'inventory.db'}"
    with _migrated({"FLASK_ENV": "development", "DATABASE_URL": url, **settings}) as deployment:
        yield deployment


@contextmanager
def server(database: Server | None, redis: Server | None, **settings: str) -> Iterator[Deployment]:
    """MariaDB or MySQL with Redis, on loopback and so without keys; nothing of ours is running yet."""
    if database is None or redis is None:
        pytest.skip(servers.HOW_TO_GET["redis" if database else "mariadb"])
    url = servers.fresh_database(database)
    env = {"FLASK_ENV": "development", "DATABASE_URL": url, "REDIS_URL": redis.url, **settings}
    with _migrated(env) as deployment:
        yield deployment
    servers.drop_database(url)


@contextmanager
def on(backend: str, request: pytest.FixtureRequest, **settings: str) -> Iterator[Deployment]:
    """One of the two, on servers that other tests use as well and that must not be hurt."""
    if backend == "embedded":
        with embedded(**settings) as deployment:
            yield deployment
    else:
        database, redis = request.getfixturevalue("mariadb"), request.getfixturevalue("redis_server")
        with server(database, redis, **settings) as deployment:
            yield deployment


def eventually(what: Callable[[], Any], *, within: float, because: str) -> Any:
    """Ask until the answer is truthy; it is an error when that takes longer than `within` seconds."""
    deadline = time.monotonic() + within
    while not (answer := what()):
        assert time.monotonic() < deadline, f"after {within} s still not: {because}"
        time.sleep(0.01)
    return answer


def log_lines(process: Server) -> list[Mapping[str, Any]]:
    """What a process has logged; every line that looks like JSON must be JSON."""
    lines = process.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def _migrated(env: dict[str, str]) -> Iterator[Deployment]:
    with ExitStack() as stack:
        made = run_flask(env, "db", "upgrade")
        assert made.returncode == 0, made.stdout
        yield Deployment(env, stack)
