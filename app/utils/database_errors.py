"""What a database error means and what to do about it: one table for every engine.

Numbers are MySQL's and MariaDB's error codes. On MariaDB a CHECK violation arrives as an
OperationalError, so the class of the exception alone says nothing; the code does.
"""

from enum import Enum

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import DatabaseBusy, DatabaseUnavailable, LostRace, OutcomeUnknown, StorageFull, Unavailable


class Verdict(Enum):
    RETRY = "rolled back by the database's own choice: run the whole unit of work again"
    LOST = "the connection broke: run again, unless it broke while committing"
    DUPLICATE = "a unique key refused the row"
    REFERENCE = "a foreign key refused the row"
    CHECK = "a CHECK refused the row: a guard above should have"
    DOWN = "the database is not there, read-only or out of connections"
    FULL = "no room left"
    BUG = "our statement is wrong"


MYSQL = {
    Verdict.RETRY: {1213, 1205, 1020, 3572},
    Verdict.LOST: {2006, 2013, 2014, 2055, 1927, 4031, 1053, 1180},
    Verdict.DUPLICATE: {1062, 1586},
    Verdict.REFERENCE: {1451, 1452, 1216, 1217},
    Verdict.CHECK: {4025, 3819},
    Verdict.DOWN: {
        2002,
        2003,
        2005,
        1040,
        1044,
        1045,
        1049,
        1129,
        1158,
        1159,
        1160,
        1161,
        1290,
        1047,
        1836,
        1969,
        3024,
        1317,
    },
    Verdict.FULL: {1114, 1021, 1041, 28, 3},
}
MYSQL_VERDICTS = {code: verdict for verdict, codes in MYSQL.items() for code in codes}

SQLITE_VERDICTS = {
    "database is locked": Verdict.RETRY,
    "database table is locked": Verdict.RETRY,
    "database schema has changed": Verdict.RETRY,
    "unique constraint failed": Verdict.DUPLICATE,
    "foreign key constraint failed": Verdict.REFERENCE,
    "check constraint failed": Verdict.CHECK,
    "database or disk is full": Verdict.FULL,
    "unable to open database file": Verdict.DOWN,
    "attempt to write a readonly database": Verdict.DOWN,
    "disk i/o error": Verdict.DOWN,
}


def verdict_of(error: BaseException) -> Verdict:
    if isinstance(error, LostRace):
        return Verdict.RETRY
    if isinstance(error, PoolTimeout):
        return Verdict.DOWN
    if not isinstance(error, DBAPIError):
        return Verdict.BUG
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if code in MYSQL_VERDICTS:
        return MYSQL_VERDICTS[code]
    if error.connection_invalidated:
        return Verdict.LOST
    said = str(error.orig).lower()
    return next((verdict for words, verdict in SQLITE_VERDICTS.items() if words in said), Verdict.BUG)


def is_retryable(error: BaseException) -> bool:
    return verdict_of(error) in {Verdict.RETRY, Verdict.LOST}


def is_duplicate(error: IntegrityError) -> bool:
    return verdict_of(error) is Verdict.DUPLICATE


def translated(error: BaseException, *, committing: bool = False) -> Unavailable | None:
    """What the caller is told when trying again did not help; None when it is a fault of our own."""
    match verdict_of(error):
        case Verdict.LOST if committing:
            return OutcomeUnknown("the database connection broke while committing")
        case Verdict.RETRY:
            return DatabaseBusy("the database is busy with the same rows; try again")
        case Verdict.LOST | Verdict.DOWN:
            return DatabaseUnavailable("the database does not answer; nothing was changed")
        case Verdict.FULL:
            return StorageFull("the database has no room left; nothing was changed")
    return None


__all__ = ["SQLAlchemyError", "Verdict", "is_duplicate", "is_retryable", "translated", "verdict_of"]
