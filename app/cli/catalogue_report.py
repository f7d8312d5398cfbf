"""What an import says at its end: in sentences for people, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import click

from app.models.imported import REMARKS, BadRow, Content, Remark, Tally
from app.services.catalogue_imports import Report

EXAMPLES, LONGEST_EXAMPLE = 3, 70
PARTS = ("stores", "categories", "products")
# What a file holds, and with what of the report its bad rows are counted.
COUNTED_WITH = {"stores": "stores", "categories": "categories", "links": "categories", "products": "products"}


@dataclass(frozen=True, slots=True)
class Account:
    """All there is to say. `files` are names with their kinds and numbers of rows."""

    files: list[tuple[str, str, int]]
    content: Content
    report: Report
    dry_run: bool

    def tally(self, part: str) -> Tally:
        tally: Tally = getattr(self.report, part)
        return tally

    def refused(self, part: str) -> list[BadRow]:
        unread = [row for kind, rows in self.content.bad.items() if COUNTED_WITH[kind] == part for row in rows]
        return unread + self.tally(part).refused

    def all_refused(self) -> list[BadRow]:
        return [row for part in PARTS for row in self.refused(part)]

    def remarks(self) -> list[Remark]:
        return self.content.remarks + [remark for part in PARTS for remark in self.tally(part).remarks]


def tell(account: Account) -> None:
    for row in account.all_refused():
        click.echo(f"{row.origin}: {f'{row.id}: ' if row.id else ''}{row.reason}", err=True)
    for name, kind, rows in account.files:
        click.echo(f"{name}: {rows:,} rows of {kind}")
    would = "would be " if account.dry_run else ""
    for part in PARTS:
        tally, refused = account.tally(part), account.refused(part)
        if tally.created or tally.changed or tally.unchanged or refused:
            numbers = f"{tally.created:,} created, {tally.changed:,} changed, {tally.unchanged:,} unchanged"
            click.echo(f"{part}: {would}{numbers}, {len(refused):,} refused")
    opened = account.report.products
    if opened.opened_items:
        click.echo(f"stock: {would}{opened.opened_items:,} items opened with {opened.opened_units:,} units")
    _tell_remarks(account.remarks())
    if account.dry_run:
        click.echo("dry run, nothing was changed")


def _tell_remarks(remarks: Iterable[Remark]) -> None:
    by_kind: dict[str, list[Remark]] = {}
    for remark in remarks:
        by_kind.setdefault(remark.kind, []).append(remark)
    if by_kind:
        click.echo("repaired or decided (--json lists every one):")
    for kind in [kind for kind in REMARKS if kind in by_kind]:
        shown = [shorten(f"{each.id} {each.detail}", LONGEST_EXAMPLE) for each in by_kind[kind][:EXAMPLES]]
        click.echo(f"  {REMARKS[kind]}: {len(by_kind[kind]):,}, such as {'; '.join(shown)}")


def as_json(account: Account) -> str:
    opened = account.report.products
    value: dict[str, Any] = {
        "dry_run": account.dry_run,
        "files": [{"file": name, "kind": kind, "rows": rows} for name, kind, rows in account.files],
        **{part: _numbers(account, part) for part in PARTS},
        "stock": {"items": opened.opened_items, "units": opened.opened_units},
        "refused": [
            {"file": row.origin.file, "place": row.origin.place, "id": row.id, "reason": row.reason}
            for row in account.all_refused()
        ],
        "repaired": [
            {
                "kind": remark.kind, "meaning": REMARKS[remark.kind], "file": remark.origin.file,
                "place": remark.origin.place, "id": remark.id, "detail": remark.detail,
            }
            for remark in account.remarks()
        ],
    }  # fmt: skip
    return json.dumps(value, ensure_ascii=False, indent=1)


def _numbers(account: Account, part: str) -> dict[str, int]:
    tally = account.tally(part)
    numbers = {name: getattr(tally, name) for name in ("created", "changed", "unchanged")}
    return numbers | {"refused": len(account.refused(part))}
