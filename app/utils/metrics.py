"""What the service counts, with the official Prometheus client, and how it is shown across processes."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.registry import REGISTRY, Collector
from sqlalchemy import Engine, event

REQUESTS = Histogram(
    "inventory_http_request_seconds",
    "Time to answer a request",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
RESERVATIONS = Counter("inventory_reservations_total", "Reservations by what became of them", ["outcome"])
REFUSALS = Counter("inventory_refusals_total", "Requests refused by a business rule", ["code"])
TRANSACTION_RETRIES = Counter("inventory_transaction_retries_total", "Units of work run again for the database")
CACHE = Counter("inventory_cache_lookups_total", "Lookups by what the cache did", ["outcome"])
CACHE_ERRORS = Counter("inventory_cache_errors_total", "Cache operations that failed and counted as a miss")
SWEEPS = Counter("inventory_expiry_sweeps_total", "Expiry sweeps that ran")
SWEPT = Counter("inventory_expired_by_sweep_total", "Reservations expired by the sweep")
POOL = Gauge("inventory_database_connections", "Connections of the pool", ["state"], multiprocess_mode="livesum")


def watch_pool(engine: Engine) -> None:
    """Count this process's connections as they are taken and given back."""

    @event.listens_for(engine, "checkout")
    def _taken(*_: object) -> None:
        POOL.labels("in_use").inc()

    @event.listens_for(engine, "checkin")
    def _given_back(*_: object) -> None:
        POOL.labels("in_use").dec()

    @event.listens_for(engine, "connect")
    def _opened(*_: object) -> None:
        POOL.labels("open").inc()

    @event.listens_for(engine, "close")
    def _closed(*_: object) -> None:
        POOL.labels("open").dec()


def exposition(*collectors: Collector) -> bytes:
    """The text Prometheus scrapes: this process's figures, or all processes' when they share a directory.

    `collectors` are asked at scrape time and speak for the whole service, such as the sweep's lag.
    """
    shared = CollectorRegistry()
    for collector in collectors:
        shared.register(collector)
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return generate_latest(shared)
    return generate_latest(REGISTRY) + generate_latest(shared)
