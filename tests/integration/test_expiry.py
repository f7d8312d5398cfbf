"""The sweep: gives back exactly what is overdue, once, however it is started."""

import json

import pytest
import redis
from rq import Queue

from app.extensions import cache, settings
from app.jobs import expiry, worker
from app.repositories import reservations as reservation_rows
from app.services import audit, confirmations, health, reservations
from app.utils import clock
from tests import factories


def statuses(*holds):
    return [reservation_rows.get(hold.id, clock.now()).status for hold in holds]


def stored(hold):
    """The status in the row itself, which only a sweep or a buyer changes."""
    from sqlalchemy import select

    from app.extensions import db
    from app.models import Reservation

    db.session.rollback()
    return db.session.scalar(select(Reservation.status).where(Reservation.id == hold.id))


def test_a_hold_ends_at_its_second_and_not_before(app, time):
    factories.stock(5)
    hold = factories.hold(5, ttl=60)
    time.forward(seconds=59.999999)
    assert (expiry.sweep(), stored(hold), factories.numbers()) == (0, "active", (5, 5, 0))
    time.forward(seconds=0.000001)
    assert (expiry.sweep(), stored(hold), factories.numbers()) == (1, "expired", (5, 0, 5))
    assert expiry.sweep() == 0


def test_the_sweep_leaves_live_and_ended_holds_alone(app, time):
    factories.stock(10)
    overdue, live = factories.hold(1, ttl=60), factories.hold(2, ttl=600)
    confirmed, cancelled = factories.hold(3, ttl=60), factories.hold(4, ttl=60)
    confirmations.confirm(confirmed.id)
    reservations.cancel(cancelled.id)
    time.forward(seconds=60)
    assert expiry.sweep() == 1
    assert statuses(overdue, live, confirmed, cancelled) == ["expired", "active", "confirmed", "cancelled"]
    assert factories.numbers() == (7, 2, 5)


def test_a_full_batch_is_followed_by_another(app, time, monkeypatch):
    factories.stock(25)
    for _ in range(25):
        factories.hold(1, ttl=1)
    time.forward(seconds=1)
    taken, expire = [], reservations.expire_overdue

    def batch(limit):
        taken.append(expire(limit=limit))
        return taken[-1]

    monkeypatch.setattr(reservations, "expire_overdue", batch)
    monkeypatch.setattr(expiry, "settings", lambda: _Settings(10))
    assert expiry.sweep() == 25
    assert taken == [10, 10, 5]


class _Settings:
    def __init__(self, batch):
        self.expiry_batch_size = batch


def test_every_expiry_is_in_the_ledger_under_the_id_of_its_sweep(client, time):
    factories.stock(5)
    hold = factories.hold(5, ttl=60)
    time.forward(seconds=60)
    expiry.sweep("sweep-1")
    last = factories.movements(client)[-1]
    assert (last["movement_type"], last["reserved_change"], last["reservation_id"]) == ("expiry", -5, hold.id)
    assert (last["actor"], last["request_id"]) == ("expiry", "sweep-1")


def test_a_sweep_is_remembered_for_the_health_page(app):
    expiry.sweep()
    assert cache().last_beat(health.SWEEP) == {
        "at": clock.now().isoformat(),
        "expired": 0,
        "seconds": pytest.approx(0, abs=5),
    }


def test_without_any_sweep_the_service_is_degraded_and_says_since_when(client, time):
    factories.stock(5)
    factories.hold(5, ttl=60)
    time.forward(seconds=60 + settings().expiry_interval_seconds + 5.5)
    told = client.get("/api/v1/health/").json["data"]
    assert (told["status"], told["checks"]["sweep"]["status"], told["checks"]["worker"]["status"]) == (
        "degraded",
        "degraded",
        "degraded",
    )
    assert told["checks"]["sweep"]["lag_seconds"] == settings().expiry_interval_seconds + 5.5
    assert [finding.rule for finding in audit.overdue()] == ["sweep_lag"]
    expiry.sweep()
    time.forward(seconds=2)
    assert client.get("/api/v1/health/").json["data"]["status"] == "healthy"


@pytest.fixture
def queue(app, redis_server):
    connection = redis.Redis.from_url(redis_server.url)
    connection.flushdb()
    yield connection
    connection.close()


@pytest.mark.parametrize("backend", ["server"], indirect=True)
class TestTicker:
    def test_the_worker_runs_the_sweep_that_the_tick_put_in_the_queue(self, app, queue, time):
        factories.stock(5)
        factories.hold(5, ttl=60)
        time.forward(seconds=60)
        queue.flushdb()
        worker.Ticker(app, queue, every=5).tick()
        worker.run(burst=True)
        assert factories.numbers() == (5, 0, 5)

    def test_only_the_leader_ticks(self, app, queue):
        tickers = [worker.Ticker(app, queue, every=5) for _ in range(3)]
        for ticker in tickers * 2:
            ticker.tick()
        assert Queue(worker.QUEUE, connection=queue, serializer="json").count == 2

    def test_another_ticker_takes_over_when_the_lease_is_over(self, app, queue):
        first, second = (worker.Ticker(app, queue, every=5) for _ in range(2))
        first.tick()
        second.tick()
        assert Queue(worker.QUEUE, connection=queue, serializer="json").count == 1
        queue.delete(worker.LEASE_KEY)
        second.tick()
        first.tick()
        assert Queue(worker.QUEUE, connection=queue, serializer="json").count == 2

    def test_without_redis_the_ticker_sweeps_by_itself(self, app, time):
        factories.stock(5)
        factories.hold(5, ttl=60)
        time.forward(seconds=60)
        gone = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)
        worker.Ticker(app, gone, every=5).tick()
        assert factories.numbers() == (5, 0, 5)

    def test_jobs_are_json_and_never_pickles(self, app, queue):
        worker.Ticker(app, queue, every=5).tick()
        [job] = Queue(worker.QUEUE, connection=queue, serializer="json").jobs
        name, _, args, kwargs = json.loads(queue.hget(job.key, "data") and _unpacked(queue.hget(job.key, "data")))
        assert (name, len(args), kwargs) == ("app.jobs.worker.sweep_job", 1, {})


def _unpacked(data):
    import zlib

    return zlib.decompress(data)
