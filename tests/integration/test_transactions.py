"""One transaction per use case: who commits, who joins, what runs again and what runs afterwards."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.errors import Conflict, DatabaseBusy, LostRace, OutcomeUnknown
from app.extensions import db
from app.models import Location
from app.utils import clock
from app.utils.transactions import ATTEMPTS, after_commit, after_refusal, transactional


class Refused(Conflict):
    """For these tests."""


def add(code):
    now = clock.now()
    db.session.add(Location(code=code, name=code, created_at=now, updated_at=now))
    db.session.flush()


def codes():
    db.session.rollback()
    return set(db.session.scalars(select(Location.code))) - {"default"}


def test_returning_commits_and_raising_leaves_nothing(app):
    @transactional
    def work(fail):
        add("a" if not fail else "b")
        if fail:
            raise Refused("no")

    work(False)
    with pytest.raises(Refused):
        work(True)
    assert codes() == {"a"}


def test_an_inner_use_case_joins_the_outer_one(app):
    @transactional
    def inner():
        add("inner")

    @transactional
    def outer():
        inner()
        raise Refused("after the inner one returned")

    with pytest.raises(Refused):
        outer()
    assert codes() == set()


def test_hooks_run_once_and_only_after_the_commit(app):
    seen = []

    @transactional
    def work(fail):
        add("x")
        after_commit(lambda: seen.append(("committed", codes())))
        after_refusal(lambda: seen.append(("refused", codes())))
        if fail:
            raise Refused("no")

    with pytest.raises(Refused):
        work(True)
    work(False)
    assert seen == [("refused", set()), ("committed", {"x"})]


def test_a_failing_hook_undoes_nothing(app, caplog):
    @transactional
    def work():
        add("kept")
        after_commit(lambda: 1 / 0)

    work()
    assert codes() == {"kept"}
    assert "a hook after the transaction failed" in caplog.text


def test_a_lost_race_runs_the_whole_unit_of_work_again(app):
    runs = []

    @transactional
    def work():
        runs.append(1)
        add("once")
        if len(runs) < ATTEMPTS:
            raise LostRace("somebody was first")

    work()
    assert (len(runs), codes()) == (ATTEMPTS, {"once"})


def test_losing_every_race_is_told_as_busy_and_leaves_nothing(app):
    runs = []

    @transactional
    def work():
        runs.append(1)
        add("never")
        raise LostRace("always")

    with pytest.raises(DatabaseBusy):
        work()
    assert (len(runs), codes()) == (ATTEMPTS, set())


@pytest.mark.parametrize("code", [1213, 1205, 1020])
def test_a_database_that_asks_to_try_again_gets_it_again(app, code):
    runs = []

    @transactional
    def work():
        runs.append(1)
        add("once")
        if len(runs) == 1:
            raise OperationalError("UPDATE", {}, _mysql_error(code))

    work()
    assert (len(runs), codes()) == (2, {"once"})


def test_a_connection_lost_while_committing_is_never_run_again(app, monkeypatch):
    runs = []

    def commit_whose_answer_is_lost(session):
        raise OperationalError("COMMIT", {}, _mysql_error(2013), connection_invalidated=True)

    @transactional
    def work():
        runs.append(1)
        monkeypatch.setattr(type(db.session()), "commit", commit_whose_answer_is_lost)

    with pytest.raises(OutcomeUnknown):
        work()
    assert len(runs) == 1


def test_an_error_of_our_own_is_not_dressed_up_as_trouble_of_the_database(app):
    @transactional
    def work():
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        work()


def _mysql_error(code):
    import pymysql

    return pymysql.err.OperationalError(code, "said the server")
