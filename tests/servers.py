"""The servers tests run against: MariaDB or MySQL, Redis, nginx, and this service itself, all real and all private.

A server is taken from the environment, else from a binary on the machine, else installed where that is
allowed (root on Debian or Ubuntu). Without any of these the caller gets None and skips, saying
`HOW_TO_GET[name]`; where CI=true, a run that would have to skip fails instead.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import redis as redis_client
import rq
from sqlalchemy import URL, make_url

from tests.processes import ROOT, Server, ServerFailed, free_port, new_home

HOW_TO_GET = {
    "mariadb": "SKIPPED, no MariaDB or MySQL: set TEST_DATABASE_URL=mysql+pymysql://user:password@host:port/ "
    "or install one (apt-get install mariadb-server, brew install mariadb)",
    "redis": "SKIPPED, no Redis: set TEST_REDIS_URL=redis://host:port/0 "
    "or install one (apt-get install redis-server, brew install redis)",
    "nginx": "SKIPPED, no nginx: install it (apt-get install nginx-light, brew install nginx)",
}
PACKAGES = {
    "mariadb": ("mariadb-server-core", "mariadb-client-core"),
    "redis": ("redis-server",),
    "nginx": ("nginx-light",),
}
PLACES = ["/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin", "/opt/homebrew/sbin"]
MAKE_USER = """\
CREATE USER IF NOT EXISTS 'tests'@'%' IDENTIFIED BY 'tests';
GRANT ALL ON *.* TO 'tests'@'%' WITH GRANT OPTION;
"""
KEPT_VARIABLES = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV"}


class ServerMissing(Exception):
    """CI=true promises that everything runs, and a server for it is not to be had."""


def mariadb(*, durable: bool = False, private: bool = False) -> Server | None:
    """A database server for tests, with utf8mb4 compared by bytes and a user who may do everything.

    `durable` syncs every commit, as production does; `private` refuses the one given by the environment,
    for tests that stop or kill it.
    """
    given = os.environ.get("TEST_DATABASE_URL")
    if given and not private:
        return Server("mariadb", given)
    binary = _binary("mariadb", "mariadbd", "mysqld")
    if binary is None:
        return None
    home, port = new_home("mariadb"), free_port()
    _initialise(binary, home)
    url = f"mysql+pymysql://tests:tests@127.0.0.1:{port}/"
    command = [*_mysqld(binary, home), *_mysqld_options(home, port=port, durable=durable)]
    return Server("mariadb", url, command=command, ready=_answers_sql, home=home).start()


def redis(*, appendonly: bool = False, private: bool = False) -> Server | None:
    """A Redis for tests. It forgets everything when it ends, unless `appendonly`."""
    given = os.environ.get("TEST_REDIS_URL")
    if given and not private:
        return Server("redis", _own_redis_database(given))
    binary = _binary("redis", "redis-server", "valkey-server")
    if binary is None:
        return None
    home, port = new_home("redis"), free_port()
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(home), "save": ""}
    options["appendonly"] = "yes" if appendonly else "no"
    command = [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]
    return Server("redis", f"redis://127.0.0.1:{port}/0", command=command, ready=_answers_ping, home=home).start()


def service(env: Mapping[str, str]) -> Server:
    """This project's service, as `python run.py` starts it, answering at `.url`; it logs to `.log`."""
    home, port = new_home("service"), free_port()
    variables = _environment(env, home) | {"HOST": "127.0.0.1", "PORT": str(port)}
    command, url = [sys.executable, "run.py"], f"http://127.0.0.1:{port}"
    return Server("service", url, command=command, ready=_is_live, home=home, env=variables).start()


def worker(env: Mapping[str, str]) -> Server:
    """This project's background worker, registered with the Redis of `env["REDIS_URL"]`."""
    home = new_home("worker")
    variables, url = _environment(env, home), env["REDIS_URL"]
    command = [sys.executable, "-m", "flask", "--app", "run", "worker"]
    return Server("worker", url, command=command, ready=_is_registered, home=home, env=variables).start()


def proxy(*services: str, instead: Mapping[str, str] | None = None) -> Server | None:
    """nginx before these services, with the shipped configuration: only places differ, and what is `instead`."""
    binary = _binary("nginx", "nginx")
    if binary is None:
        return None
    home, port = new_home("nginx"), free_port()
    upstreams = "".join(f"server {urlsplit(url).netloc};" for url in services)
    places = {"listen 8080": f"listen 127.0.0.1:{port}", "server service:5000 resolve;": upstreams, "/tmp/": f"{home}/"}
    shipped = (ROOT / "proxy" / "nginx.conf").read_text()
    for old, new in {**places, **(instead or {})}.items():
        if old not in shipped:
            raise ServerFailed(f"proxy/nginx.conf says nowhere: {old}")
        shipped = shipped.replace(old, new)
    (home / "nginx.conf").write_text(shipped)
    # As root it would work as a user who may not enter the folder of this run.
    globals_ = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    command = [binary, "-p", str(home), "-c", str(home / "nginx.conf"), "-g", globals_]
    return Server("nginx", f"http://127.0.0.1:{port}", command=command, ready=_accepts, home=home).start()


