"""A connection that nobody waits for: what counts as a whole request, and what is kept for a slow reader."""

import socket
import time

import pytest

from app.utils import client_socket
from app.utils.client_socket import ClientSocket, TooSlow

POST = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n"
MUCH = bytes(2_000_000)


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ClientSocket(ours, silence=0.1) as server, theirs:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        yield server, theirs


@pytest.mark.parametrize(
    ("sent", "enough"),
    [
        (b"GET / HTTP/1.1\r\n", False),
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"nonsense\n", True),
        (POST + b"\r\n", False),
        (POST + b"\r\nab", False),
        (POST + b"\r\nabc", True),
        (POST.lower() + b"\r\nab", False),
        (POST + b"Expect: 100-continue\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + bytes(60_000), False),
        (b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + bytes(70_000), True),
        (b"x" * 70_000, True),
    ],
)
def test_a_thread_is_wanted_when_the_request_is_there_or_will_not_come_by_itself(ends, sent, enough):
    server, client = ends
    client.setblocking(False)
    at_once, gathered = client.send(sent), server.gather()
    while at_once < len(sent):
        at_once += client.send(sent[at_once:])
        gathered = server.gather()
    assert gathered is enough


def test_who_comes_and_goes_without_a_word_is_gone(ends):
    server, client = ends
    assert server.gather() is False
    client.close()
    with pytest.raises(ConnectionResetError):
        server.gather()


def test_a_thread_that_reads_on_is_given_what_is_there_and_then_waits_no_longer_than_it_may(ends):
    server, client = ends
    client.sendall(b"GET / HT")
    assert server.gather() is False
    assert server.recv(2) == b"GET / HT", "all of it, whatever was asked for"
    server.read_by = time.monotonic() + 60
    started = time.monotonic()
    with pytest.raises(TooSlow):
        server.recv(100)  # silent
    server.has_head, server.read_by = True, time.monotonic()
    client.sendall(b"x")
    with pytest.raises(TimeoutError):
        server.recv(100)  # late, though something is there
    assert time.monotonic() - started < 1


def test_what_a_reader_does_not_take_is_kept_and_reaches_it_in_order(ends):
    server, client = ends
    started = time.monotonic()
    server.sendall(b"first")
    server.sendall(MUCH)
    server.sendall(b"last")
    assert time.monotonic() - started < 0.1, "nobody waited"
    assert len(server.unsent) > 1_000_000
    received = bytearray()
    while not server.flush():
        received += client.recv(65_536)
    server.shutdown(socket.SHUT_WR)
    while data := client.recv(65_536):
        received += data
    assert received == b"first" + MUCH + b"last"


def test_no_more_is_kept_than_there_is_room_for_and_a_closed_connection_gives_its_room_back(ends, monkeypatch):
    server, _ = ends
    monkeypatch.setattr(ClientSocket, "_room", 1_000_000)
    with pytest.raises(BrokenPipeError):
        server.sendall(MUCH)
    assert not server.unsent
    server.sendall(bytes(500_000))
    assert ClientSocket._room == 500_000
    server.close()
    assert ClientSocket._room == 1_000_000
    assert client_socket.MOST_UNSENT == 64 * 2**20
