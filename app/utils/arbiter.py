"""The first process of the server: told to stop, it lets clients finish and find another before it does."""

from __future__ import annotations

import signal
import time
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from app.utils import draining

QUICK_SECONDS = 2


class DrainingArbiter(Arbiter):
    """Serves on for `drain_seconds` after SIGTERM, while readiness sends clients elsewhere.

    A second SIGTERM, or SIGINT at any time, ends at once.
    """

    def __init__(self, app: BaseApplication, *, drain_seconds: float) -> None:
        self._drain_seconds, self._stop_at, self._asked = drain_seconds, float("inf"), False
        super().__init__(app)

    def signal(self, sig: int, frame: Any) -> None:
        again = sig == signal.SIGTERM and self._asked
        self._asked |= sig == signal.SIGTERM
        super().signal(signal.SIGINT if again else sig, frame)

    def handle_term(self) -> None:
        draining.start()
        self._stop_at = time.monotonic() + self._drain_seconds

    def handle_int(self) -> None:
        """Nobody is waited for but whoever is being answered right now."""
        self.cfg.set("graceful_timeout", QUICK_SECONDS)
        super().handle_int()

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        left = self._stop_at - time.monotonic()
        signals: list[int] = super().wait_for_signals(max(0.001, min(timeout, left)))
        if signal.SIGINT not in signals and time.monotonic() >= self._stop_at:
            raise StopIteration  # as Gunicorn's own handler of SIGTERM does
        return signals
