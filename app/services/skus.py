"""SKUs: put on sale, priced, given a barcode, taken off sale while nothing of them is left, and brought back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from app.errors import AlreadyExists, InvalidBarcode, ParentDeleted, UnknownProduct
from app.models import barcodes
from app.models.skus import PriceChange, Sku
from app.repositories import products, skus
from app.services import catalogue, sku_stock
from app.services.versions import require_current
from app.utils import clock, context
from app.utils.transactions import transactional

PRICE = ("price", "currency")


@transactional
def create(values: dict[str, Any]) -> Sku:
    """`catalog_product_id`, `sku_code`, `price`, and of `currency`, `unit`, `barcode`, `attributes` what there is.

    `opening_stock` at `location`, also of 0, makes the inventory item too. Raises `AlreadyExists` for a code or
    a barcode that is taken; a deleted SKU keeps its code and gives its barcode away.
    """
    product_id = values["catalog_product_id"]
    if not products.keep_open(product_id):
        raise UnknownProduct(
            f"no product {product_id}",
            catalog_product_id=product_id,
            errors={"catalog_product_id": ["There is no such product."]},
        )
    return add_to(product_id, [values])[0]


def add_to(product_id: int, rows: Sequence[dict[str, Any]]) -> list[Sku]:
    """All of these for a product that stays open, or none. An error's `sku_code` says which it is about."""
    numbers = {row["sku_code"]: _number(row["sku_code"], row.get("barcode")) for row in rows}
    _require_free([row["sku_code"] for row in rows], numbers)
    now = clock.now()
    made = [
        Sku(
            catalog_product_id=product_id,
            sku_code=row["sku_code"],
            price=row["price"],
            currency=row.get("currency", "USD"),
            unit=row.get("unit", "each").strip(),
            barcode=row.get("barcode"),
            gtin=numbers[row["sku_code"]],
            attributes=row.get("attributes", {}),
            created_at=now,
            updated_at=now,
        )
        for row in rows
    ]
    skus.add(made)
    skus.add_prices([_price_change(sku, {}, {}, now) for sku in made])
    sku_stock.open_at_start(rows)
    catalogue.changed(numbers)
    return made


@transactional
def update(sku_code: str, values: dict[str, Any], *, version: int | None, versions: frozenset[int] | None) -> Sku:
    """Change `price`, `currency`, `unit`, `barcode`, `attributes` where given; another price is kept in the history.

    What is as it was is not written, and the version stays.
    """
    sku = _live(skus.lock(sku_code), sku_code)
    require_current(sku, version=version, versions=versions, sku_code=sku_code)
    if "unit" in values:
        values = values | {"unit": values["unit"].strip()}
    changes = catalogue.differing(sku, values)
    if not changes:
        return sku
    if "barcode" in changes:
        changes["gtin"] = _number(sku_code, changes["barcode"])
        _require_free([], {sku_code: changes["gtin"]})
    now = clock.now()
    if changes.keys() & set(PRICE):
        skus.add_prices([_price_change(sku, {name: getattr(sku, name) for name in PRICE}, changes, now)])
    skus.save(sku, **changes, updated_at=now)
    catalogue.changed([sku_code])
    return skus.get(sku_code)


@transactional
def delete(sku_code: str, *, versions: frozenset[int] | None = None) -> Sku:
    """Take it off sale; its empty inventory items are archived. Raises `SkuInUse` while units or holds remain."""
    sku = _live(skus.lock(sku_code), sku_code)
    require_current(sku, version=None, versions=versions, required=False, sku_code=sku_code)
    close([sku])
    return skus.get(sku_code)


def close(rows: Sequence[Sku]) -> datetime:
    """Delete these locked SKUs, all or none, and answer the moment that they have in common."""
    codes = [sku.sku_code for sku in rows]
    now = sku_stock.retire(codes)
    skus.set_archived(rows, archived_at=now, gtins={}, now=now)
    catalogue.changed(codes)
    return now


@transactional
def restore(sku_code: str, *, versions: frozenset[int] | None = None) -> Sku:
    """Put it on sale again, with the inventory items that were archived with it. Of a live one nothing changes.

    Raises `AlreadyExists` when its barcode was taken meanwhile, `ParentDeleted` while its product is deleted.
    """
    product_id = skus.get(sku_code).catalog_product_id
    is_open = products.keep_open(product_id)
    sku = skus.lock(sku_code)
    if sku is None:
        raise skus.not_found(sku_code)
    require_current(sku, version=None, versions=versions, required=False, sku_code=sku_code)
    if sku.archived_at is None:
        return sku
    if not is_open:
        raise ParentDeleted(f"its product {product_id} is deleted", catalog_product_id=product_id)
    reopen([sku])
    return skus.get(sku_code)


def reopen(rows: Sequence[Sku]) -> None:
    """Restore these locked, deleted SKUs, all or none."""
    numbers = {sku.sku_code: _number(sku.sku_code, sku.barcode) for sku in rows}
    _require_free([], numbers)
    closed = [(sku.sku_code, sku.archived_at) for sku in rows if sku.archived_at is not None]
    skus.set_archived(rows, archived_at=None, gtins=numbers, now=clock.now())
    sku_stock.revive(closed)
    catalogue.changed(numbers)


def _live(sku: Sku | None, sku_code: str) -> Sku:
    if sku is None:
        raise skus.not_found(sku_code)
    if sku.archived_at is not None:
        raise skus.not_found(sku_code, deleted=True)
    return sku


def _number(sku_code: str, barcode: str | None) -> str | None:
    if barcode is None:
        return None
    try:
        return barcodes.read(barcode).gtin14
    except InvalidBarcode as error:
        error.facts["sku_code"] = sku_code
        raise


def _require_free(codes: Collection[str], numbers: dict[str, str | None]) -> None:
    """Raises `AlreadyExists` when a code is taken, or a number by another SKU, be it one that comes with them.

    Somebody else may take one right after this; the unique keys see to that, and then this is run again.
    """
    wanted = {number for number in numbers.values() if number is not None}
    found = skus.taken(codes=codes, gtins=wanted)
    deleted = {row.sku_code: row.deleted for row in found}
    owners = {row.gtin: row.sku_code for row in found if row.gtin is not None}
    for code in codes:
        if code in deleted:
            raise AlreadyExists(f"SKU {code} exists", sku_code=code, deleted=deleted[code])
        deleted[code] = False
    for code, number in numbers.items():
        if number is not None and owners.setdefault(number, code) != code:
            raise AlreadyExists(f"SKU {owners[number]} has this barcode", sku_code=owners[number], gtin=number)


def _price_change(sku: Sku, old: dict[str, Any], changes: dict[str, Any], now: datetime) -> PriceChange:
    return PriceChange(
        sku_id=sku.id,
        old_price=old.get("price"),
        old_currency=old.get("currency"),
        new_price=changes.get("price", sku.price),
        new_currency=changes.get("currency", sku.currency),
        actor=context.actor(),
        request_id=context.request_id(),
        created_at=now,
    )
