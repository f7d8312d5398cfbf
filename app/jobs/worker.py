"""The worker process: runs queued sweeps, and rings the bell for them with a leader-leased tick.

Any number of workers may run. One of their tickers holds the lease and puts a sweep in the queue every period;
a job that finds no worker within the period is dropped, so nothing piles up. Redis only wakes the sweep: the
work is in the database, and while Redis is away each ticker sweeps by itself.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import Any

import redis
from flask import Flask, current_app
from prometheus_client import start_http_server
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job

from app.extensions import settings
from app.jobs import expiry
from app.utils import context, ids

log = logging.getLogger(__name__)
QUEUE = "expiry"
LEASE_KEY = "inventory:expiry:leader"
# Only the holder may prolong its lease or give it back; anybody may take a free one.
TAKE_LEASE = """
local holder = redis.call('get', KEYS[1])
if not holder then
    return redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') and 1 or 0
end
if holder == ARGV[1] then
    redis.call('pexpire', KEYS[1], ARGV[2])
    return 1
end
return 0
"""
RETURN_LEASE = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1]) or 0"
# Every ticker looks for the lease this often, and a lease outlives its holder by little more than a period, so
# that a new leader rings within the period and the five seconds that are promised.
LOOKS_EVERY = 1.0
LEASE_MARGIN = 2.0


class AppWorker(SimpleWorker):
    """Jobs run as requests do: inside the application, with its session and settings."""

    app: Flask
    # Of the whole process: a lost Redis costs it one of these and not its memory of having been asked.
    asked_to_stop = threading.Event()
    ticker: Ticker

    def request_stop(self, signum: Any, frame: Any) -> None:
        """A running sweep ends with its batch, and another worker may lead from now on, not only from the end."""
        self.asked_to_stop.set()
        self.ticker.stop()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def perform_job(self, job: Job, queue: Queue) -> bool:
        with self.app.app_context():
            return bool(super().perform_job(job, queue))


def sweep_job(request_id: str) -> int:
    """What the queue carries: the id under which the round's sweep is logged and written to the ledger."""
    return expiry.housekeep(request_id, stop=AppWorker.asked_to_stop)


class Ticker:
    """Puts one sweep per period into the queue, if this process is the leader."""

    def __init__(self, app: Flask, connection: redis.Redis, *, every: float) -> None:
        self._app, self._every, self._me = app, every, ids.new_id()
        self._queue = Queue(QUEUE, connection=connection, serializer="json")
        self._take_lease = connection.register_script(TAKE_LEASE)
        self._return_lease = connection.register_script(RETURN_LEASE)
        self._stop = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="ticker", daemon=True).start()

    def stop(self) -> None:
        """Ring no more, and give the lease back, so that another ticker need not wait for its end."""
        self._stop.set()
        self._give_back()

    def _give_back(self) -> None:
        with suppress(redis.exceptions.RedisError, OSError):
            self._return_lease(keys=[LEASE_KEY], args=[self._me])

    def tick(self) -> bool:
        """One round: ring the bell as leader, or sweep right here without Redis; whether either was done."""
        try:
            leads = self._leads()
            if leads:
                lives = max(1, round(self._every))
                self._queue.enqueue(sweep_job, ids.new_id(), ttl=lives, result_ttl=0, failure_ttl=3600)
        except (redis.exceptions.RedisError, OSError):
            log.warning("Redis does not answer; sweeping without the queue")
            with self._app.app_context():
                expiry.sweep()
            return True
        return leads

    def _leads(self) -> bool:
        lease = int((self._every + LEASE_MARGIN) * 1000)
        return bool(self._take_lease(keys=[LEASE_KEY], args=[self._me, lease]))

    def _run(self) -> None:
        ring_at = 0.0
        while not self._stop.is_set():
            try:
                if time.monotonic() < ring_at:
                    self._leads()  # prolongs the lease
                elif self.tick():
                    ring_at = time.monotonic() + self._every
            except Exception:  # whatever it was, the next round tries again
                log.exception("the tick failed")
            self._stop.wait(min(LOOKS_EVERY, self._every))
        self._give_back()  # for it may have been taken again while `stop` gave it back


def run(*, burst: bool = False) -> None:
    """Work until told to stop. A lost Redis is waited for; rq's own worker would give up."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    AppWorker.app = app
    connection = connect()
    # The ticker must notice a Redis that hangs well within a period, for it sweeps by itself then.
    quick = connect(socket_timeout=1, retry=Retry(NoBackoff(), 0))
    AppWorker.ticker = ticker = Ticker(app, quick, every=settings().expiry_interval_seconds)
    if not burst:
        ticker.start()
    with suppress(StopRequested):  # rq's way to end a wait, also the one between two tries
        while not _work(connection, burst=burst):
            time.sleep(1)
    ticker.stop()


def _work(connection: redis.Redis, *, burst: bool) -> bool:
    """Run jobs until asked to stop; True when it was asked to, False when Redis was lost or rq gave up by itself."""
    context.enter(actor="worker", request_id=None)
    try:
        worker = AppWorker([QUEUE], connection=connection, serializer="json", worker_ttl=30, maintenance_interval=30)
        worker.work(burst=burst, logging_level="WARNING")
    except (redis.exceptions.RedisError, OSError) as error:
        log.warning("the worker lost Redis: %s", error)
        return AppWorker.asked_to_stop.is_set()
    return burst or AppWorker.asked_to_stop.is_set()


def serve_metrics(port: int) -> None:
    """This process's figures for Prometheus; the web processes cannot speak for another container."""
    start_http_server(port)


def connect(**other: Any) -> redis.Redis:
    """A client of its own: a worker waits in Redis for jobs, which the cache's short timeouts would cut off."""
    options: dict[str, Any] = {
        "socket_connect_timeout": 2,
        "socket_timeout": 40,
        "retry": Retry(ConstantBackoff(0.5), 2),
    }
    return redis.Redis.from_url(str(settings().redis_url), **(options | other))
