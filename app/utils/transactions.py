"""One transaction per use case, and the only place that commits.

The outermost `@transactional` function commits; calls made inside it join. A database that asks to try
again gets the whole unit of work again. Work for other systems waits until the commit is through.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random

from app.errors import DomainError, LostRace
from app.extensions import db
from app.utils import database_errors, metrics

P = ParamSpec("P")
R = TypeVar("R")
Hook = Callable[[], object]
ATTEMPTS = 4
# A caller waits no longer for further attempts than for one statement of a database that hangs.
LONGEST_SECONDS = 5
WAIT_SECONDS = (0.01, 0.08)
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _UnitOfWork:
    committed: list[Hook] = field(default_factory=list)
    refused: list[Hook] = field(default_factory=list)
    committing: bool = False


def transactional(use_case: Callable[P, R]) -> Callable[P, R]:
    """Run `use_case` in one transaction: returning commits, raising rolls everything back.

    Runs it again, at most four times in all and not after five seconds, when the database broke a deadlock,
    gave up waiting for a lock, or a guarded write lost a race. Raises `Unavailable` when that did not help.
    """

    @wraps(use_case)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if _current() is not None:
            return use_case(*args, **kwargs)
        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(LONGEST_SECONDS),
            wait=wait_random(*WAIT_SECONDS),
            retry=retry_if_exception(_may_run_again),
            before_sleep=_count_retry,
            reraise=True,
        )
        try:
            result: R = retrying(_run_and_commit, use_case, args, kwargs)
            return result
        except (SQLAlchemyError, LostRace) as error:
            raise database_errors.translated(error, committing=_broke_committing(error)) or error from error

    return run


@contextmanager
def refusable() -> Iterator[None]:
    """A part of a unit of work that can be refused alone: a `DomainError` undoes what was written inside, no more.

    Anything else undoes the whole, which the database may have rolled back already.
    """
    part = db.session.begin_nested()
    try:
        yield
    except DomainError:
        part.rollback()
        raise
    part.commit()


def after_commit(hook: Hook) -> None:
    """Call `hook` once the current unit of work is committed; never if it is rolled back.

    A hook can undo nothing: it forgets cache entries or wakes somebody, and what it fails to do is logged.
    """
    unit = _current()
    if unit is None:
        raise RuntimeError("after_commit needs a unit of work")
    unit.committed.append(hook)


def after_refusal(hook: Hook) -> None:
    """Call `hook` in a fresh transaction once the current unit of work was rolled back by an error."""
    unit = _current()
    if unit is None:
        raise RuntimeError("after_refusal needs a unit of work")
    unit.refused.append(hook)


def _run_and_commit(use_case: Callable[..., R], args: Any, kwargs: Any) -> R:
    session = db.session()
    # A read made earlier in the same request must not lend its snapshot or its read lock to this one.
    session.rollback()
    unit = session.info["unit_of_work"] = _UnitOfWork()
    try:
        _begin(session)
        result = use_case(*args, **kwargs)
        unit.committing = True
        session.commit()
    except BaseException as error:
        error.__dict__["while_committing"] = unit.committing
        _roll_back(session)
        del session.info["unit_of_work"]
        if not database_errors.is_retryable(error):
            _run_hooks(unit.refused)
        raise
    del session.info["unit_of_work"]
    _run_hooks(unit.committed)
    return result


def _begin(session: Session) -> None:
    # On SQLite the write lock is taken first, so that nothing read here can change before we write.
    session.connection(execution_options={"sqlite_begin": "IMMEDIATE"})


def _roll_back(session: Session) -> None:
    try:
        session.rollback()
    except SQLAlchemyError:
        # The connection is gone, and with it the transaction.
        session.invalidate()


def _run_hooks(hooks: list[Hook]) -> None:
    for hook in hooks:
        try:
            hook()
        except Exception:
            log.exception("a hook after the transaction failed")


def _may_run_again(error: BaseException) -> bool:
    if database_errors.verdict_of(error) is database_errors.Verdict.LOST:
        # A lost reply to COMMIT leaves the outcome unknown; running again could do it twice.
        return not _broke_committing(error)
    return database_errors.is_retryable(error)


def _broke_committing(error: BaseException) -> bool:
    return bool(error.__dict__.get("while_committing"))


def _count_retry(state: RetryCallState) -> None:
    metrics.TRANSACTION_RETRIES.inc()


def _current() -> _UnitOfWork | None:
    return db.session().info.get("unit_of_work")
