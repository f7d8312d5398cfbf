"""What two hundred slow clients of each kind cost everybody else: bare, and behind the proxy that is shipped."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests import servers
from tests.e2e.deployments import Deployment, embedded, eventually, server
from tests.e2e.slow_clients import BIG, COMMON, HEAD, SlowClient, measured, slow_clients
from tests.processes import Server, free_port

LIVE = "/api/v1/health/live"
GET = f"GET {LIVE} HTTP/1.1\r\nHost: shop\r\n\r\n"
# It is well below one; on a busy machine it may take longer. Callers without a thread left for them wait for 30.
GENEROUS_SECONDS = 5
DRIPS = {  # when the first of them is told that it is late
    "dripping head": 1.0,
    "dripping body": 1.5,
    "dripping large body": 1.5,
    "dripping body it was told to send": 1.5,
}
ITEM = json.dumps({"product_id": "KB-2", "quantity": 1}).encode()


@pytest.fixture(scope="module")
def shop(mariadb: Server, redis_server: Server) -> Iterator[Deployment]:
    """The service as it is shipped, two processes of sixteen threads, told that a proxy is before it."""
    with server(mariadb, redis_server, LOG_LEVEL="ERROR", TRUSTED_PROXIES="1") as deployment:
        deployment.serve()
        deployment.stock("KB-1", quantity=100_000)
        yield deployment


def proxy(*services: str, **how: Any) -> Server:
    started = servers.proxy(*services, **how)
    if started is None:
        pytest.skip(servers.HOW_TO_GET["nginx"])
    return started


@pytest.fixture(scope="module")
def entry(shop: Deployment) -> Iterator[Server]:
    with proxy(shop.url) as running:
        yield running


@contextmanager
def connected(url: str, *, receives: int | None = None) -> Iterator[tuple[socket.socket, BufferedReader]]:
    """A connection, and what comes over it; `receives` is how much the system may keep unread."""
    address = urlsplit(url)
    with socket.socket() as wire:
        if receives is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        wire.settimeout(20)
        wire.connect((address.hostname, address.port))
        with wire.makefile("rb") as received:
            yield wire, received


def head_and_body(received: BufferedReader) -> tuple[str, bytes]:
    """One answer with a length, and nothing after it."""
    lines = [line.decode() for line in iter(received.readline, b"\r\n")]
    length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length"))
    return "".join(lines), received.read(length)


def problem_of(client: SlowClient) -> Any:
    return json.loads(client.answer.partition(b"\r\n\r\n")[2])


def refusal_of(client: SlowClient) -> tuple[int, str]:
    """Its status and code, told once, in our shape and as the connection's last words."""
    head, problem = client.answer.partition(b"\r\n\r\n")[0], problem_of(client)
    assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
    assert b"application/problem+json" in head and b"connection: close" in head.lower()
    return problem["status"], problem["code"]


def assert_nobody_noticed(url: str, *, apart: bool) -> None:
    with slow_clients(url, COMMON, apart=apart):
        suffered = measured(url, "KB-1", seconds=3)
    assert suffered.failures == []
    assert len(suffered.seconds) > 40
    assert suffered.p99() < GENEROUS_SECONDS


def test_two_hundred_slow_clients_of_each_kind_at_once_keep_nobody_else_waiting(shop):
    assert_nobody_noticed(shop.url, apart=False)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_behind_the_proxy_neither_when_each_comes_from_an_address_of_its_own(shop, entry):
    assert_nobody_noticed(entry.url, apart=True)


@pytest.fixture(scope="module")
def impatient() -> Iterator[Deployment]:
    hurry = {"CLIENT_HEADER_SECONDS": "1", "CLIENT_BODY_SECONDS": "1.5", "CLIENT_ANSWER_SECONDS": "1"}
    with embedded(LOG_LEVEL="ERROR", **hurry) as deployment:
        deployment.serve()
        yield deployment


