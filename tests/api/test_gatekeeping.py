"""Hosts, proxies, origins, rates and headers: closed or bounded by configuration."""

import secrets

import pytest
from flask import Flask
from flask_migrate import upgrade

from app import create_app
from app.extensions import db
from app.utils import clock
from config import Config, ConfigurationError
from tests.processes import free_port

INVENTORY = "/api/v1/inventory/"


@pytest.fixture
def serving(tmp_path, monkeypatch):
    """Applications with settings of their own."""
    monkeypatch.setattr(clock, "now", clock.now)
    opened: list[Flask] = []

    def serve(**settings):
        url = f"sqlite:///{tmp_path / f'{len(opened)}.db'}"
        app = create_app(Config(env="testing", database_url=url, **settings).checked())
        with app.app_context():
            upgrade()
        opened.append(app)
        return app.test_client()

    yield serve
    for app in opened:
        with app.app_context():
            db.engine.dispose()


def test_a_host_nobody_named_is_refused(serving):
    client = serving(allowed_hosts=("shop.example",))
    assert client.get(INVENTORY, headers={"Host": "shop.example"}).status_code == 200
    answer = client.get(INVENTORY, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "127.0.0.1:8080", "localhost:5000"])
def test_the_health_checks_of_the_containers_are_answered_whatever_hosts_are_named(serving, host):
    client = serving(allowed_hosts=("shop.example",))
    assert client.get("/api/v1/health/live", headers={"Host": host}).status_code == 200
    assert client.get("/api/v1/health/live", headers={"Host": f"evil.{host}"}).status_code == 400


def test_no_page_of_another_origin_may_call_unless_it_is_named(serving):
    closed, open_to_one = serving(), serving(cors_origins=("https://shop.example",))
    assert (
        "Access-Control-Allow-Origin" not in closed.get(INVENTORY, headers={"Origin": "https://shop.example"}).headers
    )
    named = open_to_one.get(INVENTORY, headers={"Origin": "https://shop.example"})
    assert named.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    other = open_to_one.get(INVENTORY, headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


def test_production_does_not_open_itself_to_every_origin():
    with pytest.raises(ConfigurationError, match="CORS_ORIGINS"):
        Config(database_url="mysql://u:p@h/d", redis_url="redis://h/0", cors_origins=("*",)).checked()


def test_the_request_after_the_last_of_the_minute_is_told_when_to_come_back(serving):
    client = serving(rate_limit_requests_per_minute=3)
    assert [client.get(INVENTORY).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = client.get(INVENTORY)
    assert (refused.content_type, refused.json["code"]) == ("application/problem+json", "rate_limit_exceeded")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert client.get("/api/v1/health/live").status_code == 200


def test_the_rate_is_told_in_headers(serving):
    headers = serving(rate_limit_requests_per_minute=3).get(INVENTORY).headers
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("3", "2")
    assert "X-RateLimit-Reset" in headers


def test_processes_count_together_in_redis(serving, redis_server):
    one, other = (serving(rate_limit_requests_per_minute=2, redis_url=redis_server.url) for _ in range(2))
    headers = {"X-API-Key": secrets.token_hex(8)}  # nobody else's count
    assert [client.get(INVENTORY, headers=headers).status_code for client in (one, other, one, other)] == [
        401,
        401,
        429,
        429,
    ]


def test_without_redis_each_process_counts_for_itself_and_locks_nobody_out(serving):
    client = serving(rate_limit_requests_per_minute=2, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert [client.get(INVENTORY).status_code for _ in range(3)] == [200, 200, 429]


def test_where_a_thing_was_made_is_told_without_the_host_that_was_claimed(client):
    made = client.post(INVENTORY, json={"product_id": "NEW"}, headers={"Host": "evil.example"})
    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/inventory/NEW?location=default")
    assert "evil.example" not in made.text + str(made.headers)


def test_callers_are_counted_one_by_one_and_an_address_that_tries_many_keys_is_counted_too(serving):
    client = serving(rate_limit_requests_per_minute=1)
    first = [client.get(INVENTORY, headers={"X-API-Key": f"guess-{number}"}).status_code for number in range(10)]
    assert first == [401] * 10
    assert client.get(INVENTORY, headers={"X-API-Key": "guess-10"}).status_code == 429


def test_a_forged_address_counts_only_behind_a_trusted_proxy(serving):
    direct, proxied = (serving(rate_limit_requests_per_minute=1, trusted_proxies=hops) for hops in (0, 1))
    for client, second in ((direct, 429), (proxied, 200)):
        assert client.get(INVENTORY, headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 200
        assert client.get(INVENTORY, headers={"X-Forwarded-For": "10.0.0.2"}).status_code == second


@pytest.mark.parametrize("path", [INVENTORY, "/api/v1/nowhere", "/api/v1/docs/", "/metrics"])
def test_every_answer_carries_the_headers_that_keep_browsers_in_line(client, path):
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] in {"private, no-cache", "no-cache", "public, max-age=0"}
