"""A clock that those who act a microsecond later see differently, and guards that come back after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import Flask

from app.utils import clock
from tests.concurrency import guards
from tests.concurrency.races import later
from tests.conftest import Time


@pytest.fixture(autouse=True)
def everybodys_own_time(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: time.instant + later.get())


@pytest.fixture
def without(app: Flask) -> Iterator[Callable[..., object]]:
    """Take guards away from the service until the test ends."""
    with ExitStack() as stack:
        yield lambda *guard: stack.enter_context(guards.removed(guard))