def fresh_database(server: Server) -> str:
    """A new, empty database on that server: its URL."""
    url = make_url(server.url).set(database=f"inventory_test_{secrets.token_hex(6)}")
    _execute(server.url, f"CREATE DATABASE {url.database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    return url.render_as_string(hide_password=False)


def drop_database(url: str) -> None:
    _execute(url, f"DROP DATABASE IF EXISTS {make_url(url).database}")


def _binary(server: str, *names: str) -> str | None:
    found = _find(names) or _install(PACKAGES[server], names)
    if found is None and os.environ.get("CI") == "true":
        raise ServerMissing(HOW_TO_GET[server])
    return found


def _find(names: Sequence[str]) -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), *PLACES])
    return next(filter(None, (shutil.which(name, path=path) for name in names)), None)


@cache
def _install(packages: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    """Install with apt where that is allowed; of several test processes one installs and the others wait."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _find(names) is None:
            _apt_get("update")
            _apt_get("install", "--no-install-recommends", *packages)
    return _find(names)


def _apt_get(*words: str) -> None:
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-qq", *words], env=quiet, stdout=subprocess.DEVNULL, check=False)


def _initialise(binary: str, home: Path) -> None:
    """Make the system tables, and the file that makes the tests' user when the server starts."""
    (home / "init.sql").write_text(MAKE_USER)
    installer = _find(["mariadb-install-db", "mysql_install_db"])
    if "MariaDB" in subprocess.check_output([binary, "--version"], text=True) and installer:
        how = ["--auth-root-authentication-method=normal", "--skip-test-db", "--force"]  # even without DNS
        command = [installer, *_mysqld(binary, home)[1:], *how]
    else:
        command = [*_mysqld(binary, home), "--initialize-insecure"]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode != 0:
        raise ServerFailed(f"{command[0]} could not make the system tables:\n{made.stdout}")


def _mysqld(binary: str, home: Path) -> list[str]:
    """The server and the options that come first; it runs as root only when told so by name."""
    user = ["--user=root"] if os.geteuid() == 0 else []
    # In a temporary folder they share, a starting server clears its neighbours' temporary tables.
    return [binary, "--no-defaults", f"--datadir={home / 'data'}", f"--tmpdir={home}", *user]


def _mysqld_options(home: Path, *, port: int, durable: bool) -> list[str]:
    return [
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        f"--socket={home / 'socket'}",
        f"--pid-file={home / 'server.pid'}",
        f"--init-file={home / 'init.sql'}",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_bin",
        f"--innodb-flush-log-at-trx-commit={1 if durable else 0}",
        f"--innodb-doublewrite={1 if durable else 0}",
        "--innodb-buffer-pool-size=64M",
        "--performance-schema=OFF",
        "--skip-log-bin",
        "--max-connections=500",
        "--loose-mysqlx=OFF",
    ]


def _own_redis_database(url: str) -> str:
    """Each test process gets its own numbered database of a Redis that they share."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    parsed = make_url(url)
    return parsed.set(database=str(int(parsed.database or 0) + number)).render_as_string(hide_password=False)


def _environment(env: Mapping[str, str], home: Path) -> dict[str, str]:
    """What a process of the service sees: nothing of the developer's own settings, and no .env file."""
    own = {name: value for name, value in os.environ.items() if name in KEPT_VARIABLES}
    coverage = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    always = {"FLASK_SKIP_DOTENV": "1", "PYTHONUNBUFFERED": "1", "TMPDIR": str(home)}
    return {**own, **coverage, **always, **env}


def _connect(url: URL) -> pymysql.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        connect_timeout=5,
    )


def _execute(url: str, statement: str) -> None:
    with _connect(make_url(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _answers_sql(server: Server) -> bool:
    try:
        _execute(server.url, "SELECT 1")
    except pymysql.Error:
        return False
    return True


def _answers_ping(server: Server) -> bool:
    with redis_client.Redis.from_url(server.url, socket_timeout=5) as client:
        try:
            return bool(client.ping())
        except redis_client.RedisError:
            return False


def _accepts(server: Server) -> bool:
    address = urlsplit(server.url)
    with suppress(OSError), socket.create_connection((address.hostname, address.port), timeout=5):
        return True
    return False


def _is_live(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/api/v1/health/live", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _is_registered(server: Server) -> bool:
    with redis_client.Redis.from_url(server.url, socket_timeout=5) as client:
        try:
            return any(found.pid == server.pid for found in rq.Worker.all(connection=client))
        except redis_client.RedisError:
            return False
