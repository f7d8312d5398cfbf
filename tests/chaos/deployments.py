"""Starts what a run needs, from private servers to our own processes; all of it ends with its context."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import make_url

from tests import servers
from tests.chaos import clocks, disks
from tests.chaos.proxy import Proxy
from tests.chaos.rig import CACHE_SECONDS, SWEEP_SECONDS, Rig
from tests.e2e.replay_all import run_flask
from tests.processes import Server, new_home

SETTINGS = {
    "EXPIRY_INTERVAL_SECONDS": str(SWEEP_SECONDS), "CACHE_DEFAULT_TIMEOUT": str(CACHE_SECONDS), "LOG_LEVEL": "WARNING",
    "WEB_PROCESSES": "2", "WEB_THREADS": "8",
}  # fmt: skip
USER, PASSWORD = "inventory", secrets.token_hex(16)  # production refuses one that can be guessed


@contextmanager
def embedded() -> Iterator[Rig]:
    """SQLite on a small disk where that may be mounted, and one service without anything else."""
    with sqlite(SETTINGS, small_disk=True) as rig, ExitStack() as stack:
        serve(rig, rig.env, stack)
        yield rig


@contextmanager
def server() -> Iterator[Rig]:
    """MariaDB that writes every commit to disk, Redis with a file, two services and two workers, one of each
    with a clock that is hours off."""
    with mariadb_and_redis(SETTINGS, small_disk=True) as rig, ExitStack() as stack:
        ahead, behind = _clocks(rig)
        env = rig.env | rig.proxied
        serve(rig, env, stack)
        rig.services.append(_started(stack, servers.service(env | ahead)))
        rig.workers.append(_started(stack, servers.worker(env | behind)))
        yield rig


def serve(rig: Rig, env: dict[str, str], stack: ExitStack) -> None:
    """One service, and the worker of a deployment with Redis; they end with the stack."""
    rig.services.append(_started(stack, servers.service(env)))
    if rig.redis is not None:
        rig.workers.append(_started(stack, servers.worker(env)))


@contextmanager
def sqlite(settings: Mapping[str, str], *, small_disk: bool) -> Iterator[Rig]:
    """A migrated database file and nothing that runs."""
    folder, left_out = new_home("embedded"), list[str]()
    with ExitStack() as stack:
        disk = _small_disk(folder, 24, stack, left_out) if small_disk else None
        url = f"sqlite:///{folder / 'inventory.db'}"
        rig = Rig(url, {**settings, "FLASK_ENV": "development", "DATABASE_URL": url}, disk=disk, left_out=left_out)
        _migrate(rig)
        yield rig


@contextmanager
def mariadb_and_redis(settings: Mapping[str, str], *, small_disk: bool) -> Iterator[Rig]:
    """Both servers, a proxy before each, a migrated database and a key, and none of our own processes."""
    with ExitStack() as stack:
        rig = _with_servers(settings, small_disk, stack)
        _migrate(rig)
        rig.api_key = new_key(rig, "chaos", "--scope", "admin")
        yield rig


def new_key(rig: Rig, *words: str) -> str:
    return _flask(rig, "api-keys", "create", *words).strip()


def _with_servers(settings: Mapping[str, str], small_disk: bool, stack: ExitStack) -> Rig:
    database, redis = servers.mariadb(durable=True, private=True), servers.redis(appendonly=True, private=True)
    if database is None or redis is None:
        raise servers.ServerMissing(servers.HOW_TO_GET["redis" if database else "mariadb"])
    left_out: list[str] = []
    redis.stop()
    disk = _small_disk(redis.home, 32, stack, left_out) if small_disk else None
    redis.start()
    for one in (database, redis):
        stack.callback(one.stop)
    checked = servers.fresh_database(database)
    env = {**settings, "FLASK_ENV": "production", **_addresses(checked, _port(database), _port(redis))}
    rig = Rig(checked, env, database=database, redis=redis, disk=disk, left_out=left_out)
    rig.database_proxy = Proxy(_port(database), mysql=True).start()
    rig.redis_proxy = Proxy(_port(redis)).start()
    for proxy in (rig.database_proxy, rig.redis_proxy):
        stack.callback(proxy.stop)
    rig.proxied = _addresses(checked, rig.database_proxy.port, rig.redis_proxy.port)
    _make_user(rig)
    return rig


def _addresses(checked: str, database_port: int, redis_port: int) -> dict[str, str]:
    url = make_url(checked).set(username=USER, password=PASSWORD, port=database_port)
    database = url.render_as_string(hide_password=False)
    return {"DATABASE_URL": database, "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0"}


def _make_user(rig: Rig) -> None:
    """The service's own user, who may do nothing to the server, so that a read-only server is one for it."""
    name = make_url(rig.checked_url).database
    rig.sql(f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")
    rig.sql(f"GRANT ALL ON {name}.* TO '{USER}'@'%'")


def _small_disk(folder: Path, megabytes: int, stack: ExitStack, left_out: list[str]) -> Path | None:
    if disks.small_disk(folder, megabytes=megabytes):
        stack.callback(disks.unmount, folder)
        return folder
    left_out.append("full disks: no small one may be mounted here")
    return None


def _migrate(rig: Rig) -> None:
    _flask(rig, "db", "upgrade")


def _flask(rig: Rig, *words: str) -> str:
    done = run_flask(rig.env, *words)
    if done.returncode != 0:
        raise RuntimeError(f"flask {' '.join(words)} ended with {done.returncode}: {done.stdout}")
    return done.stdout


def _started(stack: ExitStack, process: Server) -> Server:
    stack.callback(_end, process)
    return process


def _end(process: Server) -> None:
    if process.running:
        os.killpg(process.pid, signal.SIGCONT)
    process.stop(within=10)


def _clocks(rig: Rig) -> tuple[dict[str, str], dict[str, str]]:
    """For a service whose clock is two hours ahead and a worker whose clock is two hours behind."""
    shim = clocks.shim(new_home("clocks"))
    if shim is None:
        rig.left_out.append("clocks that are off: there is no C compiler")
        return {}, {}
    return clocks.off_by(2 * clocks.HOURS, shim), clocks.off_by(-2 * clocks.HOURS, shim)


def _port(server_: Server) -> int:
    return make_url(server_.url).port or 0
