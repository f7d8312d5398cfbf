"""Serve the application: `python run.py`, in development and production alike.

One command for both keeps what people try at home the thing that runs in the platform.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
from contextlib import suppress

# Counters are kept in files that all processes of one server share; the client reads this when it is imported.
# They are mapped into memory, and writing to such a file on a full disk kills the process: better not on a disk.
if __name__ == "__main__" and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    in_memory = "/dev/shm" if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK) else None
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="inventory-metrics-", dir=in_memory)

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from prometheus_client import multiprocess
from sqlalchemy.exc import SQLAlchemyError

from app import create_app
from app.extensions import db
from app.jobs import expiry
from app.repositories import api_keys
from app.utils import clock, logs
from app.utils.arbiter import DrainingArbiter
from app.utils.serving import PatientWorker
from app.utils.waiting_worker import Patience
from config import EVERYWHERE, Config, ConfigurationError

GRACEFUL_SECONDS = 30  # the longest request, one to a database that hangs, takes 22
CONNECTIONS = 2000  # of each process, waiting ones included, where the system allows as many files
FILES = 4096
FILES_FOR_ITSELF = 64  # besides two for each thread, for the database and Redis


class JsonLogger(Logger):
    """Gunicorn's own words in the same JSON lines as ours."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers[:] = [logs.handler()]


class Server(BaseApplication):
    """Gunicorn with settings from `Config` instead of a file."""

    def __init__(self, app: Flask, config: Config, *, files: int) -> None:
        self.app, self.settings = app, config
        threads = config.web_threads
        self._connections = max(threads + 1, min(CONNECTIONS, files - 2 * threads - FILES_FOR_ITSELF))
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options().items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self.app

    def run(self) -> None:
        limits = self.settings
        PatientWorker.patience = Patience(
            head=limits.client_header_seconds,
            body=limits.client_body_seconds,
            answer=limits.client_answer_seconds,
            queue=limits.client_queue_seconds,
        )
        DrainingArbiter(self, drain_seconds=limits.drain_seconds).run()

    def _options(self) -> dict[str, Any]:
        embedded = self.settings.is_sqlite and self.settings.redis_url is None
        return {
            "bind": f"{self.settings.host}:{self.settings.port}",
            "worker_class": PatientWorker,
            # The embedded sweep and cache live in the serving process, so there is one.
            "workers": 1 if embedded else self.settings.web_processes,
            "threads": self.settings.web_threads,
            "worker_connections": self._connections,
            # A file would be sent by a thread that waits for whoever reads it.
            "sendfile": False,
            "graceful_timeout": GRACEFUL_SECONDS,
            "timeout": 60,
            "keepalive": 15,
            "limit_request_line": 8190,
            "preload_app": True,
            "control_socket_disable": True,
            "loglevel": "warning",
            "logger_class": JsonLogger,
            "when_ready": self._announce,
            "post_fork": self._after_fork,
            "child_exit": _forget_metrics,
        }

    def _after_fork(self, _arbiter: Any, _worker: Any) -> None:
        with self.app.app_context():
            # A connection made before the fork must not be used by two processes.
            db.engine.dispose(close=False)
            if self.settings.redis_url is None:
                expiry.start_background_sweep()

    def _announce(self, _arbiter: Any) -> None:
        host = "127.0.0.1" if self.settings.host in {EVERYWHERE, "::"} else self.settings.host
        base = f"http://{host}:{self.settings.port}/api/v1"
        with suppress(OSError):  # nobody need be listening, and the disk behind it may be full
            print(
                f"\n  Inventory service on {base}\n"
                f"    docs    {base}/docs/\n"
                f"    health  {base}/health/\n"
                f"    try     curl '{base}/inventory/?per_page=3'\n",
                flush=True,
            )


def _forget_metrics(_arbiter: Any, worker: Any) -> None:
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _remove_metrics() -> None:
    folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    if os.path.basename(folder).startswith("inventory-metrics-"):  # made above, not given to us
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    try:
        config = Config.from_env()
    except ConfigurationError as error:
        sys.exit(f"cannot start: {error}")
    app = create_app(config)
    _require_a_key(app, config)
    Server(app, config, files=_allow_many_files()).run()


def _allow_many_files() -> int:
    """A connection is a file, and many systems give a process 1,024 unless it asks for more. How many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def _require_a_key(app: Flask, config: Config) -> None:
    """Refuse to serve anybody but this machine before there is a key to ask for."""
    if not config.require_api_key:
        return
    with app.app_context():
        try:
            ready = api_keys.is_any_valid(clock.now())
        except SQLAlchemyError:
            sys.exit("cannot start: the database does not answer or has no schema (flask --app run db upgrade)")
        if not ready:
            sys.exit(
                "cannot start: there is no API key, and others than this machine could call"
                " (flask --app run api-keys create NAME --scope admin; or HOST=127.0.0.1 with FLASK_ENV=development)"
            )


if __name__ == "__main__":
    first_process = os.getpid()
    try:
        main()
    finally:
        # The web processes leave through here as well, and the figures are not theirs to remove.
        if os.getpid() == first_process:
            _remove_metrics()
