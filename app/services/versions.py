"""Optimistic locking of what people edit: a change names the version it was decided on."""

from __future__ import annotations

from typing import Any, Protocol

from app.errors import VersionConflict, VersionMismatch, VersionRequired


class Versioned(Protocol):
    version: Any


def require_current(
    record: Versioned, *, version: int | None, versions: frozenset[int] | None, required: bool = True, **facts: Any
) -> None:
    """Raises unless the change was decided on what the record is now.

    `versions` are those that If-Match names (`VersionMismatch`), `version` is the body's (`VersionConflict`). With
    neither, `VersionRequired`, unless nothing is `required`. `facts` say which record it is.
    """
    facts |= {"version": record.version}
    if version is None and versions is None and required:
        raise VersionRequired("send If-Match or version, so that no change is overwritten unseen", **facts)
    if versions is not None and record.version not in versions:
        raise VersionMismatch(f"the record is at version {record.version}", **facts)
    if version is not None and version != record.version:
        raise VersionConflict(f"the record is at version {record.version}", **facts)
