"""Categories as a file names them: a row of their own, or the path of a product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError
from marshmallow.fields import Field

from app.cli.catalogue_text import cleaned
from app.models.imported import CategoryRow, LinkRow, Origin, Remark, Step
from app.schemas.fields import Document, Reference, Text
from app.utils import strict_json

SEPARATOR = ">"
NAME, ID, DOCUMENT = Text(200), Reference(), Document()
Path = tuple[Step, ...]


@dataclass(slots=True)
class Reading:
    """What is noticed while one row is read. `id` is the record it is about, once that is known."""

    origin: Origin
    verbatim: bool = False
    id: str = ""
    more_columns: dict[str, None] = field(default_factory=dict)
    remarks: dict[tuple[str, str, str], Remark] = field(default_factory=dict)

    def remark(self, kind: str, detail: str, about: str | None = None) -> None:
        record = about or self.id
        self.remarks[kind, record, detail] = Remark(kind, self.origin, record, detail)

    def tidy(self, text: Any, about: str | None = None) -> Any:
        """The text as it was meant, unless the row says that it means what it says."""
        if self.verbatim or not isinstance(text, str):
            return text
        better, kinds = cleaned(text)
        for kind in kinds:
            self.remark(kind, better, about)
        return better


# ── Rows ─────────────────────────────────────────────────────────────────────────────────────────


def category_row(values: Mapping[str, Any], reading: Reading) -> CategoryRow:
    """From JSON, where a path is a list of ids with names, or from CSV with `path` and `path_ids`.

    Raises ValueError with the reason when the row cannot be used.
    """
    external_id = _said(ID, values.get("id"), "id")
    reading.id = external_id or ""
    path = values.get("path") or ()
    if isinstance(path, str) or "path_ids" in values:
        steps = _steps(_levels(path, "path"), _levels(values.get("path_ids") or (), "path_ids"), reading)
    else:
        steps = _documents(path, "path", reading)
    name = _name(values.get("name"), reading) or (steps[-1].name if steps else None)
    if external_id is not None and name is None:
        reading.remark("nameless", "")
    if external_id is None and not (name and steps):
        raise ValueError("a category without an id needs a name and a path")
    if steps and (steps[-1].external_id != external_id or (name and steps[-1].name not in (None, name))):
        raise ValueError("path: Must end with the category itself.")
    children = _documents(values.get("subCategories") or (), "subCategories", reading)
    said = values.get("attributes")
    attributes = _loaded(DOCUMENT, {} if said in (None, "") else document(said), "attributes")
    return CategoryRow(
        origin=reading.origin, external_id=external_id, name=name, path=steps, children=children, attributes=attributes
    )


def link_row(values: Mapping[str, Any], reading: Reading) -> LinkRow:
    reading.id = plain(values.get("child_id"), "child_id").strip()
    parent = _said(ID, plain(values.get("parent_id"), "parent_id").strip(), "parent_id")
    child = _said(ID, reading.id, "child_id")
    if parent is None or child is None:
        raise ValueError("parent_id and child_id must both be there")
    return LinkRow(reading.origin, parent, child)


def path_of(values: Mapping[str, Any], reading: Reading) -> tuple[Path | None, str | None]:
    """The path that a product's row leads to its category by, and the category's name alone where it has no path.

    A path is None when the row says nothing of it, and empty when it says that there is no category.
    """
    said = {name: values[name] for name in ("category", "category_path", "category_ids") if name in values}
    given = {name: value for name, value in said.items() if value not in (None, "", [])}
    if not given:
        return (() if said and None in said.values() else None), None
    category = given.get("category")
    if isinstance(category, list):  # as Best Buy publishes it
        return _documents(category, "category", reading), None
    leaf = _name(category, reading)
    names = _levels(given.get("category_path", ()), "category_path")
    path = _steps(names, _levels(given.get("category_ids", ()), "category_ids"), reading)
    if path and leaf and path[-1].name not in (None, leaf):
        raise ValueError(f"category is {leaf!r} and category_path ends with {path[-1].name!r}")
    return (path, None) if path else (None, leaf)


# ── Parts of them ────────────────────────────────────────────────────────────────────────────────


def _levels(value: Any, column: str) -> list[Any]:
    """The levels from the top down: a list, or text with `>` between them."""
    if isinstance(value, str):
        if value.lstrip().startswith("["):  # a name has the separator in it, so it was written as JSON
            try:
                value = strict_json.parse(value.encode())
            except (strict_json.InvalidJson, UnicodeEncodeError):
                raise ValueError(f"{column}: Is neither names with > between them nor a JSON array.") from None
        else:
            value = [level.strip() or None for level in value.split(SEPARATOR)]
    if not isinstance(value, list | tuple):
        raise ValueError(f"{column}: Must be a list.")
    return list(value)


def _steps(names: list[Any], external_ids: list[Any], reading: Reading) -> Path:
    if names and external_ids and len(names) != len(external_ids):
        raise ValueError(f"category_path has {len(names)} levels and category_ids {len(external_ids)}")
    levels = max(len(names), len(external_ids))
    pairs = zip(external_ids or [None] * levels, names or [None] * levels, strict=True)
    return tuple(_step(external_id, name, reading) for external_id, name in pairs)


def _documents(value: Any, column: str, reading: Reading) -> Path:
    if not isinstance(value, list | tuple) or not all(isinstance(each, dict) for each in value):
        raise ValueError(f"{column}: Must be a list of objects with id and name.")
    return tuple(_step(each.get("id"), each.get("name"), reading) for each in value)


def _step(external_id: Any, name: Any, reading: Reading) -> Step:
    known = _said(ID, external_id, "category id")
    step = Step(known, _name(name, reading, known))
    if step.external_id is None and step.name is None:
        raise ValueError("a category on the path has neither id nor name")
    return step


def _name(value: Any, reading: Reading, external_id: str | None = None) -> str | None:
    return _said(NAME, reading.tidy(value, external_id), "category name")


def _said(shape: Field[Any], value: Any, what: str) -> str | None:
    """The value if there is one. Raises ValueError when it is none that we take."""
    text = plain(value, what)
    return _loaded(shape, text, what) if text else None


def _loaded(shape: Field[Any], value: Any, what: str) -> Any:
    try:
        return shape.deserialize(value)
    except ValidationError as error:
        raise ValueError(f"{what}: {' '.join(map(str, error.messages))}") from None


# ── Values of every kind of row ──────────────────────────────────────────────────────────────────


def plain(value: Any, what: str) -> str:
    """Text, or a whole number written as one; nothing is no text. Raises ValueError for what JSON has besides."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise ValueError(f"{what}: Must be text or a whole number.")


def document(value: Any) -> Any:
    """An object, which a CSV file writes as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return strict_json.parse(value.encode())
    except (strict_json.InvalidJson, UnicodeEncodeError):
        return value  # for the shape to refuse
