"""Many buyers in threads: as many are served as there are units, and nobody waits for ever for two products."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.extensions import db
from app.repositories import inventory_items
from app.utils import metrics
from tests import factories
from tests.concurrency import races, scenes
from tests.concurrency.guards import ALL, Guard

THREADS = 12


def retries() -> float:
    return metrics.TRANSACTION_RETRIES._value.get()


def outcomes(answers: list[races.Answer]) -> dict[tuple[int, str | None], int]:
    told = [(answer.status, answer.code) for answer in answers]
    return {outcome: told.count(outcome) for outcome in set(told)}


@pytest.mark.parametrize("strategy", ["one_each", "several_units"])
def test_of_seventy_two_buyers_of_forty_five_units_exactly_forty_five_are_served(app, strategy):
    units = 1 if strategy == "one_each" else 3
    factories.stock(45 * units)
    answers = races.in_a_crowd(app, [scenes.buyer(units)] * 72, threads=THREADS)
    assert outcomes(answers) == {(201, None): 45, (409, "insufficient_stock"): 27}
    assert factories.numbers() == (45 * units, 45 * units, 0)
    denied = db.session.execute(text("SELECT SUM(refusals), SUM(units) FROM denied_demand")).one()
    assert tuple(map(int, denied)) == (27, 27 * units)


@pytest.mark.leaves_findings
def test_control_without_guards_every_one_of_the_crowd_gets_the_last_five(app, without):
    factories.stock(5)
    without(*ALL)
    answers = races.at_once(app, *[scenes.buyer(1)] * THREADS, patience=races.CERTAINLY)
    assert outcomes(answers) == {(201, None): THREADS}
    assert scenes.oversold()


def test_a_crowd_without_locks_is_never_sold_more_than_there_is(app, without):
    """The guarded write alone: some may be asked to try again, none is promised what is not there."""
    factories.stock(5)
    without(Guard.LOCKS, Guard.SEQUENCE)
    answers = races.at_once(app, *[scenes.buyer(1)] * THREADS, patience=races.CERTAINLY)
    told = outcomes(answers)
    assert 1 <= told[201, None] <= 5
    assert set(told) <= {(201, None), (409, "insufficient_stock"), (503, "database_busy")}
    assert factories.numbers() == (5, told[201, None], 5 - told[201, None])


def batch(*products: str) -> races.Actor:
    items = [{"product_id": product_id, "quantity": 1} for product_id in products]
    body = {"order_id": "o-1", "customer_id": "c-1", "items": items}
    return races.call("POST", "/reservations/batch", body)


def test_batches_that_name_two_products_in_opposite_orders_never_meet_in_a_deadlock(app):
    factories.stock(30, "A")
    factories.stock(20, "B")
    # The hour's first refusals of B may meet where they are counted, which is after and apart from the batches.
    too_many = {"product_id": "B", "quantity": 21, "order_id": "o-1", "customer_id": "c-1"}
    assert races.call("POST", "/reservations/", too_many)(app).code == "insufficient_stock"
    before = retries()
    answers = races.in_a_crowd(app, [batch("A", "B"), batch("B", "A")] * 24, threads=THREADS)
    assert outcomes(answers) == {(201, None): 20, (409, "insufficient_stock"): 28}
    assert (factories.numbers("A"), factories.numbers("B")) == ((30, 20, 10), (20, 20, 0))
    assert retries() == before


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_control_locked_as_they_were_named_two_batches_do_deadlock(app, monkeypatch):
    """On SQLite there is nothing to remove: it has one lock. The retry then repairs what the order prevents."""
    factories.stock(2, "A")
    factories.stock(2, "B")
    lock_in_order, before = inventory_items.lock, retries()
    meeting = races.Meeting(2, patience=races.CERTAINLY)

    def lock_one_by_one(keys):
        stocks = []
        for key in list(keys):
            stocks += lock_in_order([key])
            meeting.attend()
        return stocks

    monkeypatch.setattr(inventory_items, "lock", lock_one_by_one)
    answers = races.in_a_crowd(app, [batch("A", "B"), batch("B", "A")], threads=2)
    assert outcomes(answers) == {(201, None): 2}
    assert retries() == before + 1


def test_four_sweeps_at_once_release_each_of_sixty_holds_once(app, time):
    factories.stock(60)
    for _ in range(60):
        factories.hold(1, ttl=60)
    time.forward(seconds=60)
    answers = races.in_a_crowd(app, [races.sweep] * 4, threads=4)
    assert any(answer.won for answer in answers)
    assert factories.numbers() == (60, 0, 60)
    ended = "SELECT COUNT(*), COUNT(DISTINCT reservation_id) FROM stock_movements WHERE movement_type = 'expiry'"
    assert tuple(db.session.execute(text(ended)).one()) == (60, 60)
