"""Demand that could not be met: what was refused, per product, location and hour."""

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import BigId, UTCDateTime, byte_string


class DeniedDemand(db.Model):  # type: ignore[name-defined]
    """`location` is empty when the buyer left the choice of location to us."""

    __tablename__ = "denied_demand"
    __table_args__ = (
        Index("uq_denied_demand_product_id_location_hour", "product_id", "location", "hour", unique=True),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    product_id: Mapped[str] = mapped_column(byte_string(64))
    location: Mapped[str] = mapped_column(byte_string(64), default="")
    hour: Mapped[datetime] = mapped_column(UTCDateTime)
    refusals: Mapped[int] = mapped_column(BigInteger, default=0)
    units: Mapped[int] = mapped_column(BigInteger, default=0)
