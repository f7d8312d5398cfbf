"""Concurrent clients in a closed loop, as a program of their own; everything they do and are told goes to the history.

Each write carries an Idempotency-Key, and the same text as X-Request-ID, so the ledger names the call behind each
row. Input: one word per line. `stop` ends the load, `resolve` looks up what became of calls with an unknown outcome.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import click

from tests.chaos.calls import Call, Caller
from tests.chaos.history import History, lines

LOCATIONS = ("default", "east")
HOT = ("HOT-1", "HOT-2", "HOT-3")
COLD = tuple(f"COLD-{number:02}" for number in range(40))
PROBE = "PROBE"
OPENING = {**dict.fromkeys(HOT, 40), **dict.fromkeys(COLD, 500), PROBE: 1}
# How often a customer does what, in a hundred.
HABITS = {"reserve": 70, "batch": 8, "adjust": 14, "transfer": 8}
# What becomes of a hold: most are bought, some given back, some fought over, some forgotten; a few are long ones.
FATES = {"confirm": 40, "cancel": 20, "forget": 26, "both": 8, "keep": 6}
SENT_TWICE = 0.06
LONG = 3600


@dataclass(order=True, slots=True)
class Due:
    at: float
    fate: str = field(compare=False)
    held: dict[str, Any] = field(compare=False)


class Client:
    """One customer: makes a call, waits for its end, and sees to its holds when their time comes."""

    def __init__(self, number: int, seed: int, caller: Caller, stop: threading.Event) -> None:
        self._number, self._caller, self._stop = number, caller, stop
        self._random = Random(f"{seed}-client-{number}")
        self._numbers, self._due = itertools.count(1), list[Due]()

    def run(self) -> None:
        while not self._stop.is_set():
            if self._due and self._due[0].at <= time.time():
                due = heapq.heappop(self._due)
                self._finish(due.fate, due.held)
            else:
                [habit] = self._random.choices([*HABITS], [*HABITS.values()])
                getattr(self, f"_{habit}")()
            self._stop.wait(self._random.uniform(0.0, 0.1))

    def _product(self) -> str:
        return self._random.choice(HOT if self._random.random() < 0.5 else COLD)

    def _perform(self, kind: str, method: str, path: str, body: Any, **facts: Any) -> Any:
        key = f"c{self._number}-{next(self._numbers)}"
        if body is not None and kind in ("reserve", "batch"):
            body |= {"order_id": key, "customer_id": f"customer-{self._number}"}
        call = Call(kind, method, path, body, key, facts)
        return self._caller.perform(call, self._random, twice=self._random.random() < SENT_TWICE)

    def _reserve(self) -> None:
        [fate] = self._random.choices([*FATES], [*FATES.values()])
        ttl = LONG if fate == "keep" else self._random.randint(2, 20)
        product = self._random.choice(COLD) if fate == "keep" else self._product()
        body = {"product_id": product, "quantity": self._random.randint(1, 3), "ttl_seconds": ttl}
        if self._random.random() < 0.5:
            body["location"] = self._random.choice(LOCATIONS)
        held = self._perform("reserve", "POST", "/reservations/", body)
        if held is not None:
            self._plan(fate, held, ttl)

    def _batch(self) -> None:
        items = [{"product_id": product, "quantity": 1} for product in self._random.sample(HOT + COLD[:3], 2)]
        ttl = self._random.randint(2, 20)
        made = self._perform("batch", "POST", "/reservations/batch", {"items": items, "ttl_seconds": ttl})
        for held in made["reservations"] if made else []:
            self._plan(self._random.choice(["confirm", "cancel", "forget"]), held, ttl)

    def _plan(self, fate: str, held: dict[str, Any], ttl: int) -> None:
        if fate not in ("forget", "keep"):
            # Some come a little too late, on purpose.
            heapq.heappush(self._due, Due(time.time() + self._random.uniform(0, ttl * 1.1), fate, held))

    def _finish(self, fate: str, held: dict[str, Any]) -> None:
        if fate != "both":
            self._end(fate, held)
            return
        rivals = [threading.Thread(target=self._end, args=(kind, held)) for kind in ("confirm", "cancel")]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()

    def _end(self, kind: str, held: dict[str, Any]) -> None:
        method, path = ("POST", f"/reservations/{held['id']}/confirm") if kind == "confirm" else (
            "DELETE", f"/reservations/{held['id']}"
        )  # fmt: skip
        self._perform(kind, method, path, None, reservation_id=held["id"], quantity=held["quantity"])

    def _adjust(self) -> None:
        more = self._random.random() < 0.7  # what was bought is bought in again
        body = {
            "quantity": self._random.randint(1, 8) * (1 if more else -1),
            "movement_type": "inbound" if more else self._random.choice(["outbound", "damage", "loss", "adjustment"]),
            "location": self._random.choice(LOCATIONS),
        }
        self._perform("adjust", "POST", f"/inventory/{self._product()}/adjust", body)

    def _transfer(self) -> None:
        source, target = self._random.sample(LOCATIONS, 2)
        body = {"from_location": source, "to_location": target, "quantity": self._random.randint(1, 4)}
        self._perform("transfer", "POST", f"/inventory/{self._product()}/transfer", body)


def stock_up(caller: Caller) -> None:
    """The opening stock, made before any fault."""
    random = Random(0)
    caller.post_until_done("/locations/", {"code": "east", "name": "East"})
    for number, (product, quantity) in enumerate(OPENING.items()):
        for location in LOCATIONS:
            body = {"product_id": product, "quantity": quantity, "location": location}
            key = f"open-{number}-{location}"
            caller.perform(Call("create", "POST", "/inventory/", body, key, {}), random)


def unknown_keys(history: Path) -> Iterator[str]:
    ended = {
        line["key"]: line["type"] for line in lines(history) if line["type"] in ("invoke", "ok", "fail", "unknown")
    }
    yield from (key for key, how in ended.items() if how in ("unknown", "invoke"))


def resolve(caller: Caller, history: History) -> None:
    """Ask the service itself what became of each call whose client never learned it."""
    for key in unknown_keys(history.path):
        status, answers = caller.look_up(key)
        history.note("resolved", key=key, status=status, answers=answers)


@click.command()
@click.argument("urls", nargs=-1, required=True)
@click.option("--history", "path", type=click.Path(path_type=Path), required=True)
@click.option("--seed", type=int, default=0)
@click.option("--clients", type=int, default=10)
@click.option("--api-key", envvar="CHAOS_API_KEY")
def main(urls: Sequence[str], path: Path, seed: int, clients: int, api_key: str | None) -> None:
    history, stop = History(path), threading.Event()
    caller = Caller(urls, history, api_key=api_key)
    stock_up(caller)
    print("stocked", flush=True)
    with ThreadPoolExecutor(clients) as crowd:
        at_work = [crowd.submit(Client(number, seed, caller, stop).run) for number in range(clients)]
        _wait_for("stop")
        stop.set()
        for client in at_work:
            client.result()
    print("stopped", flush=True)
    _wait_for("resolve")
    resolve(caller, history)
    print("resolved", flush=True)


def _wait_for(word: str) -> None:
    for line in sys.stdin:
        if line.strip() == word:
            return
    raise SystemExit(f"the input ended before the word {word}")


if __name__ == "__main__":
    main()
