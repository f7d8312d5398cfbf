"""A connection that nobody waits for: what counts as a whole request, and what is kept for a slow reader."""

import socket
import time
from types import SimpleNamespace

import pytest
from gunicorn.http.errors import LimitRequestHeaders, ParseException

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
    ("sent", "enough", "partial"),
    [
        (b"GET / HTTP/1.1\r\n", False, False),
        (b"GET / HTTP/1.1\r\n\r\n", True, False),
        (b"nonsense\n", True, False),
        (POST + b"\r\n", False, True),
        (POST + b"\r\nab", False, True),
        (POST + b"\r\nabc", True, False),
        (POST.lower() + b"\r\nab", False, True),
        (POST + b"Expect: 100-continue\r\n\r\n", True, True),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n", True, True),
        (b"POST / HTTP/1.1\r\nContent-Length: 0000000000000003\r\n\r\n", True, True),
        (b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + bytes(60_000), False, True),
        (b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + bytes(70_000), True, True),
        (b"x" * 70_000, True, False),
    ],
)
def test_a_thread_is_wanted_when_the_request_is_there_or_will_not_come_by_itself(ends, sent, enough, partial):
    server, client = ends
    client.setblocking(False)
    at_once, gathered = client.send(sent), server.gather()
    while at_once < len(sent):
        at_once += client.send(sent[at_once:])
        gathered = server.gather()
    assert (gathered, server.is_partial) == (enough, partial)
    assert len(server.arrived) <= client_socket.MOST_GATHERED


def test_a_request_that_comes_byte_by_byte_is_seen_to_be_whole_with_its_last_one(ends):
    server, client = ends
    for request in (POST + b"X: y\r\n\r\nabc", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\n"):
        told = [(client.send(request[at : at + 1]), server.gather())[1] for at in range(len(request))]
        assert told == [False] * (len(request) - 1) + [True]
        assert server.recv(1) == request
        server.give_back(b"")


def test_no_byte_of_a_head_is_looked_at_again_and_again(ends, monkeypatch):
    server, client = ends
    looked_at: list[int] = []
    pattern = client_socket.END_OF_HEAD

    def search(text, start=0):
        looked_at.append(len(text) - start)
        return pattern.search(text, start)

    monkeypatch.setattr(client_socket, "END_OF_HEAD", SimpleNamespace(search=search))
    for _ in range(500):
        client.send(b"x")
        assert server.gather() is False
    client.send(b"\r\nContent-Length: 900\r\n\r\n")
    for _ in range(500):
        client.send(b"x")
        assert server.gather() is False
    assert sum(looked_at) < 5000, "a thousand bytes, four times each"


@pytest.mark.parametrize(
    ("sent", "refusal"), [(b"x" * 65_536, LimitRequestHeaders), (b"GET / HTTP/1.1\r\nA: b\n", ParseException)]
)
def test_a_thread_for_whole_requests_never_waits_for_more(ends, sent, refusal):
    server, client = ends
    server.read_by = time.monotonic() + 60
    client.setblocking(False)
    sent_already = 0
    while not server.gather():
        sent_already += client.send(sent[sent_already:])
    assert server.recv(1) == sent
    client.send(b"more")
    with pytest.raises(refusal):
        server.recv(1)


def test_what_ends_in_the_middle_is_handed_over_with_its_end(ends):
    server, client = ends
    client.send(POST)
    client.shutdown(socket.SHUT_WR)
    while not server.gather():
        pass
    server.read_by = time.monotonic() + 60
    assert (server.is_partial, server.recv(1), server.recv(1)) == (True, POST, b"")


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
    server.is_partial, server.read_by = True, time.monotonic() + 60
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
