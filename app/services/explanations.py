"""Why the number is what it is: a product's stock over its locations, now, then, and as a sum in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.errors import InvalidQuery
from app.models.reservations import Hold
from app.repositories import denied_demand, inventory_items, reservations, stock_movements
from app.services import product_details
from app.utils import clock

LISTED_HOLDS, LISTED_MOVEMENTS = 100, 20
DENIED_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A product's live numbers, how long they stay true, and whether only a version can change them.

    `settled` is False while overdue holds wait for the sweep: the numbers have moved on, the version has not.
    Without details from a product service that failed there is no ETag, since they will come back without a version.
    """

    view: dict[str, Any]
    etag: str | None
    settled: bool
    seconds: float | None


def snapshot(product_id: str, location: str | None) -> Snapshot:
    """Raises `InventoryItemNotFound` for a product without any row; one that is archived everywhere still answers."""
    details, kept = product_details.find(product_id)
    now = clock.now()
    found = _found(product_id, location, now)
    rows = _open(found)
    soonest, _ = reservations.next_release([row.id for row in rows], now)
    view = _totals(product_id, rows) | {
        "is_low_stock": any(row.available_quantity <= row.minimum_stock_level for row in rows),
        "next_release_at": soonest,
        "archived": all(row.archived_at is not None for row in rows),
        "locations": rows,
        "product": details,
    }
    lives = [(soonest - now) / timedelta(seconds=1)] if soonest else []
    lives += [] if kept else [product_details.RETRY_SECONDS]
    # A deleted SKU took its details with it and left its items archived.
    settled = not any(row.lapsed or row.archived_at for row in rows)
    return Snapshot(view, etag(found, details) if kept else None, settled, min(lives, default=None))


def etag(found: Sequence[Any], details: object) -> str:
    """The version. Over several locations their sum and number, which is no version of any one of them.

    Archived rows count as well: without them an old sum could come back. Details, a price for example, change
    without a version; so that they are told apart, a fingerprint of them follows behind a hyphen.
    """
    versions = sum(row.version for row in found)
    numbers = str(versions) if len(found) == 1 else f"{versions}.{len(found)}"
    if details is None:
        return numbers
    written = json.dumps(details, sort_keys=True).encode()
    return f"{numbers}-{hashlib.sha256(written).hexdigest()[:12]}"


def as_of(product_id: str, location: str | None, moment: datetime) -> dict[str, Any]:
    """What the ledger says there was at `moment`; nothing for locations that had no movement yet."""
    now = clock.now()
    if moment > now:
        raise InvalidQuery("as_of lies in the future", errors={"as_of": ["Must not lie in the future."]})
    _found(product_id, location, now)
    balances = [
        {
            "location": row.location,
            "quantity": row.quantity_after,
            "reserved_quantity": row.reserved_after,
            "available_quantity": row.quantity_after - row.reserved_after,
            "sequence": row.sequence,
            "changed_at": row.created_at,
        }
        for row in stock_movements.balances_at(product_id, location, moment)
    ]
    totals = {
        name: sum(row[name] for row in balances) for name in ("quantity", "reserved_quantity", "available_quantity")
    }
    return {"product_id": product_id, "as_of": moment, "locations": balances} | totals


def explain(product_id: str, location: str | None) -> dict[str, Any]:
    now = clock.now()
    rows = _open(_found(product_id, location, now))
    holds = reservations.live([row.id for row in rows], now, limit=LISTED_HOLDS)
    denied = denied_demand.since(now - DENIED_WINDOW, product_id=product_id, location=location)
    totals = _totals(product_id, rows)
    return totals | {
        "text": _in_words(totals, holds, sum(row.lapsed for row in rows), denied),
        "locations": rows,
        "reservations": holds,
        "movements": stock_movements.newest(product_id, location, limit=LISTED_MOVEMENTS),
        "denied": denied,
    }


def _found(product_id: str, location: str | None, now: datetime) -> Sequence[Any]:
    found = inventory_items.find(product_id, location, now)
    if not found:
        raise inventory_items.not_found(product_id, location)
    return found


def _open(found: Sequence[Any]) -> Sequence[Any]:
    """Open rows; the archived ones only when there are no others."""
    return [row for row in found if row.archived_at is None] or found


def _totals(product_id: str, rows: Sequence[Any]) -> dict[str, Any]:
    return {
        "product_id": product_id,
        "quantity": sum(row.quantity for row in rows),
        "reserved_quantity": sum(row.reserved_quantity for row in rows),
        "available_quantity": sum(row.available_quantity for row in rows),
    }


def _in_words(totals: dict[str, Any], holds: list[Hold], lapsed: int, denied: Sequence[Any]) -> str:
    """For example: 50 on hand - 5 held by 2 live reservations (3 for order o-1 until …, …) = 45 available."""
    told = ", ".join(
        f"{hold.quantity} for order {hold.order_id} until {clock.written(hold.expires_at)}" for hold in holds[:5]
    )
    more = f", and {len(holds) - 5} more" if len(holds) > 5 else ""
    many = f"{len(holds)}{'+' if len(holds) == LISTED_HOLDS else ''}"
    by = f" by {many} live reservation{'' if len(holds) == 1 else 's'} ({told}{more})" if holds else ""
    text = (
        f"{totals['quantity']} on hand - {totals['reserved_quantity']} held{by}"
        f" = {totals['available_quantity']} available."
    )
    if lapsed:
        text += f" {lapsed} held by reservations that have run out count as available already."
    if denied:
        text += f" In the last 24 hours {sum(row.units for row in denied)} units were asked for in vain."
    return text
