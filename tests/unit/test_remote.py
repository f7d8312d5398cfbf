"""A server nobody vouches for, played by a real one that redirects, drips, floods and lies."""

from __future__ import annotations

import json
import socket
import threading
import time as real_time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse

import pytest

from app.utils import remote
from app.utils.remote import MAX_BYTES, RemoteFailed, get_object
from tests.processes import free_port

PATIENCE = 0.3  # seconds an answer may take in all
GRACE = 0.5  # what the machine may add to it
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GOOD = OK + b'Content-Length: 7\r\n\r\n{"a":1}'
Answer = Callable[[socket.socket], None]


@dataclass
class Stranger:
    """Accepts connections and does to each whatever the test wants; keeps what it was sent."""

    answer: Answer
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    closing: threading.Event = field(default_factory=threading.Event)
    heard: list[str] = field(default_factory=list)
    connections: int = 0
    sent: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/products/KB-1"

    def serve(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                wire, _ = self.listener.accept()
                self.connections += 1
                with wire, suppress(OSError):  # the client had enough
                    while asked := wire.recv(65_536):
                        self.heard.append(asked.decode())
                        self.answer(wire)

    def leave(self) -> None:
        self.closing.set()
        with suppress(OSError):  # it has left already
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def drip(self, wire: socket.socket, data: bytes, *, every: float = 0.02) -> None:
        for number in range(len(data)):
            wire.sendall(data[number : number + 1])
            if self.closing.wait(every):
                return

    def flood(self, wire: socket.socket, head: bytes, megabytes: int) -> None:
        wire.sendall(head)
        for _ in range(megabytes * 16):
            wire.sendall(b" " * 65_536)
            self.sent += 65_536


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    made = Stranger(lambda wire: wire.sendall(GOOD))
    thread = threading.Thread(target=made.serve)
    thread.start()
    yield made
    made.leave()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def ask(stranger: Stranger) -> Iterator[Callable[[], object]]:
    session = remote.session()
    yield lambda: get_object(session, stranger.url, seconds=PATIENCE)
    session.close()


def said(body: bytes, content_type: str = "application/json", more: str = "") -> Answer:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return lambda wire: wire.sendall(head.encode() + body)


def test_a_good_answer_is_read_and_its_connection_is_used_again(stranger, ask):
    assert [ask() for _ in range(3)] == [{"a": 1}] * 3
    assert (stranger.connections, len(stranger.heard)) == (1, 3)


def test_what_is_not_there_is_none(stranger, ask):
    stranger.answer = lambda wire: wire.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found")
    assert ask() is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(stranger, ask, status):
    head = f"HTTP/1.1 {status} Over There\r\nLocation: {stranger.url}/elsewhere\r\nContent-Length: 0\r\n\r\n"
    stranger.answer = lambda wire: wire.sendall(head.encode())
    with pytest.raises(RemoteFailed, match=f"it answered {status}"):
        ask()
    assert [line.splitlines()[0] for line in stranger.heard] == ["GET /products/KB-1 HTTP/1.1"]


DRIPPED = {
    "the status line": b"HTTP/1.1 200 " + b"O" * 5000,
    "a header": OK + b"X-Long: " + b"a" * 5000,
    "headers without end": OK + b"X-A: 1\r\n" * 1000,
    "a body of a known length": OK + b"Content-Length: 5000\r\n\r\n" + b" " * 5000,
    "a body that ends with the connection": OK + b"Connection: close\r\n\r\n" + b" " * 5000,
    "a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n1388\r\n" + b" " * 5000,
    "the length of a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 5000,
    "continue, for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
}


@pytest.mark.parametrize("data", DRIPPED.values(), ids=DRIPPED)
def test_an_answer_that_drips_is_left_at_the_deadline_wherever_it_drips(stranger, ask, data):
    quick = data[: data.index(b"\r\n\r\n") + 4] if b"\r\n\r\n" in data else b""
    stranger.answer = lambda wire: (wire.sendall(quick), stranger.drip(wire, data[len(quick) :]))[0]
    started = real_time.monotonic()
    with pytest.raises(RemoteFailed):
        ask()
    assert PATIENCE * 0.9 < real_time.monotonic() - started < PATIENCE + GRACE


def test_with_limits_from_byte_to_byte_alone_a_drip_would_hold_the_caller(stranger, ask, monkeypatch):
    """The control: without the deadline the whole dripping answer is read, three times as late."""
    monkeypatch.setattr(remote._Connection, "response_class", HTTPResponse)
    stranger.answer = lambda wire: stranger.drip(wire, GOOD, every=PATIENCE * 3 / len(GOOD))
    started = real_time.monotonic()
    assert ask() == {"a": 1}
    assert real_time.monotonic() - started > PATIENCE * 2


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A listener whose queue is full: who connects hears nothing at all."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            queued = stack.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(listener.getsockname())
        yield listener


def resolving(monkeypatch, *addresses: tuple[str, int]) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: found)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_with_many_addresses_has_one_deadline_for_all_of_them(deaf, monkeypatch, scheme):
    resolving(monkeypatch, *[deaf.getsockname()] * 5)
    started = real_time.monotonic()
    with remote.session() as asking, pytest.raises(RemoteFailed):
        get_object(asking, f"{scheme}://shop.example/", seconds=PATIENCE)
    assert PATIENCE * 0.9 < real_time.monotonic() - started < PATIENCE + GRACE


