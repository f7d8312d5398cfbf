"""Search for shoppers: what is found, as it is shown, with what it is to the one who looks."""

from __future__ import annotations

from typing import Any

from app.repositories import product_search, products
from app.repositories.pages import Page
from app.services import shoppers
from app.services.shoppers import History
from app.utils.paging import PageRequest


def search(q: str, asked: PageRequest, *, category: int | None = None, user_id: str | None = None) -> Page:
    """Views of products, the best first, each flagged when `user_id` has one of its SKUs in the cart or bought one."""
    found = product_search.page(q, asked, category=category)
    views = products.views(found.rows)
    codes = {sku.sku_code for view in views for sku in view["skus"]}
    known = shoppers.history(user_id, codes) if user_id is not None else History()
    return Page([_flagged(view, known) for view in views], found.meta)


def _flagged(view: dict[str, Any], known: History) -> dict[str, Any]:
    codes = {sku.sku_code for sku in view["skus"]}
    return view | {
        "in_cart": not known.in_cart.isdisjoint(codes),
        "previously_purchased": not known.purchased.isdisjoint(codes),
    }
