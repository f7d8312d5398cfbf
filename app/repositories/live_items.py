"""Inventory items as a reader must see them: what lapsed holds still occupy is available, swept or not."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Select, case, func, select

from app.models.inventory_items import InventoryItem, StockStatus
from app.models.locations import Location
from app.models.reservations import Reservation, Status
from app.models.types import total

items, places = InventoryItem.__table__.c, Location.__table__.c


class LiveItems:
    """The numbers at one moment, as expressions over `statement`."""

    def __init__(self, now: datetime) -> None:
        holds = Reservation.__table__.c
        self._lapsed = (
            select(holds.inventory_item_id, total(holds.quantity).label("units"))
            .where(holds.status == Status.ACTIVE, holds.expires_at <= now)
            .group_by(holds.inventory_item_id)
            .subquery("lapsed")
        )
        self.lapsed = func.coalesce(self._lapsed.c.units, 0)
        self.reserved = items.reserved_quantity - self.lapsed
        self.available = items.quantity - self.reserved
        self.is_low = self.available <= items.minimum_stock_level
        self.is_out = self.available == 0
        self.status = case(
            (self.is_out, StockStatus.OUT_OF_STOCK.value),
            (self.is_low, StockStatus.LOW_STOCK.value),
            else_=StockStatus.IN_STOCK.value,
        )

    def statement(self) -> Select[tuple[object, ...]]:
        return (
            select(
                items.id, items.product_id, items.location_id, places.code.label("location"), items.quantity,
                self.reserved.label("reserved_quantity"), self.available.label("available_quantity"),
                items.minimum_stock_level, items.maximum_stock_level, items.version,
                items.archived_at, items.created_at, items.updated_at, self.lapsed.label("lapsed"),
            )
            # Every item has a location. Told so by an inner join, MariaDB begins there and sorts all items.
            .outerjoin_from(InventoryItem.__table__, Location.__table__, items.location_id == places.id)
            .outerjoin(self._lapsed, self._lapsed.c.inventory_item_id == items.id)
        )  # fmt: skip


def is_at(location: str) -> ColumnElement[bool]:
    at: ColumnElement[bool] = items.location_id == select(places.id).where(places.code == location).scalar_subquery()
    return at


def code_contains(text: str) -> ColumnElement[bool]:
    # Not LIKE: whether that minds the case differs between engines.
    contains: ColumnElement[bool] = func.instr(func.lower(items.product_id), func.lower(text)) > 0
    return contains
