"""What the files of a catalogue say, row by row, once they are read: values without a database."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields
from typing import Any

# What a file says that was repaired, decided or only noticed, in the words of the report.
REMARKS = {
    "outer_spaces": "spaces around a text, taken off",
    "html": "HTML entities, written as the characters they stand for",
    "mojibake": "text in a wrong character set, repaired",
    "lost_characters": "text with a lost character (¿ or \ufffd), kept: nobody can tell which it was",
    "barcode_zeros": "barcode without its leading zeros, put back",
    "zip_zero": "ZIP code without its leading zero, put back",
    "zip_plus_4": "ZIP+4 code, kept whole",
    "zip_odd": "ZIP code that is none of the United States, kept",
    "more_columns": "columns without a meaning of their own, kept as attributes",
    "nameless": "category without a name, named after its id",
    "same_name": "category with the name of another one beside it, its id added to the name",
    "several_parents": "category below several parents, placed where its own path says or below the first",
    "only_mentioned": "category that others name as parent or child and no row describes, made as they say",
    "unknown_category": "category that only a product names, made where the product's path says",
    "elsewhere": "product whose path leads elsewhere than its category's, kept in the category",
    "adopted": "category of the same name at the same place, recognised and given its id",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was said: the file, and the line or row in it."""

    file: str
    place: str

    def __str__(self) -> str:
        return f"{self.file}, {self.place}"


@dataclass(frozen=True, slots=True)
class Remark:
    """One of `REMARKS` about the record `id`; `detail` is what it is about, where that helps."""

    kind: str
    origin: Origin
    id: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BadRow:
    origin: Origin
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """A category on a path: by id, by name, or both."""

    external_id: str | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRow:
    """A category's own row. `path` leads from the top to itself; () when the row does not say.

    `attributes` are those that the row says; others stay.
    """

    origin: Origin
    external_id: str | None
    name: str | None
    path: tuple[Step, ...] = ()
    children: tuple[Step, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One category hangs below another one, which may not be the only one it hangs below."""

    origin: Origin
    parent: str
    child: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRow:
    """One thing for sale. Only what the row says is in `product` (name, description, attributes) and in `sku`
    (price, currency, unit, barcode, attributes).

    `path` None says nothing of the category and () that there is none; `leaf` is a category's name alone.
    `variant_of` is the code of another SKU of the same product.
    """

    origin: Origin
    code: str
    product: dict[str, Any] = field(default_factory=dict)
    sku: dict[str, Any] = field(default_factory=dict)
    path: tuple[Step, ...] | None = None
    leaf: str | None = None
    stock: int | None = None
    variant_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRow:
    """A location: only what the row says is in `values` (name, address, attributes)."""

    origin: Origin
    code: str
    values: dict[str, Any]


@dataclass(slots=True)
class Content:
    """All that the files of one import say; `bad` has the rows that cannot be read, by kind.

    `first` is where each record was said, by kind and what it is known by: a second row about it is refused.
    """

    categories: list[CategoryRow] = field(default_factory=list)
    links: list[LinkRow] = field(default_factory=list)
    products: list[ProductRow] = field(default_factory=list)
    stores: list[StoreRow] = field(default_factory=list)
    bad: dict[str, list[BadRow]] = field(default_factory=lambda: defaultdict(list))
    remarks: list[Remark] = field(default_factory=list)
    first: dict[tuple[str, object], Origin] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """What became of rows, and the units that new inventory items opened with."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    opened_items: int = 0
    opened_units: int = 0
    refused: list[BadRow] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
