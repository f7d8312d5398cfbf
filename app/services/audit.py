"""Check everything that must always be true of the stock; report it, and only when asked repair what can be repaired.

The tests, the command line, the metric and the endpoint all call `check`. A repair never contradicts the
ledger: it writes a compensating row and brings the counters to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from app.extensions import cache, settings
from app.models.stock import Cause, Movement
from app.models.stock_movements import MovementType
from app.repositories import audit, inventory_items, reservations, stock_movements
from app.services.stock import STOCK, item_tag
from app.utils import clock
from app.utils.transactions import after_commit, transactional

CHUNK = 500
RULES = ("counters", "ledger_chain", "reservation_story")
GRACE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be: which rule, of which item or reservation, with the numbers."""

    rule: str
    inventory_item_id: int | None
    facts: dict[str, Any]


@dataclass(slots=True)
class Report:
    """`next_after` is where a bounded check goes on; None when it saw everything."""

    items: int = 0
    findings: list[Finding] = field(default_factory=list)
    next_after: int | None = None

    @property
    def clean(self) -> bool:
        return not self.findings


def check(*, after: int = 0, limit: int | None = None) -> Report:
    """All invariants of the items after id `after`, at most `limit` of them; each chunk seen at one moment."""
    report = Report()
    while limit is None or report.items < limit:
        size = CHUNK if limit is None else min(CHUNK, limit - report.items)
        with audit.snapshot() as connection:
            ids = audit.item_ids(connection, after=after, limit=size)
            if ids:
                report.findings += _findings(connection, ids[0], ids[-1])
        report.items += len(ids)
        after = ids[-1] if ids else after
        if len(ids) < size:
            report.next_after = None
            return report
        report.next_after = after
    return report


def overdue() -> list[Finding]:
    """The sweep's promise, which is about time: no overdue row stays active longer than its period and five seconds.

    Apart from `check`, because it says nothing is wrong with the numbers, only that nobody sweeps.
    """
    now = clock.now()
    oldest = reservations.oldest_overdue(now)
    if oldest is None or now - oldest <= timedelta(seconds=settings().expiry_interval_seconds) + GRACE:
        return []
    return [Finding("sweep_lag", None, {"overdue_since": oldest, "seconds": (now - oldest).total_seconds()})]


def _findings(connection: Any, first: int, last: int) -> Iterator[Finding]:
    for row in audit.counters(connection, first, last):
        yield Finding("counters", row.id, dict(row._mapping))
    for row in audit.broken_links(connection, first, last):
        yield Finding("ledger_chain", row.inventory_item_id, dict(row._mapping))
    for row in audit.unfinished_holds(connection, first, last):
        yield Finding("reservation_story", row.inventory_item_id, dict(row._mapping))


@transactional
def repair(finding: Finding, *, dry_run: bool = False) -> dict[str, Any] | None:
    """Bring an item's counters to what ledger and holds say, with one compensating row that tells the story.

    The ledger is the evidence for units on hand, the active reservations are for units reserved. Answers
    what was (or would be) written, None when the item is in order by now or its ledger itself is broken.
    """
    if finding.rule != "counters" or finding.inventory_item_id is None:
        return None
    locked = inventory_items.lock_ids([finding.inventory_item_id])
    found = audit.counters(audit.in_transaction(), finding.inventory_item_id, finding.inventory_item_id)
    if not found or not locked or found[0].held > found[0].ledger_quantity:
        return None
    if audit.broken_links(audit.in_transaction(), finding.inventory_item_id, finding.inventory_item_id):
        return None  # a ledger with a hole is no evidence
    [row], [stock], now = found, locked, clock.now()
    counted, ledger = f"{row.quantity}/{row.reserved_quantity}", f"{row.ledger_quantity}/{row.ledger_reserved}"
    reason = f"audit: counters said {counted}, ledger {ledger}, holds {row.held}"
    movement = Movement(
        row.id, row.ledger_sequence + 1, MovementType.ADJUSTMENT, 0, row.held - row.ledger_reserved,
        row.ledger_quantity, row.held, Cause(reason=reason),
    )  # fmt: skip
    if not dry_run:
        inventory_items.overwrite(stock, movement, now)
        stock_movements.append([movement], now)
        after_commit(partial(cache().forget, {item_tag(stock.product_id), STOCK}))
    return {"product_id": stock.product_id, "location": stock.location, "reason": reason,
            "reserved_change": movement.reserved_change, "quantity_after": movement.quantity_after,
            "reserved_after": movement.reserved_after}  # fmt: skip
