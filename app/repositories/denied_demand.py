"""Refused demand, added up per product, location and hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Row, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.models.denied_demand import DeniedDemand
from app.models.types import total

columns = DeniedDemand.__table__.c


def add(product_id: str, location: str, hour: datetime, units: int) -> None:
    """Count one refusal. Adding to a row that is there is tried first; only an hour's first refusal inserts."""
    if _add_to_row(product_id, location, hour, units):
        return
    row = {"product_id": product_id, "location": location, "hour": hour, "refusals": 1, "units": units}
    try:
        with db.session.begin_nested():
            db.session.execute(insert(DeniedDemand.__table__).values(row))
    except IntegrityError:  # somebody else was the hour's first
        _add_to_row(product_id, location, hour, units)


def since(moment: datetime, *, product_id: str | None = None, location: str | None = None) -> Sequence[Row[Any]]:
    """Refusals per product and location since `moment`, the most wanted first; those for any location always count."""
    statement = select(
        columns.product_id,
        columns.location,
        total(columns.refusals).label("refusals"),
        total(columns.units).label("units"),
    ).where(columns.hour >= moment)
    if product_id is not None:
        statement = statement.where(columns.product_id == product_id)
    if location is not None:
        statement = statement.where(columns.location.in_([location, ""]))
    units = total(columns.units)
    return db.session.execute(
        statement.group_by(columns.product_id, columns.location).order_by(units.desc()).limit(100)
    ).all()


def _add_to_row(product_id: str, location: str, hour: datetime, units: int) -> bool:
    row = and_(columns.product_id == product_id, columns.location == location, columns.hour == hour)
    statement = update(DeniedDemand.__table__).where(row)
    result: CursorResult[Any] = db.session.execute(  # type: ignore[assignment]
        statement.values(refusals=columns.refusals + 1, units=columns.units + units)
    )
    return result.rowcount == 1
