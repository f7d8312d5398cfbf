"""Open, change and close the places that hold stock."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import IntegrityError

from app.errors import (
    AlreadyExists,
    LocationInUse,
    LocationNotFound,
)
from app.extensions import cache
from app.models.locations import DEFAULT, Location
from app.repositories import inventory_items, locations
from app.services.stock import STOCK
from app.services.versions import require_current
from app.utils import clock
from app.utils.cache import EVERYTHING
from app.utils.transactions import after_commit, transactional


@transactional
def create(values: dict[str, Any]) -> Location:
    """Raises `AlreadyExists`, also for the code of a deleted location, which can be restored."""
    now = clock.now()
    existing = locations.find(values["code"])
    if existing is not None:
        raise AlreadyExists(
            f"location {existing.code} exists",
            location=existing.code,
            deleted=existing.archived_at is not None,
        )
    location = Location(**values, created_at=now, updated_at=now)
    try:
        locations.add(location)
    except IntegrityError:
        raise AlreadyExists(f"location {values['code']} exists", location=values["code"]) from None
    _forget()
    return location


@transactional
def update(code: str, values: dict[str, Any], *, version: int | None, versions: frozenset[int] | None) -> Location:
    """Change a location under the version it was read at: `versions` from If-Match or `version` from the body."""
    location = _current(code, version=version, versions=versions)
    locations.save(location.id, location.version, **values, updated_at=clock.now())
    if "priority" in values:  # products list their locations in that order, so every lookup may have changed
        after_commit(lambda: cache().forget({EVERYTHING}))
    _forget()
    return locations.get(code)


@transactional
def delete(code: str) -> Location:
    """Close a location that holds no inventory. It keeps its history and can be restored."""
    location = _open(locations.lock(code))
    if code == DEFAULT or inventory_items.is_location_used(location.id):
        raise LocationInUse(f"location {code} still holds inventory or is the default one", location=code)
    now = clock.now()
    locations.save(location.id, location.version, archived_at=now, updated_at=now)
    _forget()
    return locations.get(code)


@transactional
def restore(code: str) -> Location:
    location = locations.get(code)
    if location.archived_at is not None:
        locations.save(location.id, location.version, archived_at=None, updated_at=clock.now())
        _forget()
    return locations.get(code)


def _open(location: Location) -> Location:
    if location.archived_at is not None:
        raise LocationNotFound(f"location {location.code} is deleted", location=location.code, deleted=True)
    return location


def _current(code: str, *, version: int | None, versions: frozenset[int] | None) -> Location:
    location = _open(locations.get(code))
    require_current(location, version=version, versions=versions, location=code)
    return location


def _forget() -> None:
    after_commit(lambda: cache().forget({STOCK}))
