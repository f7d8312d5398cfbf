"""Work that arrives by the clock and not when the piece before it is done: what a slow answer delays is measured as
late, since each piece is timed from when it was due (otherwise the waiting would be left out: coordinated omission).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

Work = Callable[[int, float], None]


def due(turn: int, rate: float, start: float) -> float:
    return start + turn / rate


def turns(rate: float, seconds: float) -> int:
    """How many pieces arrive in so many seconds; the first at once."""
    return max(1, round(rate * seconds))


def by_the_clock(work: Work, *, rate: float, seconds: float, clients: int, over: threading.Event | None = None) -> int:
    """Each of so many clients takes the next piece, waits until it is due, and does it; `over` ends it early.

    `work` is given its number and when it was due (monotonic). What no client has begun by the end is left out;
    the number of those pieces is returned.
    """
    over = over or threading.Event()
    numbers, all_of_them, start = itertools.count(), turns(rate, seconds), time.monotonic() + 0.1
    left_out = itertools.count()

    def client() -> None:
        while (number := next(numbers)) < all_of_them:
            when = due(number, rate, start)
            if (wait := when - time.monotonic()) > 0:
                over.wait(wait)
            if over.is_set():
                return
            if time.monotonic() > start + seconds + 1:
                next(left_out)
            else:
                work(number, when)

    together(client for _ in range(clients))
    return next(left_out)


def one_after_another(work: Work, *, seconds: float, clients: int) -> float:
    """Each client begins the next piece as soon as it is done with one; returns when they began (monotonic)."""
    numbers, start = itertools.count(), time.monotonic()

    def client() -> None:
        while (now := time.monotonic()) < start + seconds:
            work(next(numbers), now)

    together(client for _ in range(clients))
    return start


def together(jobs: Iterable[Callable[[], object]]) -> None:
    """All of them at the same moment, each on a thread of its own; the first error is raised."""
    waiting = list(jobs)
    barrier = threading.Barrier(len(waiting))

    def run(job: Callable[[], object]) -> None:
        barrier.wait()
        job()

    with ThreadPoolExecutor(len(waiting)) as crowd:
        for done in [crowd.submit(run, job) for job in waiting]:
            done.result()
