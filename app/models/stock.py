"""The rules of stock: what may happen to one item's numbers. Every change leaves one ledger row.

Pure: item state and requests in, new state and ledger rows out. Nothing here reads or writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.errors import BelowReserved, InsufficientStock, ItemArchived, ItemNotEmpty, QuantityLimit
from app.models.stock_movements import MovementType
from config import MAX_QUANTITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a change was made, for the ledger row."""

    reservation_id: str | None = None
    reference_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """A ledger row that is not written yet."""

    inventory_item_id: int
    sequence: int
    movement_type: MovementType
    quantity_change: int
    reserved_change: int
    quantity_after: int
    reserved_after: int
    cause: Cause


@dataclass(slots=True)
class Stock:
    """One inventory item inside a unit of work: locked, changed here, written once."""

    id: int
    product_id: str
    location: str
    location_priority: int
    quantity: int
    reserved_quantity: int
    minimum_stock_level: int
    maximum_stock_level: int | None
    version: int
    archived_at: datetime | None
    seen_version: int = -1
    movements: list[Movement] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen_version = self.version

    @property
    def available(self) -> int:
        """Units nobody was promised. Lapsed holds count as promised until they are expired."""
        return self.quantity - self.reserved_quantity

    def hold(self, units: int, cause: Cause) -> Movement:
        self.require_open()
        self._require_available(units)
        return self._post(MovementType.RESERVATION, 0, units, cause)

    def shrink(self, units: int, cause: Cause) -> Movement:
        """A hold gets smaller but stays: not a `release`, which every ended hold has exactly one of."""
        return self._post(MovementType.RESERVATION, 0, -units, cause)

    def release(self, units: int, cause: Cause) -> Movement:
        return self._post(MovementType.RELEASE, 0, -units, cause)

    def expire(self, units: int, cause: Cause) -> Movement:
        return self._post(MovementType.EXPIRY, 0, -units, cause)

    def take(self, units: int, cause: Cause) -> Movement:
        """Reserved units leave: one row lowers both columns."""
        return self._post(MovementType.OUTBOUND, -units, -units, cause)

    def change(self, movement_type: MovementType, units: int, cause: Cause) -> Movement:
        """Add `units` (negative: take away), never cutting into what is promised."""
        self.require_open()
        if units < 0:
            self._require_available(-units)
        if self.quantity + units > MAX_QUANTITY:
            raise QuantityLimit(
                f"{self.product_id} at {self.location} may hold {MAX_QUANTITY} units",
                product_id=self.product_id, location=self.location, quantity=self.quantity, maximum=MAX_QUANTITY,
            )  # fmt: skip
        return self._post(movement_type, units, 0, cause)

    def count(self, quantity: int, cause: Cause) -> Movement | None:
        """Set the units on hand to a count; no row when it is the same number."""
        self.require_open()
        if quantity < self.reserved_quantity:
            raise BelowReserved(
                f"{self.reserved_quantity} units of {self.product_id} at {self.location} are promised",
                product_id=self.product_id, location=self.location, requested=quantity,
                quantity=self.quantity, reserved_quantity=self.reserved_quantity,
            )  # fmt: skip
        if quantity == self.quantity:
            return None
        return self._post(MovementType.ADJUSTMENT, quantity - self.quantity, 0, cause)

    def set_levels(self, minimum: int, maximum: int | None) -> Movement | None:
        """Change the thresholds; a row of no units, because `version` counts rows and the item did change."""
        self.require_open()
        if (minimum, maximum) == (self.minimum_stock_level, self.maximum_stock_level):
            return None
        self.minimum_stock_level, self.maximum_stock_level = minimum, maximum
        return self._post(MovementType.ADJUSTMENT, 0, 0, Cause(reason="stock levels changed"))

    def archive(self, now: datetime) -> Movement:
        self.require_open()
        if self.quantity or self.reserved_quantity:
            raise ItemNotEmpty(
                f"{self.product_id} at {self.location} still has stock or live reservations",
                product_id=self.product_id, location=self.location,
                quantity=self.quantity, reserved_quantity=self.reserved_quantity,
            )  # fmt: skip
        self.archived_at = now
        return self._post(MovementType.ADJUSTMENT, 0, 0, Cause(reason="archived"))

    def reopen(self) -> Movement:
        self.archived_at = None
        return self._post(MovementType.ADJUSTMENT, 0, 0, Cause(reason="reopened"))

    def require_open(self) -> None:
        if self.archived_at is not None:
            raise ItemArchived(
                f"{self.product_id} at {self.location} is archived",
                product_id=self.product_id, location=self.location, archived_at=self.archived_at,
            )  # fmt: skip

    def _require_available(self, units: int) -> None:
        if units > self.available:
            raise shortage(
                self.product_id, self.location,
                requested=units, available=self.available, reserved=self.reserved_quantity,
            )  # fmt: skip

    def _post(self, kind: MovementType, quantity_change: int, reserved_change: int, cause: Cause) -> Movement:
        self.quantity += quantity_change
        self.reserved_quantity += reserved_change
        self.version += 1
        movement = Movement(
            self.id,
            self.version,
            kind,
            quantity_change,
            reserved_change,
            self.quantity,
            self.reserved_quantity,
            cause,
        )
        self.movements.append(movement)
        return movement


def shortage(
    product_id: str, location: str | None, *, requested: int, available: int, reserved: int
) -> InsufficientStock:
    """The refusal with its facts; when units may come back is looked up by whoever answers."""
    where = f" at {location}" if location else ""
    return InsufficientStock(
        f"{available} of {requested} units of {product_id} available{where}",
        product_id=product_id,
        location=location,
        requested=requested,
        available_quantity=available,
        reserved_quantity=reserved,
        shortage=requested - available,
        next_release_at=None,
        next_release_quantity=0,
    )
