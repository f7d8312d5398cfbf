"""Clients that are slow on purpose, hundreds of them in one thread, and others who measure what they suffer.

As a program it prints the table of docs/reliability.md for one address: `python -m tests.e2e.slow_clients URL`.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.e2e.buyers import Buyer, Tally

CROWD = 200
DRIPS_EVERY = 0.25
LONG = 66_000  # more than is gathered before a thread reads on
BIG = "/swaggerui/swagger-ui-bundle.js"
HEAD = "POST /api/v1/reservations/ HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
# What each kind sends at once, and what it goes on sending or taking, a byte at a time.
KINDS: dict[str, tuple[str, str]] = {
    "silent": ("", ""),
    "half a head": (HEAD, ""),
    "dripping head": (HEAD + "X-Long: ", "x"),
    "half a body": (HEAD + "Content-Length: 5000\r\n\r\n{", ""),
    "dripping body": (HEAD + "Content-Length: 5000\r\n\r\n{", " "),
    "dripping large body": (
        f"{HEAD.replace('reservations/', 'inventory/bulk')}Content-Length: 900000\r\n\r\n" + "{" + " " * LONG,
        " ",
    ),
    "dripping body it was told to send": (HEAD + "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n", " "),
    "dripping long head": (HEAD + "".join(f"X-{n}: {'x' * 1000}\r\n" for n in range(LONG // 1000)) + "X: ", "x"),
    "slow reader": (f"GET {BIG} HTTP/1.1\r\nHost: shop\r\n\r\n", ""),
    # More than the system keeps for a connection.
    "slow reader of much": (f"GET {BIG} HTTP/1.1\r\nHost: shop\r\n\r\n" * 10, ""),
}
COMMON = [kind for kind in KINDS if kind != "slow reader of much"]


@dataclass(eq=False, slots=True)
class SlowClient:
    kind: str
    wire: socket.socket
    opened: float
    answer: bytes = b""
    closed_after: float | None = None

    def step(self) -> None:
        """A byte sent or, by a slow reader, taken."""
        drip = KINDS[self.kind][1]
        try:
            if drip:
                self.wire.send(drip.encode())
            elif self.kind.startswith("slow reader"):
                self._took(self.wire.recv(1))
        except BlockingIOError:
            pass
        except OSError:
            self._took(b"")

    def listen(self) -> None:
        """Whatever a client that waits is told, and when it is told to go."""
        with suppress(BlockingIOError):
            try:
                self._took(self.wire.recv(65_536))
            except ConnectionError:
                self._took(b"")

    def _took(self, data: bytes) -> None:
        self.answer += data
        if not data and self.closed_after is None:
            self.closed_after = time.monotonic() - self.opened


@dataclass(slots=True)
class Crowd:
    clients: list[SlowClient] = field(default_factory=list)

    def of(self, kind: str) -> list[SlowClient]:
        return [client for client in self.clients if client.kind == kind]


@contextmanager
def slow_clients(url: str, kinds: Sequence[str], *, each: int = CROWD, apart: bool = False) -> Iterator[Crowd]:
    """So many of each kind until the block ends; `apart` gives each an address of its own on the loopback."""
    crowd, over = Crowd(), threading.Event()
    with ExitStack() as stack:
        for number in range(each * len(kinds)):
            client = _connected(url, kinds[number % len(kinds)], number if apart else None)
            stack.callback(client.wire.close)
            crowd.clients.append(client)
        dripping = threading.Thread(target=_drip, args=(crowd, over))
        dripping.start()
        try:
            yield crowd
        finally:
            over.set()
            dripping.join()


def _connected(url: str, kind: str, number: int | None) -> SlowClient:
    parts = urlsplit(url)
    wire = socket.socket()
    if kind.startswith("slow reader"):
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    if number is not None:
        wire.bind((f"127.1.{number // 250}.{number % 250 + 1}", 0))
    wire.settimeout(20)
    wire.connect((parts.hostname, parts.port))
    client = SlowClient(kind, wire, time.monotonic())
    with suppress(ConnectionError):  # it was refused before it had said all
        wire.sendall(KINDS[kind][0].encode())
    wire.setblocking(False)
    return client


def _drip(crowd: Crowd, over: threading.Event) -> None:
    with selectors.DefaultSelector() as listening:
        for client in crowd.clients:
            if not client.kind.startswith("slow reader"):
                listening.register(client.wire, selectors.EVENT_READ, client)
        drips_at = 0.0
        while not over.is_set():
            _listen(listening)
            if time.monotonic() >= drips_at:
                drips_at = time.monotonic() + DRIPS_EVERY
                for client in [one for one in crowd.clients if one.closed_after is None]:
                    client.step()


def _listen(listening: selectors.BaseSelector) -> None:
    for key, _ in listening.select(0.05):
        key.data.listen()
        if key.data.closed_after is not None:
            listening.unregister(key.fileobj)


@dataclass(slots=True)
class Suffered:
    """What well-behaved callers met, in seconds, and everything but success they were told."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def p99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]

    def p50(self) -> float:
        return sorted(self.seconds)[len(self.seconds) // 2]


def measured(url: str, product_id: str, *, seconds: float, callers: int = 4) -> Suffered:
    """Callers who ask whether it lives and reserve a unit, in turn, each time on a new connection."""
    suffered, until = Suffered(), time.monotonic() + seconds

    def call(_number: int) -> None:
        while time.monotonic() < until:
            tally = Tally()
            buyer = Buyer(url, product_id, tally)
            started = time.monotonic()
            if not buyer.lives():
                suffered.failures.append("not alive")
            suffered.seconds.append(time.monotonic() - started)
            buyer.close()
            buyer.buy()
            suffered.seconds.append(tally.slowest)
            suffered.failures.extend(outcome for outcome in tally.told if outcome != "201")
            buyer.close()
            time.sleep(0.01)

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(callers)))
    return suffered


def main(url: str, product_id: str, *kinds: str) -> None:
    for kind in [None, *(kinds or COMMON)]:
        with slow_clients(url, [kind] if kind else [], apart=True) as crowd:
            found = measured(url, product_id, seconds=4)
        cut = sum(client.closed_after is not None for client in crowd.clients)
        print(
            json.dumps(
                {
                    "kind": kind or "none",
                    "calls": len(found.seconds),
                    "p50_ms": round(found.p50() * 1000),
                    "p99_ms": round(found.p99() * 1000),
                    "slowest_ms": round(max(found.seconds) * 1000),
                    "failures": len(found.failures),
                    "cut_off": cut,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
