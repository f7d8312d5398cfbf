"""Whether the service can do its job: each dependency, and the sweep and the audit by what they did last."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.errors import Unavailable
from app.extensions import cache, db, settings
from app.repositories import reservations
from app.services import audit_rounds
from app.utils import beats, clock, draining
from app.utils.cache import CacheSilent

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
SWEEP = "expiry"
GRACE_SECONDS = 5.0
STARTED = time.monotonic()


class Unhealthy(Unavailable):
    """The service cannot do its job now; `checks` says which dependency is missing."""


class Stopping(Unavailable):
    """This server was asked to stop: it still answers, and wants no new clients."""


@dataclass(slots=True)
class Health:
    status: str = HEALTHY
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, name: str, status: str, **facts: Any) -> None:
        self.checks[name] = {"status": status} | facts
        order = (HEALTHY, DEGRADED, UNHEALTHY)
        self.status = max(self.status, status, key=order.index)


@dataclass(frozen=True, slots=True)
class LastSweep:
    at: datetime
    expired: int
    seconds: float


def check() -> Health:
    """Without the database nothing works; without cache, queue or worker it works, slower or later."""
    health = Health()
    try:
        db.session.execute(text("SELECT 1"))
        now = clock.now()
        overdue = reservations.oldest_overdue(now)
    except SQLAlchemyError:
        db.session.rollback()
        health.note("database", UNHEALTHY, detail="does not answer, or has no schema")
    else:
        health.note("database", HEALTHY, kind=db.engine.dialect.name)
        _note_sweep(health, now, overdue)
        _note_audit(health, now)
    _note_redis(health)
    return health


def check_ready() -> None:
    """Raises `Stopping` or `Unhealthy` when requests should be sent elsewhere."""
    if draining.has_started():
        raise Stopping("this server is stopping; another one answers")
    seen = check()
    if seen.status == UNHEALTHY:
        raise Unhealthy("the database does not answer", checks=seen.checks)


def lag_seconds() -> float:
    """How long the oldest overdue reservation has been waiting for the sweep."""
    now = clock.now()
    overdue = reservations.oldest_overdue(now)
    return 0.0 if overdue is None else (now - overdue) / timedelta(seconds=1)


def _note_sweep(health: Health, now: datetime, overdue: datetime | None) -> None:
    period = settings().expiry_interval_seconds
    lag = 0.0 if overdue is None else (now - overdue) / timedelta(seconds=1)
    health.note("sweep", DEGRADED if lag > period + GRACE_SECONDS else HEALTHY, lag_seconds=round(lag, 3))
    try:
        last = _read_sweep(cache().last_beat(SWEEP))
    except CacheSilent:
        health.note("worker", DEGRADED, detail="unknown while Redis does not answer; the sweep's lag is the truth")
        return
    if last is None:
        health.note("worker", DEGRADED, detail="no sweep was seen yet")
        return
    ago = (now - last.at) / timedelta(seconds=1)
    fresh = ago <= 3 * period + GRACE_SECONDS
    told = asdict(last) | {"at": last.at.isoformat()}
    health.note("worker", HEALTHY if fresh else DEGRADED, last_sweep=told, seconds_ago=round(ago, 3))


def _read_sweep(facts: Any) -> LastSweep | None:
    """None for anything but what a sweep wrote: the next one writes over it."""
    try:
        return LastSweep(beats.moment(facts["at"]), beats.count(facts["expired"]), beats.seconds(facts["seconds"]))
    except beats.NOT_OURS:
        return None


def _note_audit(health: Health, now: datetime) -> None:
    """Numbers that do not follow from the ledger are somebody's work, and so is an audit that stands still."""
    try:
        known = audit_rounds.standing() or audit_rounds.Standing(at=now)
    except CacheSilent:
        return
    facts: dict[str, Any] = {} if known.last is None else known.last.told() | {"rules": known.rules}
    if known.under_way is not None:
        facts["under_way_since"] = known.under_way.started_at.isoformat()
    late = _is_audit_late(known, now)
    if late:
        facts["detail"] = "no finished pass is known for longer than twice AUDIT_INTERVAL_SECONDS"
    elif known.last is None:
        facts["detail"] = "no pass is finished yet"
    health.note("audit", DEGRADED if late or known.rules else HEALTHY, **facts)


def _is_audit_late(known: audit_rounds.Standing, now: datetime) -> bool:
    """A slice follows a sweep, so the grace is what a worker's silence is given.

    Where nothing at all is known, the audit has been on for no less than this process has.
    """
    every = settings().audit_interval_seconds
    if not every:
        return False
    if known.last is not None:
        silent = (now - known.last.finished_at) / timedelta(seconds=1)
    elif known.under_way is not None:
        silent = (now - known.under_way.started_at) / timedelta(seconds=1)
    else:
        silent = time.monotonic() - STARTED
    return silent > 2 * every + 3 * settings().expiry_interval_seconds + GRACE_SECONDS


def _note_redis(health: Health) -> None:
    if settings().redis_url is None:
        health.note("cache", HEALTHY, kind=cache().kind)
        health.note("queue", HEALTHY, kind="none: the sweep runs in this process")
        return
    try:
        cache().ping()
    except (RedisError, OSError):
        health.note("cache", DEGRADED, kind="redis", detail="does not answer; lookups come from the database")
        health.note("queue", DEGRADED, kind="redis", detail="does not answer; workers sweep by themselves")
    else:
        health.note("cache", HEALTHY, kind="redis")
        health.note("queue", HEALTHY, kind="redis")
