"""Of many threads that want the same thing at once, one gets it and the others wait for what it got."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future[T]] = {}

    def share(self, key: Hashable, get: Callable[[], T]) -> T:
        """What `get` answers or raises, from this thread or from the one that is at it already."""
        with self._lock:
            mine = key not in self._under_way
            flight = self._under_way.setdefault(key, Future())
        if not mine:
            return flight.result()
        try:
            flight.set_result(get())
        except BaseException as error:
            flight.set_exception(error)
        finally:
            with self._lock:
                del self._under_way[key]
        return flight.result()
