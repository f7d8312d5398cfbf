"""What a client asks of a list: a numbered page, or the rows after a cursor."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageRequest:
    page: int = 1
    per_page: int = 20
    cursor: str | None = None
