"""The clients' process beside the supervisor's, so that neither slows the other down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.chaos.rig import Rig
from tests.processes import ROOT


class Load:
    """The clients' process, told what to do next."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin and process.stdout
        self._process, self._to, self._from = process, process.stdin, process.stdout

    def say(self, word: str, answer: str) -> None:
        self._to.write(word + "\n")
        self._to.flush()
        self.hear(answer)

    def hear(self, answer: str) -> None:
        heard: IO[str] = self._from
        if (line := heard.readline().strip()) != answer:
            raise RuntimeError(f"the clients said {line!r} and not {answer!r}")


@contextmanager
def load_on(rig: Rig, history: Path, seed: int, clients: int) -> Iterator[Load]:
    command = [sys.executable, "-m", "tests.chaos.clients", *rig.urls, "--history", str(history)]
    command += ["--seed", str(seed), "--clients", str(clients)]
    command += ["--api-key", rig.api_key] if rig.api_key else []
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        load = Load(process)
        load.hear("stocked")
        yield load
    finally:
        process.kill()
        process.wait()
