"""Requests of one customer at the same instant: together they never pass a budget that has room for one of them.

They meet once each has counted. With the customer's row in place the second cannot come before the first is through.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import text

from app.extensions import db
from app.repositories import hold_budgets
from tests import factories
from tests.concurrency import races, scenes
from tests.concurrency.guards import Guard
from tests.concurrency.test_crowds import outcomes, retries
from tests.conftest import Time

THREADS = 12
REFUSED = (409, "hold_budget_exceeded")


@pytest.fixture(autouse=True)
def one_hold_each(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(app.extensions["settings"], hold_budget_units=3, hold_budget_holds=1)
    monkeypatch.setitem(app.extensions, "settings", config)


@pytest.fixture
def without_the_row(without: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite the transaction itself keeps them apart as well, so that is taken away too."""
    monkeypatch.setattr(hold_budgets, "lock", lambda customer_id: None)
    without(Guard.LOCKS)


def meeting_when_they_have_counted(app, monkeypatch, *actors, patience):
    count, meeting = hold_budgets.held, races.Meeting(len(actors), patience)

    def count_and_meet(*args):
        counted = count(*args)
        meeting.attend()
        return counted

    def act(actor):
        try:
            return actor(app)
        finally:
            meeting.leave()

    monkeypatch.setattr(hold_budgets, "held", count_and_meet)
    with ThreadPoolExecutor(len(actors)) as threads:
        return list(threads.map(act, actors))


def live(customer_id="c-2"):
    db.session.rollback()
    found = text("SELECT COUNT(*), SUM(quantity) FROM reservations WHERE status = 'active' AND customer_id = :who")
    return tuple(map(int, db.session.execute(found, {"who": customer_id}).one()))


def two_products() -> list[races.Actor]:
    factories.stock(10, "A")
    factories.stock(10, "B")
    return [scenes.buyer(2, "A"), scenes.buyer(2, "B")]


def a_buyer_and_somebody_who_hands_over() -> list[races.Actor]:
    factories.stock(10)
    body = {"reservation_ids": [factories.hold(2).id], "customer_id": "c-2"}
    return [scenes.buyer(2), races.call("POST", "/reservations/transfer", body)]


def two_who_hand_over() -> list[races.Actor]:
    factories.stock(10)
    bodies = [{"reservation_ids": [factories.hold(2, customer=name).id], "customer_id": "c-2"} for name in "ab"]
    return [races.call("POST", "/reservations/transfer", body) for body in bodies]


every_scene = pytest.mark.parametrize(
    "scene", [two_products, a_buyer_and_somebody_who_hands_over, two_who_hand_over], ids=lambda scene: scene.__name__
)


@every_scene
def test_of_two_that_meet_one_passes(app, monkeypatch, scene):
    answers = meeting_when_they_have_counted(app, monkeypatch, *scene(), patience=races.BRIEFLY)
    assert [answer.won for answer in sorted(answers, key=lambda answer: answer.status)] == [True, False], answers
    assert {(answer.status, answer.code) for answer in answers if not answer.won} == {REFUSED}
    assert live() == (1, 2)


@every_scene
def test_the_row_alone_lets_one_pass(app, monkeypatch, without, scene):
    actors = scene()
    without(Guard.LOCKS)
    answers = meeting_when_they_have_counted(app, monkeypatch, *actors, patience=races.BRIEFLY)
    assert sorted(answer.won for answer in answers) == [False, True], answers
    assert live() == (1, 2)


@every_scene
def test_control_without_the_row_both_pass(app, monkeypatch, scene, request):
    actors = scene()
    request.getfixturevalue("without_the_row")
    answers = meeting_when_they_have_counted(app, monkeypatch, *actors, patience=races.CERTAINLY)
    assert [answer.won for answer in answers] == [True, True], answers
    assert live() == (2, 4)


