"""A progress bar over pieces of a long list."""

import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

import click

T = TypeVar("T")


def in_chunks(rows: Sequence[T], *, size: int, label: str) -> Iterator[Sequence[T]]:
    if not rows:
        return
    with click.progressbar(length=len(rows), label=label, file=sys.stderr) as bar:
        for start in range(0, len(rows), size):
            chunk = rows[start : start + size]
            yield chunk
            bar.update(len(chunk))
