"""A COMMIT that got no answer: what the caller is told when nobody can look what became of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.errors import DatabaseBusy, DatabaseUnavailable, DomainError, InsufficientStock, OutcomeUnknown
from app.repositories.idempotency_keys import Scope
from app.services import idempotency_keys
from app.services.idempotency_keys import Answer

SCOPE = Scope(principal="shop", key="k-1", method="POST", path="/reservations/")
GRANTED = Answer(201, b"{}")


def told(monkeypatch: pytest.MonkeyPatch, *looks: DomainError | Answer) -> Answer:
    """What `once` answers when each look at the database comes to this."""
    left: Iterator[DomainError | Answer] = iter(looks)

    def look(*_: object) -> Answer:
        found = next(left)
        if isinstance(found, DomainError):
            raise found
        return found

    monkeypatch.setattr(idempotency_keys, "_once", look)
    answer = idempotency_keys.once(SCOPE, "fingerprint", lambda: GRANTED)
    assert next(left, None) is None
    return answer


@pytest.mark.parametrize("refusal", [DatabaseUnavailable("gone"), DatabaseBusy("locked")])
def test_an_outcome_that_could_not_be_looked_up_stays_unknown(monkeypatch, refusal):
    with pytest.raises(OutcomeUnknown):
        told(monkeypatch, OutcomeUnknown("broke"), refusal)


def test_a_database_that_was_never_reached_has_changed_nothing(monkeypatch):
    with pytest.raises(DatabaseUnavailable):
        told(monkeypatch, DatabaseUnavailable("gone"))


def test_a_later_look_settles_the_outcome(monkeypatch):
    assert told(monkeypatch, OutcomeUnknown("broke"), OutcomeUnknown("broke"), GRANTED) is GRANTED


def test_a_refusal_after_the_look_is_the_outcome(monkeypatch):
    with pytest.raises(InsufficientStock):
        told(monkeypatch, OutcomeUnknown("broke"), InsufficientStock("none left"))


def test_looking_ends_after_three_times(monkeypatch):
    with pytest.raises(OutcomeUnknown):
        told(monkeypatch, *[OutcomeUnknown("broke")] * 3)