def test_the_next_address_is_asked_where_the_first_refuses(stranger, monkeypatch):
    resolving(monkeypatch, ("127.0.0.1", free_port()), stranger.listener.getsockname())
    with remote.session() as asking:
        assert get_object(asking, "http://shop.example/", seconds=PATIENCE) == {"a": 1}


def test_a_silent_server_costs_the_patience_and_no_more(stranger, ask):
    stranger.answer = lambda wire: stranger.closing.wait(10) and None
    started = real_time.monotonic()
    with pytest.raises(RemoteFailed):
        ask()
    assert real_time.monotonic() - started < PATIENCE + GRACE
    stranger.closing.set()


@pytest.mark.parametrize(
    "head", [b"Content-Length: 104857600\r\n\r\n", b"Connection: close\r\n\r\n"], ids=["announced", "unannounced"]
)
def test_of_a_hundred_megabytes_only_what_is_needed_to_refuse_them_is_read(stranger, ask, head):
    stranger.answer = lambda wire: stranger.flood(wire, OK + head, 100)
    with pytest.raises(RemoteFailed, match=f"more than {MAX_BYTES} bytes"):
        ask()
    assert stranger.sent < 20_000_000, "what fits into the system's buffers, and not the whole"


@pytest.mark.parametrize(("size", "refused"), [(MAX_BYTES, False), (MAX_BYTES + 1, True)])
def test_the_limit_is_the_last_byte_that_fits(stranger, ask, size, refused):
    stranger.answer = said(b"{}".ljust(size))
    if refused:
        with pytest.raises(RemoteFailed):
            ask()
    else:
        assert ask() == {}


NOT_JSON = {
    "no type": said(b"{}", ""),
    "HTML": said(b"{}", "text/html"),
    "almost the type": said(b"{}", "application/jsonp"),
    "compressed": said(b"{}", more="Content-Encoding: gzip\r\n"),
    "empty": said(b""),
    "garbage": said(b"\x00\xff\xfe"),
    "HTML that claims to be JSON": said(b"<html>"),
    "cut off": said(b'{"a":'),
    "shorter than announced": lambda wire: (
        wire.sendall(OK + b"Content-Length: 9\r\nConnection: close\r\n\r\n{}") or wire.shutdown(socket.SHUT_RDWR)
    ),
    "null": said(b"null"),
    "a list": said(b"[{}]"),
    "a string": said(b'"x"'),
    "a key twice": said(b'{"a":1,"a":2}'),
    "NaN": said(b'{"a":NaN}'),
    "an endless number": said(b'{"a":' + b"9" * 5000 + b"}"),
    "nested 1,000 deep": said(b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}"),
    "no HTTP": lambda wire: wire.sendall(b"SSH-2.0-OpenSSH\r\n"),
    "a status that is none": lambda wire: wire.sendall(b"HTTP/1.1 2e2 OK\r\n\r\n{}"),
    "a line beyond any": lambda wire: wire.sendall(OK + b"X: " + b"a" * 70_000 + b"\r\n\r\n"),
    "too many headers": lambda wire: wire.sendall(OK + b"X: 1\r\n" * 200 + b"\r\n{}"),
    "closed at once": lambda wire: wire.shutdown(socket.SHUT_RDWR),
    "401": lambda wire: wire.sendall(b"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n"),
    "500": lambda wire: wire.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
    "204": lambda wire: wire.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"),
}


@pytest.mark.parametrize("answer", NOT_JSON.values(), ids=NOT_JSON)
def test_whatever_is_not_one_strict_json_object_is_one_failure_and_no_other(stranger, ask, answer):
    stranger.answer = answer
    with pytest.raises(RemoteFailed):
        ask()


def test_cookies_are_neither_kept_nor_sent_back(stranger, ask):
    stranger.answer = said(b"{}", more="Set-Cookie: a=1; Path=/\r\n")
    ask()
    ask()
    assert "cookie" not in "".join(stranger.heard).lower()


def test_nothing_but_the_question_is_sent(stranger, ask):
    ask()
    headers = {line.split(":")[0] for line in stranger.heard[0].splitlines()[1:] if line}
    assert headers == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}


def test_what_it_says_reaches_the_reader_as_data_and_nothing_else(stranger, ask):
    told = {"name": "\u2028\x1b[2J</script>", "half": "\ud800", "n": 10**29}
    stranger.answer = said(json.dumps(told).encode())
    assert ask() == told


def test_nobody_listening_is_a_failure_as_well():
    with remote.session() as session, pytest.raises(RemoteFailed):
        get_object(session, f"http://127.0.0.1:{free_port()}/", seconds=PATIENCE)