def test_whoever_does_not_finish_in_time_is_told_so_once_and_cut_off(impatient):
    # Of those whose body has to be read on, as many as there are threads for that.
    with slow_clients(impatient.url, COMMON, each=2) as crowd:
        awaited = [client for client in crowd.clients if client.kind != "slow reader"]
        eventually(lambda: all(client.closed_after for client in awaited), within=10, because="all are cut off")
    for client in crowd.of("silent"):
        assert client.answer == b"", "one who has asked nothing is owed no answer"
    for client in crowd.of("dripping body it was told to send"):
        told, _, client.answer = client.answer.partition(b"\r\n\r\n")
        assert told == b"HTTP/1.1 100 Continue"
    for kind, earliest in DRIPS.items():
        for client in crowd.of(kind):
            assert refusal_of(client) == (408, "request_timeout"), kind
            assert client.closed_after and earliest <= client.closed_after < earliest + 3
    for client in crowd.of("dripping long head"):
        assert refusal_of(client) == (431, "request_header_fields_too_large")
        assert client.closed_after and client.closed_after < 2, "it is too long already"
    assert impatient.call("GET", "/health/live").status_code == 200


@pytest.mark.parametrize("kind", ["dripping large body", "dripping body it was told to send", "dripping long head"])
def test_more_drips_than_threads_that_read_on_wait_for_each_other_and_nobody_for_them(impatient, kind):
    with slow_clients(impatient.url, [kind], each=40) as crowd:
        answers = [impatient.call("GET", path) for path in ("/health/live", "/inventory/") * 5]
        assert {answer.status_code for answer in answers} == {200}
        assert max(answer.elapsed.total_seconds() for answer in answers) < 1.2, "nobody waits until one is given up"
        eventually(lambda: all(client.closed_after for client in crowd.clients), within=10, because="all are cut off")
    for client in crowd.clients:
        client.answer = client.answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    told = {refusal_of(client) for client in crowd.clients}
    if kind == "dripping long head":
        assert told == {(431, "request_header_fields_too_large")}
    else:
        assert told == {(408, "request_timeout"), (503, "overloaded")}


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_a_reader_who_takes_too_long_is_cut_off(impatient):
    with slow_clients(impatient.url, ["slow reader of much"], each=1) as crowd:
        [reader] = crowd.clients
        port = urlsplit(impatient.url).port
        ours = ("127.0.0.1", port), reader.wire.getsockname()
        assert ours in open_connections()
        eventually(
            lambda: ours not in open_connections(),
            within=10,
            because="nothing is kept for it, not by the system either",
        )


