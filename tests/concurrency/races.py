"""People at the same instant, with real commits: as threads that meet where it hurts most, or one inside another.

Both decide on what they have read, so that is where they are made to meet. With a lock in place the second
never gets there; without it the interleaving is certain, which is what makes the controls reliable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from contextvars import Context, ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock

from flask import Flask
from sqlalchemy.exc import IntegrityError

from app.jobs import expiry
from app.repositories import inventory_items, reservations
from app.utils import transactions

# How long the first waits for a second who, with the lock in place, cannot come; and for one who certainly does.
BRIEFLY, CERTAINLY = 0.2, 10.0
later: ContextVar[timedelta] = ContextVar("later", default=timedelta())
Point = tuple[Any, str]
ITEMS_ARE_READ: list[Point] = [(inventory_items, "lock"), (inventory_items, "lock_ids")]
ANYTHING_IS_LOCKED: list[Point] = [*ITEMS_ARE_READ, (reservations, "lock"), (reservations, "lock_overdue")]
TRANSACTION_BEGINS: list[Point] = [(transactions, "_begin")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one of them was told."""

    status: int
    code: str | None = None

    @property
    def won(self) -> bool:
        return self.status < 300


Actor = Callable[[Flask], Answer]


def call(method: str, path: str, body: dict[str, Any] | None = None, *, version: int | None = None) -> Actor:
    """Somebody who sends this request, just before the holds of the scene run out."""

    def act(app: Flask) -> Answer:
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        with app.app_context():  # a session of its own, even inside somebody else's request
            answer = app.test_client().open(f"/api/v1{path}", method=method, json=body, headers=headers)
        told = answer.get_json()
        return Answer(answer.status_code, told.get("code"))

    return act


def a_moment_later(actor: Actor) -> Actor:
    """The same one, whose clock reads the very instant at which the holds of the scene run out."""

    def act(app: Flask) -> Answer:
        token = later.set(timedelta(microseconds=1))
        try:
            return actor(app)
        finally:
            later.reset(token)

    return act


@a_moment_later
def sweep(app: Flask) -> Answer:
    """A worker."""
    with app.app_context():
        try:
            return Answer(200) if expiry.sweep() else Answer(404, "nothing_overdue")
        except IntegrityError:
            return Answer(500, "internal_error")


def at_once(
    app: Flask, *actors: Actor, patience: float = BRIEFLY, points: Sequence[Point] = ITEMS_ARE_READ
) -> list[Answer]:
    """All of them in threads, meeting once each has read what it decides on: by default the items."""
    meeting = Meeting(len(actors), patience)

    def act(actor: Actor) -> Answer:
        try:
            return actor(app)
        finally:
            meeting.leave()

    with _each(points, after=meeting.attend), ThreadPoolExecutor(len(actors)) as threads:
        return list(threads.map(act, actors))


def in_a_crowd(app: Flask, actors: Sequence[Actor], *, threads: int) -> list[Answer]:
    """All of them, so many at a time, left to chance."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda actor: actor(app), actors))


def just_before(app: Flask, points: Sequence[Point], first: Actor, second: Actor) -> list[Answer]:
    """`second` runs to its end just before `first` comes to any of `points` for the first time."""
    return _inside(app, points, first, second, when="before")


def just_after(app: Flask, points: Sequence[Point], first: Actor, second: Actor) -> list[Answer]:
    """`second` runs to its end just after `first` has passed any of `points` for the first time."""
    return _inside(app, points, first, second, when="after")


def _inside(app: Flask, points: Sequence[Point], first: Actor, second: Actor, *, when: str) -> list[Answer]:
    rivals: list[Answer] = []
    started = threading.Event()

    def interrupt() -> None:
        if not started.is_set():
            started.set()
            rivals.append(Context().run(second, app))  # the second has a clock of its own

    with _each(points, **{when: interrupt}):
        answer = first(app)
    assert rivals, "the first never came to the point at which it was to be interrupted"
    return [answer, *rivals]


class Meeting:
    """Where all the parties wait for each other once, or until their patience ends."""

    def __init__(self, parties: int, patience: float) -> None:
        self._barrier = threading.Barrier(parties, timeout=patience)
        self._been: set[int] = set()

    def attend(self) -> None:
        me = threading.get_ident()
        if me not in self._been:
            self._been.add(me)
            with suppress(threading.BrokenBarrierError):
                self._barrier.wait()

    def leave(self) -> None:
        """Nobody need wait for one who is through."""
        self._barrier.abort()


@contextmanager
def _each(
    points: Sequence[Point], *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> Iterator[None]:
    """Call `before` or `after` around each of these functions of the service."""
    with ExitStack() as stack:
        for module, name in points:
            real = getattr(module, name)
            stack.enter_context(mock.patch.object(module, name, _around(real, before, after)))
        yield


def _around(
    real: Callable[..., Any], before: Callable[[], None] | None, after: Callable[[], None] | None
) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before()
        answer = real(*args, **kwargs)
        if after is not None:
            after()
        return answer

    return run
