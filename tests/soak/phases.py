"""The phases of traffic at a given rate: steady, four times too much, among slow clients, and under faults."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from datetime import datetime
from statistics import median
from typing import Any

from tests.chaos.supervisor import Outcome, Prober, looking, suffer
from tests.e2e.slow_clients import KINDS, Crowd
from tests.e2e.slow_clients import slow_clients as slow_crowd
from tests.soak.arrivals import by_the_clock, one_after_another
from tests.soak.samples import Sample, per_second, percentile, recovered_after, summary
from tests.soak.scene import CLIENTS, Scene

Figures = dict[str, Any]
SHARE_OF_PEAK = 0.5
TOO_MUCH = 4
MANY_CLIENTS = 200
RECOVERY_WATCHED = 12.0
IN_TIME = 0.25
SHARE_UNDER_FAULTS = 0.5  # of the target, since the proxies take their part of the cores
LAST_RECOVERY = 120.0
RELEASES = """
    SELECT r.expires_at, m.created_at FROM reservations r
    JOIN stock_movements m ON m.reservation_id = r.id AND m.movement_type = 'expiry'
"""
SLOW_CLIENTS, NEW_CROWD_EVERY = 200, 10.0
LOOK_EVERY = 15.0  # the questions go through the whole ledger, which is long by then


def measure_peak(scene: Scene, seconds: float, phase: str = "peak") -> float:
    """Calls per second of clients that wait for nothing but the answer: the median second of the later half."""
    start = one_after_another(scene.traffic(phase), seconds=seconds, clients=CLIENTS)
    counts = per_second(scene.samples.of(phase), start)
    return median(counts[len(counts) // 2 : -1])


def steady(scene: Scene, seconds: float) -> Figures:
    traffic = scene.traffic("steady")
    left_out = by_the_clock(traffic, rate=scene.target, seconds=seconds, clients=CLIENTS)
    samples = scene.samples.of("steady")
    reserves = [each for each in samples if each.kind in ("reserve", "lapse")]
    sold_out = sum(each.sold_out for each in reserves)
    return summary(samples) | {
        "per second": round(len(samples) / seconds, 1),
        "left out": left_out,
        "sold out %": round(100 * sold_out / max(1, len(reserves)), 1),
        "junk accepted": traffic.junk_accepted,
    }


def overload(scene: Scene, seconds: float) -> Figures:
    """Four times the target, from so many clients that they queue; then the target again. The peak is measured once
    more before, since by now the tables are longer and more is sold out, which costs more than to be granted."""
    peak, rate = measure_peak(scene, seconds / 3, "before overload"), scene.target * TOO_MUCH
    seconds, start = seconds * 2 / 3, time.monotonic()
    left_out = by_the_clock(scene.traffic("overload"), rate=rate, seconds=seconds, clients=MANY_CLIENTS)
    after = time.monotonic()
    by_the_clock(scene.traffic("after overload"), rate=scene.target, seconds=RECOVERY_WATCHED, clients=CLIENTS)
    samples = scene.samples.of("overload")
    goodput = median(per_second(samples, start)[1 : int(seconds)])
    return summary(samples) | {
        "offered per second": round(rate, 1),
        "left out": left_out,
        "peak per second": peak,
        "goodput per second": goodput,
        "goodput %": round(100 * goodput / peak, 1) if peak else 0.0,
        "turned away": _attempts(samples, "503", "429"),
        "without Retry-After": sum(each.without_wait for each in samples),
        "other 5xx": _attempts(samples, "5") - _attempts(samples, "503"),
        "recovery s": recovered_after(scene.samples.of("after overload"), after, limit=_in_time(scene)),
    }


def _in_time(scene: Scene) -> float:
    """What counts as recovered: a machine that was slower than it should be when steady need not become faster."""
    return max(IN_TIME, percentile((each.latency for each in scene.samples.of("steady")), 99))


def slow_clients(scene: Scene, seconds: float) -> Figures:
    """The target again, while others hold connections and hardly use them; when they are told to go, others come."""
    over, crowds = threading.Event(), list[Crowd]()
    coming = threading.Thread(target=_keep_coming, args=(scene, over, crowds))
    coming.start()
    try:
        by_the_clock(scene.traffic("slow clients"), rate=scene.target, seconds=seconds, clients=CLIENTS)
    finally:
        over.set()
        coming.join()
    return summary(scene.samples.of("slow clients")) | {
        "sockets": min((len(crowd.clients) for crowd in crowds), default=0),
        "crowds": len(crowds),
        "told to go": sum(client.closed_after is not None for crowd in crowds for client in crowd.clients),
    }


def _keep_coming(scene: Scene, over: threading.Event, crowds: list[Crowd]) -> None:
    while not over.is_set():
        with slow_crowd(scene.rig.urls[0], [*KINDS], each=math.ceil(SLOW_CLIENTS / len(KINDS))) as crowd:
            crowds.append(crowd)
            over.wait(NEW_CROWD_EVERY)


def expiry(scene: Scene, seconds: float) -> Figures:
    """How long after their time the holds of all phases so far were released."""
    lags = [(_time(released) - _time(due)).total_seconds() for due, released in scene.rows(RELEASES)]
    return {
        "holds": len(lags),
        "lag p50 s": round(percentile(lags, 50), 1),
        "lag p99 s": round(percentile(lags, 99), 1),
    }


def _time(told: Any) -> datetime:
    """SQLite tells times as text."""
    return told if isinstance(told, datetime) else datetime.fromisoformat(told)


def faults(scene: Scene, seconds: float) -> Figures:
    """Half the target, with the faults of the chaos run; our own processes reach the servers through its proxies."""
    over, rate = threading.Event(), scene.target * SHARE_UNDER_FAULTS
    load = threading.Thread(
        target=by_the_clock, args=(scene.traffic("faults"),),
        kwargs={"rate": rate, "seconds": 2 * seconds + LAST_RECOVERY, "clients": CLIENTS, "over": over},
    )  # fmt: skip
    prober = Prober(scene.rig, scene.history)
    with looking(scene.rig, scene.history, every=LOOK_EVERY):
        load.start()
        try:
            scene.faults = suffer(
                scene.rig, prober, seed=scene.seed, backend=scene.backend, seconds=seconds, tell=scene.tell
            )
        finally:
            over.set()
            load.join()
    return _under_faults(scene) | {"per second": round(rate, 1)}


def _under_faults(scene: Scene) -> Figures:
    samples, outcomes = scene.samples.of("faults"), scene.faults
    return summary(samples) | {
        "faults": sum(len(outcome.faults) for outcome in outcomes),
        "kinds": len({name for outcome in outcomes for name in outcome.faults}),
        "slowest recovery s": round(max((outcome.recovered or 0.0 for outcome in outcomes), default=0.0), 1),
        "too late": sum(not outcome.in_time for outcome in outcomes),
        "other 5xx": _attempts(samples, "5") - _attempts(samples, "503"),
        "5xx outside": sum(_attempts([each], "5") for each in samples if not _during(each, outcomes)),
        "attempts": dict(Counter(told for each in samples for told in each.told).most_common(12)),
    }


def _attempts(samples: list[Sample], *beginnings: str) -> int:
    return sum(told.startswith(beginnings) for each in samples for told in each.told)


def _during(one: Sample, outcomes: list[Outcome]) -> bool:
    """Whether a piece of work was under way in any fault's window, which ends when the service is back."""
    monotonic = time.monotonic() - time.time()
    return any(one.due <= outcome.until + monotonic and one.ended >= outcome.at + monotonic for outcome in outcomes)
