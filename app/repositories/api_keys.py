"""API keys, looked up by the hash of what was presented."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import exists, or_, select, update

from app.extensions import db
from app.models.api_keys import ApiKey

# Noting every use would make every read a write.
NOTED_EVERY = timedelta(minutes=1)


def add(key: ApiKey) -> ApiKey:
    db.session.add(key)
    db.session.flush()
    return key


def find(secret_hash: str) -> ApiKey | None:
    return db.session.execute(select(ApiKey).where(ApiKey.secret_hash == secret_hash)).scalar_one_or_none()


def of_name(name: str) -> Sequence[ApiKey]:
    return db.session.execute(select(ApiKey).where(ApiKey.name == name).order_by(ApiKey.id)).scalars().all()


def every() -> Sequence[ApiKey]:
    return db.session.execute(select(ApiKey).order_by(ApiKey.name, ApiKey.id)).scalars().all()


def is_any_valid(now: datetime) -> bool:
    valid = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
    return bool(db.session.execute(select(exists().where(valid))).scalar())


def note_use(key_id: int, now: datetime) -> None:
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now - NOTED_EVERY)
    statement = update(ApiKey.__table__).where(ApiKey.id == key_id, stale)
    db.session.execute(statement.values(last_used_at=now))
