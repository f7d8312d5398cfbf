"""API keys: who may call, and what for. The key itself is never stored, only its hash."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import UTCDateTime, byte_string


class Permission(StrEnum):
    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    CATALOG_WRITE = "catalog:write"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    ADMIN = "admin"


class ApiKey(db.Model):  # type: ignore[name-defined]
    """`name` is the actor its changes are written under. Two keys may share it while one replaces the other."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("uq_api_keys_secret_hash", "secret_hash", unique=True), Index("ix_api_keys_name", "name"))

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(byte_string(64))
    prefix: Mapped[str] = mapped_column(String(16))
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    def is_valid(self, now: datetime) -> bool:
        return self.expires_at is None or self.expires_at > now