def open_connections() -> set[tuple[Any, Any]]:
    """The established connections of this machine, seen from each side, as far as they are on the loopback."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {(_address(line[1]), _address(line[2])) for line in lines if line[3] == "01"}


def _address(written: str) -> tuple[str, int]:
    host, port = written.split(":")
    return socket.inet_ntoa(bytes.fromhex(host)[::-1]), int(port, 16)


def test_a_request_that_comes_in_pieces_is_answered_as_one_that_comes_at_once(impatient):
    request = HEAD.replace("reservations", "inventory").encode() + b"Content-Length: %d\r\n\r\n" % len(ITEM) + ITEM
    with connected(impatient.url) as (wire, received):
        for start in range(0, len(request), 7):
            wire.sendall(request[start : start + 7])
        head, body = head_and_body(received)
    assert head.startswith("HTTP/1.1 201 ")
    assert json.loads(body)["data"]["product_id"] == "KB-2"


def test_requests_sent_together_are_answered_in_turn_also_when_the_last_comes_in_two_parts(impatient):
    with connected(impatient.url) as (wire, received):
        wire.sendall((GET * 3)[:-5].encode())
        assert head_and_body(received)[0].startswith("HTTP/1.1 200 ")
        assert head_and_body(received)[0].startswith("HTTP/1.1 200 ")
        wire.sendall(GET[-5:].encode())
        assert head_and_body(received)[0].startswith("HTTP/1.1 200 ")


def test_a_client_that_waits_to_be_told_to_go_on_is_told(impatient):
    with connected(impatient.url) as (wire, received):
        body = ITEM.replace(b"KB-2", b"KB-3")
        head = (
            HEAD.replace("reservations", "inventory") + f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        wire.sendall(head.encode())
        assert received.readline().startswith(b"HTTP/1.1 100 ")
        assert received.readline() == b"\r\n"
        wire.sendall(body)
        assert head_and_body(received)[0].startswith("HTTP/1.1 201 ")


def test_an_answer_that_is_read_slowly_but_in_time_arrives_whole(shop):
    whole = requests.get(f"{shop.url}{BIG}", timeout=10).content
    times = 10  # more than the system keeps for a connection
    with connected(shop.url, receives=4096) as (wire, received):
        wire.sendall(f"GET {BIG} HTTP/1.1\r\nHost: shop\r\n\r\n".encode() * times)
        assert all(head_and_body(received)[1] == whole for _ in range(times))
    assert len(whole) > 1_000_000


# ── What the proxy says itself ───────────────────────────────────────────────────────────────────


def of(url: str, raw: bytes) -> tuple[int, dict[str, str], Any]:
    """The status, headers and problem that a raw request gets."""
    with connected(url) as (wire, received):
        wire.sendall(raw)
        head, body = head_and_body(received)
    lines = head.splitlines()
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    return int(lines[0].split()[1]), headers, json.loads(body)


def sending(path: str, length: int, body: bytes = b"") -> bytes:
    head = f"POST /api/v1{path} HTTP/1.1\r\nHost: shop\r\nX-Request-ID: till-7\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % length + body


REFUSED_THERE = {
    "a body above 64 kB": (sending("/reservations/", 65_537), 413, "payload_too_large"),
    "a bulk body above 1 MB": (sending("/inventory/bulk", 1_048_577), 413, "payload_too_large"),
    "a path that is too long": (
        f"GET /{'x' * 9000} HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        414,
        "request_uri_too_large",
    ),
    "a header that is too long": (
        f"GET / HTTP/1.1\r\nHost: a\r\nX: {'x' * 9000}\r\n\r\n".encode(),
        431,
        "request_header_fields_too_large",
    ),
    "no HTTP": (b"nonsense\r\n\r\n", 400, "bad_request"),
    "two lengths": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "bad_request"),
    "its own inside": (b"GET /proxy-problem HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found"),
}


@pytest.mark.parametrize(("raw", "status", "code"), REFUSED_THERE.values(), ids=REFUSED_THERE)
def test_what_the_proxy_refuses_is_a_problem_in_our_shape(entry, raw, status, code):
    told, headers, problem = of(entry.url, raw)
    assert (told, headers["content-type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"/problems/{code}")
    assert {*problem} == {"type", "title", "status", "detail", "instance", "code"}
    assert problem["instance"] == headers["x-request-id"]
    assert headers["server"] == "nginx", "its version is nobody's business"


def test_a_body_of_just_the_size_the_service_takes_gets_through(shop, entry):
    assert of(entry.url, sending("/reservations/", 65_536, b"{" + b" " * 65_534 + b"}"))[0] == 422
    status, headers, _ = of(entry.url, sending("/inventory/bulk", 1_048_576, b"{" + b" " * 1_048_574 + b"}"))
    assert (status, headers["x-request-id"]) == (422, "till-7")


def test_a_service_that_is_not_there_or_says_nothing_is_502_or_504_and_may_be_asked_again(entry):
    with proxy(f"http://127.0.0.1:{free_port()}") as before_nobody:
        status, headers, problem = of(before_nobody.url, sending("/reservations/", 2, b"{}"))
    assert (status, problem["code"], headers["retry-after"]) == (502, "bad_gateway", "1")
    assert problem["instance"] == "till-7"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with proxy(mute, instead={"proxy_read_timeout 60s": "proxy_read_timeout 200ms"}) as before_a_mute:
            status, headers, problem = of(before_a_mute.url, sending("/reservations/", 2, b"{}"))
    assert (status, problem["code"], headers["retry-after"]) == (504, "gateway_timeout", "1")


def test_one_address_cannot_hold_more_requests_than_its_share(shop):
    with (
        proxy(shop.url, instead={"limit_conn addresses 200": "limit_conn addresses 3"}) as strict,
        slow_clients(strict.url, ["half a body"], each=3),
    ):
        [said] = eventually(
            lambda: [one for one in [requests.get(f"{strict.url}{LIVE}", timeout=5)] if one.status_code == 429],
            within=5,
            because="three bodies are on their way, and the fourth request is one too many",
        )
        assert (said.json()["code"], said.headers["Retry-After"]) == ("too_many_requests", "1")
        assert requests.get(f"{shop.url}{LIVE}", timeout=5).status_code == 200


class Upstream(BaseHTTPRequestHandler):
    """Keeps what it is sent, and closes the connection instead of answering a path that says so."""

    protocol_version = "HTTP/1.1"
    seen: list[Any]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.seen.append(SimpleNamespace(path=self.path, headers=self.headers, client=self.client_address))
        self.close_connection = self.path.startswith("/lost")
        if not self.close_connection:
            self.send_response(204)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def upstreams(count: int) -> Iterator[tuple[list[str], list[Any]]]:
    seen: list[Any] = []
    others = {f"do_{method}": Upstream.do_POST for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE")}
    handler = type("Seen", (Upstream,), {"seen": seen, **others})
    with ExitStack() as stack:
        running = [stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler)) for _ in range(count)]
        for one in running:
            threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            stack.callback(one.shutdown)
        yield [f"http://127.0.0.1:{one.server_port}" for one in running], seen


def test_the_service_is_told_who_asks_and_a_forged_answer_to_that_stays_behind():
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil", "X-Forwarded-Proto": "gopher"}
    one_process = {"worker_processes auto": "worker_processes 1"}
    with upstreams(1) as (urls, seen), proxy(*urls, instead=one_process) as entry:
        asked = {"Host": "shop.example", "X-Request-ID": "till-7", **forged}
        assert requests.get(f"{entry.url}/a?b=1", headers=asked, timeout=5).status_code == 204
        assert requests.get(f"{entry.url}/", headers={"X-Request-ID": "not one!"}, timeout=5).status_code == 204
    first, second = seen
    assert (first.path, first.headers["Host"], first.headers["X-Request-ID"]) == ("/a?b=1", "shop.example", "till-7")
    assert first.headers["X-Forwarded-For"] == "6.6.6.6, 127.0.0.1", "the last one counts, and it is the proxy's own"
    assert first.headers["X-Forwarded-Host"] == "shop.example"
    assert first.headers["X-Forwarded-Proto"] == "http"
    assert len(second.headers["X-Request-ID"]) == 32 and second.headers["X-Request-ID"].isalnum()
    assert first.client == second.client, "one connection was kept for both"


@pytest.mark.parametrize(
    ("method", "times"), {"POST": 1, "PATCH": 1, "PUT": 1, "DELETE": 1, "HEAD": 2, "GET": 2}.items()
)
def test_a_request_whose_answer_was_lost_is_sent_a_second_time_only_when_it_changes_nothing(method, times):
    with upstreams(2) as (urls, seen), proxy(*urls) as entry:
        answer = requests.request(method, f"{entry.url}/lost?a=%2F", data=b"{}", timeout=5)
        assert (answer.status_code, answer.headers["Content-Type"]) == (502, "application/problem+json")
        assert [one.path for one in seen] == ["/lost?a=%2F"] * times


def test_a_service_that_cannot_be_reached_costs_nobody_a_request():
    with upstreams(1) as (urls, seen), proxy(f"http://127.0.0.1:{free_port()}", *urls) as entry:
        told = [requests.post(f"{entry.url}/", data=b"{}", timeout=5).status_code for _ in range(4)]
        assert (told, len(seen)) == ([204] * 4, 4), "one that cannot be reached costs nobody a request"
