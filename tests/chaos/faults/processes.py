"""Faults of the service's own processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from random import Random

from tests.chaos.faults.kinds import EMBEDDED, OURS, SERVER, fault, repeated, stopped
from tests.chaos.rig import Rig
from tests.processes import Server, ServerFailed

START_WITHIN = 60.0


@fault("kill a service", OURS, SERVER, EMBEDDED)
def kill_service(rig: Rig, random: Random) -> Iterator[str]:
    service = random.choice(rig.services)
    service.kill()
    yield _named(rig, service)
    service.start()


@fault("kill a service's first process alone", OURS, SERVER, EMBEDDED)
def kill_master(rig: Rig, random: Random) -> Iterator[str]:
    service = random.choice(rig.services)
    os.kill(service.pid, signal.SIGKILL)
    yield _named(rig, service)
    _start_again(service)


@fault("restart a service", OURS, SERVER, EMBEDDED)
def restart_service(rig: Rig, random: Random) -> Iterator[str]:
    service = random.choice(rig.services)
    service.stop()
    yield _named(rig, service)
    service.start()


@fault("stop a service", OURS, SERVER, EMBEDDED)
def stop_service(rig: Rig, random: Random) -> Iterator[str]:
    service = random.choice(rig.services)
    with stopped(service):
        yield _named(rig, service)


@fault("kill web processes", OURS, SERVER, EMBEDDED)
def kill_web_processes(rig: Rig, random: Random) -> Iterator[str]:
    with repeated(lambda: _signal_child(random.choice(rig.services), random, signal.SIGKILL), every=0.7):
        yield "one after another"


@fault("stop a web process", OURS)
def stop_web_process(rig: Rig, random: Random) -> Iterator[str]:
    service = random.choice(rig.services)
    process = _signal_child(service, random, signal.SIGSTOP)
    yield f"{_named(rig, service)}, process {process}"
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGCONT)


@fault("kill a worker", OURS)
def kill_worker(rig: Rig, random: Random) -> Iterator[str]:
    worker = random.choice(rig.workers)
    worker.kill()
    yield _named(rig, worker)
    worker.start()


@fault("kill all workers", OURS)
def kill_workers(rig: Rig, random: Random) -> Iterator[str]:
    for worker in rig.workers:
        worker.kill()
    yield "both"
    for worker in rig.workers:
        worker.start()


@fault("stop a worker", OURS)
def stop_worker(rig: Rig, random: Random) -> Iterator[str]:
    worker = random.choice(rig.workers)
    with stopped(worker):
        yield _named(rig, worker)


def _named(rig: Rig, process: Server) -> str:
    return f"{process.name} {(rig.services if process in rig.services else rig.workers).index(process) + 1}"


def _start_again(process: Server) -> None:
    """As init systems do: once more, when what is left of it would not let it start."""
    deadline = time.monotonic() + START_WITHIN
    while not process.running:
        try:
            process.start()
        except ServerFailed:
            if time.monotonic() > deadline:
                raise


def _signal_child(service: Server, random: Random, number: signal.Signals) -> int:
    found = subprocess.run(["pgrep", "-P", str(service.pid)], stdout=subprocess.PIPE, text=True, check=False)
    children = [int(child) for child in found.stdout.split()]
    if not children:
        raise ProcessLookupError(service.pid)
    child = random.choice(children)
    os.kill(child, number)
    return child
