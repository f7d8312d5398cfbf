"""Buyers who reserve one unit after another, in threads of this process or, as a program, in one of their own.

As a program: waits for a line on its input, so that many can start at once, and prints what it was told as JSON.
Only the standard library is needed, so a process starts in no time.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LOST = "no answer"


@dataclass(slots=True)
class Tally:
    """How often the buyers were told what, which holds were promised to them, and their longest wait."""

    told: Counter[str] = field(default_factory=Counter)
    held: list[str] = field(default_factory=list)
    slowest: float = 0.0
    without_retry_after: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, outcome: str, held: str | None, seconds: float, *, retry_after: bool) -> None:
        with self.lock:
            self.told[outcome] += 1
            self.slowest = max(self.slowest, seconds)
            self.without_retry_after += outcome.startswith("503") and not retry_after
            if held is not None:
                self.held.append(held)


class Buyer:
    """One customer with one connection, opened anew when it breaks."""

    def __init__(self, url: str, product_id: str, tally: Tally) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        order = {"order_id": "o-1", "customer_id": "c-1", "ttl_seconds": 3600}
        self._body = json.dumps({"product_id": product_id, "quantity": 1, **order})
        self._tally = tally

    def buy(self) -> None:
        started = time.monotonic()
        outcome, held, retry_after = self._ask()
        self._tally.note(outcome, held, time.monotonic() - started, retry_after=retry_after)

    def lives(self) -> bool:
        """Whether the service says that it is alive."""
        try:
            self._connection.request("GET", "/api/v1/health/live")
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        return response.status == 200

    def _ask(self) -> tuple[str, str | None, bool]:
        headers = {"Content-Type": "application/json"}
        try:
            self._connection.request("POST", "/api/v1/reservations/", self._body, headers)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            return LOST, None, False
        retry_after = response.getheader("Retry-After") is not None
        if response.status == 201:
            return "201", answer["data"]["id"], retry_after
        return f"{response.status} {answer['code']}", None, retry_after

    def close(self) -> None:
        self._connection.close()


@contextmanager
def buying(url: str, product_id: str, *, buyers: int) -> Iterator[Tally]:
    """So many of them buy without a break until the block ends."""
    tally, stop = Tally(), threading.Event()

    def shop() -> None:
        buyer = Buyer(url, product_id, tally)
        while not stop.is_set():
            buyer.buy()
            stop.wait(0.002)  # somebody whose service is gone is refused a thousand times a second
        buyer.close()

    threads = [threading.Thread(target=shop) for _ in range(buyers)]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def main(product_id: str, threads: int, times: int, urls: list[str]) -> None:
    tally = Tally()

    def shop(number: int) -> None:
        buyer = Buyer(urls[number % len(urls)], product_id, tally)
        for _ in range(times):
            buyer.buy()
        buyer.close()

    shoppers = [threading.Thread(target=shop, args=(number,)) for number in range(threads)]
    sys.stdin.readline()
    for shopper in shoppers:
        shopper.start()
    for shopper in shoppers:
        shopper.join()
    print(json.dumps({"told": tally.told, "held": tally.held}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
