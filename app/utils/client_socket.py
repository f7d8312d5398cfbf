"""A client's connection that nobody has to wait for: what arrives is gathered, what does not fit is kept to be sent.

A thread that waits in `recv` or `send` is a thread a slow client has taken away from everybody else.
"""

from __future__ import annotations

import errno
import math
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

from gunicorn.http.errors import LimitRequestHeaders, ParseException

GULP = 65_536
# About as large as every body but those of bulk calls; more of a request is never kept, a thread reads the rest.
MOST_GATHERED = 65_536
# In all connections of one process. Beyond it a thread waits for its own reader, and only as long as a silence.
MOST_UNSENT = 67_108_864
# A lone line feed is no HTTP: the parser shall say so at once instead of after the deadline.
END_OF_HEAD = re.compile(rb"\r\n\r\n|(?<!\r)\n")
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,10})[ \t]*\r\n", re.IGNORECASE)
# A client that expects to be told to go on sends nothing before, and of chunks nobody knows how many there are.
NOT_TO_BE_GATHERED = re.compile(rb"\r\n(expect|transfer-encoding)[ \t]*:", re.IGNORECASE)
ANNOUNCES_A_BODY = re.compile(rb"\r\ncontent-length[ \t]*:", re.IGNORECASE)


class TooSlow(ParseException):
    """The request line and headers did not arrive in time."""

    def __str__(self) -> str:
        return "the request took too long to arrive"


class ClientSocket(socket.socket):
    """Reads within a deadline when a thread reads, and sends without ever waiting for the client."""

    _room: ClassVar[int] = MOST_UNSENT
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, accepted: socket.socket, *, silence: float) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.arrived = bytearray()
        self.unsent = bytearray()
        self.has_head = False
        # Whether a thread may have to wait for the rest of it.
        self.is_partial = False
        self._looked_at = 0
        self._enough = self._whole = 0.0
        self.read_by = 0.0
        self.handed_over_at = 0.0
        # What the answer has to know of it: that it is the connection's last.
        self.when_late: Callable[[], object] = bool
        self._silence = silence

    def gather(self) -> bool:
        """Take what has come, without waiting; whether a thread can do the rest. OSError when the client is gone."""
        if self.arrived and self._is_enough():
            return True
        try:
            data = super().recv(MOST_GATHERED - len(self.arrived), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        if not data and not self.arrived:
            raise ConnectionResetError
        self.arrived += data
        enough = self._is_enough()
        if not data:
            # It ends in the middle, and whoever reads on is told so.
            self.is_partial = True
        return enough or not data

    def give_back(self, data: bytes) -> None:
        """What was read of the next request already."""
        self.arrived[:0] = data
        self.has_head, self._looked_at = False, 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """All that was gathered, else what comes before the deadline and without too long a silence."""
        if self.arrived:
            data, self.arrived = bytes(self.arrived), bytearray()
            return data
        if not self.is_partial:
            # Only a head without end, or one that is none to the parser, is not all there. Nobody waits for more of it.
            raise ParseException if self.has_head else LimitRequestHeaders(f"no end within {MOST_GATHERED} bytes")
        left = self.read_by - time.monotonic()
        before = self.gettimeout()
        try:
            if left <= 0:
                raise TimeoutError
            self.settimeout(min(left, self._silence))
            return super().recv(size, flags)
        except TimeoutError:
            if self.has_head:
                self.when_late()
                raise
            raise TooSlow from None
        finally:
            self.settimeout(before)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send what the client takes now and keep the rest; wait only when too much is kept already."""
        if not self.unsent:
            data = memoryview(data)[self._send_now(data) :]
        if not data:
            return
        if self._take_room(len(data)):
            self.unsent += data
            return
        before = self.gettimeout()
        self.settimeout(self._silence)
        try:
            super().sendall(bytes(self.unsent), flags)
            self._forget(len(self.unsent))
            super().sendall(data, flags)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not read") from None
        finally:
            self.settimeout(before)

    def flush(self) -> bool:
        """Send more of what was kept, without waiting; whether all of it is gone. OSError when the client is."""
        self._forget(self._send_now(bytes(self.unsent[:GULP])))
        return not self.unsent

    def close(self) -> None:
        self._forget(len(self.unsent))
        self.arrived = bytearray()
        super().close()

    def _send_now(self, data: Any) -> int:
        try:
            return super().send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def _is_enough(self) -> bool:
        if not self.has_head:
            self._look_for_head()
        if not self.has_head:
            return len(self.arrived) >= MOST_GATHERED
        self.is_partial = len(self.arrived) < self._whole
        return len(self.arrived) >= self._enough

    def _look_for_head(self) -> None:
        """How long the request is: a hint, not a reading, for the parser decides what all of it means."""
        self.is_partial = False
        # Nothing is looked at again with each byte but the three that may be the beginning of the end.
        end = END_OF_HEAD.search(self.arrived, max(0, self._looked_at - 3))
        self._looked_at = len(self.arrived)
        if end is None:
            return
        self.has_head = True
        head = self.arrived[: end.start() + 2]
        length = LENGTH.search(head)
        if NOT_TO_BE_GATHERED.search(head) or (length is None and ANNOUNCES_A_BODY.search(head)):
            self._enough, self._whole = 0, math.inf
        else:
            self._whole = end.end() + (int(length[1]) if length else 0)
            self._enough = min(self._whole, MOST_GATHERED)

    def _take_room(self, size: int) -> bool:
        with self._lock:
            fits = size <= ClientSocket._room
            ClientSocket._room -= size if fits else 0
        return fits

    def _forget(self, size: int) -> None:
        if size:
            del self.unsent[:size]
            with self._lock:
                ClientSocket._room += size
