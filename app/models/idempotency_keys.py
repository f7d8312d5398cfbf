"""What was answered under an idempotency key, kept in the transaction of the effect it stands for."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import BigId, Bytes, UTCDateTime, byte_string


class IdempotencyKey(db.Model):  # type: ignore[name-defined]
    """One row per caller, key and call. `status` is null only inside the transaction that is making the effect."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("uq_idempotency_keys_scope", "principal", "idempotency_key", "method", "path", unique=True),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    principal: Mapped[str] = mapped_column(byte_string(64))
    idempotency_key: Mapped[str] = mapped_column(byte_string(255))
    method: Mapped[str] = mapped_column(String(8))
    path: Mapped[str] = mapped_column(byte_string(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None] = mapped_column(BigInteger)
    headers: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    body: Mapped[bytes | None] = mapped_column(Bytes)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
