"""Log lines for standard error, for which nobody waits: a full pipe would stop every thread, a full disk fail it."""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import time
from contextlib import suppress
from functools import cache
from typing import TextIO

# For a reader that is only slow; after that, lines are lost for so long before one is tried again.
PATIENCE_SECONDS, DEAF_SECONDS = 0.1, 1.0


class StandardError(logging.StreamHandler[TextIO]):
    """Writes whole lines, and loses those that are not taken. What stands in for standard error is written as ever."""

    deaf_until = 0.0
    # Of the process, since its handlers share one standard error: its last line was taken only in part.
    cut = False

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not sys.__stderr__:
            super().emit(record)
            return
        line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        target = _descriptor()
        if target is None or time.monotonic() < self.deaf_until:
            return
        with suppress(OSError):  # nobody reads any more, or its disk is full
            if select.select([], [target], [], PATIENCE_SECONDS)[1]:
                self._write(target, line)
                return
        self.deaf_until = time.monotonic() + DEAF_SECONDS

    @staticmethod
    def _write(target: int, line: bytes) -> None:
        """A pipe with little room takes the beginning of a long line; the next one must not be glued to it."""
        whole = b"\n" + line if StandardError.cut else line
        StandardError.cut = os.write(target, whole) < len(whole)


@cache
def _descriptor() -> int | None:
    """A pipe is opened once more, so that only we do not wait for it and others who write to it still do.

    None when the process was started without standard error: its number then belongs to whatever was opened first.
    """
    if sys.__stderr__ is None:
        return None
    own = sys.__stderr__.fileno()
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(own).st_mode):
            return os.open(f"/proc/self/fd/{own}", os.O_WRONLY | os.O_NONBLOCK)
    return own
