"""Where a product of an import belongs: the category that its path, or a category's name alone, stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import Invalid
from app.models.categories import name_key
from app.models.category_forest import Key, Path, keys_on
from app.models.imported import ProductRow, Remark, Tally
from app.repositories import categories


class Places:
    """The tree as it is once the categories are through. `ids` says which category each key of the import is."""

    def __init__(self, ids: Mapping[Key, int]) -> None:
        self._ids = ids
        self._rows = {row.id: row for row in categories.every() if not row.deleted}
        self._named: dict[str, list[int]] = {}
        for row in self._rows.values():
            self._named.setdefault(name_key(row.name), []).append(row.id)

    def of(self, row: ProductRow, current: int | None, tally: Tally) -> dict[str, Any]:
        """`category_id`, or nothing when the row says none. Raises `Invalid` when it is not there or unclear."""
        if row.leaf is not None:
            return {"category_id": self._by_name(row.leaf, current)}
        if row.path is None:
            return {}
        if row.path == ():
            return {"category_id": None}
        if current is not None and self._is_called(current, row.path):
            return {"category_id": current}
        line = [self._ids.get(key) for key in keys_on(row.path)]
        found = line[-1]
        if found not in self._rows:
            raise Invalid("its category was refused")
        above = self._line(found)
        if above != line:
            names = " > ".join(self._rows[each].name for each in above)
            tally.remarks.append(Remark("elsewhere", row.origin, row.code, names))
        return {"category_id": found}

    def _is_called(self, category_id: int, path: Path) -> bool:
        """Whether a path of names alone can mean the category; an id behind a name tells siblings apart, no more."""
        line = [self._rows[each] for each in self._line(category_id)]
        bare = [name_key(each.name.removesuffix(f" ({each.external_id})")) for each in line]
        return [(None, name) for name in bare] == [(step.external_id, name_key(step.name or "")) for step in path]

    def _by_name(self, name: str, current: int | None) -> int:
        """The one it is in if that has the name, else the one at the top, else the only one."""
        there = self._named.get(name_key(name), [])
        if current in there:
            return current
        at_top = [each for each in there if self._rows[each].parent_id is None]
        if len(there) > 1 and not at_top:
            raise Invalid(f"{len(there)} categories are called {name!r}; say which with category_path")
        if not there:
            raise Invalid(f"there is no category {name!r}")
        return (at_top or there)[0]

    def _line(self, category_id: int | None) -> list[int]:
        line: list[int] = []
        while category_id is not None:
            line.insert(0, category_id)
            category_id = self._rows[category_id].parent_id
        return line
