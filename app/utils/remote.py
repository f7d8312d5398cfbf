"""Ask a server that nobody here vouches for: one GET, no redirects, a bounded answer, one deadline for all of it.

The time limits of the HTTP client count from byte to byte, so a server that drips its answer would hold a thread
for hours; here the deadline is the connection's own, through headers and body.
"""

from __future__ import annotations

import io
import socket
import time
from contextlib import suppress
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from app.errors import Malformed
from app.utils import strict_json

MAX_BYTES = 65_536
SOON = 0.001  # no time left, as zero would mean not to wait at all
# Asked for plainly, so that no small answer can grow into a large one.
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


class RemoteFailed(Exception):
    """The server gave no answer in time, or one that cannot be used."""


def session() -> requests.Session:
    """A session for `get_object`; it may be shared by threads, and keeps connections and nothing else."""
    made = requests.Session()
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter())
    return made


def get_object(asking: requests.Session, url: str, *, seconds: float) -> dict[str, Any] | None:
    """The JSON object at this address, read as strictly as our callers' are, or None where there is nothing (404).

    Raises `RemoteFailed` for everything else, `seconds` after the call at the latest (resolving the name apart).
    """
    limit: Any = Timeout(total=seconds)
    try:
        with asking.get(url, timeout=limit, headers=HEADERS, allow_redirects=False, stream=True) as answer:
            return None if answer.status_code == 404 else _read(answer)
    except (requests.RequestException, HTTPError, OSError, ValueError, Malformed) as error:
        raise RemoteFailed(str(error)) from error


def _read(answer: requests.Response) -> dict[str, Any]:
    if answer.status_code != 200:
        raise RemoteFailed(f"it answered {answer.status_code}")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RemoteFailed("it did not answer in plain JSON")
    body: bytes = answer.raw.read(MAX_BYTES, decode_content=False)
    # Whether there is more; and where there is less than was announced, this second look raises.
    if answer.raw.read(1, decode_content=False):
        raise RemoteFailed(f"it answered more than {MAX_BYTES} bytes")
    value = strict_json.parse(body)
    if not isinstance(value, dict):
        raise RemoteFailed("it answered no object")
    return value


class _UntilDeadline(io.RawIOBase):
    """What a socket receives, until the time is over that the socket had left when this was made."""

    def __init__(self, sock: socket.socket) -> None:
        left = sock.gettimeout()
        self._deadline = None if left is None else time.monotonic() + left
        self._sock = sock
        self._received = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer did not arrive in time")
            self._sock.settimeout(left)
        return self._received.readinto(buffer)

    def close(self) -> None:
        self._received.close()
        super().close()


class _Source:
    """As much of a socket as a response reads from."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_UntilDeadline(self._sock))


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Source(sock), *args, **kwargs)  # type: ignore[arg-type]


def _connected(found: tuple[Any, ...], until: float) -> socket.socket:
    family, kind, protocol, _, address = found
    wire = socket.socket(family, kind, protocol)
    try:
        wire.settimeout(max(until - time.monotonic(), SOON))
        wire.connect(address)
        wire.settimeout(max(until - time.monotonic(), SOON))
    except OSError:
        wire.close()
        raise
    return wire


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """All addresses of a name have one deadline, and so has the handshake that may follow."""
        until = time.monotonic() + float(self.timeout or 0)
        *others, last = socket.getaddrinfo(self._dns_host, self.port, 0, socket.SOCK_STREAM)
        for other in others:
            with suppress(OSError):
                return _connected(other, until)
        return _connected(last, until)


class _SecureConnection(_Connection, HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager
