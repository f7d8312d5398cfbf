"""What there is in all and what it is worth: the sums over every location and every category."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.repositories import stock_totals

SUMMED = ("items", *stock_totals.SUMMED)


def totals(location: str | None, now: datetime) -> dict[str, Any]:
    """Over all open items, or those of one location: `SUMMED`, `products` and `value`; `locations`, `by_category`.

    A value is a list of one amount per currency. Items without a price count in everything but the value, and those
    in no category have an entry of their own, so that the entries add up to the whole.
    """
    rows = stock_totals.sums(location, now)
    at_places = [row for row in rows if row.location is not None]
    places = _grouped(at_places, "location")
    kinds = _grouped((row for row in rows if row.location is None), "category_id", "category_name")
    return _sum(at_places) | {
        "products": rows[0].products if rows else 0,
        "locations": sorted(places, key=lambda place: str(place["location"])),
        "by_category": sorted(kinds, key=_by_name),
    }


def _grouped(rows: Iterable[Any], *keys: str) -> list[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in rows:
        groups[tuple(getattr(row, key) for key in keys)].append(row)
    return [dict(zip(keys, values, strict=True)) | _sum(group) for values, group in groups.items()]


def _sum(rows: Iterable[Any]) -> dict[str, Any]:
    """The sums of rows of one currency each."""
    sums: dict[str, Any] = dict.fromkeys(SUMMED, 0)
    value: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        for name in SUMMED:
            sums[name] += getattr(row, name)
        if row.currency is not None:
            value[row.currency] += row.value
    return sums | {"value": [{"currency": currency, "amount": value[currency]} for currency in sorted(value)]}


def _by_name(kind: dict[str, Any]) -> tuple[bool, str, int]:
    """By name, and the items in no category at the end."""
    category_id = kind["category_id"]
    return category_id is None, (kind["category_name"] or "").casefold(), category_id or 0
