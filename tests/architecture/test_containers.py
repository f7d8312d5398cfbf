"""What the Dockerfile and docker-compose.yml promise, checked without an engine."""

import ast
import os
import re
import shlex
import subprocess
import sys
import threading
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

import run
from app.controllers import bulk
from app.utils import openapi
from config import Config
from tests import servers
from tests.processes import ROOT

NGINX = (ROOT / "proxy" / "nginx.conf").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "inventory-service"}
VARIABLE = re.compile(r"\$\{(\w+)(:\?[^}]+)?[^}]*\}")


def dockerfile_stages() -> list[list[tuple[str, str]]]:
    text = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()))
    stages: list[list[tuple[str, str]]] = []
    for line in filter(None, text.splitlines()):
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest))
    return stages


def exec_form(instruction: str) -> list[str]:
    words = ast.literal_eval(instruction[instruction.index("[") :])
    assert isinstance(words, list)
    return words


def settings_in_config() -> set[str]:
    """The names of the variables that config.py reads: env.int("PORT", ...)."""
    calls = [node for node in ast.walk(ast.parse((ROOT / "config.py").read_text())) if isinstance(node, ast.Call)]
    reads = [call for call in calls if isinstance(call.func, ast.Attribute) and _is_env(call.func.value)]
    return {str(call.args[0].value) for call in reads if call.args and isinstance(call.args[0], ast.Constant)}


def _is_env(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "env"


def run_as_the_image_does(command: list[str], **env: str) -> int:
    command = [sys.executable, *command[1:]]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=False).returncode


IMAGE = dockerfile_stages()[-1]


def test_the_image_runs_as_a_user_who_is_not_root() -> None:
    users = [rest for word, rest in IMAGE if word == "USER"]
    assert users == ["10001:10001"], "by number, so that a cluster can verify it is not root"
    assert [word for word, _ in IMAGE].index("USER") > [word for word, _ in IMAGE].index("COPY")


def test_nothing_is_built_or_installed_in_the_image_that_runs() -> None:
    runs = " ".join(rest for word, rest in IMAGE if word == "RUN")
    for tool in ("apt", "pip", "gcc"):
        assert tool not in runs
    assert ("COPY", "--from=packages /opt/packages /opt/packages") in IMAGE


def test_everything_copied_exists_and_is_sent_to_the_builder() -> None:
    sent = [line.lstrip("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copies = [shlex.split(rest) for stage in dockerfile_stages() for word, rest in stage if word == "COPY"]
    sources = {source for words in copies if "--from" not in words[0] for source in words[:-1]}
    assert sources == {"requirements.txt", "config.py", "run.py", "app", "database"}
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in sent), f".dockerignore keeps {source} out"


def test_the_health_check_asks_the_live_endpoint() -> None:
    check = exec_form(next(rest for word, rest in IMAGE if word == "HEALTHCHECK"))
    asked: list[str] = []

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if len(asked) == 1 else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        port = str(server.server_port)
        assert run_as_the_image_does(check, PORT=port) == 0
        assert run_as_the_image_does(check, PORT=port) == 1, "an answer of 503 is not healthy"
        server.shutdown()
    assert run_as_the_image_does(check, PORT=port) == 1, "no answer is not healthy"
    assert asked == ["/api/v1/health/live"] * 2


def test_the_ports_are_the_documented_ones_and_only_the_proxy_leads_to_the_service() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "proxy": ["5003:8080"],
        "adminer": ["127.0.0.1:8081:8080"],
    }
    assert ("EXPOSE", "5000") in IMAGE
    assert SERVICES["adminer"]["profiles"] == ["tools"]


def test_one_image_serves_works_and_migrates() -> None:
    assert set(OURS) == {"service", "worker", "migrate"}
    assert exec_form(next(rest for word, rest in IMAGE if word == "CMD")) == ["python", "run.py"]
    assert SERVICES["worker"]["command"] == ["flask", "--app", "run", "worker"]
    assert SERVICES["migrate"]["command"] == ["flask", "--app", "run", "db", "upgrade"]
    for name, service in OURS.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name


def test_nothing_serves_before_the_database_is_migrated() -> None:
    assert SERVICES["migrate"]["depends_on"]["mysql"] == {"condition": "service_healthy"}
    assert SERVICES["migrate"]["restart"] == "no"
    for name in ("service", "worker"):
        assert SERVICES[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "mysql": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
        }


