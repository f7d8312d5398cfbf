"""What clients saw, one sample for each piece of work, and the figures that are made of many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import StatisticsError, linear_regression
from typing import NamedTuple

from tests.chaos.calls import Attempt, Ending

HOUR = 3600.0
IN_A_ROW = 3


class Sample(NamedTuple):
    """Times are monotonic. `told` is the status and code of each attempt, or the name of what went wrong instead."""

    phase: str
    kind: str
    due: float
    ended: float
    outcome: str
    told: tuple[str, ...]
    without_wait: int = 0

    @property
    def latency(self) -> float:
        return self.ended - self.due

    @property
    def served(self) -> bool:
        """Answered for good: done, or refused for a reason that is the client's."""
        return self.outcome == "ok" or (self.outcome == "fail" and self.told[-1].startswith("4") and not self.limited)

    @property
    def limited(self) -> bool:
        return self.told[-1].startswith("429")

    @property
    def sold_out(self) -> bool:
        return self.told[-1] == "409 insufficient_stock"


def sample(phase: str, kind: str, due: float, ended: float, endings: Sequence[Ending]) -> Sample:
    """Of one piece of work; it may have taken several calls, and is as good as the worst of them."""
    attempts = [attempt for ending in endings for attempt in ending.attempts]
    outcomes = {ending.outcome for ending in endings}
    worst = next(outcome for outcome in ("unknown", "fail", "ok") if outcome in outcomes)
    silent = sum(_turned_away(attempt) and not attempt.asked_to_wait for attempt in attempts)
    return Sample(phase, kind, due, ended, worst, tuple(attempt.told for attempt in attempts), silent)


def _turned_away(attempt: Attempt) -> bool:
    return attempt.told.startswith(("503", "429"))


def percentile(values: Iterable[float], hundredth: float) -> float:
    """The smallest value that so many percent do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * hundredth / 100) - 1)] if ordered else 0.0


def slope_per_hour(points: Sequence[tuple[float, float]]) -> float | None:
    """Of the straight line nearest to (seconds, value); None when there is no such line."""
    try:
        slope, _ = linear_regression([at for at, _ in points], [value for _, value in points])
    except StatisticsError:
        return None
    return slope * HOUR


def per_second(samples: Iterable[Sample], start: float) -> list[int]:
    """How many were served in each whole second since then."""
    counts = Counter(int(each.ended - start) for each in samples if each.served and each.ended >= start)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


def recovered_after(samples: Iterable[Sample], start: float, *, limit: float) -> float | None:
    """Seconds until work is again done in time: until the first of so many seconds in a row in each of which all that
    became due was served, 95 % of it within the limit. None when there are none."""
    by_second: dict[int, list[Sample]] = {}
    for each in samples:
        by_second.setdefault(int(each.due - start), []).append(each)
    good = {second for second, group in by_second.items() if _in_time(group, limit)}
    calm = [second for second in sorted(good) if good.issuperset(range(second, second + IN_A_ROW))]
    return float(calm[0]) if calm else None


def _in_time(group: Sequence[Sample], limit: float) -> bool:
    return all(each.served for each in group) and percentile((each.latency for each in group), 95) <= limit


@dataclass(slots=True)
class Samples:
    """All of a run. Appending to a list is safe from any thread."""

    taken: list[Sample] = field(default_factory=list)

    def add(self, one: Sample) -> None:
        self.taken.append(one)

    def of(self, phase: str) -> list[Sample]:
        return [each for each in self.taken if each.phase == phase]

    @property
    def requests(self) -> int:
        return sum(len(each.told) for each in self.taken)


def latencies(samples: Sequence[Sample]) -> dict[str, float]:
    """In milliseconds."""
    values = [each.latency * 1000 for each in samples]
    return {f"p{hundredth:g} ms": round(percentile(values, hundredth), 1) for hundredth in (50, 95, 99, 99.9)}


def summary(samples: Sequence[Sample]) -> dict[str, object]:
    """What every phase tells."""
    statuses = Counter(told for each in samples for told in each.told)
    return {
        "calls": len(samples),
        "served": sum(each.served for each in samples),
        "unknown": sum(each.outcome == "unknown" for each in samples),
        "5xx": sum(count for told, count in statuses.items() if told.startswith("5")),
        "no answer": sum(count for told, count in statuses.items() if not told[:3].isdigit()),
        **latencies(samples),
    }
