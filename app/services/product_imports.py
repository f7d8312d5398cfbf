"""Brings in products with their SKUs: what a row says is compared with what is stored, and only differences written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

from app.errors import Invalid
from app.models.category_forest import Key
from app.models.imported import Origin, ProductRow, Tally
from app.repositories import inventory_items as item_rows
from app.repositories import products as product_rows
from app.repositories import skus as sku_rows
from app.services import catalogue, inventory_items, products, skus
from app.services.category_places import Places
from app.services.import_rows import attempt, refuse
from app.services.inventory_items import Create
from app.utils import clock
from app.utils.transactions import transactional

NEEDED = ("name", "price")


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored: a SKU, None for one that is new, and its product, None for one that comes with it."""

    sku: Any
    product: Any


class ProductImport:
    """Opening stock goes to `location`, and nowhere without one.

    Several rows can be SKUs of one product: the first of them decides what the product is.
    """

    def __init__(self, rows: Sequence[ProductRow], ids: Mapping[Key, int], *, location: str | None) -> None:
        # The first SKU of a product before its variants, which name it.
        self.rows = sorted(rows, key=lambda row: row.variant_of is not None)
        self.tally = Tally()
        self._location = location
        self._places = Places(ids)
        self._described: dict[int, Origin] = {}

    def bring_in(self, rows: Sequence[ProductRow]) -> None:
        """These in one transaction; those before them are through."""
        tally, described = self._bring_in(rows)
        self.tally.add(tally)
        self._described |= described

    @transactional
    def _bring_in(self, rows: Sequence[ProductRow]) -> tuple[Tally, dict[int, Origin]]:
        chunk = _Chunk(self._places, dict(self._described))
        for part in (
            [row for row in rows if row.variant_of is None],
            [row for row in rows if row.variant_of is not None],
        ):
            known = _stored(part)
            # Upwards by id, as everybody locks products; new ones come last.
            for row in sorted(part, key=lambda row: _lock_order(known[row.code])):
                chunk.take(row, known[row.code])
        if self._location is not None:
            chunk.open_stock(self._location)
        return chunk.tally, chunk.described


@dataclass(frozen=True, slots=True)
class _Work:
    """The calls that make it as a row says, and what they change of a product that is there."""

    calls: list[Callable[[], object]]
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Chunk:
    places: Places
    described: dict[int, Origin]
    tally: Tally = field(default_factory=Tally)
    good: list[ProductRow] = field(default_factory=list)

    def take(self, row: ProductRow, known: _Known) -> None:
        try:
            work = self._work(row, known)
        except Invalid as error:
            refuse(row, self.tally, error)
            return
        if not work.calls:
            self.tally.unchanged += 1
        elif not attempt(row, self.tally, lambda: [call() for call in work.calls]):
            return
        elif known.sku is None:
            self.tally.created += 1
        else:
            self.tally.changed += 1
        if work.changes:  # the next row of this product is compared with what is stored by then
            vars(known.product).update(work.changes, version=known.product.version + 1)
        self.good.append(row)

    def _work(self, row: ProductRow, known: _Known) -> _Work:
        """Raises `Invalid` when it cannot be as the row says."""
        _require_possible(row, known)
        category = self.places.of(row, getattr(known.product, "category_id", None), self.tally)
        values = row.product | category
        if known.product is None:
            return _Work([partial(self._create, row, values)])
        product = known.product
        work = _Work([], _differing(product, values))
        if work.changes:
            if product.id in self.described:
                said = " and ".join(work.changes)
                raise Invalid(f"{self.described[product.id]} says another {said} of the same product")
            work.calls.append(
                partial(products.update, product.id, work.changes, version=product.version, versions=None)
            )
        self.described.setdefault(product.id, row.origin)
        if known.sku is None:
            work.calls.append(partial(skus.create, row.sku | {"sku_code": row.code, "catalog_product_id": product.id}))
        elif changes := _differing(known.sku, row.sku):
            work.calls.append(partial(skus.update, row.code, changes, version=known.sku.version, versions=None))
        return work

    def _create(self, row: ProductRow, values: dict[str, Any]) -> None:
        product = products.create(values | {"skus": [row.sku | {"sku_code": row.code}]})
        self.described[product.id] = row.origin

    def open_stock(self, location: str) -> None:
        """New items open with the stock of their rows; one that is there, archived or not, stays as it is."""
        missing = {row.code: row for row in self.good if row.stock is not None}
        for code in _kept_at(location, missing):
            del missing[code]
        creates = [Create(product_id=code, location=location, quantity=row.stock or 0) for code, row in missing.items()]
        for outcome in inventory_items.bulk(creates) if creates else ():
            if outcome.error is not None:
                refuse(missing[outcome.operation.product_id], self.tally, f"its stock: {outcome.error}")
            elif isinstance(outcome.operation, Create):
                self.tally.opened_items += 1
                self.tally.opened_units += outcome.operation.quantity


def _stored(rows: Sequence[ProductRow]) -> dict[str, _Known]:
    """What is known of each row's code, copied: a write makes the session read everything anew."""
    found = sku_rows.find_many({row.code for row in rows} | {row.variant_of for row in rows if row.variant_of})
    copies = {
        code: SimpleNamespace(**{column.name: getattr(sku, column.name) for column in sku_rows.columns})
        for code, sku in found.items()
    }
    views = product_rows.views({sku.catalog_product_id for sku in copies.values()})
    by_id = {view["id"]: SimpleNamespace(**view) for view in views}
    known = {}
    for row in rows:
        sku = copies.get(row.code)
        main = sku or copies.get(row.variant_of or "")
        known[row.code] = _Known(sku, by_id[main.catalog_product_id] if main else None)
    return known


def _require_possible(row: ProductRow, known: _Known) -> None:
    for record, what in ((known.product, "its product"), (known.sku, "the SKU")):
        if record is not None and record.archived_at is not None:
            raise Invalid(f"{what} is deleted; restore it first")
    if row.variant_of and known.product is None:
        raise Invalid(f"there is no SKU {row.variant_of} to be a variant of")
    if row.variant_of and known.sku and row.variant_of not in {sku.sku_code for sku in known.product.skus}:
        raise Invalid(f"it is a SKU of another product than {row.variant_of}")
    needed = [name for name in NEEDED if name not in row.product | row.sku]
    if known.product is None and needed:
        raise Invalid(f"a new product needs a {' and a '.join(needed)}")
    if known.sku is None and "price" in needed:
        raise Invalid("a new SKU needs a price")


def _differing(record: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that are not named stay."""
    merged = {"attributes": record.attributes | values["attributes"]} if "attributes" in values else {}
    return catalogue.differing(record, {**values, **merged})


def _lock_order(known: _Known) -> tuple[bool, int]:
    return known.product is None, 0 if known.product is None else known.product.id


def _kept_at(location: str, codes: Collection[str]) -> set[str]:
    live = {item.product_id for item in item_rows.find_many(codes, clock.now(), location)}
    # Locked, because the answer decides what is opened; an item that is live needs no decision.
    archived = item_rows.lock((code, location) for code in set(codes) - live)
    return live | {item.product_id for item in archived}
