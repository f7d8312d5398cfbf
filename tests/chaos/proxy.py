"""A TCP proxy that stands between the service and one server, and does to the traffic what networks do.

It knows just enough of MySQL's protocol to see a COMMIT go by: that one can be lost on its way, or be carried
out while its reply is lost.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.processes import free_port

UP, DOWN = "to the server", "to the client"
CHUNK = 65_536
QUERY = b"\x03"


@dataclass(eq=False, slots=True)
class Link:
    """One client's connection and the one made for it; `silent` says nothing gets through it any more."""

    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    silent: bool = False
    drop_reply: bool = False

    def cut(self) -> None:
        for _, writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Runs its own loop on a thread of its own; every method may be called from anywhere."""

    def __init__(self, target: int, *, mysql: bool = False) -> None:
        self.port, self.commits_lost = free_port(), 0
        self._target, self._mysql = target, mysql
        self._delay, self._stalled = 0.0, frozenset[str]()
        self._lose_requests = self._lose_replies = 0
        self._over = False
        self._links: set[Link] = set()
        # The server is not told either: its side of a link that went silent stays open until the end.
        self._forgotten: list[Link] = []
        self._loop = asyncio.new_event_loop()
        self._listener: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> Proxy:
        self._thread.start()
        self._wait(self._listen())
        return self

    def stop(self) -> None:
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    def cut(self) -> None:
        """Break every connection now; new ones are welcome."""
        self._do(self._cut_all)

    def refuse(self) -> None:
        """Break every connection and accept no other."""
        self._do(self._close)
        self.cut()

    def delay(self, seconds: float) -> None:
        """Let everything take so much longer, each way."""
        self._delay = seconds

    def stall(self, *ways: str) -> None:
        """Hold back what goes these ways; it goes on when healed."""
        self._stalled = frozenset(ways)

    def black_hole(self) -> None:
        """From now on the present connections carry nothing, and nobody is told: a firewall forgot them."""
        self._do(self._silence_all)

    def lose_commits(self, *, replies: int = 0, requests: int = 0) -> None:
        """Of the next COMMITs lose so many replies after the server has committed, or so many before it sees them."""
        self._lose_replies, self._lose_requests = replies, requests

    def heal(self) -> None:
        """Carry everything again; what was cut or has gone silent stays so."""
        self._delay, self._stalled = 0.0, frozenset()
        self.lose_commits()
        self._wait(self._listen())

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _end(self) -> None:
        self._over = True
        self._close()
        for link in (*self._links, *self._forgotten):
            link.cut()
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=5)

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _cut_all(self) -> None:
        for link in list(self._links):
            link.cut()

    def _silence_all(self) -> None:
        for link in self._links:
            link.silent = True

    def _do(self, what: Callable[[], Any]) -> None:
        async def now() -> None:
            what()

        self._wait(now())

    def _wait(self, what: Any) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        link = Link((reader, writer), server)
        self._links.add(link)
        ways = [asyncio.create_task(self._carry_up(link)), asyncio.create_task(self._carry_down(link))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        if link.silent:
            link.client[1].transport.abort()
            self._forgotten.append(link)
            return
        link.cut()
        self._links.discard(link)

    async def _carry_up(self, link: Link) -> None:
        reader, writer = link.client[0], link.server[1]
        with suppress(OSError, asyncio.IncompleteReadError):
            while data := await (_packet(reader) if self._mysql else reader.read(CHUNK)):
                await self._held_back(link, UP)
                if self._mysql and _is_commit(data) and not self._lets_pass(link):
                    return
                writer.write(data)
                await writer.drain()

    async def _carry_down(self, link: Link) -> None:
        reader, writer = link.server[0], link.client[1]
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._held_back(link, DOWN)
                if link.drop_reply:
                    return
                writer.write(data)
                await writer.drain()

    async def _held_back(self, link: Link, way: str) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)
        while (link.silent or way in self._stalled) and not self._over:
            await asyncio.sleep(0.02)

    def _lets_pass(self, link: Link) -> bool:
        """Whether this COMMIT reaches the server; if its reply is to be lost, the link is told."""
        if self._lose_requests:
            self._lose_requests, self.commits_lost = self._lose_requests - 1, self.commits_lost + 1
            return False
        if self._lose_replies:
            self._lose_replies, self.commits_lost = self._lose_replies - 1, self.commits_lost + 1
            link.drop_reply = True
        return True


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """One packet as MySQL frames it: three bytes of length, one of sequence, and so many bytes."""
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head[:3], "little"))


def _is_commit(packet: bytes) -> bool:
    return packet[4:5] == QUERY and packet[5:].strip().upper() == b"COMMIT"
