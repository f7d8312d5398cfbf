"""One row of an import: what it writes is kept or undone alone, and a refusal is told with the row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.errors import DomainError
from app.models.imported import BadRow, Origin, Tally
from app.utils.transactions import refusable


class Row(Protocol):
    @property
    def origin(self) -> Origin: ...

    @property
    def code(self) -> str: ...


def attempt(row: Row, tally: Tally, work: Callable[[], object]) -> bool:
    """Whether `work` was done; what refused it is noted."""
    try:
        with refusable():
            work()
    except DomainError as error:
        refuse(row, tally, error)
        return False
    return True


def refuse(row: Row, tally: Tally, reason: object) -> None:
    tally.refused.append(BadRow(row.origin, row.code, str(reason)))
