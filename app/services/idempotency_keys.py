"""One effect per key: the key's row lives in the transaction of the effect, so both are there or neither.

A refused request leaves no row and may be tried again under the same key. After an answer that was lost on
its way, trying again finds the row and gets the first answer, or finds none and makes the effect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.errors import IdempotencyInProgress, IdempotencyKeyReused, OutcomeUnknown, Unavailable
from app.repositories import idempotency_keys
from app.repositories.idempotency_keys import Scope
from app.utils import clock
from app.utils.transactions import transactional

KEPT = timedelta(hours=72)
PURGED_AT_ONCE = 1_000
# Times a request whose COMMIT got no answer is looked up and, if it left nothing, made again.
LOOKS = 3
_running: set[Scope] = set()
_running_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller is sent: kept under the key and sent again word for word."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    replayed: bool = False


def once(scope: Scope, fingerprint: str, perform: Callable[[], Answer]) -> Answer:
    """The answer of `perform`, which takes effect once however often and from wherever this is called.

    Raises `IdempotencyInProgress` instead of waiting for the same request at work elsewhere, and
    `IdempotencyKeyReused` when the key stands for another payload.
    """
    with _alone(scope):
        try:
            return _once(scope, fingerprint, perform)
        except OutcomeUnknown as unknown:
            return _look(scope, fingerprint, perform, unknown)


def _look(scope: Scope, fingerprint: str, perform: Callable[[], Answer], unknown: OutcomeUnknown) -> Answer:
    """The row decides: if the lost COMMIT came through it is found, if not the effect is made now.

    Should the first transaction still be alive, its row is locked and this one does not get by. Raises `unknown`
    again when what became of it cannot be seen.
    """
    for _ in range(LOOKS - 1):
        try:
            return _once(scope, fingerprint, perform)
        except OutcomeUnknown:
            continue
        except Unavailable:
            break  # Nothing was done by this look.
    raise unknown


@transactional
def _once(scope: Scope, fingerprint: str, perform: Callable[[], Answer]) -> Answer:
    now = clock.now()
    row = idempotency_keys.find(scope)
    if row is not None and row.created_at < now - KEPT:
        idempotency_keys.forget(scope)
        row = None
    if row is not None:
        if row.fingerprint != fingerprint:
            raise IdempotencyKeyReused("this key was used for another request", idempotency_key=scope.key)
        return Answer(row.status, row.body, row.headers, replayed=True)
    idempotency_keys.claim(scope, fingerprint, now)
    answer = perform()
    idempotency_keys.finish(scope, status=answer.status, headers=answer.headers, body=answer.body)
    return answer


@transactional
def purge(now: datetime) -> int:
    """Forget keys whose time is over, a bounded number of them."""
    return idempotency_keys.purge(now - KEPT, limit=PURGED_AT_ONCE)


@contextmanager
def _alone(scope: Scope) -> Iterator[None]:
    """Refuse the same request at work in this process; SQLite would make it wait for the write lock otherwise."""
    with _running_lock:
        if scope in _running:
            raise IdempotencyInProgress("a request with this key is being worked on")
        _running.add(scope)
    try:
        yield
    finally:
        with _running_lock:
            _running.discard(scope)
