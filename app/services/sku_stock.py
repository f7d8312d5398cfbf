"""Where the catalogue touches the stock: a SKU that opens with units, and one that may go because it has none.

A deleted SKU's inventory items are archived with it, on the same locks: who brings units in or holds some at that
moment either comes first, and the SKU stays, or is told that the item is archived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from app.errors import DomainError, SkuInUse
from app.models.locations import DEFAULT
from app.models.stock import Stock
from app.repositories import locations
from app.services import inventory_items
from app.services.inventory_items import BulkRefused, Create
from app.services.stock import Book

NAMED_IN_REFUSAL = 10


def open_at_start(rows: Iterable[dict[str, Any]]) -> None:
    """An inventory item for every row with `opening_stock`, 0 too, at its `location`; for the others none."""
    creates = [
        Create(product_id=row["sku_code"], location=row.get("location", DEFAULT), quantity=row["opening_stock"])
        for row in rows
        if row.get("opening_stock") is not None
    ]
    if not creates:
        return
    try:
        inventory_items.bulk(creates, atomic=True)
    except BulkRefused as refusal:
        error: DomainError = refusal.facts["refused"]
        error.facts["sku_code"] = creates[refusal.facts["index"]].product_id
        raise error from None


def retire(codes: Collection[str]) -> datetime:
    """Archive all that is left of these in the stock, which is nothing, and answer when.

    Decided on locked items. Holds that have run out are expired first; raises `SkuInUse` when units remain.
    """
    book = Book.open([(code, None) for code in codes])
    stocks = [stock for code in codes for stock in book.places(code, None) if stock.archived_at is None]
    while held := [stock for stock in stocks if stock.quantity or stock.reserved_quantity]:
        if not book.make_room(held):
            raise _in_use(held)
    for stock in stocks:
        stock.archive(book.now)
    book.write()
    return book.now


def revive(archived: Iterable[tuple[str, datetime]]) -> None:
    """Open again what `retire` archived at that moment, but for items of locations that were closed since."""
    moments = dict(archived)
    book = Book.open([(code, None) for code in moments])
    stocks = [
        stock for code, moment in moments.items() for stock in book.places(code, None) if stock.archived_at == moment
    ]
    there = locations.ids_of({stock.location for stock in stocks}, keep_open=True) if stocks else {}
    for stock in stocks:
        if stock.location in there:
            stock.reopen()
    book.write()


def _in_use(held: Sequence[Stock]) -> SkuInUse:
    codes = sorted({stock.product_id for stock in held})
    return SkuInUse(
        f"{codes[0]}{f' and {len(codes) - 1} more' if codes[1:] else ''} still with stock or live reservations",
        sku_codes=codes[:NAMED_IN_REFUSAL],
        quantity=sum(stock.quantity for stock in held),
        reserved_quantity=sum(stock.reserved_quantity for stock in held),
        locations=sorted({stock.location for stock in held})[:NAMED_IN_REFUSAL],
    )
