"""Bodies that are not one strict JSON object: the status that says so, and nothing changed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, text

from tests import factories, servers
from tests.api.refusals import assert_refused, nothing_changes
from tests.processes import ROOT, Server

RESERVATIONS = "/api/v1/reservations/"
GOOD = {"product_id": "KB-1", "quantity": 1, "order_id": "o-1", "customer_id": "c-1"}
JSON = "Content-Type: application/json\r\n"

NOT_STRICT_JSON = {
    "empty": b"",
    "cut off": b"{",
    "two values": b'{"a":1}{"b":2}',
    "single quotes": b"{'a':1}",
    "trailing comma": b'{"a":1,}',
    "leading zero": b'{"a":01}',
    "raw control character": b'{"a":"\x01"}',
    "not UTF-8": b'{"a":"\xe9"}',
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "UTF-8 with a BOM": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "null": b"null",
    "list": b"[]",
    "string": b'"x"',
    "number": b"1",
    "true": b"true",
    "NaN": b'{"quantity":NaN}',
    "Infinity": b'{"quantity":Infinity}',
    "-Infinity": b'{"quantity":-Infinity}',
    "a number beyond any": b'{"quantity":1e400}',
    "an integer of 5,000 digits": b'{"quantity":' + b"9" * 5000 + b"}",
    "a key twice": json.dumps(GOOD).encode()[:-1] + b',"quantity":9}',
    "a key twice, one escaped": json.dumps(GOOD).encode()[:-1] + b',"quantit\\u0079":9}',
    "nested 21 deep": b'{"a":' + b"[" * 20 + b"]" * 20 + b"}",
    "nested 1,000 deep": b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "nested 20,000 deep": b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "20,000 brackets that never close": b"[" * 20_000,
}
OTHER_MEDIA = {
    "text": {"Content-Type": "text/plain"},
    "none": {},
    "form": {"Content-Type": "application/x-www-form-urlencoded"},
    "a problem": {"Content-Type": "application/problem+json"},
    "UTF-7": {"Content-Type": "application/json; charset=utf-7"},
    "Latin-1": {"Content-Type": "application/json; charset=iso-8859-1"},
    "gzip": {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    "unheard of": {"Content-Type": "application/json", "Content-Encoding": "zap"},
}


def post(client, body, **headers):
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | headers
    return client.post(RESERVATIONS, data=body, headers=headers)


@pytest.mark.parametrize("body", NOT_STRICT_JSON.values(), ids=NOT_STRICT_JSON)
def test_what_is_not_one_strict_json_object_is_400(client, body):
    factories.stock(10)
    with nothing_changes():
        assert_refused(post(client, body), 400, "invalid_json")


@pytest.mark.parametrize("headers", OTHER_MEDIA.values(), ids=OTHER_MEDIA)
def test_what_is_not_plain_json_in_utf8_is_415(client, headers):
    factories.stock(10)
    with nothing_changes():
        answer = client.post(RESERVATIONS, data=json.dumps(GOOD), headers=headers)
        assert_refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", 'application/json;charset="UTF-8"', "Application/JSON"]
)
def test_json_in_utf8_may_say_so(client, content_type):
    factories.stock(10)
    assert post(client, json.dumps(GOOD).encode(), **{"Content-Type": content_type}).status_code == 201


@pytest.mark.parametrize(("spaces", "status"), [(65_536, 201), (65_537, 413)])
def test_a_body_has_64_kilobytes_at_most(client, spaces, status):
    factories.stock(10)
    body = json.dumps(GOOD).encode().ljust(spaces)
    answer = post(client, body)
    assert (answer.status_code, (answer.json or {}).get("max_bytes")) == (status, 65_536 if status == 413 else None)
    assert factories.numbers() == ((10, 1, 9) if status == 201 else (10, 0, 10))


@pytest.mark.parametrize("path", ["reservations/batch", "inventory/", "inventory/KB-1/adjust", "locations/"])
def test_every_call_with_a_body_has_the_same_gate(client, path):
    factories.stock(10)
    with nothing_changes():
        answer = client.post(f"/api/v1/{path}", data=b'{"a":1,"a":1}', content_type="application/json")
        assert_refused(answer, 400, "invalid_json")


# ── What only a real server sees ─────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Server]:
    database = f"sqlite:///{tmp_path_factory.mktemp('service') / 'inventory.db'}"
    env = {"FLASK_ENV": "development", "DATABASE_URL": database}
    command = [sys.executable, "-m", "flask", "--app", "run", "db", "upgrade"]
    subprocess.run(command, cwd=ROOT, env=os.environ | env, check=True, capture_output=True)
    server = servers.service(env)
    yield server
    server.stop()
    with create_engine(database).connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM reservations")).scalar_one() == 0
        assert connection.execute(text("SELECT COUNT(*) FROM stock_movements")).scalar_one() == 0


def connect(service: Server, *, patience: float = 10) -> socket.socket:
    url = urlsplit(service.url)
    return socket.create_connection((url.hostname or "", url.port or 0), timeout=patience)


def spoken(service: Server, request: str, *, patience: float = 10) -> tuple[int, str]:
    """Send these bytes and read until the server closes: the status and all that was said."""
    with connect(service, patience=patience) as wire:
        wire.sendall(request.encode("latin-1"))
        said = b""
        while chunk := wire.recv(65_536):
            said += chunk
    return int(said.split()[1]), said.decode()


def request_of(method: str, path: str, headers: str = "", body: str = "") -> str:
    return f"{method} /api/v1{path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{headers}\r\n{body}"


def reserving(headers: str, body: str) -> str:
    return request_of("POST", "/reservations/", JSON + headers, body)


CHUNKED = "Transfer-Encoding: chunked\r\n"
GOOD_CHUNK = f"{len(json.dumps(GOOD)):x}\r\n{json.dumps(GOOD)}\r\n"


@pytest.mark.parametrize("rest", ["", f"10000\r\n{' ' * 65_536}\r\n" * 3], ids=["short", "past the limit"])
def test_chunked_bodies_are_411_however_good_their_beginning(service, rest):
    status, said = spoken(service, reserving(CHUNKED, f"{GOOD_CHUNK}{rest}0\r\n\r\n"))
    assert (status, "application/problem+json" in said, '"code":"length_required"' in said) == (411, True, True)


def test_no_body_at_all_is_an_empty_body(service):
    status, said = spoken(service, reserving("", ""))
    assert (status, '"code":"invalid_json"' in said) == (400, True)


TWO_READINGS = {
    "length and chunked": ("Content-Length: 2\r\n" + CHUNKED, "2\r\n{}\r\n0\r\n\r\n"),
    "two lengths": ("Content-Length: 2\r\nContent-Length: 3\r\n", "{} "),
    "negative length": ("Content-Length: -1\r\n", "{}"),
    "signed length": ("Content-Length: +2\r\n", "{}"),
    "space before the colon": ("Content-Length: 2\r\nTransfer-Encoding : chunked\r\n", "{}"),
    "NUL in a header": ("Content-Length: 2\r\nX-Note: a\0b\r\n", "{}"),
}


@pytest.mark.parametrize(("headers", "body"), TWO_READINGS.values(), ids=TWO_READINGS)
def test_a_request_that_can_be_read_two_ways_is_400_and_the_connection_ends(service, headers, body):
    assert spoken(service, reserving(headers, body))[0] == 400


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", "ambiguous_credentials"),
        ("Authorization: Bearer a\r\nAuthorization: Bearer a\r\n", "ambiguous_credentials"),
        ("X-API-Key: a\r\nX-API-Key: b\r\n", "ambiguous_credentials"),
        ("X-API-Key: a\r\nAuthorization: Bearer a\r\n", "ambiguous_credentials"),
        ("Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "invalid_idempotency_key"),
        ('Idempotency-Key: "a"\r\nIdempotency-Key: "b"\r\n', "invalid_idempotency_key"),
    ],
)
def test_two_headers_where_one_is_meant_are_400_though_the_server_joins_them(service, headers, code):
    body = json.dumps(GOOD)
    status, said = spoken(service, reserving(f"{headers}Content-Length: {len(body)}\r\n", body))
    assert (status, f'"code":"{code}"' in said) == (400, True)


TOO_LONG = {
    "9 kB of URL": (414, request_of("GET", "/inventory/?q=" + "a" * 9000)),
    "150 headers": (431, request_of("GET", "/health/live", "".join(f"X-{n}: 1\r\n" for n in range(150)))),
    "a header of 20 kB": (431, request_of("GET", "/health/live", f"X-Long: {'a' * 20_000}\r\n")),
}


@pytest.mark.parametrize(("status", "request_"), TOO_LONG.values(), ids=TOO_LONG)
def test_lines_and_headers_have_a_limit(service, status, request_):
    assert spoken(service, request_)[0] == status


@pytest.mark.parametrize(
    "request_", [reserving(*TWO_READINGS["two lengths"]), TOO_LONG["9 kB of URL"][1], "zzz\r\n\r\n"]
)
def test_what_the_server_refuses_by_itself_is_a_problem_too(service, request_):
    head = spoken(service, request_)[1].partition("\r\n\r\n")[0].lower()
    assert "content-type: application/problem+json" in head


def test_clients_that_stop_mid_body_get_408_and_keep_nobody_else_waiting(service):
    with ExitStack() as stack:
        stalled = [stack.enter_context(connect(service, patience=15)) for _ in range(20)]
        for wire in stalled:
            wire.sendall(reserving("Content-Length: 1000\r\n", "{").encode())
        assert spoken(service, request_of("GET", "/health/live"), patience=15)[0] == 200
        assert b" 408 " in stalled[0].recv(65_536)
