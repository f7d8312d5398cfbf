"""Two who edit one record, or want one barcode, at the same instant: one has its way, the other is told why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import select, text, update

from app.extensions import db
from app.models.products import Product
from app.models.skus import Sku
from app.repositories import products, skus
from tests import factories
from tests.concurrency import races
from tests.concurrency.guards import Guard
from tests.concurrency.races import Answer, call

EAN, KEY = "4006381333931", "uq_skus_gtin"
BOTH, ONE = [Answer(200), Answer(200)], [Answer(200), Answer(409, "version_conflict")]


@dataclass(frozen=True)
class Editing:
    """A record that two read at version 1 and then change, each another field."""

    repository: Any
    model: Any
    path: str
    values: tuple[dict[str, Any], dict[str, Any]]

    @property
    def read(self) -> list[races.Point]:
        return [(self.repository, "lock")]

    def editors(self) -> list[races.Actor]:
        factories.product()
        return [call("PUT", self.path, values | {"version": 1}) for values in self.values]

    def version(self) -> int:
        db.session.rollback()
        return int(db.session.execute(select(self.model.__table__.c.version)).scalar_one())


# No new price: its history refers to the SKU, and without locks the two could end in a deadlock instead.
EDITED = {
    "product": Editing(products, Product, "/products/1", ({"name": "A"}, {"description": "B"})),
    "sku": Editing(skus, Sku, "/skus/KB-1", ({"unit": "A"}, {"attributes": {"b": 1}})),
}
every_record = pytest.mark.parametrize("edited", EDITED.values(), ids=EDITED)


@pytest.fixture
def without_version(app, edited) -> Iterator[None]:
    """Writes that do not compare the version."""

    def save(record: Any, **values: Any) -> None:
        mine = edited.model.__table__.c.id == record.id
        statement = update(edited.model.__table__).where(mine).values(version=record.version + 1, **values)
        db.session.execute(statement)
        db.session.expire_all()

    with mock.patch.object(edited.repository, "save", save):
        yield


@every_record
def test_of_two_edits_under_one_version_one_wins(app, edited):
    answers = races.at_once(app, *edited.editors(), points=edited.read)
    assert sorted(answers, key=str) == sorted(ONE, key=str)
    assert edited.version() == 2


@every_record
def test_the_guarded_write_alone_lets_one_win(app, without, edited):
    without(Guard.LOCKS)
    answers = races.at_once(app, *edited.editors(), points=edited.read, patience=races.CERTAINLY)
    assert sorted(answers, key=str) == sorted(ONE, key=str)
    assert edited.version() == 2


@every_record
def test_the_lock_alone_lets_one_win(app, without_version, edited):
    answers = races.at_once(app, *edited.editors(), points=edited.read)
    assert sorted(answers, key=str) == sorted(ONE, key=str)
    assert edited.version() == 2


@every_record
def test_control_without_either_both_win_under_one_version(app, without, without_version, edited):
    without(Guard.LOCKS)
    answers = races.at_once(app, *edited.editors(), points=edited.read, patience=races.CERTAINLY)
    assert (answers, edited.version()) == (BOTH, 2)


@every_record
def test_whoever_commits_at_the_last_moment_before_the_lock_is_seen(app, backend, edited):
    first, second = edited.editors()
    last_moment = races.TRANSACTION_BEGINS if backend == "embedded" else edited.read
    assert races.just_before(app, last_moment, first, second) == ONE[::-1]


# ── Barcodes ─────────────────────────────────────────────────────────────────────────────────────


def takers() -> list[races.Actor]:
    """Two new SKUs with one number between them, written in two ways."""
    product = factories.product(sku=None)
    row = {"catalog_product_id": product, "price": "1.00"}
    return [
        call("POST", "/skus/", row | {"sku_code": code, "barcode": barcode})
        for code, barcode in (("A", "042100005264"), ("B", "04252614"))
    ]


def owners() -> list[str]:
    db.session.rollback()
    return list(db.session.execute(text("SELECT sku_code FROM skus WHERE gtin IS NOT NULL")).scalars())


FOUND_FREE = [(skus, "taken")]
TAKEN = Answer(409, "already_exists")


@contextmanager
def _without_key() -> Iterator[None]:
    on_table = "" if db.engine.dialect.name == "sqlite" else " ON skus"
    _run(f"DROP INDEX {KEY}{on_table}")
    try:
        yield
    finally:
        _run("DELETE FROM price_changes", "DELETE FROM skus", f"CREATE UNIQUE INDEX {KEY} ON skus (gtin)")


def _run(*statements: str) -> None:
    db.session.remove()
    with db.engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
        connection.commit()


def test_of_two_skus_that_take_one_barcode_one_gets_it(app):
    answers = races.at_once(app, *takers(), points=FOUND_FREE)
    assert sorted(answers, key=str) == sorted([Answer(201), TAKEN], key=str)
    assert len(owners()) == 1


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_whoever_took_it_after_it_was_found_free_is_named(app):
    first, second = takers()
    assert races.just_after(app, FOUND_FREE, first, second) == [TAKEN, Answer(201)]
    assert owners() == ["B"]


def test_control_without_the_unique_key_both_get_it(app, without):
    first, second = takers()
    without(Guard.LOCKS)  # SQLite lets one write at a time; the reads are what must overlap
    with _without_key():
        answers = races.at_once(app, first, second, points=FOUND_FREE, patience=races.CERTAINLY)
        assert (answers, sorted(owners())) == ([Answer(201), Answer(201)], ["A", "B"])


def test_of_one_who_takes_a_freed_barcode_and_one_who_restores_it_one_gets_it(app):
    factories.product(barcode=EAN)
    product = factories.product("Other", sku=None)
    with app.app_context():
        app.test_client().delete("/api/v1/skus/KB-1")
    row = {"catalog_product_id": product, "sku_code": "B", "price": "1.00", "barcode": EAN}
    answers = races.at_once(app, call("POST", "/skus/KB-1/restore"), call("POST", "/skus/", row), points=FOUND_FREE)
    assert sorted(answer.won for answer in answers) == [False, True]
    assert TAKEN in answers
    assert len(owners()) == 1


# ── Deleting ─────────────────────────────────────────────────────────────────────────────────────


def deletion_and(rival: races.Actor) -> Callable[..., list[Answer]]:
    return lambda app, **how: races.at_once(app, call("DELETE", "/skus/KB-1"), rival, **how)


def test_a_hold_made_while_its_sku_is_deleted_keeps_the_sku(app):
    factories.product(stock=1)
    buyer = call("POST", "/reservations/", {"product_id": "KB-1", "quantity": 1, "order_id": "o", "customer_id": "c"})
    assert deletion_and(buyer)(app) == [Answer(409, "sku_in_use"), Answer(201)]


def test_a_sku_added_while_its_product_is_deleted_goes_with_it_or_is_refused(app):
    product = factories.product()
    row = {"catalog_product_id": product, "sku_code": "KB-2", "price": "1.00"}
    answers = races.at_once(
        app,
        call("DELETE", f"/products/{product}"),
        call("POST", "/skus/", row),
        points=[(products, "lock"), (products, "keep_open")],
    )
    assert answers[0] == Answer(200)
    assert answers[1] in (Answer(201), Answer(422, "unknown_product"))
    db.session.rollback()
    assert set(db.session.execute(text("SELECT archived_at IS NULL FROM skus")).scalars()) == {0}


def test_control_without_locks_a_sku_is_added_to_a_deleted_product(app, without):
    product = factories.product()
    without(Guard.LOCKS)
    row = {"catalog_product_id": product, "sku_code": "KB-2", "price": "1.00"}
    answers = races.just_after(
        app, [(products, "keep_open")], call("POST", "/skus/", row), call("DELETE", f"/products/{product}")
    )
    assert answers == [Answer(201), Answer(200)]
    db.session.rollback()
    assert sorted(db.session.execute(text("SELECT archived_at IS NULL FROM skus")).scalars()) == [0, 1]
