"""Runs the clients, does faults from one seed, heals each, and measures how long the service took to work again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from tests.chaos import invariants
from tests.chaos.calls import Call, Caller
from tests.chaos.clients import OPENING, PROBE
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.history import History
from tests.chaos.load import load_on
from tests.chaos.rig import CACHE_SECONDS, Rig

RECOVERY_LIMIT = 10.0
GIVE_UP_AFTER = 90.0
PROBES = 4
LOOK_EVERY = 4.0
LONGEST_HOLD = 20
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Round:
    """One or two faults at once, for so long, after a while of peace."""

    faults: tuple[Fault, ...]
    seconds: float
    peace: float


@dataclass(slots=True)
class Outcome:
    """What was done and how long the service then took to accept work; None when it did not. From `at` until `until`
    (seconds since 1970) something was broken or not yet back."""

    faults: list[str]
    told: list[str]
    at: float
    until: float
    seconds: float
    recovered: float | None

    @property
    def in_time(self) -> bool:
        return self.recovered is not None and self.recovered <= RECOVERY_LIMIT


def schedule(seed: int, backend: str, *, disk: bool) -> Iterator[Round]:
    """The same for the same seed. Every kind comes once before any comes again."""
    random = Random(f"{seed}-schedule")
    known = [fault for fault in FAULTS if backend in fault.backends and (disk or not fault.needs_disk)]
    deck: list[Fault] = []
    while True:
        if not deck:
            deck = random.sample(known, len(known))
        chosen = [deck.pop()]
        other = next((fault for fault in deck if fault.part != chosen[0].part), None)
        if other is not None and random.random() < 0.35:
            deck.remove(other)
            chosen.append(other)
        # Ours first: they are healed last, when the servers they need are there again.
        chosen.sort(key=lambda fault: fault.part != "ours")
        yield Round(tuple(chosen), random.uniform(1, 6), random.uniform(0.5, 2.5))


def run(
    rig: Rig, history: History, *, seed: int, backend: str, minutes: float, clients: int, tell: Tell
) -> list[Outcome]:
    """Load and faults for so long; then peace, in which everything must come to rest."""
    with load_on(rig, history.path, seed, clients) as load, looking(rig, history):
        outcomes = suffer(rig, Prober(rig, history), seed=seed, backend=backend, seconds=minutes * 60, tell=tell)
        load.say("stop", "stopped")
        load.say("resolve", "resolved")
        rest(rig)
        _read(rig, history)
    return outcomes


def suffer(rig: Rig, prober: Prober, *, seed: int, backend: str, seconds: float, tell: Tell) -> list[Outcome]:
    """One round of faults after another for so long; when it returns, all are healed."""
    outcomes: list[Outcome] = []
    end = time.monotonic() + seconds
    for number, turn in enumerate(schedule(seed, backend, disk=rig.disk is not None)):
        time.sleep(turn.peace)
        if time.monotonic() > end:
            break
        outcomes.append(_undergo(rig, turn, Random(f"{seed}-{number}"), prober))
        tell(_line(outcomes[-1]))
    return outcomes


def _undergo(rig: Rig, turn: Round, random: Random, prober: Prober) -> Outcome:
    started, healed = time.time(), threading.Event()
    with ThreadPoolExecutor(1) as aside:
        with ExitStack() as faults:
            told = [faults.enter_context(fault.do(rig, random)) for fault in turn.faults]
            time.sleep(turn.seconds)
            healing = time.monotonic()
            recovery = aside.submit(prober.recovery, healed)
        healed.set()
        found = recovery.result()
    recovered = None if found is None else found - healing
    return Outcome([fault.name for fault in turn.faults], told, started, time.time(), turn.seconds, recovered)


def _line(outcome: Outcome) -> str:
    done = " + ".join(f"{name} ({told})" for name, told in zip(outcome.faults, outcome.told, strict=True))
    recovered = "NOT RECOVERED" if outcome.recovered is None else f"recovered in {outcome.recovered:5.2f} s"
    return f"  {outcome.seconds:4.1f} s  {recovered}{'' if outcome.in_time else '  TOO LATE'}  {done}"


class Prober:
    """Asks every instance for small writes, on new connections, until each grants them one after another."""

    def __init__(self, rig: Rig, history: History) -> None:
        self._rig, self._made, self._lock = rig, 0, threading.Lock()
        self._caller = Caller(rig.urls, history, api_key=rig.api_key, retries=0, timeout=(1.0, 2.0))

    def recovery(self, healed: threading.Event) -> float | None:
        """Since when (monotonic) all instances work, still do when everything is healed, and without a break;
        None when that was not reached in time. Begins while faults are being healed."""
        with ThreadPoolExecutor(len(self._rig.urls)) as probes:
            times = list(probes.map(lambda url: self._works_since(url, healed), self._rig.urls))
        return None if None in times else max(found for found in times if found is not None)

    def _works_since(self, url: str, healed: threading.Event) -> float | None:
        deadline, granted, first = time.monotonic() + GIVE_UP_AFTER, 0, 0.0
        while time.monotonic() < deadline:
            if self._works(url):
                granted, first = granted + 1, first if granted else time.monotonic()
                if granted >= PROBES and healed.is_set():
                    return first
            else:
                granted = 0
            time.sleep(0.05)
        return None

    def _works(self, url: str) -> bool:
        with self._lock:
            self._made += 1
            key = f"probe-{self._made}"
        body = {"quantity": 1, "movement_type": "inbound", "location": "default"}
        call = Call("adjust", "POST", f"/inventory/{PROBE}/adjust", body, key, {})
        self._caller.forget_connections()
        return self._caller.perform(call, Random(key), url=url) is not None


@contextmanager
def looking(rig: Rig, history: History, *, every: float = LOOK_EVERY) -> Iterator[None]:
    """Now and then the numbers are checked at one moment, while everything is in motion."""
    over = threading.Event()
    engine = create_engine(rig.checked_url, poolclass=NullPool)

    def look() -> None:
        while not over.wait(every):
            try:
                with engine.connect() as connection:
                    history.note("live", broken=invariants.broken_now(connection))
            except SQLAlchemyError:
                continue  # the database is what the fault is done to

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=30)


def rest(rig: Rig) -> None:
    """Until every hold has run out and been swept, or should have been."""
    deadline = time.monotonic() + LONGEST_HOLD + 15
    while rig.ending_soon() and time.monotonic() < deadline:
        time.sleep(0.5)


def _read(rig: Rig, history: History) -> None:
    """When whatever was cached has had its time, readers must be shown what is."""
    time.sleep(CACHE_SECONDS + 1)
    caller = Caller(rig.urls, history, api_key=rig.api_key)
    for url in rig.urls:
        for product in OPENING:
            for place in caller.shown(product, url):
                seen = {name: place[name] for name in ("location", "quantity", "reserved_quantity")}
                history.note("read", product_id=product, **seen)
