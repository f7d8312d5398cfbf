"""Who is asking, and under which request id: carried from the edge to the ledger and the log."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SYSTEM = "system"
_actor: ContextVar[str] = ContextVar("actor", default=SYSTEM)
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def actor() -> str:
    return _actor.get()


def request_id() -> str | None:
    return _request_id.get()


def enter(*, actor: str, request_id: str | None) -> None:
    """Set both for the rest of this request or job."""
    _actor.set(actor)
    _request_id.set(request_id)


@contextmanager
def acting_as(actor: str, request_id: str | None = None) -> Iterator[None]:
    """Set both for a block of code, such as one job."""
    actor_token, request_token = _actor.set(actor), _request_id.set(request_id)
    try:
        yield
    finally:
        _actor.reset(actor_token)
        _request_id.reset(request_token)
