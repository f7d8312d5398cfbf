"""How many units can be promised, for one product or for the lines of a basket. Read only: a hint, not a promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from app.models.allocation import Line
from app.repositories import inventory_items, reservations
from app.utils import clock


def check(lines: Sequence[Line]) -> dict[str, Any]:
    """Whether all lines together could be promised, and one answer per line, in order.

    Lines for the same product and location are judged by their sum; all lines of a product, wherever they want
    it from, must fit into what there is of it.
    """
    now = clock.now()
    rows: dict[str, list[Any]] = {}
    for row in inventory_items.find_many({line.product_id for line in lines}, now):
        rows.setdefault(row.product_id, []).append(row)
    totals: Counter[tuple[str, str | None]] = Counter()
    for line in lines:
        totals[line.product_id, line.location] += line.quantity
    answers = {
        (product_id, location): _answer(product_id, location, total, rows.get(product_id, []), now)
        for (product_id, location), total in totals.items()
    }
    items = [answers[line.product_id, line.location] | {"quantity": line.quantity} for line in lines]
    return {"available": all(item["available"] for item in items) and _fit(lines, rows), "items": items}


def of(line: Line) -> dict[str, Any]:
    """The answer to one line. Raises `InventoryItemNotFound` for a product that never was there."""
    if not inventory_items.find(line.product_id, line.location, clock.now()):
        raise inventory_items.not_found(line.product_id, line.location)
    [answer] = check([line])["items"]
    return answer  # type: ignore[no-any-return]


def _fit(lines: Sequence[Line], rows: dict[str, list[Any]]) -> bool:
    wanted: Counter[str] = Counter()
    for line in lines:
        wanted[line.product_id] += line.quantity
    return all(
        units <= sum(row.available_quantity for row in rows.get(product_id, [])) for product_id, units in wanted.items()
    )


def _answer(product_id: str, location: str | None, wanted: int, rows: list[Any], now: Any) -> dict[str, Any]:
    rows = [row for row in rows if location in (None, row.location)]
    available = sum(row.available_quantity for row in rows)
    soonest, units = reservations.next_release([row.id for row in rows], now) if rows else (None, 0)
    return {
        "product_id": product_id,
        "location": location,
        "available": available >= wanted,
        "available_quantity": available,
        "shortage": max(0, wanted - available),
        "single_location": any(row.available_quantity >= wanted for row in rows),
        "next_release_at": soonest,
        "next_release_quantity": units,
    }
