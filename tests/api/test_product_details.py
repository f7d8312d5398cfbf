"""Product details come from a real HTTP server here, which fails in every way; the stock answer never does."""

from __future__ import annotations

import json
import threading
import time as real_time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.services import product_details
from tests import factories
from tests.processes import free_port

KB = "/api/v1/inventory/KB-1"
TIMEOUT = 0.2


@dataclass
class Shelf:
    """What the product service answers next, and which paths it was asked for."""

    url: str = ""
    status: int = 200
    body: Any = field(default_factory=lambda: {"id": "KB-1", "name": "Keyboard"})
    content_type: str = "application/json"
    location: str = ""
    seconds: float = 0.0
    asked: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    shelf: Shelf

    def do_GET(self) -> None:
        self.shelf.asked.append(self.path)
        self.server.closing.wait(self.shelf.seconds)  # type: ignore[attr-defined]
        body = self.shelf.body if isinstance(self.shelf.body, bytes) else json.dumps(self.shelf.body).encode()
        try:
            self.send_response(self.shelf.status)
            self.send_header("Content-Type", self.shelf.content_type)
            self.send_header("Content-Length", str(len(body)))
            if self.shelf.location:
                self.send_header("Location", self.shelf.location)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # the client gave up waiting, as it should

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ShelfHandler", (Handler,), {"shelf": shelf}))
    server.closing = threading.Event()  # type: ignore[attr-defined]
    shelf.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield shelf
    server.closing.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()
    product_details._session.close()


@pytest.fixture
def connect(app, monkeypatch):
    """Point the service to a product service; its circuit breaker starts closed."""

    def to(url: str) -> None:
        config = app.extensions["settings"]
        config = replace(config, product_service_url=url, product_service_timeout_seconds=TIMEOUT)
        monkeypatch.setitem(app.extensions, "settings", config)
        factories.stock(5)

    product_details._breaker.close()
    yield to
    product_details._breaker.close()


def details(client):
    answer = client.get(KB)
    assert answer.status_code == 200
    assert answer.json["data"]["quantity"] == 5
    return answer.json["data"]["product"]


def test_details_come_with_the_stock_and_are_asked_for_once_while_nothing_changes(client, connect, shelf):
    connect(shelf.url)
    assert details(client) == {"id": "KB-1", "name": "Keyboard"}
    other_view = client.get(f"{KB}?location=default")
    assert (other_view.headers["X-Cache"], other_view.json["data"]["product"]["name"]) == ("miss", "Keyboard")
    assert shelf.asked == ["/products/KB-1"]


def test_the_envelope_around_the_details_is_taken_off(client, connect, shelf):
    shelf.body = {"status": "success", "data": {"name": "Keyboard"}}
    connect(f"{shelf.url}/api/")
    assert details(client) == {"name": "Keyboard"}
    assert shelf.asked == ["/api/products/KB-1"]


def test_a_product_the_service_does_not_know_has_no_details_and_that_is_kept(client, connect, shelf):
    shelf.status = 404
    connect(shelf.url)
    assert details(client) is None
    assert client.get(KB).headers["X-Cache"] == "hit"
    assert len(shelf.asked) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, {}), (503, b""), (200, b"<html>"), (200, [1]), (200, b""), (200, b"null"), (401, {"detail": "who?"})],
)
def test_an_answer_that_is_none_leaves_the_stock_answer_whole(client, connect, shelf, status, body):
    shelf.status, shelf.body = status, body
    connect(shelf.url)
    assert details(client) is None


def test_a_redirect_is_not_followed_and_leads_nowhere_inside(client, connect, shelf):
    shelf.status, shelf.location = 302, f"{shelf.url}/inside"
    connect(shelf.url)
    assert details(client) is None
    assert shelf.asked == ["/products/KB-1"]


def test_what_is_not_said_to_be_json_is_no_product(client, connect, shelf):
    shelf.content_type = "text/html"
    connect(shelf.url)
    assert details(client) is None


@pytest.mark.parametrize(("size", "kept"), [(65_536, True), (65_537, False), (20_000_000, False)])
def test_a_product_has_64_kilobytes_at_most(client, connect, shelf, size, kept):
    shelf.body = b'{"name":"Keyboard"}'.ljust(size)
    connect(shelf.url)
    assert details(client) == ({"name": "Keyboard"} if kept else None)


def test_whatever_a_product_is_called_it_is_told_as_text(client, connect, shelf):
    named = {"name": "</script>\u2028\x1b[2J", "half": "\ud800", "weight": 10**29}
    shelf.body = named
    connect(shelf.url)
    assert details(client) == named
    assert "\x1b" not in client.get(KB).text


def test_a_slow_product_service_costs_its_timeout_once_and_no_more(client, connect, shelf):
    shelf.seconds = 10
    connect(shelf.url)
    started = real_time.monotonic()
    assert [details(client) for _ in range(5)] == [None] * 5
    assert real_time.monotonic() - started < 5 * TIMEOUT
    assert len(shelf.asked) == 1


def test_a_product_service_that_is_down_is_left_alone_after_three_tries(client, connect, monkeypatch):
    connect(f"http://127.0.0.1:{free_port()}")
    for number in range(5):
        factories.stock(5, f"P{number}")
        answer = client.get(f"/api/v1/inventory/P{number}")
        assert (answer.status_code, answer.json["data"]["product"]) == (200, None)
    assert product_details._breaker.current_state == "open"


def test_details_come_back_with_the_product_service(client, connect, shelf, app):
    shelf.status = 500
    connect(shelf.url)
    assert details(client) is None
    shelf.status = 200
    app.extensions["cache"].clear()
    assert details(client) == {"id": "KB-1", "name": "Keyboard"}


def test_a_client_that_saw_no_details_is_not_told_that_nothing_changed_when_they_are_back(client, connect, shelf, app):
    shelf.status = 500
    connect(shelf.url)
    first = client.get(KB)
    shelf.status = 200
    app.extensions["cache"].clear()
    again = client.get(KB, headers={"If-None-Match": first.headers.get("ETag", '"none"')})
    assert (again.status_code, again.json and again.json["data"]["product"]) == (
        200,
        {"id": "KB-1", "name": "Keyboard"},
    )


def test_lists_and_reservations_never_ask_for_details(client, connect, shelf):
    connect(shelf.url)
    client.get("/api/v1/inventory/")
    factories.hold(1)
    client.get(f"{KB}/availability")
    assert shelf.asked == []
