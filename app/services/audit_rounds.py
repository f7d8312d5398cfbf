"""The audit nobody has to ask for: a slice after each sweep until every item was seen, and anew when it is due.

Where a pass stands, and what the last one found, is kept with the cache for everybody to see, and in the process
that does the work, so that a cache which takes no writes does not hold it up. Lost with both, a pass starts over.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from flask import current_app

from app.extensions import cache, db, settings
from app.services import audit
from app.utils import beats, clock
from app.utils.cache import CacheSilent

log = logging.getLogger(__name__)
STANDING = "audit"
OWN = "audit_standing"
# Housekeeping shares its thread with the sweep, whose promise is a matter of seconds.
SLICE_SECONDS = 1.0
LOGGED_FINDINGS = 10


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A pass that has not seen every item: it goes on behind the item `after`; `rules` counts findings by rule."""

    started_at: datetime
    after: int = 0
    items: int = 0
    rules: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    started_at: datetime
    finished_at: datetime
    items: int
    rules: dict[str, int]

    def told(self) -> dict[str, Any]:
        return asdict(self, dict_factory=_as_facts)


@dataclass(frozen=True, slots=True)
class Standing:
    """What was known `at` a moment."""

    at: datetime
    under_way: UnderWay | None = None
    last: Finished | None = None

    @property
    def rules(self) -> dict[str, int]:
        """How many findings by broken rule: of the last whole pass, and of the pass under way beyond it."""
        passes = (self.last, self.under_way)
        return dict(sum((Counter(each.rules) for each in passes if each is not None), Counter[str]()))


def go_on() -> None:
    """Check for about a second where the last call stopped; nothing when no pass is due.

    With a silent Redis only a process goes on that has worked on a pass before, so that not all of them begin one.
    """
    try:
        known = standing()
    except CacheSilent:
        return
    now = _now()
    known = known or Standing(at=now)
    if known.under_way is None and not _is_due(known.last, now):
        return
    # Kept before the first look, so that it is known how long a pass has been trying in vain.
    _keep(known := replace(known, at=now, under_way=known.under_way or UnderWay(started_at=now)))
    until = time.monotonic() + SLICE_SECONDS
    while known.under_way is not None:
        _keep(known := _with_chunk(known, known.under_way))
        if time.monotonic() >= until:
            return


def standing() -> Standing | None:
    """The newest that this process or the cache knows; None when there is nothing, or nothing that can be read.

    Raises `CacheSilent` when Redis does not answer and this process knows nothing by itself.
    """
    own: Standing | None = current_app.extensions.get(OWN)
    try:
        kept = _read(cache().last_beat(STANDING))
    except CacheSilent:
        if own is None:
            raise
        return own
    return max((each for each in (own, kept) if each is not None), key=lambda each: each.at, default=None)


def _keep(known: Standing) -> None:
    current_app.extensions[OWN] = known
    cache().remember_beat(STANDING, asdict(known, dict_factory=_as_facts))


def _as_facts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in pairs}


def _read(facts: Any) -> Standing | None:
    """None for anything but what `_keep` wrote: the next round writes over it."""
    try:
        under_way, last = facts["under_way"], facts["last"]
        return Standing(
            at=beats.moment(facts["at"]),
            under_way=UnderWay(after=beats.count(under_way["after"]), **_common(under_way)) if under_way else None,
            last=Finished(finished_at=beats.moment(last["finished_at"]), **_common(last)) if last else None,
        )
    except beats.NOT_OURS:
        return None


def _common(facts: Any) -> dict[str, Any]:
    return {
        "started_at": beats.moment(facts["started_at"]),
        "items": beats.count(facts["items"]),
        "rules": {rule: beats.count(number) for rule, number in facts["rules"].items()},
    }


def _is_due(last: Finished | None, now: datetime) -> bool:
    every = timedelta(seconds=settings().audit_interval_seconds)
    # A pass of the future was never made: the clock was set back, or somebody else wrote it down.
    return bool(every) and (last is None or not timedelta(0) <= now - last.started_at < every)


def _with_chunk(known: Standing, running: UnderWay) -> Standing:
    """What is known after the next chunk of the pass, which may be its last."""
    report = audit.check(after=running.after, limit=audit.CHUNK)
    _tell(report.findings)
    items = running.items + report.items
    rules = dict(Counter(running.rules) + Counter(finding.rule for finding in report.findings))
    now = _now()
    if report.next_after is None:
        return Standing(at=now, last=Finished(running.started_at, now, items, rules))
    return replace(known, at=now, under_way=UnderWay(running.started_at, report.next_after, items, rules))


def _now() -> datetime:
    """The database's time, and no transaction left open, which the server would end during a slow check."""
    now = clock.now()
    db.session.rollback()
    return now


def _tell(findings: list[audit.Finding]) -> None:
    for finding in findings[:LOGGED_FINDINGS]:
        facts = {"rule": finding.rule, "facts": finding.facts}
        log.error("the audit found numbers that do not follow from the ledger", extra=facts)
