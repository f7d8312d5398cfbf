"""Locations: looked up by code, changed under the version they were read at."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import CursorResult, select, update

from app.errors import LocationNotFound, LostRace
from app.extensions import db
from app.models.locations import Location
from app.repositories import pages
from app.utils.paging import PageRequest

columns = Location.__table__.c


def find(code: str) -> Location | None:
    return db.session.execute(select(Location).where(Location.code == code)).scalar_one_or_none()


def find_many(codes: Collection[str]) -> dict[str, Location]:
    """Those that exist, deleted ones too, by code."""
    found = db.session.execute(select(Location).where(columns.code.in_(sorted(codes)))).scalars()
    return {location.code: location for location in found}


def get(code: str) -> Location:
    location = find(code)
    if location is None:
        raise LocationNotFound(f"no location {code}", location=code)
    return location


def ids_of(codes: Collection[str], *, keep_open: bool = False) -> dict[str, int]:
    """Ids by code of the locations that exist and are not archived.

    With `keep_open` they cannot be closed before the transaction ends: stock is about to be put there.
    """
    statement = select(columns.code, columns.id).where(columns.code.in_(codes), columns.archived_at.is_(None))
    if keep_open:
        statement = statement.order_by(columns.id).with_for_update(read=True)
    return {code: location_id for code, location_id in db.session.execute(statement)}


def lock(code: str) -> Location:
    """The location, locked against stock being put there until the transaction ends."""
    statement = select(Location).where(Location.code == code).with_for_update()
    location = db.session.execute(statement.execution_options(populate_existing=True)).scalar_one_or_none()
    if location is None:
        raise LocationNotFound(f"no location {code}", location=code)
    return location


def page(include_deleted: bool, asked: PageRequest) -> pages.Page:
    statement = select(*columns)
    if not include_deleted:
        statement = statement.where(columns.archived_at.is_(None))
    order = [pages.Sort(columns.priority, "priority"), pages.Sort(columns.code, "code")]
    return pages.fetch(statement, order, asked, filters=("locations", include_deleted))


def add(location: Location) -> None:
    db.session.add(location)
    # The unique code is checked by the insert, and the caller must hear of a duplicate here.
    db.session.flush()


def save(location_id: int, seen_version: int, **values: Any) -> None:
    """Raises `LostRace` when the location changed since `seen_version`."""
    statement = update(Location.__table__).where(columns.id == location_id, columns.version == seen_version)
    result: CursorResult[Any] = db.session.execute(statement.values(version=seen_version + 1, **values))  # type: ignore[assignment]
    if result.rowcount != 1:
        raise LostRace(f"location {location_id} changed under version {seen_version}")
    db.session.expire_all()
