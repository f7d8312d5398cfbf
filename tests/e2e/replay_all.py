"""`make replay`: all real orders over HTTP against the real service, on the embedded and the server backend.

Each file is driven with just enough stock, where no line may be refused, and with one unit less of every
code, where exactly one line of each must be. Every code's stock is compared, and the audit must be clean.
About 62,000 requests: three minutes on two idle cores, seven on busy ones.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import click

from app.cli.replay_plan import CODES, plan_replay
from tests import servers
from tests.processes import ROOT, Server, new_home

ORDERS = CODES.parent
FILES = ["online_retail_oddities.csv", "online_retail_returning_customers.csv", "online_retail_5000.csv"]
LONGEST_COMMAND = 900
ROW = "{:9} {:38} {:18} {:>7} {:>7} {:>7} {:>8} {:>8}  {}"


class BackendMissing(Exception):
    """This machine has no server of that kind; says how to get one."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A running service, and the environment in which commands see the same database."""

    url: str
    env: dict[str, str]

    def replay(self, file: str, *, short: Iterable[str] = (), clients: int = 1) -> dict[str, Any]:
        """The report of `flask replay` and its `exit_code`; each has a prefix of its own."""
        options = [
            "--url",
            self.url,
            "--prefix",
            f"{secrets.token_hex(4)}-",
            "--clients",
            str(clients),
            "--json",
        ]
        options += [f"--short={code}" for code in short]
        ended = run_flask(self.env, "replay", str(ORDERS / file), *options)
        if not ended.stdout:
            raise click.ClickException(f"the replay of {file} ended with {ended.returncode} and without a report")
        return {**json.loads(ended.stdout), "exit_code": ended.returncode}

    def audit(self) -> subprocess.CompletedProcess[str]:
        return run_flask(self.env, "audit")


@contextmanager
def embedded() -> Iterator[Deployment]:
    """The service alone: a SQLite file, and expiry on a thread of its own."""
    database = new_home("embedded") / "inventory.db"
    with ExitStack() as stack:
        yield _deploy({"FLASK_ENV": "development", "DATABASE_URL": f"sqlite:///{database}"}, stack)


@contextmanager
def server() -> Iterator[Deployment]:
    """The service with MariaDB or MySQL, Redis and a worker, as in production."""
    with ExitStack() as stack:
        database, redis = _start("mariadb", servers.mariadb, stack), _start("redis", servers.redis, stack)
        url = servers.fresh_database(database)
        stack.callback(servers.drop_database, url)
        deployment = _deploy({"FLASK_ENV": "production", "DATABASE_URL": url, "REDIS_URL": redis.url}, stack)
        stack.callback(servers.worker(deployment.env).stop)
        yield deployment


BACKENDS: dict[str, Callable[[], AbstractContextManager[Deployment]]] = {
    "embedded": embedded,
    "server": server,
}


def run_flask(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the service; what it says on stderr goes to ours, its progress bar too."""
    kept = {name: value for name, value in os.environ.items() if name in servers.KEPT_VARIABLES}
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "run", *words],
        cwd=ROOT,
        env={**kept, "FLASK_SKIP_DOTENV": "1", **env},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LONGEST_COMMAND,
        check=False,
    )


def codes_that_can_be_short(file: str) -> list[str]:
    return [code for code, units in plan_replay(ORDERS / file).opening.items() if units]


def _start(name: str, start: Callable[[], Server | None], stack: ExitStack) -> Server:
    started = start()
    if started is None:
        raise BackendMissing(servers.HOW_TO_GET[name])
    stack.callback(started.stop)
    return started


def _deploy(env: dict[str, str], stack: ExitStack) -> Deployment:
    env = {**env, "LOG_LEVEL": "WARNING"}
    if run_flask(env, "db", "upgrade").returncode:
        raise click.ClickException("the new database could not be migrated")
    if env["FLASK_ENV"] == "production":  # which serves nobody without a key
        made = run_flask(env, "api-keys", "create", "replay", "--scope", "stock:read", "--scope", "stock:write")
        env["REPLAY_API_KEY"] = made.stdout.strip()
    service = servers.service(env)
    stack.callback(service.stop)
    return Deployment(service.url, env)


def _replays(deployment: Deployment) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in FILES:
        yield "enough stock", deployment.replay(file)
        yield "1 unit short each", deployment.replay(file, short=codes_that_can_be_short(file), clients=8)


def _row(backend: str, run: str, report: dict[str, Any]) -> str:
    return ROW.format(
        backend,
        report["file"],
        run,
        report["replayed"],
        report["codes"],
        len(report["refusals"]),
        f"{report['seconds']:.1f} s",
        f"{report['lines_per_second']:.0f}/s",
        "equal" if report["ok"] else "FAILED",
    )


def _prove(backend: str) -> bool:
    """Run everything on one backend; True when all of it came out as computed."""
    with BACKENDS[backend]() as deployment:
        reports = []
        for run, report in _replays(deployment):
            click.echo(_row(backend, run, report))
            reports.append(report)
        audit = deployment.audit()
        click.echo(f"{backend:9} audit: {'clean' if audit.returncode == 0 else audit.stdout}")
        return audit.returncode == 0 and all(report["exit_code"] == 0 for report in reports)


@click.command()
@click.option("--backend", "chosen", type=click.Choice(list(BACKENDS)), multiple=True, default=list(BACKENDS))
def main(chosen: tuple[str, ...]) -> None:
    """Replay every order file on each backend; exit with 0 only if all stock and every audit is right."""
    click.echo(ROW.format("backend", "file", "run", "lines", "codes", "refused", "time", "speed", "stock"))
    proven = True
    for backend in chosen:
        try:
            proven = _prove(backend) and proven
        except BackendMissing as missing:
            click.secho(f"{backend}: {missing}", fg="yellow", err=True)
    sys.exit(0 if proven else 1)


if __name__ == "__main__":
    main()
