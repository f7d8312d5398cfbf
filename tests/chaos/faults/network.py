"""Faults of the network between the service and either of its servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from tests.chaos.faults.kinds import DATABASE, REDIS, fault, repeated
from tests.chaos.proxy import DOWN, UP, Proxy
from tests.chaos.rig import Rig


def _network(part: str, of: Callable[[Rig], Proxy]) -> None:
    @fault(f"cut connections to {part}", part)
    def cut(rig: Rig, random: Random) -> Iterator[str]:
        with repeated(of(rig).cut, every=0.4):
            yield "again and again"

    @fault(f"refuse connections to {part}", part)
    def refuse(rig: Rig, random: Random) -> Iterator[str]:
        of(rig).refuse()
        yield "all"
        of(rig).heal()

    @fault(f"slow network to {part}", part)
    def delay(rig: Rig, random: Random) -> Iterator[str]:
        seconds = random.uniform(0.01, 0.15)
        of(rig).delay(seconds)
        yield f"{seconds * 1000:.0f} ms each way"
        of(rig).heal()

    @fault(f"one-way network to {part}", part)
    def stall(rig: Rig, random: Random) -> Iterator[str]:
        way = random.choice([UP, DOWN])
        of(rig).stall(way)
        yield f"nothing gets {way}"
        of(rig).heal()

    @fault(f"forgotten connections to {part}", part)
    def forget(rig: Rig, random: Random) -> Iterator[str]:
        of(rig).black_hole()
        yield "open and silent"


def _of_database(rig: Rig) -> Proxy:
    assert rig.database_proxy is not None
    return rig.database_proxy


def _of_redis(rig: Rig) -> Proxy:
    assert rig.redis_proxy is not None
    return rig.redis_proxy


_network(DATABASE, _of_database)
_network(REDIS, _of_redis)
