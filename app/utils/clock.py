"""The one clock. Decisions use the database's time, read in the transaction they are made in.

Every process then agrees on what has lapsed, whatever its own clock says. On SQLite the database's
clock is this machine's. Tests replace `now`, the one name through which the time is asked for.
"""

from datetime import UTC, datetime

from sqlalchemy import text

from app.extensions import db


def now() -> datetime:
    if db.engine.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = db.session.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
    return moment.replace(tzinfo=UTC)


def written(moment: datetime) -> str:
    """RFC 3339 in UTC, microseconds always there, so that texts sort as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
