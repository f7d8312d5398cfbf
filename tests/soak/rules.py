"""What each phase must have shown, as rules over its figures; the words are what a broken one is reported by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Figures = Mapping[str, Any]
Rule = Callable[[Figures], bool]

SWEEP_PERIOD = 5.0
FLASH_UNITS = 100
RECOVERY_LIMIT = 10.0


def _zero(*names: str) -> Rule:
    return lambda figures: all(figures[name] == 0 for name in names)


def _below(name: str, limit: float) -> Rule:
    return lambda figures: figures[name] is not None and figures[name] < limit


CLEAN: dict[str, Rule] = {
    "no 5xx": _zero("5xx"),
    "every call is answered": _zero("no answer", "unknown"),
    "all is served": lambda figures: figures["served"] == figures["calls"],
}
RULES: dict[str, dict[str, Rule]] = {
    "steady": CLEAN
    | {
        "nothing is left out": _zero("left out"),
        "p50 below 25 ms": _below("p50 ms", 25),
        "p95 below 100 ms": _below("p95 ms", 100),
        "p99 below 250 ms": _below("p99 ms", 250),
        "at least 20 % of reserves hit sold out": lambda figures: figures["sold out %"] >= 20,
        "all junk is refused with 4xx": _zero("junk accepted"),
    },
    "flash sale": CLEAN
    | {
        "exactly 100 units are taken in each sale": lambda figures: set(figures["units taken"]) == {FLASH_UNITS},
        "who is told of success holds the units": lambda figures: figures["units told"] == figures["units taken"],
        "p99 below 1 s": _below("p99 ms", 1000),
    },
    "double submit": {
        "no 5xx": _zero("5xx"),
        "effects are as many as distinct keys": lambda figures: figures["effects"] == figures["granted keys"],
        "each key is kept once": lambda figures: figures["kept keys"] == figures["granted keys"],
        "one answer of two is flagged as replayed": lambda figures: figures["replays"] == figures["granted twice"],
        "both get the same answer": _zero("contradictions"),
    },
    "overload": {
        "only 503 and 429 turn anybody away": _zero("other 5xx"),
        "who is turned away is told when to come back": _zero("without Retry-After"),
        "goodput at least 80 % of the peak": lambda figures: figures["goodput %"] >= 80,
        "recovered in 10 s": _below("recovery s", RECOVERY_LIMIT),
    },
    "slow clients": CLEAN
    | {"p99 below 1 s": _below("p99 ms", 1000), "they were there": lambda figures: figures["sockets"] >= 200},
    "hoarder": {
        "the budget caps the hoarder": lambda figures: figures["units held at most"] <= figures["budget units"],
        "the hoarder is refused": lambda figures: figures["hoarder refused"] > 0,
        "no 5xx": _zero("5xx"),
        "others keep buying": lambda figures: figures["others granted"] > 0 and figures["others held back"] == 0,
    },
    "expiry": {"released in a sweep's period and 5 s": _below("lag p99 s", SWEEP_PERIOD + 5)},
    "faults": {
        "back in 10 s after every fault": _zero("too late"),
        "nothing but 503 inside": _zero("other 5xx"),
        "no 5xx outside": _zero("5xx outside"),
    },
}


def broken(phase: str, figures: Figures) -> list[str]:
    return [words for words, holds in RULES[phase].items() if not holds(figures)]
