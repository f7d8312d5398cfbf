"""SKUs: the sellable units of a product. A SKU's code is the `product_id` of the stock core."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import BigId, Money, UTCDateTime, byte_string


class Sku(db.Model):  # type: ignore[name-defined]
    """`barcode` is what was given; `gtin` is the same number with 14 digits, nothing while there is none or when
    the SKU is deleted, so that the barcode can be given to another one.
    """

    __tablename__ = "skus"
    __table_args__ = (
        Index("uq_skus_sku_code", "sku_code", unique=True),
        Index("uq_skus_gtin", "gtin", unique=True),
        Index("ix_skus_catalog_product_id", "catalog_product_id"),
        Index("ix_skus_price", "price"),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("price >= 0", name="price"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    catalog_product_id: Mapped[int] = mapped_column(BigId, ForeignKey("products.id"))
    sku_code: Mapped[str] = mapped_column(byte_string(64))
    price: Mapped[Decimal] = mapped_column(Money)
    currency: Mapped[str] = mapped_column(String(3), default="USD")
    unit: Mapped[str] = mapped_column(String(32), default="each")
    barcode: Mapped[str | None] = mapped_column(byte_string(14))
    gtin: Mapped[str | None] = mapped_column(byte_string(14))
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    version: Mapped[int] = mapped_column(default=1)
    archived_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)


class PriceChange(db.Model):  # type: ignore[name-defined]
    """What a SKU cost until then, who changed it and to what. The first one has no former price."""

    __tablename__ = "price_changes"
    __table_args__ = (Index("ix_price_changes_sku_id_id", "sku_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sku_id: Mapped[int] = mapped_column(BigId, ForeignKey("skus.id"))
    old_price: Mapped[Decimal | None] = mapped_column(Money)
    old_currency: Mapped[str | None] = mapped_column(String(3))
    new_price: Mapped[Decimal] = mapped_column(Money)
    new_currency: Mapped[str] = mapped_column(String(3))
    actor: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
