"""Brings in what the files of a catalogue say: row by row it is new, changed, as it was, or refused.

Everything is compared with what is stored first, so importing the same again writes nothing. Each chunk is one
transaction; an import that breaks off is finished by running it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from app.models.imported import Content, ProductRow, Tally
from app.repositories import skus
from app.services import store_imports
from app.services.category_imports import CategoryImport
from app.services.product_imports import ProductImport

T = TypeVar("T")


class Chunks(Protocol):
    """Divides rows into the pieces that are one transaction each; `label` says what they are."""

    def __call__(self, rows: Sequence[T], /, *, label: str) -> Iterator[Sequence[T]]: ...


@dataclass(slots=True)
class Report:
    stores: Tally
    categories: Tally
    products: Tally

    def tallies(self) -> tuple[Tally, ...]:
        return self.stores, self.categories, self.products


def run(content: Content, chunks: Chunks, *, location: str | None) -> Report:
    """Stores, then categories, those that only products name among them, then products.

    `location` is where the stock of new items is put; without one it is read past.
    """
    stores = Tally()
    for rows in chunks(content.stores, label="stores"):
        stores.add(store_imports.bring_in(rows))
    tree = CategoryImport(content)
    for actions in chunks(tree.actions, label="categories"):
        tree.bring_in(actions)
    goods = ProductImport(tree.products, tree.ids, location=location)
    for products in chunks(goods.rows, label="products"):
        goods.bring_in(products)
    return Report(stores, tree.tally, goods.tally)


def missing(rows: Sequence[ProductRow]) -> list[ProductRow]:
    """Those whose code no SKU has or had."""
    known = skus.find_many({row.code for row in rows})
    return [row for row in rows if row.code not in known]
