"""The ledger: what changed on hand and reserved, by how much, to what, why and by whom."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import BigId, UTCDateTime, byte_string


class MovementType(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    ADJUSTMENT = "adjustment"
    TRANSFER = "transfer"
    RETURN = "return"
    DAMAGE = "damage"
    LOSS = "loss"
    RESERVATION = "reservation"
    RELEASE = "release"
    EXPIRY = "expiry"


# Which way a change that a caller asks for may go; an adjustment may go either way.
SIGNS = {
    MovementType.INBOUND: 1,
    MovementType.RETURN: 1,
    MovementType.OUTBOUND: -1,
    MovementType.DAMAGE: -1,
    MovementType.LOSS: -1,
    MovementType.ADJUSTMENT: 0,
}


class StockMovement(db.Model):  # type: ignore[name-defined]
    """One immutable row; triggers refuse UPDATE and DELETE. `sequence` is the item's version after it."""

    __tablename__ = "stock_movements"
    __table_args__ = (
        Index("uq_stock_movements_inventory_item_id_sequence", "inventory_item_id", "sequence", unique=True),
        Index("ix_stock_movements_reservation_id", "reservation_id"),
        Index("ix_stock_movements_reference_id", "reference_id"),
        Index("ix_stock_movements_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    inventory_item_id: Mapped[int] = mapped_column(ForeignKey("inventory_items.id"))
    sequence: Mapped[int] = mapped_column(BigInteger)
    movement_type: Mapped[str] = mapped_column(String(16))
    quantity_change: Mapped[int] = mapped_column(BigInteger)
    reserved_change: Mapped[int] = mapped_column(BigInteger)
    quantity_after: Mapped[int] = mapped_column(BigInteger)
    reserved_after: Mapped[int] = mapped_column(BigInteger)
    reservation_id: Mapped[str | None] = mapped_column(ForeignKey("reservations.id"))
    reference_id: Mapped[str | None] = mapped_column(byte_string(64))
    reason: Mapped[str | None] = mapped_column(String(255))
    actor: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