def an_extension_and_a_buyer_who_thinks_it_is_over(time: Time) -> tuple[races.Actor, races.Actor]:
    """The hold ends in this instant, is extended, and a moment later its owner asks for another."""
    factories.stock(10)
    held = factories.hold(2, ttl=60, customer="c-2")
    time.forward(seconds=60, microseconds=-1)
    extend = races.call("PATCH", f"/reservations/{held.id}", {"ttl_seconds": 600})
    return extend, races.a_moment_later(scenes.buyer(2))


def test_a_hold_that_is_being_extended_counts_for_who_asks_when_it_would_have_ended(app, time):
    extend, buyer = an_extension_and_a_buyer_who_thinks_it_is_over(time)
    begun: list[Future[races.Answer]] = []

    def begin(app: Flask) -> races.Answer:
        begun.append(pool.submit(buyer, app))
        wait(begun, races.BRIEFLY)
        return races.Answer(0, "still waiting" if not begun[0].done() else "through")

    with ThreadPoolExecutor(1) as pool:
        answers = races.just_after(app, races.ITEMS_ARE_READ, extend, begin)
    assert answers == [races.Answer(200), races.Answer(0, "still waiting")]
    assert begun[0].result() == races.Answer(*REFUSED)
    assert live() == (1, 2)


def test_control_without_the_row_the_owner_gets_another_hold_beside_the_extended_one(app, time, request):
    extend, buyer = an_extension_and_a_buyer_who_thinks_it_is_over(time)
    request.getfixturevalue("without_the_row")
    answers = races.just_after(app, races.ITEMS_ARE_READ, extend, buyer)
    assert answers == [races.Answer(200), races.Answer(201)]
    assert live() == (2, 4)


def test_a_hoarder_in_a_crowd_gets_one_budget_and_the_others_what_they_ask_for(app):
    before = retries()
    products = [factories.stock(30, f"P-{number}") for number in range(4)]
    hoarding = [scenes.buyer(2, products[number % 4]) for number in range(36)]
    buying = [
        races.call(
            "POST",
            "/reservations/",
            {"product_id": products[number % 4], "quantity": 2, "order_id": "o", "customer_id": f"shopper-{number}"},
        )
        for number in range(12)
    ]
    answers = races.in_a_crowd(app, [*hoarding[:12], *buying, *hoarding[12:]], threads=THREADS)
    assert outcomes(answers) == {(201, None): 1 + 12, REFUSED: 35}
    assert live() == (1, 2)
    assert sum(factories.numbers(product)[1] for product in products) == 2 * 13
    assert retries() == before


def test_a_flood_of_requests_that_never_fit_is_refused_and_nobody_is_asked_to_try_again(app):
    factories.stock(10)
    before = retries()
    answers = races.in_a_crowd(app, [scenes.buyer(4)] * 48, threads=THREADS)
    assert (outcomes(answers), retries()) == ({REFUSED: 48}, before)


def test_customers_who_hand_each_other_holds_never_meet_in_a_deadlock(app, monkeypatch):
    config = replace(app.extensions["settings"], hold_budget_units=1000, hold_budget_holds=1000)
    monkeypatch.setitem(app.extensions, "settings", config)
    factories.stock(100)
    holds = {name: [factories.hold(1, customer=name).id for _ in range(12)] for name in ("a", "b")}
    before = retries()
    actors = [
        races.call("POST", "/reservations/transfer", {"reservation_ids": [hold], "customer_id": to})
        for pair in zip(holds["a"], holds["b"], strict=True)
        for hold, to in zip(pair, ("b", "a"), strict=True)
    ]
    growing = [races.call("PATCH", f"/reservations/{hold}", {"quantity": 2}) for hold in holds["a"] + holds["b"]]
    answers = races.in_a_crowd(
        app, [act for pair in zip(actors, growing, strict=True) for act in pair], threads=THREADS
    )
    assert outcomes(answers) == {(200, None): 48}
    assert (live("a"), live("b")) == ((12, 24), (12, 24))
    assert retries() == before
