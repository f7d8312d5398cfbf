"""What may happen while somebody waits: for a lock, for a commit, for Redis, for a leader."""

from __future__ import annotations

import threading
import time as real_time
from datetime import UTC, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import event, select, text

from app.errors import UnknownLocation
from app.extensions import cache, db
from app.jobs import worker
from app.models.stock_movements import MovementType
from app.repositories import inventory_items as item_rows
from app.repositories import stock_movements as ledger
from app.services import audit, inventory_items, locations
from app.utils import clock, metrics
from app.utils.transactions import transactional
from tests import factories

on_server = pytest.mark.parametrize("backend", ["server"], indirect=True)
embedded = pytest.mark.parametrize("backend", ["embedded"], indirect=True)
FORGED = text(
    "INSERT INTO stock_movements (inventory_item_id, sequence, movement_type, quantity_change, reserved_change,"
    " quantity_after, reserved_after, actor, created_at)"
    " SELECT id, 2, 'adjustment', 0, 0, 10, 0, 'slow', :now FROM inventory_items WHERE product_id = 'A'"
)


def adjust(units, product_id=factories.PRODUCT):
    kind = MovementType.ADJUSTMENT
    inventory_items.run(
        inventory_items.Adjust(product_id=product_id, location="default", quantity=units, movement_type=kind)
    )


class Meanwhile(threading.Thread):
    """Something done at the same time, in a context of its own, with what came of it."""

    def __init__(self, app, work):
        super().__init__()
        self.app, self.work = app, work
        self.result: Any = None
        self.error: Exception | None = None
        self.start()

    def run(self):
        with self.app.app_context():
            try:
                self.result = self.work()
            except Exception as error:
                self.error = error


@pytest.fixture
def database_time(monkeypatch):
    """The database's own clock instead of the test's: these tests are about when it is asked."""

    def now():
        return db.session.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one().replace(tzinfo=UTC)

    monkeypatch.setattr(clock, "now", now)


