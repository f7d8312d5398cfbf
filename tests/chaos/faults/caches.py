"""Faults of Redis itself."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import redis

from tests.chaos.faults.kinds import REDIS, fault, full_disk, repeated, stopped
from tests.chaos.rig import Rig
from tests.processes import Server


@fault("kill Redis", REDIS)
def kill_redis(rig: Rig, random: Random) -> Iterator[str]:
    _redis(rig).kill()
    yield "SIGKILL"
    _redis(rig).start()


@fault("stop Redis", REDIS)
def stop_redis(rig: Rig, random: Random) -> Iterator[str]:
    with stopped(_redis(rig)):
        yield "SIGSTOP"


@fault("flush Redis", REDIS)
def flush_redis(rig: Rig, random: Random) -> Iterator[str]:
    with repeated(lambda: _ask(rig, "FLUSHALL"), every=0.5):
        yield "again and again"


@fault("Redis out of memory", REDIS)
def redis_out_of_memory(rig: Rig, random: Random) -> Iterator[str]:
    _ask(rig, "CONFIG", "SET", "maxmemory", "1")
    yield "refuses what needs more"
    _ask(rig, "CONFIG", "SET", "maxmemory", "0")


@fault("Redis read-only", REDIS)
def redis_read_only(rig: Rig, random: Random) -> Iterator[str]:
    _ask(rig, "REPLICAOF", "127.0.0.1", "1")
    yield "a replica of nobody"
    _ask(rig, "REPLICAOF", "NO", "ONE")


@fault("full disk of Redis", REDIS, needs_disk=True)
def full_disk_of_redis(rig: Rig, random: Random) -> Iterator[str]:
    with full_disk(rig):
        yield "refuses every write"


def _ask(rig: Rig, *words: str) -> None:
    with redis.Redis.from_url(_redis(rig).url, socket_timeout=5) as client:
        client.execute_command(*words)


def _redis(rig: Rig) -> Server:
    assert rig.redis is not None
    return rig.redis
