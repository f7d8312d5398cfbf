"""The two ways to start, what a wrong setting says, and what a request leaves in log, ledger and metrics."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from tests import servers
from tests.e2e.deployments import SWEEP_GRACE_SECONDS, Deployment, embedded, eventually, log_lines, server
from tests.e2e.replay_all import run_flask
from tests.e2e.test_processes import order_for
from tests.processes import ROOT, Server

LIMIT = 1 + 1 + SWEEP_GRACE_SECONDS
STATUS = "SELECT status FROM reservations WHERE id = :id"
EXPIRY = "SELECT actor, request_id FROM stock_movements WHERE reservation_id = :id AND movement_type = 'expiry'"
COUNTED = re.compile(r"^inventory_http_request_seconds_count\{(?P<labels>.*)\} (?P<count>\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def platform(mariadb: Server, redis_server: Server) -> Iterator[Deployment]:
    with server(mariadb, redis_server, EXPIRY_INTERVAL_SECONDS="1", WEB_PROCESSES="2", WEB_THREADS="4") as deployment:
        deployment.serve()
        deployment.stock("KB-1", quantity=100)
        yield deployment


def assert_it_expires_by_itself(deployment: Deployment) -> str:
    """A hold of one second becomes `expired` in the database with nobody asking for it: its id."""
    [held] = deployment.hold("KB-1", ttl=1)
    assert deployment.sql(STATUS, id=held) == [("active",)]
    eventually(lambda: deployment.sql(STATUS, id=held) == [("expired",)], within=LIMIT, because="the hold expired")
    return held


def test_embedded_the_service_sweeps_by_itself():
    with embedded(EXPIRY_INTERVAL_SECONDS="1") as deployment:
        service = deployment.serve()
        deployment.stock("KB-1", quantity=1)
        held = assert_it_expires_by_itself(deployment)
        [(actor, request_id)] = deployment.sql(EXPIRY, id=held)
        swept = [line for line in log_lines(service) if line["message"] == "swept"]
        assert [(line["actor"], line["request_id"], line["expired"]) for line in swept] == [(actor, request_id, 1)]
        assert (actor, deployment.call("GET", "/health/").json()["data"]["status"]) == ("expiry", "healthy")
        deployment.assert_in_order()


def test_as_a_platform_the_worker_sweeps_and_its_log_names_the_id_in_the_ledger(platform):
    worker = platform.work()
    held = assert_it_expires_by_itself(platform)
    [(actor, request_id)] = platform.sql(EXPIRY, id=held)
    swept = [line for line in log_lines(worker) if line["message"] == "swept"]
    assert [(line["actor"], line["request_id"], line["expired"]) for line in swept] == [(actor, request_id, 1)]
    assert not [line for line in log_lines(platform.services[0]) if line["message"] == "swept"]
    assert actor == "expiry"
    platform.assert_in_order()


def test_every_request_is_one_json_line_that_carries_the_id_it_came_with(platform):
    answer = platform.call("POST", "/reservations/", order_for("KB-1"), headers={"X-Request-ID": "till-7:4711"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (201, "till-7:4711")
    lines = eventually(
        lambda: [line for line in log_lines(platform.services[0]) if line["request_id"] == "till-7:4711"],
        within=5,
        because="the line is in the log",
    )
    told = [(line["message"], line["method"], line["path"], line["status"]) for line in lines]
    assert told == [("request", "POST", "/api/v1/reservations/", 201)]
    ledger = "SELECT movement_type FROM stock_movements WHERE request_id = 'till-7:4711'"
    assert platform.sql(ledger) == [("reservation",)]
    announced = [line for line in platform.services[0].log.read_text().splitlines() if not line.startswith("{")]
    assert [line.split()[0] for line in announced if line] == ["Inventory", "docs", "health", "try"]


def test_metrics_count_every_request_whichever_process_answered_it_or_is_asked(platform):
    before, sent = served(platform, "/api/v1/locations/"), 60
    for _ in range(sent):  # a connection each, so that both processes get some
        assert platform.call("GET", "/locations/").status_code == 200
    assert {served(platform, "/api/v1/locations/") - before for _ in range(10)} == {sent}
    folder = next(platform.services[0].home.glob("inventory-metrics-*"))
    answering = [file for file in folder.glob("histogram_*.db") if b"/api/v1/locations/" in file.read_bytes()]
    assert len(answering) == 2, "only one process answered, so this shows nothing"


def served(deployment: Deployment, route: str) -> int:
    """How many requests to this route the service says it has answered, all processes together."""
    exposition = requests.get(f"{deployment.url}/metrics", timeout=10).text
    found = COUNTED.finditer(exposition)
    return sum(int(float(match["count"])) for match in found if f'route="{route}"' in match["labels"])


@pytest.mark.parametrize(
    ("missing", "command"),
    [("DATABASE_URL", "run.py"), ("REDIS_URL", "run.py"), ("REDIS_URL", "-m flask --app run worker")],
)
def test_production_does_not_start_without_database_and_redis_and_says_so_in_one_line(missing, command):
    everything = {"DATABASE_URL": "mysql://u:secret@127.0.0.1:1/db", "REDIS_URL": "redis://127.0.0.1:1/0"}
    ended = start({name: value for name, value in everything.items() if name != missing}, *command.split())
    assert ended.returncode not in (0, None)
    [line] = ended.stderr.splitlines()
    assert missing in line
    assert "secret" not in line
    assert ended.stdout == ""


def test_nobody_is_served_beyond_this_machine_before_there_is_a_key(tmp_path):
    env = {"FLASK_ENV": "development", "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "HOST": "0.0.0.0"}
    assert "has no schema" in start(env, "run.py").stderr
    assert run_flask(env, "db", "upgrade").returncode == 0
    ended = start(env, "run.py")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "there is no API key" in ended.stderr


def test_production_serves_with_a_key_and_only_with_it(mariadb, redis_server):
    with server(mariadb, redis_server) as deployment:
        env = deployment.env | {"FLASK_ENV": "production"}
        assert "there is no API key" in start(env, "run.py").stderr
        secret = run_flask(env, "api-keys", "create", "shop", "--scope", "stock:write").stdout.strip()
        deployment.env = env
        deployment.serve()
        item = {"product_id": "KB-1", "quantity": 5}
        assert deployment.call("POST", "/inventory/", item).status_code == 401
        answer = deployment.call("POST", "/inventory/", item, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLASK_ENV", "staging"),
        ("PORT", "70000"),
        ("ALLOCATION_STRATEGY", "nearest"),
        ("RESERVATION_MAX_TTL_SECONDS", "60"),
        ("EXPIRY_BATCH_SIZE", "many"),
        ("DATABASE_URL", "postgresql://u:secret@127.0.0.1/db"),
        ("DATABASE_URL", "not a url with a secret"),
        ("REDIS_URL", "memcached://u:secret@127.0.0.1/0"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name_in_one_line(name, value):
    ended = start({"FLASK_ENV": "development", name: value}, "run.py")
    assert ended.returncode not in (0, None)
    [line] = ended.stderr.splitlines()
    assert name in line
    assert "secret" not in line


def test_several_wrong_settings_are_named_together():
    ended = start({"FLASK_ENV": "development", "PORT": "0", "WEB_THREADS": "none"}, "run.py")
    [line] = ended.stderr.splitlines()
    assert {"PORT", "WEB_THREADS"} <= set(re.findall(r"[A-Z_]{4,}", line))


def start(settings: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Start a command that should end at once because of these settings."""
    own = {name: value for name, value in os.environ.items() if name in servers.KEPT_VARIABLES}
    env = {**own, "FLASK_SKIP_DOTENV": "1", **settings}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=20, check=False
    )
