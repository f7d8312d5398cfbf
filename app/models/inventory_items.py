"""The stock of one product at one location, as stored."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import BigId, UTCDateTime, byte_string
from config import MAX_QUANTITY

# Paths below /inventory/ that are calls of their own, so no product may be called that.
RESERVED_WORDS = frozenset(
    {"low-stock", "summary", "search", "barcode", "categories", "units", "bulk", "availability", "products"}
)


class StockStatus(StrEnum):
    """What a shopper is told: none available, as few as the minimum or fewer, or more."""

    IN_STOCK = "in_stock"
    LOW_STOCK = "low_stock"
    OUT_OF_STOCK = "out_of_stock"


class InventoryItem(db.Model):  # type: ignore[name-defined]
    """One row per product and location. `app.models.stock.Stock` holds the rules it lives by."""

    __tablename__ = "inventory_items"
    __table_args__ = (
        Index("uq_inventory_items_product_id_location_id", "product_id", "location_id", unique=True),
        Index("ix_inventory_items_location_id_product_id", "location_id", "product_id"),
        CheckConstraint("reserved_quantity >= 0 AND reserved_quantity <= quantity", name="reserved_within_quantity"),
        CheckConstraint(f"quantity <= {MAX_QUANTITY}", name="quantity_limit"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    product_id: Mapped[str] = mapped_column(byte_string(64))
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    quantity: Mapped[int] = mapped_column(BigInteger, default=0)
    reserved_quantity: Mapped[int] = mapped_column(BigInteger, default=0)
    minimum_stock_level: Mapped[int] = mapped_column(BigInteger, default=0)
    maximum_stock_level: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    archived_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)
