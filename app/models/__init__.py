"""Every table, so that whoever imports this package has the whole schema."""

from app.models.api_keys import ApiKey
from app.models.categories import Category
from app.models.denied_demand import DeniedDemand
from app.models.hold_budgets import HoldBudgetLock
from app.models.idempotency_keys import IdempotencyKey
from app.models.inventory_items import InventoryItem
from app.models.locations import Location
from app.models.products import Product, ProductWords
from app.models.reservations import Reservation
from app.models.skus import PriceChange, Sku
from app.models.stock_movements import StockMovement

__all__ = [
    "ApiKey",
    "Category",
    "DeniedDemand",
    "HoldBudgetLock",
    "IdempotencyKey",
    "InventoryItem",
    "Location",
    "PriceChange",
    "Product",
    "ProductWords",
    "Reservation",
    "Sku",
    "StockMovement",
]
