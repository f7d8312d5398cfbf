"""Real processes for tests: started on a free port, stopped, killed and started again, never left behind."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A Popen that is collected while its process runs warns, and would fail whichever test is running by then.
_running: set[subprocess.Popen[bytes]] = set()
LONGEST_SOCKET_FOLDER = 60  # a Unix socket's whole path has room for about a hundred bytes


class ServerFailed(Exception):
    """A process ended, or did not answer in time, before it was of use; carries the end of its log."""


class Server:
    """One process with its children, or (without a command) a server somebody else runs for us."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        command: Sequence[str] = (),
        ready: Callable[[Server], bool] = lambda server: True,
        home: Path | None = None,
        env: Mapping[str, str] | None = None,
        patience: float = 60,
    ) -> None:
        self.name, self.url, self.command = name, url, list(command)
        self.home = home or new_home(name)
        self.log = self.home / "log"
        self._ready, self._env, self._patience = ready, env, patience
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def owned(self) -> bool:
        """Whether this test process runs it, so that tests may stop and kill it."""
        return bool(self.command)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended: None while it runs, negative when a signal ended it."""
        return self._process.poll() if self._process else None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} is not a process of this test run")
        return self._process.pid

    def start(self) -> Server:
        """Run it and wait until it answers; a second start finds the same port and the same data."""
        if self.owned and not self.running:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=ROOT,
                    env=self._env,
                    start_new_session=True,  # Ctrl-C is for the tests; and the group can be killed at once
                )
            _running.add(self._process)
            (self.home / "pid").write_text(str(self.pid))
            self._wait_until_ready()
        return self

    def stop(self, *, within: float = 30) -> None:
        """End it as an operator would; what is left after the deadline is killed."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._ended(within)
        self._kill_group()

    def kill(self) -> None:
        """End it and its children as a power cut would."""
        if not self.owned:
            raise RuntimeError(f"{self.name} was given by the environment: a test that kills it needs private=True")
        self._kill_group()

    def _kill_group(self) -> None:
        if self._process is not None:
            # macOS answers "not permitted" about a group of which only zombies are left.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._ended(10)
            _running.discard(self._process)
            (self.home / "pid").unlink(missing_ok=True)

    def _ended(self, within: float) -> None:
        assert self._process is not None
        self._process.wait(timeout=within)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._patience
        while not self._ready(self):
            if not self.running or time.monotonic() > deadline:
                self._kill_group()
                end = self.log.read_text(errors="replace")[-3000:]
                raise ServerFailed(f"{self.name} did not become ready. The end of its log:\n{end}")
            time.sleep(0.03)


def new_home(name: str) -> Path:
    """A folder for one server's files; it goes away with the test run."""
    home = _folder_of_this_run(os.getpid()) / f"{name}-{secrets.token_hex(3)}"
    home.mkdir()
    return home


def free_port() -> int:
    """A port nobody listens on, below the range from which the system takes ports for outgoing connections.

    The system's own choice (port 0) could be handed to a client while the server is being restarted, and
    the `random` module would choose the same port in every test process that seeds it alike.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            return port


@cache
def _folder_of_this_run(pid: int) -> Path:
    preferred = tempfile.gettempdir()
    parent = preferred if len(preferred) < LONGEST_SOCKET_FOLDER else "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="inventory-", dir=parent))
    reaper = [sys.executable, str(Path(__file__).with_name("reaper.py")), str(folder), str(pid)]
    _running.add(subprocess.Popen(reaper, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True))
    return folder
