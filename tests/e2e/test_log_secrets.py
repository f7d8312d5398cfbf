"""What the real processes write while strangers throw secrets and control characters at them."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest
import requests

from tests import servers
from tests.e2e.deployments import eventually, server
from tests.e2e.replay_all import run_flask
from tests.processes import Server, free_port

PASSWORD, SIGNING_KEY = "pr0duct-passw0rd", "0f1e2d3c4b5a69788796a5b4c3d2e1f0-of-this-test"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9mLWFkYQ"
FORGED = "inv_deadbeef_forgedforgedforgedforgedforgedforged123"
SECRETS = (PASSWORD, SIGNING_KEY, "eyJzdWIi", "forgedforged", "dXNlcjpwYXNz", "in-the-query", "in-the-header")


def speak(service: Server, request: str) -> None:
    """Bytes no client library would send."""
    url = urlsplit(service.url)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=10) as wire:
        wire.sendall(request.encode("latin-1"))
        while wire.recv(65_536):
            pass


@pytest.fixture
def provoked(mariadb: Server, redis_server: Server):
    """The logs of a service and a worker to whom all of it has happened, and the one key that is good."""
    settings = {
        "PRODUCT_SERVICE_URL": f"http://us:{PASSWORD}@127.0.0.1:{free_port()}",
        "SECRET_KEY": SIGNING_KEY,
        "REQUIRE_API_KEY": "true",
        "EXPIRY_INTERVAL_SECONDS": "1",
        "WEB_PROCESSES": "1",
        "LOG_LEVEL": "DEBUG",
    }
    with server(mariadb, redis_server, **settings) as deployment:
        good = run_flask(deployment.env, "api-keys", "create", "shop", "--scope", "admin").stdout.strip()
        service, worker = deployment.serve(), deployment.work()
        api = f"{service.url}/api/v1"
        as_shop = {"Authorization": f"Bearer {good}"}
        requests.post(f"{api}/inventory/", json={"product_id": "KB-1"}, headers=as_shop, timeout=10)
        for headers in (
            as_shop,
            {"X-API-Key": FORGED},
            {"Authorization": f"Bearer {JWT}"},
            {"Cookie": "a=in-the-header"},
        ):
            requests.get(f"{api}/inventory/KB-1", headers=headers, timeout=10)
        for path in (good, JWT, "a%1b%5b2J", "a%0d%0afake", "a%e2%80%a8b", "%00", f"x?token=in-the-query&q={JWT}"):
            requests.get(f"{api}/inventory/{path}", headers=as_shop, timeout=10)
        speak(service, f"GET /?api_key=in-the-query HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer {FORGED}\r\n\r\n")
        speak(service, "GET /\x1b[2J?token=in-the-query HTTP/9\r\n\r\n")
        speak(
            service,
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dXNlcjpwYXNz\r\nContent-Length: in-the-header\r\n\r\n",
        )
        # The tables go away under both of them, so that they tell of errors of the database as well.
        deployment_url = deployment.env["DATABASE_URL"]
        servers.drop_database(deployment_url)
        requests.get(f"{api}/inventory/?q={JWT}", headers=as_shop, timeout=10)
        eventually(lambda: "ERROR" in worker.log.read_text(), within=20, because="the worker told of its error")
        yield good, [service.log.read_bytes(), worker.log.read_bytes()]


def test_no_process_writes_a_secret_or_anything_but_lines_of_json(provoked):
    good, written = provoked
    for log in written:
        assert not [secret for secret in (good, good.split("_", 2)[2], *SECRETS) if secret.encode() in log]
        lines = [line for line in log.decode("ascii").split("\n") if line and not line.startswith("  ")]
        told = [json.loads(line) for line in lines]
        assert all(line.isprintable() for line in lines)
        assert {"level", "logger", "message", "time"} <= set.intersection(*(set(line) for line in told))
        refused = [line for line in told if line["message"].startswith("refused before")]
        assert {line["request_id"] for line in refused} <= {None}, "it was no request, and nobody else's either"
    text = b"".join(written).decode()
    for happened in ("the product service failed", "refused unread", "\\u001b[2J", "\\u2028", "***"):
        assert happened in text, f"nothing tells of {happened!r}, so this shows nothing"
