"""What each database error means and what the caller is told: the table code by code."""

from __future__ import annotations

import pymysql
import pytest
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import DatabaseBusy, DatabaseUnavailable, LostRace, OutcomeUnknown, StorageFull
from app.utils import problems
from app.utils.database_errors import Verdict, is_retryable, translated, verdict_of

# Verdict, whether the unit of work runs again, and the answer when that did not help (None: a fault of our own).
BUSY = (Verdict.RETRY, True, DatabaseBusy)
LOST = (Verdict.LOST, True, DatabaseUnavailable)
DUPLICATE = (Verdict.DUPLICATE, False, None)
REFERENCE = (Verdict.REFERENCE, False, None)
CHECK = (Verdict.CHECK, False, None)
DOWN = (Verdict.DOWN, False, DatabaseUnavailable)
FULL = (Verdict.FULL, False, StorageFull)
OURS = (Verdict.BUG, False, None)

MYSQL = {
    1213: ("deadlock, or refused by the cluster's certification", BUSY),
    1205: ("lock wait timeout: only the statement was rolled back", BUSY),
    1020: ("record changed since last read", BUSY),
    3572: ("NOWAIT met a lock", BUSY),
    2006: ("server has gone away", LOST),
    2013: ("connection lost during query", LOST),
    1053: ("server shutdown in progress", LOST),
    1180: ("commit failed: not connected to the primary component", LOST),
    1062: ("duplicate entry", DUPLICATE),
    1451: ("row is referenced", REFERENCE),
    1452: ("no referenced row", REFERENCE),
    4025: ("CHECK on MariaDB", CHECK),
    3819: ("CHECK on MySQL", CHECK),
    2003: ("connection refused", DOWN),
    1040: ("too many connections", DOWN),
    1045: ("access denied", DOWN),
    1290: ("server is read-only", DOWN),
    1047: ("cluster node not ready", DOWN),
    1969: ("statement took too long on MariaDB", DOWN),
    3024: ("statement took too long on MySQL", DOWN),
    1317: ("query was interrupted", DOWN),
    1114: ("table is full", FULL),
    1021: ("disk is full", FULL),
    28: ("no space left on device", FULL),
    1264: ("out of range", OURS),
    1366: ("incorrect value", OURS),
    1406: ("data too long", OURS),
    1292: ("incorrect datetime", OURS),
    1690: ("unsigned subtraction", OURS),
    1644: ("a trigger refused", OURS),
    1064: ("syntax error", OURS),
}
SQLITE = {
    "database is locked": BUSY,
    "database table is locked: inventory_items": BUSY,
    "UNIQUE constraint failed: locations.code": DUPLICATE,
    "FOREIGN KEY constraint failed": REFERENCE,
    "CHECK constraint failed: ck_inventory_items_quantity_limit": CHECK,
    "database or disk is full": FULL,
    "unable to open database file": DOWN,
    "attempt to write a readonly database": DOWN,
    "disk I/O error": DOWN,
    "no such table: locations": OURS,
}


def from_mysql(code: int, *, invalidated: bool = False) -> DBAPIError:
    """The exception as PyMySQL and SQLAlchemy raise it for this code."""
    with pytest.raises(pymysql.err.Error) as raised:
        pymysql.err.raise_mysql_exception(b"\xff" + code.to_bytes(2, "little") + b"#HY000words")
    return wrapped(raised.value, pymysql.err.Error, invalidated=invalidated)


def from_sqlite(words: str) -> DBAPIError:
    import sqlite3

    kind = sqlite3.IntegrityError if "constraint" in words else sqlite3.OperationalError
    return wrapped(kind(words), sqlite3.Error)


def wrapped(original: Exception, base: type[Exception], *, invalidated: bool = False) -> DBAPIError:
    error = DBAPIError.instance("UPDATE x", {}, original, base, connection_invalidated=invalidated)
    assert isinstance(error, DBAPIError)
    return error


def outcome(error: BaseException) -> tuple[Verdict, bool, type[Exception] | None]:
    answer = translated(error)
    return verdict_of(error), is_retryable(error), type(answer) if answer else None


@pytest.mark.parametrize(
    ("code", "expected"), [(code, row[1]) for code, row in MYSQL.items()], ids=[f"{c} {r[0]}" for c, r in MYSQL.items()]
)
def test_a_mysql_code_has_one_meaning(code, expected):
    assert outcome(from_mysql(code)) == expected


@pytest.mark.parametrize(("words", "expected"), SQLITE.items())
def test_what_sqlite_says_has_one_meaning(words, expected):
    assert outcome(from_sqlite(words)) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PoolTimeout("QueuePool limit"), DOWN),
        (LostRace("the guarded write changed no row"), BUSY),
        (from_mysql(1927, invalidated=True), LOST),
        (from_mysql(9999, invalidated=True), LOST),
        (ValueError("of our own"), OURS),
        (SQLAlchemyError("of our own"), OURS),
    ],
    ids=repr,
)
def test_what_has_no_code_is_told_by_its_kind(error, expected):
    assert outcome(error) == expected


@pytest.mark.parametrize("code", [2006, 2013, 1180])
def test_a_connection_that_breaks_while_committing_leaves_the_outcome_unknown(code):
    assert type(translated(from_mysql(code), committing=True)) is OutcomeUnknown
    assert type(translated(from_mysql(code), committing=False)) is DatabaseUnavailable


@pytest.mark.parametrize("code", [1213, 2003, 1114])
def test_other_errors_while_committing_are_still_what_they_are(code):
    assert type(translated(from_mysql(code), committing=True)) is type(translated(from_mysql(code)))


@pytest.mark.parametrize(("code", "status"), [(1213, 503), (2003, 503), (2013, 503), (1114, 503), (1064, 500)])
def test_an_unhandled_database_error_is_a_problem_without_its_words(embedded_app, code, status):
    with embedded_app.test_request_context():
        answer = problems.to_response(from_mysql(code))
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert ("Retry-After" in answer.headers) is (status == 503)
    assert "words" not in answer.get_data(as_text=True)
