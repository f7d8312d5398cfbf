"""A refusal informs: when units may come back, and how often that was asked in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from app.errors import DomainError, InsufficientStock, UnknownLocation
from app.repositories import denied_demand, inventory_items, reservations
from app.utils import clock
from app.utils.transactions import after_commit, after_refusal, transactional

P = ParamSpec("P")
R = TypeVar("R")


def informed(use_case: Callable[P, R]) -> Callable[P, R]:
    """Let `InsufficientStock` leave `use_case` with the time and number of the next release."""

    @wraps(use_case)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return use_case(*args, **kwargs)
        except InsufficientStock as refusal:
            inform([refusal])
            raise

    return run


def inform(errors: Iterable[DomainError | None]) -> None:
    """Add to every `InsufficientStock` among these when units come back next, and how many."""
    for error in errors:
        if isinstance(error, InsufficientStock):
            for facts in [error.facts, *error.facts.get("shortages", [])]:
                _add_next_release(facts)


def count_when_refused(shortages: Iterable[InsufficientStock]) -> None:
    """Count these as denied demand once the refused unit of work is rolled back."""
    after_refusal(partial(_record, [dict(error.facts) for error in shortages]))


def count_when_committed(shortages: Sequence[InsufficientStock]) -> None:
    """Count what a partial answer left out, once it is committed."""
    if shortages:
        after_commit(partial(_record, [dict(error.facts) for error in shortages]))


@transactional
def _record(shortages: list[dict[str, Any]]) -> None:
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    for facts in shortages:
        denied_demand.add(facts["product_id"], facts["location"] or "", hour, facts["requested"])


def _add_next_release(facts: dict[str, Any]) -> None:
    now = clock.now()
    ids = [row.id for row in inventory_items.find(facts["product_id"], facts["location"], now)]
    if ids:
        facts["next_release_at"], facts["next_release_quantity"] = reservations.next_release(ids, now)
    if facts["next_release_at"] is not None:
        facts["retry_after_seconds"] = max(1, -(-(facts["next_release_at"] - now) // timedelta(seconds=1)))


def unknown_location(code: str, *, field: str = "location") -> UnknownLocation:
    """The refusal of a body that names a place nobody has opened."""
    return UnknownLocation(f"no location {code}", location=code, errors={field: ["No such location."]})
