"""What a fault is: entering it does it, leaving it heals it; it tells what it was done to.

Faults of one part of the deployment never come together, so a heal never waits for what another fault has stopped.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from random import Random

import pymysql
import redis

from tests.chaos import disks
from tests.chaos.rig import Rig
from tests.processes import Server

Doing = Callable[[Rig, Random], AbstractContextManager[str]]
OURS, DATABASE, REDIS = "ours", "database", "redis"
SERVER, EMBEDDED = "server", "embedded"


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    part: str
    backends: frozenset[str]
    do: Doing
    needs_disk: bool


FAULTS: list[Fault] = []


def fault(
    name: str, part: str, *backends: str, needs_disk: bool = False
) -> Callable[[Callable[[Rig, Random], Iterator[str]]], Doing]:
    def register(doing: Callable[[Rig, Random], Iterator[str]]) -> Doing:
        managed = contextmanager(doing)
        FAULTS.append(Fault(name, part, frozenset(backends or {SERVER}), managed, needs_disk))
        return managed

    return register


@contextmanager
def repeated(action: Callable[[], object], every: float) -> Iterator[None]:
    """Do it now and again, until left. What it is done to may be gone for a moment."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            with suppress(pymysql.Error, redis.RedisError, OSError):
                action()
            over.wait(every)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def stopped(process: Server) -> Iterator[None]:
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


@contextmanager
def full_disk(rig: Rig) -> Iterator[None]:
    assert rig.disk is not None
    disk = rig.disk
    with repeated(lambda: disks.fill(disk), every=0.2):
        yield
    disks.free(disk)
