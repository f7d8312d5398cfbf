"""Brings in stores: each becomes a location, or changes the one that has its code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from app.models.imported import StoreRow, Tally
from app.models.locations import Location
from app.repositories import locations as location_rows
from app.services import catalogue, locations
from app.services.import_rows import attempt, refuse
from app.utils.transactions import transactional


@transactional
def bring_in(rows: Sequence[StoreRow]) -> Tally:
    """These in one transaction. What a row does not say stays as it is."""
    known = location_rows.find_many({row.code for row in rows})
    # Decided before anything is written: a write makes the session read every location anew.
    changes = [(row, _changes(row, known.get(row.code))) for row in rows]
    versions = {code: location.version for code, location in known.items()}
    tally = Tally()
    for row, change in changes:
        if isinstance(change, str):
            refuse(row, tally, change)
        elif row.code not in versions:
            tally.created += attempt(row, tally, partial(locations.create, {"code": row.code} | change))
        elif change:
            work = partial(locations.update, row.code, change, version=versions[row.code], versions=None)
            tally.changed += attempt(row, tally, work)
        else:
            tally.unchanged += 1
    return tally


def _changes(row: StoreRow, location: Location | None) -> dict[str, Any] | str:
    """What the row writes, or why it cannot."""
    if location is None:
        return row.values if "name" in row.values else "a new store needs a name"
    if location.archived_at is not None:
        return f"location {location.code} is deleted; restore it first"
    merged = {
        name: getattr(location, name) | row.values[name] for name in ("address", "attributes") if name in row.values
    }
    return catalogue.differing(location, row.values | merged)
