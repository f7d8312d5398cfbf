"""What customers want, drawn from one seed: reads for the most part, and holds that are bought, given back or left to
lapse. Every piece of work is drawn from its own number, so what is wanted does not depend on timing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from tests.chaos.calls import Call, Caller, Ending
from tests.chaos.clients import LONG
from tests.soak.junk import JUNK
from tests.soak.samples import Samples, sample
from tests.soak.wares import PRODUCTS, product_for, wish

# How often what is wanted, in a hundred.
MIX = {
    "availability": 30, "list": 20, "ledger": 10, "reserve": 20, "confirm": 8, "cancel": 4, "lapse": 3, "adjust": 2,
    "order": 2, "junk": 1,
}  # fmt: skip
WRITES = {"reserve": 60, "confirm": 20, "cancel": 10, "adjust": 10}
SHORT = (5, 20)


class Traffic:
    """Does one piece of work at a time, on any thread; what it was like goes to the samples."""

    def __init__(self, phase: str, seed: int, caller: Caller, samples: Samples, *, twice: bool = False) -> None:
        self._phase, self._seed, self._caller, self._samples = phase, seed, caller, samples
        self._mix, self._twice = (WRITES, True) if twice else (MIX, False)
        self._held: deque[dict[str, Any]] = deque()
        self.endings: list[Ending] = []  # of writes, where they are sent twice
        self.junk_accepted = 0

    def __call__(self, number: int, due: float) -> None:
        random = Random(f"{self._seed}-{self._phase}-{number}")
        [kind] = random.choices([*self._mix], [*self._mix.values()])
        if kind in ("confirm", "cancel") and not self._held:
            kind = "reserve"
        endings = Piece(self, random, f"{self._key_prefix}-{number}").do(kind)
        self._samples.add(sample(self._phase, kind, due, time.monotonic(), endings))

    @property
    def _key_prefix(self) -> str:
        return self._phase.replace(" ", "-")

    def settle(self, call: Call, random: Random) -> Ending:
        ending = self._caller.settle(call, random, twice=self._twice)
        if self._twice:
            self.endings.append(ending)
        return ending

    def ask(self, path: str, random: Random) -> Ending:
        return self._caller.ask(path, random)

    def junk(self, random: Random) -> Ending:
        attempt = self._caller.send_raw(*random.choice(JUNK))
        self.junk_accepted += attempt.outcome == "ok"
        return Ending([attempt])

    def keep(self, held: dict[str, Any]) -> None:
        self._held.append(held)

    def take(self) -> dict[str, Any] | None:
        """The oldest hold that waits to be bought or given back; another client may have been faster."""
        try:
            return self._held.popleft()
        except IndexError:
            return None


class Piece:
    """One wish: usually one call, each with a key made of the wish's number."""

    def __init__(self, traffic: Traffic, random: Random, key: str) -> None:
        self._traffic, self._random, self._key = traffic, random, key

    def do(self, kind: str) -> list[Ending]:
        method: Callable[[], list[Ending]] = getattr(self, f"_{kind}")
        return method()

    def _availability(self) -> list[Ending]:
        product = product_for(self._random)
        path = f"/inventory/{product}"
        return self._ask(path if self._random.random() < 0.5 else f"{path}/availability?quantity=2")

    def _list(self) -> list[Ending]:
        page = self._random.randint(1, 20)
        paths = (
            f"/inventory/?page={page}",
            f"/inventory/search?q=SKU-0{page:03}",
            "/reservations/",
            "/inventory/low-stock",
        )
        return self._ask(self._random.choice(paths))

    def _ledger(self) -> list[Ending]:
        path = f"/inventory/{product_for(self._random)}/movements"
        return self._ask(path if self._random.random() < 0.8 else f"/movements/?after={self._random.randint(0, 900)}")

    def _reserve(self) -> list[Ending]:
        ending, held = self._hold(LONG)
        if held is not None:
            self._traffic.keep(held)
        return [ending]

    def _lapse(self) -> list[Ending]:
        return [self._hold(self._random.randint(*SHORT))[0]]

    def _confirm(self) -> list[Ending]:
        held = self._traffic.take()
        return [self._end("confirm", held)] if held else self._reserve()

    def _cancel(self) -> list[Ending]:
        held = self._traffic.take()
        return [self._end("cancel", held)] if held else self._reserve()

    def _adjust(self) -> list[Ending]:
        return [self._receive(product_for(self._random), self._random.randint(2, 12), "inbound")]

    def _order(self) -> list[Ending]:
        """Two products in one, bought at once; a unit of one comes back."""
        products = self._random.sample(PRODUCTS, 2)
        items = [{"product_id": product, "quantity": self._random.randint(1, 2)} for product in products]
        order = {"order_id": self._key, "customer_id": self._key, "ttl_seconds": LONG, "items": items}
        endings = [self._write("batch", "POST", "/reservations/batch", order)]
        made = endings[0].answers[0]["reservations"] if endings[0].answers else []
        endings += [self._end("confirm", held, step=held["product_id"]) for held in made]
        if made and all(ending.outcome == "ok" for ending in endings):
            endings.append(self._receive(products[0], 1, "return"))
        return endings

    def _junk(self) -> list[Ending]:
        return [self._traffic.junk(self._random)]

    def _ask(self, path: str) -> list[Ending]:
        return [self._traffic.ask(path, self._random)]

    def _hold(self, seconds: int) -> tuple[Ending, dict[str, Any] | None]:
        ending = self._write("reserve", "POST", "/reservations/", wish(self._random, self._key, seconds))
        return ending, ending.answers[0] if ending.answers else None

    def _end(self, kind: str, held: dict[str, Any], *, step: str = "") -> Ending:
        method, path = ("POST", f"/reservations/{held['id']}/confirm") if kind == "confirm" else (
            "DELETE", f"/reservations/{held['id']}"
        )  # fmt: skip
        return self._write(kind, method, path, None, step, reservation_id=held["id"], quantity=held["quantity"])

    def _receive(self, product: str, quantity: int, kind: str) -> Ending:
        body = {"quantity": quantity, "movement_type": kind, "location": "default"}
        return self._write("adjust", "POST", f"/inventory/{product}/adjust", body, kind)

    def _write(self, kind: str, method: str, path: str, body: Any, step: str = "", **facts: Any) -> Ending:
        key = f"{self._key}-{step}" if step else self._key
        return self._traffic.settle(Call(kind, method, path, body, key, facts), self._random)