def waiting_for_a_lock():
    """Wait until somebody waits for a row lock."""
    waits = text("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
    deadline = real_time.monotonic() + 2.5
    with db.engine.connect() as connection:
        while real_time.monotonic() < deadline:
            if connection.execute(waits).scalar():
                return
            connection.rollback()
            real_time.sleep(0.15)  # InnoDB shows the same picture to whoever asks more often
    pytest.fail("nobody came to wait")


# ── The change feed ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def in_flight(app, time):
    """A ledger row that is inserted and not committed, and one after it that is."""
    factories.stock(10, "A")
    factories.stock(10, "B")
    with db.engine.connect() as slow:
        slow.execute(FORGED, {"now": time.instant.replace(tzinfo=None)})
        adjust(1, "B")
        db.session.remove()
        yield slow


def read_feed(after, now):
    rows = [row.id for row in ledger.feed(ledger.Filters(), after=after, limit=100, now=now)]
    db.session.remove()
    return rows


@on_server
@pytest.mark.leaves_findings
@pytest.mark.parametrize("later", [0, 6, 60 * 24])
def test_the_feed_waits_for_a_row_in_flight_however_long_it_takes(in_flight, time, later):
    now = time.instant + timedelta(minutes=later)
    assert read_feed(2, now) == []
    in_flight.commit()
    assert read_feed(2, now + timedelta(seconds=2)) == [3, 4]


@on_server
def test_the_feed_goes_on_past_a_row_that_was_rolled_back(in_flight, time):
    in_flight.rollback()
    assert read_feed(2, time.instant + timedelta(seconds=2)) == [4]


@on_server
@pytest.mark.leaves_findings
def test_a_row_that_is_committed_while_the_feed_is_read_is_not_lost(in_flight, time, monkeypatch):
    settled = ledger._settled_until

    def commit_first(*args):
        in_flight.commit()
        return settled(*args)

    monkeypatch.setattr(ledger, "_settled_until", commit_first)
    assert read_feed(2, time.instant + timedelta(seconds=2)) == [3, 4]


# ── Locks ────────────────────────────────────────────────────────────────────────────────────────


@on_server
def test_times_in_the_ledger_follow_its_sequence_also_for_whoever_waited(app, database_time):
    factories.stock(10)
    waiting = []

    @transactional
    def first():
        item_rows.lock([(factories.PRODUCT, "default")])
        waiting.append(Meanwhile(app, lambda: factories.hold(3)))
        waiting_for_a_lock()
        adjust(100)

    first()
    waiting[0].join()
    db.session.remove()
    rows = db.session.execute(select(ledger.rows.sequence, ledger.rows.created_at).order_by(ledger.rows.sequence)).all()
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert [row.created_at for row in rows] == sorted(row.created_at for row in rows)


@on_server
def test_a_hold_that_ran_out_while_the_buyer_waited_for_the_lock_is_his(app, time, monkeypatch):
    """The clock is asked once the items are locked; asked before, the hold would still be live."""
    factories.stock(5)
    factories.hold(5, ttl=60)
    locked = item_rows.lock

    def lock_after_a_wait(keys):
        found = locked(keys)
        time.instant += timedelta(seconds=60)
        return found

    monkeypatch.setattr(item_rows, "lock", lock_after_a_wait)
    assert factories.hold(5).quantity == 5


@on_server
def test_nobody_is_refused_for_units_that_a_sweep_is_just_freeing(app, time):
    factories.stock(5)
    factories.hold(5, ttl=60)
    time.forward(seconds=60)
    db.session.remove()
    with db.engine.connect() as sweeping:
        sweeping.execute(text("SELECT id FROM reservations WHERE status = 'active' FOR UPDATE"))
        retries = metrics.TRANSACTION_RETRIES._value.get()
        let_go = threading.Event()
        event.listen(db.engine, "rollback", lambda connection: let_go.set())
        buyer = Meanwhile(app, lambda: factories.hold(5))
        assert let_go.wait(10)
        sweeping.rollback()
        buyer.join()
    assert buyer.error is None
    assert buyer.result.quantity == 5
    assert metrics.TRANSACTION_RETRIES._value.get() > retries


@on_server
def test_a_location_is_not_closed_while_stock_is_being_put_there(app, monkeypatch):
    factories.location("store")
    db.session.remove()
    used, creating = item_rows.is_location_used, []

    def look_while_somebody_creates(location_id):
        answer = used(location_id)
        creating.append(Meanwhile(app, lambda: factories.stock(5, "X", at="store")))
        waiting_for_a_lock()
        return answer

    monkeypatch.setattr(item_rows, "is_location_used", look_while_somebody_creates)
    locations.delete("store")
    creating[0].join()
    assert isinstance(creating[0].error, UnknownLocation)


# ── Redis ────────────────────────────────────────────────────────────────────────────────────────


@on_server
def test_what_could_not_be_forgotten_is_not_believed_afterwards(client):
    factories.stock(10)
    url = "/api/v1/inventory/KB-1"
    client.get(url)
    shelf = cache()
    for _ in range(3):
        shelf._try(hiccup)  # type: ignore[attr-defined]
    adjust(5)
    db.session.remove()
    assert (client.get(url).headers["X-Cache"], client.get(url).json["data"]["quantity"]) == ("bypass", 15)
    shelf._breaker.close()  # type: ignore[attr-defined]
    answers = [client.get(url) for _ in range(2)]
    assert [(answer.headers["X-Cache"], answer.json["data"]["quantity"]) for answer in answers] == [
        ("miss", 15),
        ("hit", 15),
    ]


def hiccup():
    raise redis.exceptions.TimeoutError("a hiccup")


@on_server
def test_a_ticker_that_is_stopped_hands_the_lease_over_and_a_dead_one_keeps_it_for_seven_seconds(app, redis_server):
    connection = redis.Redis.from_url(redis_server.url)
    connection.flushdb()
    first, second = (worker.Ticker(app, connection, every=5) for _ in range(2))
    assert (first.tick(), second.tick()) == (True, False)
    assert 5_000 < connection.pttl(worker.LEASE_KEY) <= 7_000
    first.stop()
    assert second.tick() is True
    first.stop()
    assert second.tick() is True


# ── Repairs, refusals, labels ────────────────────────────────────────────────────────────────────


@embedded
@pytest.mark.leaves_findings
def test_a_ledger_with_a_hole_is_no_evidence_for_a_repair(app):
    factories.stock(10)
    adjust(10)
    adjust(1)
    db.session.remove()
    with db.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER stock_movements_no_delete"))
        connection.execute(text("DELETE FROM stock_movements WHERE sequence = 2"))
    findings = audit.check().findings
    assert {finding.rule for finding in findings} == {"counters", "ledger_chain"}
    assert [audit.repair(finding) for finding in findings] == [None] * len(findings)
    assert factories.numbers()[0] == 21


@embedded
def test_a_refused_growth_and_the_missing_part_of_a_partial_answer_are_denied_demand(client):
    factories.stock(5)
    held = factories.hold(3)
    assert client.patch(f"/api/v1/reservations/{held.id}", json={"quantity": 9}).status_code == 409
    items = [{"product_id": "KB-1", "quantity": 4}]
    body = {"order_id": "o", "customer_id": "c", "items": items, "allow_partial": True}
    assert client.post("/api/v1/reservations/batch", json=body).status_code == 201
    told = client.get("/api/v1/inventory/KB-1/explain").json["data"]["denied"]
    assert sum(row["refusals"] for row in told) == 2
    assert sum(row["units"] for row in told) == 6 + 4


@embedded
def test_a_partial_answer_says_when_the_rest_may_come_back(client):
    factories.stock(5)
    factories.hold(3, ttl=60)
    items = [{"product_id": "KB-1", "quantity": 4}]
    body = {"order_id": "o", "customer_id": "c", "items": items, "allow_partial": True}
    [short] = client.post("/api/v1/reservations/batch", json=body).json["data"]["shortages"]
    assert (short["shortage"], short["next_release_quantity"]) == (2, 3)
    assert short["next_release_at"] == "2030-01-01T12:01:00.000000Z"


@embedded
def test_what_a_client_calls_its_method_makes_no_label(client):
    for number in range(3):
        client.open("/api/v1/inventory/", method=f"ODD{number}")
    assert "ODD" not in metrics.exposition().decode()


@embedded
def test_a_body_full_of_escaped_quotes_is_refused_at_once(client):
    body = b'{"a": "' + rb"\"" * 32_000
    answer = client.post("/api/v1/reservations/", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_json")
