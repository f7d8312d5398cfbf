"""What the processes take while they work: memory, descriptors, connections to the database; looked at now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
import pymysql

from tests.chaos.rig import Rig
from tests.processes import Server
from tests.soak.samples import slope_per_hour

EVERY = 1.0
MEGABYTE = 1 << 20


@dataclass(slots=True)
class Series:
    """One process, or one number, over time; each point is (monotonic seconds, value)."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def between(self, start: float, end: float) -> list[tuple[float, float]]:
        return [point for point in self.points if start <= point[0] <= end]


@dataclass(slots=True)
class Gauges:
    rig: Rig
    memory: dict[str, Series] = field(default_factory=dict)
    descriptors: dict[str, Series] = field(default_factory=dict)
    connections: Series = field(default_factory=Series)

    @contextmanager
    def watching(self) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(EVERY):
                self.look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def look(self) -> None:
        now = time.monotonic()
        for name, process in _processes(self.rig):
            with suppress(psutil.Error):  # it ended meanwhile
                self.memory.setdefault(name, Series()).points.append((now, process.memory_info().rss / MEGABYTE))
                self.descriptors.setdefault(name, Series()).points.append((now, process.num_fds()))
        if self.rig.database is not None:
            with suppress(pymysql.Error):  # a fault may be done to it
                open_now = int(self.rig.sql("SHOW STATUS LIKE 'Threads_connected'")[0][1]) - 1  # without this one
                self.connections.points.append((now, open_now))

    def spent(self) -> tuple[float, dict[str, float]]:
        """Seconds of work the cores have done so far: for everything, and for each process of ours and the clients."""
        times, ours = psutil.cpu_times(), {"clients": time.process_time()}
        for name, process in _processes(self.rig):
            with suppress(psutil.Error):
                taken = process.cpu_times()
                ours[name] = taken.user + taken.system
        return times.user + times.nice + times.system, ours

    def figures(self, start: float, end: float) -> dict[str, dict[str, float | None]]:
        """Of the processes that lived through that time: first, last and most, and how fast it grew."""
        found: dict[str, dict[str, float | None]] = {}
        for name, series in self.memory.items():
            memory, files = series.between(start, end), self.descriptors[name].between(start, end)
            if len(memory) > 1 and memory[0][0] < start + 5 * EVERY and memory[-1][0] > end - 5 * EVERY:
                found[name] = _grown("MB", memory) | _grown("descriptors", files)
        if len(open_ := self.connections.between(start, end)) > 1:
            found["database connections"] = _grown("open", open_)
        return found


def taken_by_others(
    before: tuple[float, dict[str, float]], after: tuple[float, dict[str, float]], seconds: float
) -> float | None:
    """How many cores worked for other programs; None when processes of ours came or went, whose part is not known."""
    if before[1].keys() != after[1].keys():
        return None
    ours = sum(after[1].values()) - sum(before[1].values())
    return round(max(0.0, after[0] - before[0] - ours) / seconds, 2)


def _grown(unit: str, points: list[tuple[float, float]]) -> dict[str, float | None]:
    values, slope = [value for _, value in points], slope_per_hour(points)
    return {
        f"{unit} first": round(values[0], 1),
        f"{unit} last": round(values[-1], 1),
        f"{unit} most": round(max(values), 1),
        f"{unit} per hour": None if slope is None else round(slope, 1),
    }


def _processes(rig: Rig) -> Iterator[tuple[str, psutil.Process]]:
    for server in (*rig.services, *rig.workers, rig.database, rig.redis):
        if server is not None and server.running:
            yield from _family(server)


def _family(server: Server) -> Iterator[tuple[str, psutil.Process]]:
    with suppress(psutil.Error):
        first = psutil.Process(server.pid)
        yield f"{server.name} {first.pid}", first
        for child in first.children(recursive=True):
            yield f"{server.name} {first.pid} > {child.pid}", child
