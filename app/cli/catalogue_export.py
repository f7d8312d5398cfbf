"""Writes products and categories as tables that the import takes back without a change."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from app.cli.catalogue_paths import SEPARATOR
from app.cli.catalogue_text import would_change
from app.cli.tables import FORMULA_STARTS
from app.repositories import categories as category_rows
from app.repositories import inventory_items as item_rows
from app.repositories import products as product_rows
from app.repositories import skus as sku_rows
from app.utils import clock
from app.utils.paging import PageRequest

PRODUCT_COLUMNS = (
    "id", "variant_of", "name", "description", "price", "currency", "unit", "category", "category_path",
    "category_ids", "barcode", "manufacturer", "stock", "attributes", "sku_attributes", "verbatim",
)  # fmt: skip
CATEGORY_COLUMNS = ("id", "name", "path", "path_ids", "attributes", "verbatim")
# What reads as a formula, and what the import would take for one that is marked as text already.
FORMULA = re.compile(f"'*[{re.escape(''.join(FORMULA_STARTS))}]")
PAGE = 1_000
Row = dict[str, Any]


class _Tree:
    def __init__(self) -> None:
        self.rows = {row.id: row for row in category_rows.every() if not row.deleted}
        self.children: dict[int | None, list[Any]] = {}
        for row in self.rows.values():
            self.children.setdefault(row.parent_id, []).append(row)

    def line(self, category_id: int | None) -> list[Any]:
        """The categories from the top down to this one."""
        line: list[Any] = []
        while category_id is not None:
            line.insert(0, self.rows[category_id])
            category_id = line[0].parent_id
        return line


# ── Rows ─────────────────────────────────────────────────────────────────────────────────────────


def products(location: str) -> Iterator[Row]:
    """Every live SKU by code, with its product and its units on hand there; `stock` is None where it has no item."""
    tree, cursor = _Tree(), None
    while True:
        asked = PageRequest(per_page=PAGE, cursor=cursor)
        page = sku_rows.page(asked, catalog_product_id=None, include_deleted=False)
        views = {view["id"]: view for view in product_rows.views({sku.catalog_product_id for sku in page.rows})}
        items = item_rows.find_many({sku.sku_code for sku in page.rows}, clock.now(), location) if page.rows else ()
        units = {item.product_id: item.quantity for item in items}
        for sku in page.rows:
            yield _product(sku, views[sku.catalog_product_id], tree, units.get(sku.sku_code))
        cursor = page.meta["next_cursor"]
        if cursor is None:
            return


def _product(sku: Any, product: Row, tree: _Tree, units: int | None) -> Row:
    line = tree.line(product["category_id"])
    names = [category.name for category in line]
    attributes = dict(product["attributes"])
    # Of another type it stays among the attributes, where types are kept.
    manufacturer = attributes.pop("manufacturer") if isinstance(attributes.get("manufacturer"), str) else None
    first = product["skus"][0].sku_code
    return {
        "id": sku.sku_code,
        "variant_of": None if first == sku.sku_code else first,
        "name": product["name"],
        "description": product["description"],
        "price": f"{sku.price:.2f}",
        "currency": sku.currency,
        "unit": sku.unit,
        "category": names[-1] if names else None,
        "category_path": names,
        "category_ids": _ids(line),
        "barcode": sku.barcode,
        "manufacturer": manufacturer,
        "stock": units,
        "attributes": attributes,
        "sku_attributes": sku.attributes,
        "verbatim": would_change([product["name"], product["description"], manufacturer, names]),
    }


def categories_for_json() -> Iterator[Row]:
    tree = _Tree()
    for line in _lines(tree):
        yield {
            "id": line[-1].external_id,
            "name": line[-1].name,
            "path": [{"id": each.external_id, "name": each.name} for each in line],
            "subCategories": [
                {"id": each.external_id, "name": each.name} for each in tree.children.get(line[-1].id, ())
            ],
            "attributes": line[-1].attributes,
            "verbatim": would_change([each.name for each in (*line, *tree.children.get(line[-1].id, ()))]),
        }


def categories_for_csv() -> Iterator[Row]:
    for line in _lines(_Tree()):
        names = [each.name for each in line]
        yield {
            "id": line[-1].external_id,
            "name": names[-1],
            "path": names,
            "path_ids": _ids(line),
            "attributes": line[-1].attributes,
            "verbatim": would_change(names),
        }


def _lines(tree: _Tree) -> Iterator[list[Any]]:
    """The line to every category, parents before children."""
    waiting = [[row] for row in tree.children.get(None, ())]
    while waiting:
        yield from waiting
        waiting = [[*line, child] for line in waiting for child in tree.children.get(line[-1].id, ())]


def _ids(line: list[Any]) -> list[str | None]:
    """The external ids from the top down, nothing when none of them has one."""
    ids = [category.external_id for category in line]
    return ids if any(ids) else []


# ── Files ────────────────────────────────────────────────────────────────────────────────────────


def write_csv(rows: Iterable[Row], columns: tuple[str, ...], out: IO[str]) -> int:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([_cell(row[name]) for name in columns])
        count += 1
    return count


def write_json(rows: Iterable[Row], _columns: tuple[str, ...], out: IO[str]) -> int:
    """One object per line, so that a line number in a complaint means something."""
    count = 0
    out.write("[")
    for row in rows:
        said = {name: value for name, value in row.items() if name != "verbatim" or value}
        out.write(f"{',' if count else ''}\n{json.dumps(said, ensure_ascii=False)}")
        count += 1
    out.write("\n]\n")
    return count


WRITERS: dict[str, Callable[[Iterable[Row], tuple[str, ...], IO[str]], int]] = {"csv": write_csv, "json": write_json}
CATEGORY_ROWS: dict[str, Callable[[], Iterable[Row]]] = {"csv": categories_for_csv, "json": categories_for_json}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, list):
        value = _levels(value)
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _levels(names: list[str | None]) -> str:
    if any(SEPARATOR in (name or "") for name in names) or (names and (names[0] or "").startswith("[")):
        return json.dumps(names, ensure_ascii=False)
    return f" {SEPARATOR} ".join(name or "" for name in names)
