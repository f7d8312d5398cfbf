"""The replay's HTTP client against a socket that answers by script: what it repeats, and what it must not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.cli.stock_client import TRIES, Refused, StockClient

Reply = tuple[int, dict[str, str], Any]

BUSY: Reply = (503, {"Retry-After": "0"}, {"code": "database_busy", "detail": "try again"})
HELD: Reply = (201, {}, {"status": "success", "data": {"id": "r-1"}})


@dataclass
class Script:
    """Replies in the order they will be given (the last one again and again), and the requests that came."""

    replies: list[Reply] = field(default_factory=list)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    script: Script

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.script.requests.append((self.command, self.path, json.loads(content) if content else None))
        replies = self.script.replies
        status, headers, body = replies.pop(0) if len(replies) > 1 else replies[0]
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps the test output quiet."""


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    handler = type("ScriptedHandler", (Handler,), {"script": script})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield script
        server.shutdown()
        thread.join()


def client_of(script: Script, *, prefix: str = "") -> StockClient:
    return StockClient(script.url, location="default", prefix=prefix)


def reserve(client: StockClient) -> str:
    return client.reserve("85123A", 6, order_id="536365", customer_id="17850")


def test_a_busy_service_is_asked_again_with_the_same_request(script: Script):
    script.replies = [BUSY, BUSY, HELD]
    assert reserve(client_of(script)) == "r-1"
    assert len(script.requests) == 3
    assert script.requests[0] == script.requests[1] == script.requests[2]


def test_a_service_that_stays_busy_is_given_up_on(script: Script):
    script.replies = [BUSY]
    with pytest.raises(Refused, match="database_busy: try again"):
        reserve(client_of(script))
    assert len(script.requests) == TRIES


@pytest.mark.parametrize(
    "reply",
    [
        (503, {"Retry-After": "0"}, {"code": "outcome_unknown", "detail": "look first"}),
        (503, {}, {"code": "unhealthy", "detail": "no promise that nothing was done"}),
        (500, {"Retry-After": "0"}, {"code": "internal_error", "detail": "oops"}),
        (409, {}, {"code": "insufficient_stock", "detail": "5 of 6"}),
    ],
)
def test_nothing_is_repeated_that_might_have_happened_or_was_decided(script: Script, reply: Reply):
    script.replies = [reply]
    with pytest.raises(Refused) as refused:
        reserve(client_of(script))
    assert refused.value.code == reply[2]["code"]
    assert refused.value.problem["status"] == reply[0]
    assert len(script.requests) == 1


def test_an_answer_that_is_not_json_is_a_refusal_even_with_status_200(script: Script):
    script.replies = [(200, {}, "<h1>Welcome</h1>")]
    with pytest.raises(Refused, match="not_json"):
        reserve(client_of(script))


def test_no_answer_at_all_is_a_refusal():
    with pytest.raises(Refused, match="no_answer"):
        reserve(StockClient("http://127.0.0.1:1", location="default"))


def test_the_prefix_is_part_of_every_product_id(script: Script):
    script.replies = [HELD]
    client = client_of(script, prefix="x-")
    client.open_stock({"85123A": 6})
    reserve(client)
    client.adjust("85123A", -2, movement_type="adjustment", reference_id="536366")
    opened, reserved, adjusted = script.requests
    assert opened[2]["operations"][0]["product_id"] == reserved[2]["product_id"] == "x-85123A"
    assert adjusted[1] == "/api/v1/inventory/x-85123A/adjust"
    assert adjusted[2]["quantity"] == -2


def test_stock_is_opened_in_batches_of_a_thousand(script: Script):
    script.replies = [(200, {}, {"data": []})]
    client_of(script).open_stock({str(code): 1 for code in range(1001)})
    assert [len(body["operations"]) for _, _, body in script.requests] == [1000, 1]


def test_the_stock_is_read_to_the_last_page_and_only_of_its_own_prefix(script: Script):
    def page(product_id: str, cursor: str | None) -> Reply:
        item = {"product_id": product_id, "quantity": 7, "reserved_quantity": 2}
        return 200, {}, {"data": [item], "meta": {"next_cursor": cursor}}

    script.replies = [page("x-A", "abc"), page("y-B", "def"), page("x-C", None)]
    assert client_of(script, prefix="x-").stock() == {"A": (7, 2), "C": (7, 2)}
    assert [path for _, path, _ in script.requests] == [
        "/api/v1/inventory/?location=default&per_page=100",
        "/api/v1/inventory/?location=default&per_page=100&cursor=abc",
        "/api/v1/inventory/?location=default&per_page=100&cursor=def",
    ]
