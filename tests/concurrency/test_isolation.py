"""Why the database's own default is not enough: the isolation level decides what a check after a lock can see.

The check that is tried here, a lock and then a plain sum, is the one most shops have; ours is a counter in the
locked row, right under either level. The level is set all the same, so that no later query can fall into it.
"""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from app.extensions import db
from app.utils import transactions
from tests import factories
from tests.concurrency import races, scenes

pytestmark = pytest.mark.parametrize("backend", ["server"], indirect=True)
LOCK = "SELECT quantity FROM inventory_items WHERE product_id = 'KB-1' FOR UPDATE"
HELD = "SELECT COALESCE(SUM(quantity), 0) FROM reservations WHERE status = 'active'"
HOLD = """INSERT INTO reservations (id, inventory_item_id, quantity, order_id, customer_id, status, expires_at,
    extended_seconds, created_at, updated_at) SELECT :id, id, 1, 'o-1', 'c-1', 'active', '2030-01-02', 0,
    '2030-01-01', '2030-01-01' FROM inventory_items"""


def buy_the_obvious_way(buyer: Connection, name: str) -> bool:
    """Lock the item, add up what is promised, promise one more if it is there."""
    quantity = buyer.execute(text(LOCK)).scalar_one()
    there_is_one = quantity - buyer.execute(text(HELD)).scalar_one() >= 1
    if there_is_one:
        buyer.execute(text(HOLD), {"id": name})
    buyer.commit()
    return there_is_one


def two_buyers_of_the_last_unit(level: str) -> list[bool]:
    """Both have looked at something, as every request does, before one after the other buys."""
    engine = db.engine.execution_options(isolation_level=level)
    with engine.connect() as one, engine.connect() as other:
        for buyer in (one, other):
            buyer.execute(text("SELECT COUNT(*) FROM locations"))
        return [buy_the_obvious_way(one, "first"), buy_the_obvious_way(other, "second")]


@pytest.mark.leaves_findings
def test_under_repeatable_read_a_plain_sum_after_the_lock_sells_the_last_unit_twice(app):
    factories.stock(1)
    assert two_buyers_of_the_last_unit("REPEATABLE READ") == [True, True]
    assert scenes.oversold()


@pytest.mark.leaves_findings
def test_under_read_committed_the_same_sum_sells_it_once(app):
    factories.stock(1)
    assert two_buyers_of_the_last_unit("READ COMMITTED") == [True, False]
    assert not scenes.oversold()


def test_every_connection_of_the_service_is_read_committed(app):
    with db.engine.connect() as connection:
        assert connection.get_isolation_level() == "READ COMMITTED"


def test_our_own_check_is_right_even_under_repeatable_read(app, time, monkeypatch):
    stage, levels = scenes.the_last_unit_to_two_buyers(time), []

    def begin(session: Session) -> None:
        connection = session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        levels.append(connection.get_isolation_level())
        connection.execute(text("SELECT COUNT(*) FROM reservations"))

    monkeypatch.setattr(transactions, "_begin", begin)
    answers = races.at_once(app, stage.first, stage.second)
    assert sorted(answer.won for answer in answers) == [False, True]
    assert set(levels) == {"REPEATABLE READ"}
