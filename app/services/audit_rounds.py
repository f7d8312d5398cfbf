"""The audit nobody has to ask for: a slice after each sweep until every item was seen, and anew when it is due.

Where a pass stands, and what the last one found, is kept with the cache: lost with it, the next pass starts over.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from app.extensions import cache, settings
from app.services import audit
from app.utils import clock
from app.utils.cache import CacheSilent

log = logging.getLogger(__name__)
STANDING = "audit"
# Housekeeping shares its thread with the sweep, whose promise is a matter of seconds.
SLICE_SECONDS = 1.0
LOGGED_FINDINGS = 10


def go_on() -> None:
    """Check for about a second where the last call stopped; nothing when no pass is due or Redis is silent."""
    try:
        standing = cache().last_beat(STANDING) or {"running": None, "last": None}
    except CacheSilent:
        return
    now = clock.now()
    running = standing["running"] or (_begun(now) if _is_due(standing["last"], now) else None)
    if running is None:
        return
    running = _with_slice(running)
    if running["after"] is None:
        standing = {"running": None, "last": running | {"finished_at": clock.now().isoformat()}}
    else:
        standing = standing | {"running": running}
    cache().remember_beat(STANDING, standing)


def seen() -> dict[str, Any] | None:
    """What is known: the last whole pass, with what a pass under way has found beyond it; None before the first.

    `started_at`, `finished_at` (ISO 8601), `items` checked and `rules`: how many findings by broken rule.
    Raises `CacheSilent` when Redis does not answer.
    """
    standing = cache().last_beat(STANDING)
    if standing is None or standing["last"] is None:
        return None
    last: dict[str, Any] = standing["last"]
    under_way = standing["running"]["rules"] if standing["running"] else {}
    told = {name: last[name] for name in ("started_at", "finished_at", "items")}
    return told | {"rules": dict(Counter(last["rules"]) | Counter(under_way))}


def _begun(now: datetime) -> dict[str, Any]:
    return {"started_at": now.isoformat(), "after": 0, "items": 0, "rules": {}}


def _is_due(last: dict[str, Any] | None, now: datetime) -> bool:
    every = settings().audit_interval_seconds
    if not every:
        return False
    return last is None or now - datetime.fromisoformat(last["started_at"]) >= timedelta(seconds=every)


def _with_slice(running: dict[str, Any]) -> dict[str, Any]:
    """The pass with what the next slice found; its `after` says where to go on, None at its end."""
    until, items, rules = time.monotonic() + SLICE_SECONDS, running["items"], Counter(running["rules"])
    after = running["after"]
    while after is not None:
        report = audit.check(after=after, limit=audit.CHUNK)
        items += report.items
        rules.update(finding.rule for finding in report.findings)
        _tell(report.findings)
        after = report.next_after
        if time.monotonic() >= until:
            break
    return running | {"after": after, "items": items, "rules": dict(rules)}


def _tell(findings: list[audit.Finding]) -> None:
    for finding in findings[:LOGGED_FINDINGS]:
        facts = {"rule": finding.rule, "facts": finding.facts}
        log.error("the audit found numbers that do not follow from the ledger", extra=facts)
