"""What every change of the catalogue has in common: what it changes at all, and what it tells the cache.

Names and prices are in lookups of the stock as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from app.extensions import cache
from app.services.stock import STOCK, item_tag
from app.utils.cache import EVERYTHING
from app.utils.transactions import after_commit

# Under this tag lists and trees of the catalogue are cached.
CATALOGUE = "catalogue"


def changed(sku_codes: Iterable[str] = ()) -> None:
    """Forget the lists, and the lookups of these codes, once the change is committed."""
    tags = {CATALOGUE, STOCK, *map(item_tag, sku_codes)}
    after_commit(lambda: cache().forget(tags))


def renamed() -> None:
    """Forget everything: a category's name is in the lookups of all that is below it."""
    after_commit(lambda: cache().forget({EVERYTHING}))


def differing(record: object, values: dict[str, Any]) -> dict[str, Any]:
    """Those of `values` that the record does not have yet: a change that changes nothing is not written."""
    return {name: value for name, value in values.items() if not _is_same(getattr(record, name), value)}


def _is_same(stored: Any, given: Any) -> bool:
    # As JSON is written: to Python 1, 1.0 and true are equal.
    if isinstance(stored, dict):
        return json.dumps(stored, sort_keys=True) == json.dumps(given, sort_keys=True)
    return bool(stored == given)
