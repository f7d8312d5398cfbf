"""The threads of the server: most for requests that are all there, a few apart for those of which more has to come.

Whoever sends a large body drop by drop then waits for others who do the same, and nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from gunicorn.workers.gthread import TConn

# No more than the connections that the database pool has to spare, for a call may hold one while it reads.
MOST_READERS = 4


class RequestThreads:
    """As much of an executor as Gunicorn's worker uses."""

    def __init__(self, threads: int) -> None:
        self._all_there = ThreadPoolExecutor(threads)
        self._partial = ThreadPoolExecutor(max(1, min(threads // 4, MOST_READERS)))

    def submit(self, handle: Callable[[TConn], Any], conn: TConn) -> Future[Any]:
        pool = self._partial if conn.sock.is_partial else self._all_there
        return pool.submit(handle, conn)

    def shutdown(self, *, wait: bool) -> None:
        for pool in (self._all_there, self._partial):
            pool.shutdown(wait=wait)
