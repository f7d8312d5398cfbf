"""Idempotency keys: found without waiting, claimed before the effect, filled in after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Row, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from app.errors import IdempotencyInProgress, LostRace
from app.extensions import db
from app.models.idempotency_keys import IdempotencyKey
from app.utils import database_errors

columns = IdempotencyKey.__table__.c


@dataclass(frozen=True, slots=True)
class Scope:
    """A key means something only for one caller and one call."""

    principal: str
    key: str
    method: str
    path: str


def find(scope: Scope) -> Row[Any] | None:
    """The row, locked, or None. Raises `IdempotencyInProgress` at once while another transaction is making it."""
    statement = select(*columns).where(_is(scope)).with_for_update(nowait=True)
    try:
        return db.session.execute(statement).one_or_none()
    except OperationalError as error:
        if database_errors.verdict_of(error) is database_errors.Verdict.RETRY:
            raise IdempotencyInProgress("a request with this key is being worked on") from error
        raise


def claim(scope: Scope, fingerprint: str, now: datetime) -> None:
    """Raises `LostRace` when another request claimed the scope since it was looked for."""
    row = {
        "principal": scope.principal,
        "idempotency_key": scope.key,
        "method": scope.method,
        "path": scope.path,
        "fingerprint": fingerprint,
        "created_at": now,
    }
    try:
        db.session.execute(insert(IdempotencyKey.__table__).values(row))
    except IntegrityError as error:
        raise LostRace("somebody else used the key first") from error


def finish(scope: Scope, *, status: int, headers: dict[str, str], body: bytes) -> None:
    statement = update(IdempotencyKey.__table__).where(_is(scope))
    db.session.execute(statement.values(status=status, headers=headers, body=body))


def forget(scope: Scope) -> None:
    db.session.execute(delete(IdempotencyKey.__table__).where(_is(scope)))


def of_key(principal: str, key: str) -> Sequence[Row[Any]]:
    """Everything the caller did under a key, the newest first."""
    mine = and_(columns.principal == principal, columns.idempotency_key == key)
    return db.session.execute(select(*columns).where(mine).order_by(columns.id.desc()).limit(20)).all()


def purge(before: datetime, *, limit: int) -> int:
    """Delete up to `limit` rows older than `before`."""
    old = select(columns.id).where(columns.created_at < before).order_by(columns.created_at).limit(limit)
    ids = list(db.session.execute(old).scalars())
    if not ids:
        return 0
    result: CursorResult[Any] = db.session.execute(  # type: ignore[assignment]
        delete(IdempotencyKey.__table__).where(columns.id.in_(ids))
    )
    return result.rowcount


def _is(scope: Scope) -> Any:
    return and_(
        columns.principal == scope.principal,
        columns.idempotency_key == scope.key,
        columns.method == scope.method,
        columns.path == scope.path,
    )
