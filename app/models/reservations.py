"""A promise of units until `expires_at`: as stored, and the rules of its one-way life."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.errors import AlreadyCancelled, AlreadyConfirmed, HoldTimeExceeded, ReservationExpired
from app.extensions import db
from app.models.types import UTCDateTime, byte_string


class Status(StrEnum):
    ACTIVE = "active"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Reservation(db.Model):  # type: ignore[name-defined]
    __tablename__ = "reservations"
    __table_args__ = (
        Index("ix_reservations_status_expires_at_id", "status", "expires_at", "id"),
        Index("ix_reservations_item_status_expires_at", "inventory_item_id", "status", "expires_at"),
        Index("ix_reservations_order_id", "order_id"),
        Index("ix_reservations_customer_id", "customer_id"),
        Index("ix_reservations_customer_id_status_expires_at", "customer_id", "status", "expires_at"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("status IN ('active', 'confirmed', 'cancelled', 'expired')", name="status"),
    )

    id: Mapped[str] = mapped_column(byte_string(36), primary_key=True)
    inventory_item_id: Mapped[int] = mapped_column(ForeignKey("inventory_items.id"))
    quantity: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[str] = mapped_column(byte_string(64))
    customer_id: Mapped[str] = mapped_column(byte_string(64))
    status: Mapped[str] = mapped_column(String(16), default=Status.ACTIVE)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reacquired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    notes: Mapped[str | None] = mapped_column(String(500))
    cart_id: Mapped[str | None] = mapped_column(byte_string(36))
    extended_seconds: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)


@dataclass(slots=True)
class Hold:
    """A reservation in memory. Its methods change it or refuse; they touch nothing else."""

    id: str
    inventory_item_id: int
    product_id: str
    location: str
    quantity: int
    order_id: str
    customer_id: str
    status: str
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    notes: str | None = None
    confirmed_at: datetime | None = None
    cancelled_at: datetime | None = None
    expired_at: datetime | None = None
    reacquired_at: datetime | None = None
    cart_id: str | None = None
    extended_seconds: int = 0
    seen: tuple[str, int, datetime] = field(init=False)

    def __post_init__(self) -> None:
        # What a guarded write compares: everything that another change would have touched.
        self.seen = (self.status, self.quantity, self.expires_at)

    def is_lapsed(self, now: datetime) -> bool:
        return self.status == Status.ACTIVE and self.expires_at <= now

    def seen_at(self, now: datetime) -> Hold:
        """As a reader must see it: a lapsed hold is expired, whether or not a worker has been by."""
        if self.is_lapsed(now):
            self.status, self.expired_at = Status.EXPIRED, self.expires_at
        return self

    def require_live(self, now: datetime) -> None:
        """Raises the error that tells which end the reservation came to."""
        match self.status:
            case Status.CONFIRMED:
                raise AlreadyConfirmed(f"reservation {self.id} is confirmed", **self._facts())
            case Status.CANCELLED:
                raise AlreadyCancelled(f"reservation {self.id} is cancelled", **self._facts())
        if self.status == Status.EXPIRED or self.is_lapsed(now):
            facts = self._facts() | {"reservation_status": Status.EXPIRED, "expires_at": self.expires_at}
            raise ReservationExpired(
                f"reservation {self.id} has expired; confirm it with on_expired=reacquire to take its units once more",
                **facts,
            )

    def confirm(self, now: datetime, *, quantity: int) -> None:
        self.status, self.confirmed_at, self.quantity, self.updated_at = Status.CONFIRMED, now, quantity, now

    def cancel(self, now: datetime) -> None:
        self.status, self.cancelled_at, self.updated_at = Status.CANCELLED, now, now

    def expire(self, now: datetime) -> None:
        # When its time was over, not when somebody noticed.
        self.status, self.expired_at, self.updated_at = Status.EXPIRED, self.expires_at, now

    def extend(self, now: datetime, *, seconds: int, longest: int) -> None:
        """Let the hold end `seconds` from now, but no later than `longest` seconds after it was made."""
        until, last = now + timedelta(seconds=seconds), self.created_at + timedelta(seconds=longest)
        if until > last:
            raise HoldTimeExceeded(
                f"a hold may last {longest} seconds in all",
                max_total_seconds=longest,
                latest_expires_at=last,
                errors={"ttl_seconds": ["Would let the hold last too long."]},
            )
        self.extended_seconds += max(0, round((until - self.expires_at).total_seconds()))
        self.expires_at, self.updated_at = until, now

    def reacquire(self, now: datetime, *, quantity: int) -> None:
        """Confirm after the end: the units were taken once more, so this is the one late way back."""
        self.reacquired_at = now
        self.confirm(now, quantity=quantity)

    def _facts(self) -> dict[str, object]:
        return {"reservation_id": self.id, "reservation_status": self.status}