def test_whatever_should_stay_up_is_restarted_and_whatever_is_waited_for_is_checked() -> None:
    assert {name for name, service in SERVICES.items() if service["restart"] != "unless-stopped"} == {"migrate"}
    waited_for = {
        other
        for service in SERVICES.values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    assert waited_for == {"mysql", "redis"}
    for name in waited_for:
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD-SHELL"


def test_the_service_logs_in_with_the_name_the_database_was_made_with() -> None:
    url = make_url(VARIABLE.sub("secret", OURS["service"]["environment"]["DATABASE_URL"]))
    mysql = SERVICES["mysql"]["environment"]
    assert (url.host, url.port, url.database) == ("mysql", 3306, mysql["MYSQL_DATABASE"])
    assert url.username == mysql["MYSQL_USER"]
    assert OURS["service"]["environment"]["REDIS_URL"] == "redis://redis:6379/0"


def test_the_database_compares_text_by_bytes_and_lets_the_service_make_triggers() -> None:
    options = SERVICES["mysql"]["command"]
    assert "--character-set-server=utf8mb4" in options
    assert "--collation-server=utf8mb4_bin" in options
    assert "--log-bin-trust-function-creators=1" in options


def test_the_queue_survives_a_restart_and_nothing_in_it_is_evicted() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert command == "redis-server --appendonly yes --maxmemory-policy noeviction"
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]
    assert set(COMPOSE["volumes"]) == {"mysql", "redis"}


def test_compose_refuses_to_start_without_its_secrets_and_none_is_written_down() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    secrets = {name: refusal for name, refusal in VARIABLE.findall(text) if refusal}
    assert set(secrets) == {"MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD", "SECRET_KEY"}
    assert all(refusal == ":?copy .env.example to .env and set it there" for refusal in secrets.values())
    example = (ROOT / ".env.example").read_text().splitlines()
    assert {line for line in example if line and not line.startswith("#")} == {f"{name}=" for name in secrets}


def test_every_variable_the_containers_are_given_is_a_setting_of_the_service() -> None:
    settings = settings_in_config()
    assert "DATABASE_URL" in settings
    given = set(OURS["service"]["environment"])
    assert given - settings == set()
    offered = set(re.findall(r"(?m)^#([A-Z_]+)=", (ROOT / ".env.example").read_text()))
    # Left open, or with a default that holds for these containers.
    environment = OURS["service"]["environment"]
    assert offered == {name for name, value in environment.items() if value is None or ":-" in value}
    for service in OURS.values():
        assert service["environment"] == OURS["service"]["environment"], "one configuration for all three"


def test_the_proxy_runs_as_nobody_in_particular_and_with_the_file_that_is_tested() -> None:
    proxy = SERVICES["proxy"]
    assert proxy["volumes"] == ["./proxy/nginx.conf:/etc/nginx/nginx.conf:ro"]
    assert (proxy["user"], proxy["read_only"], proxy["cap_drop"]) == ("101:101", True, ["ALL"])
    written = re.findall(r"(?m)^\s*(?:pid|\w+_temp_path) (\S+);", NGINX)
    assert len(written) == 6
    assert all(path.startswith("/tmp/") for path in written), "nothing else can be written to"
    assert [mount.partition(":")[0] for mount in proxy["tmpfs"]] == ["/tmp"]


def test_the_proxy_finds_the_service_trusts_nobody_else_and_takes_bodies_of_the_services_own_size() -> None:
    assert "listen 8080 " in NGINX and "server service:5000 resolve;" in NGINX
    assert OURS["service"]["environment"]["TRUSTED_PROXIES"] == "${TRUSTED_PROXIES:-1}"
    sizes = re.findall(r"client_max_body_size (\d+)([km]);", NGINX)
    assert [int(number) * {"k": 2**10, "m": 2**20}[unit] for number, unit in sizes] == [openapi.MAX_BODY, bulk.MAX_BODY]


def test_a_service_that_is_stopped_is_given_the_time_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_ENV", "production")
    monkeypatch.setenv("DATABASE_URL", "mysql://mysql/inventory")
    monkeypatch.setenv("REDIS_URL", "redis://redis/0")
    needed = Config.from_env().drain_seconds + run.GRACEFUL_SECONDS
    for name, service in (OURS | {"proxy": SERVICES["proxy"]}).items():
        assert int(service["stop_grace_period"].removesuffix("s")) > needed, name


def test_the_workers_health_check_is_true_only_while_a_worker_is_registered(tmp_path: Path) -> None:
    redis = servers.redis(private=True)
    if redis is None:
        pytest.skip(servers.HOW_TO_GET["redis"])
    check = SERVICES["worker"]["healthcheck"]["test"][1:]
    env = {"FLASK_ENV": "development", "DATABASE_URL": f"sqlite:///{tmp_path / 'inventory.db'}", "REDIS_URL": redis.url}
    with redis:
        assert run_as_the_image_does(check, REDIS_URL=redis.url) == 1, "no worker"
        with servers.worker(env) as worker:
            assert run_as_the_image_does(check, REDIS_URL=redis.url) == 0
        assert worker.exit_code == 0, "a worker that is asked to stop does so before it is killed"
        assert run_as_the_image_does(check, REDIS_URL=redis.url) == 1, "the worker has gone"
    assert run_as_the_image_does(check, REDIS_URL=redis.url) == 1, "no Redis"
