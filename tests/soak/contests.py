"""The phases in which many want the same: a flash sale, every write sent twice at once, and one who hoards."""

from __future__ import annotations

import time
from functools import partial
from random import Random
from typing import Any

from tests.chaos.calls import Call, Caller, Ending
from tests.chaos.clients import LONG
from tests.soak.arrivals import by_the_clock, together
from tests.soak.rules import FLASH_UNITS
from tests.soak.samples import sample, summary
from tests.soak.scene import CLIENTS, Scene
from tests.soak.wares import stock_up

SALES = 3
BUYERS = 200
THINKING = (1.0, 2.0)
BUDGET = 40  # units one customer may hold
HOARDED = [f"HOARD-{number}" for number in range(1, 21)]
HOARDED_UNITS = 500
HOARDING_CLIENTS, OTHERS = 8, 8
HOARDER = "hoarder"
KEPT = "SELECT COUNT(*) FROM idempotency_keys WHERE idempotency_key LIKE 'double-submit-%'"
EFFECTS = "SELECT COUNT(*) FROM stock_movements WHERE movement_type <> 'expiry' AND request_id LIKE 'double-submit-%'"
Figures = dict[str, Any]


def flash_sale(scene: Scene, seconds: float) -> Figures:
    """Three sales: every buyer comes in the first second, takes until not one unit is left, and goes on asking."""
    products = [f"FLASH-{number}" for number in range(1, SALES + 1)]
    stock_up(scene.caller(), products, units=FLASH_UNITS)
    told = [_sale(scene, product, seconds / SALES) for product in products]
    return summary(scene.samples.of("flash sale")) | {
        "buyers": BUYERS,
        "units taken": [_units(scene, product) for product in products],
        "units told": told,
    }


def _sale(scene: Scene, product: str, seconds: float) -> int:
    """How many units the buyers were told are theirs."""
    caller, end, told = scene.caller(), time.monotonic() + seconds, list[int]()

    def buy(buyer: int) -> None:
        random, attempt = Random(f"{scene.seed}-{product}-{buyer}"), 0
        time.sleep(random.random())
        while time.monotonic() < end:
            attempt += 1
            told.append(_try_to_buy(scene, caller, product, f"{product}-{buyer}-{attempt}", random))
            time.sleep(random.uniform(*THINKING))

    together(partial(buy, buyer) for buyer in range(BUYERS))
    return sum(told)


def _try_to_buy(scene: Scene, caller: Caller, product: str, key: str, random: Random) -> int:
    """So many units at once, and if they are not there, one."""
    for quantity in sorted({random.randint(1, 3), 1}, reverse=True):
        due = time.monotonic()
        ending = _reserve(caller, product, quantity, f"{key}-{quantity}", key, random)
        scene.samples.add(sample("flash sale", "reserve", due, time.monotonic(), [ending]))
        if ending.answers:
            return quantity
    return 0


def _reserve(caller: Caller, product: str, quantity: int, key: str, customer: str, random: Random) -> Ending:
    body = {"product_id": product, "quantity": quantity, "location": "default", "ttl_seconds": LONG}
    body |= {"order_id": key, "customer_id": customer}
    return caller.settle(Call("reserve", "POST", "/reservations/", body, key, {}), random)


def double_submit(scene: Scene, seconds: float) -> Figures:
    """Only writes, each sent twice at the same time under one key."""
    traffic = scene.traffic("double submit", twice=True)
    by_the_clock(traffic, rate=scene.target / 2, seconds=seconds, clients=CLIENTS)
    granted = [ending for ending in traffic.endings if ending.outcome == "ok"]
    return summary(scene.samples.of("double submit")) | {
        "granted keys": len(granted),
        "granted twice": sum(_oks(ending) == 2 for ending in granted),
        "replays": sum(attempt.replayed for ending in granted for attempt in ending.attempts),
        "contradictions": sum(len(ending.answers) != 1 for ending in granted),
        "kept keys": scene.number(KEPT),
        "effects": scene.number(EFFECTS),
    }


def _oks(ending: Ending) -> int:
    return sum(attempt.outcome == "ok" for attempt in ending.attempts)


def hoarder(scene: Scene, seconds: float) -> Figures:
    """One customer asks for all there is, again and again and from many sides; others want a unit now and then."""
    stock_up(scene.caller(), HOARDED, units=HOARDED_UNITS)
    caller, end, most = scene.caller(), time.monotonic() + seconds, [0]

    def want(phase: str, number: int, customer: str, pause: float) -> None:
        random, attempt = Random(f"{scene.seed}-{phase}-{number}"), 0
        while (due := time.monotonic()) < end:
            attempt += 1
            key = f"{phase}-{number}-{attempt}"
            ending = _reserve(caller, random.choice(HOARDED), random.randint(1, 3), key, customer or key, random)
            scene.samples.add(sample(phase, "reserve", due, time.monotonic(), [ending]))
            time.sleep(pause)

    def watch() -> None:
        while time.monotonic() < end:
            most[0] = max(most[0], _held_by(scene, HOARDER))
            time.sleep(0.3)

    crowd = [partial(want, HOARDER, number, HOARDER, 0.05) for number in range(HOARDING_CLIENTS)]
    crowd += [partial(want, "other", number, "", 0.3) for number in range(OTHERS)]
    together([*crowd, watch])
    hoarding, others = scene.samples.of(HOARDER), scene.samples.of("other")
    return summary(hoarding + others) | {
        "budget units": BUDGET,
        "units held at most": most[0],
        "hoarder granted": sum(each.outcome == "ok" for each in hoarding),
        "hoarder refused": sum(each.told[-1] == "409 hold_budget_exceeded" for each in hoarding),
        "others granted": sum(each.outcome == "ok" for each in others),
        "others held back": sum(each.outcome != "ok" for each in others),
    }


def _units(scene: Scene, product: str) -> int:
    return scene.number(
        "SELECT SUM(r.quantity) FROM reservations r JOIN inventory_items i ON i.id = r.inventory_item_id"
        f" WHERE r.status = 'active' AND i.product_id = '{product}'"
    )


def _held_by(scene: Scene, customer: str) -> int:
    return scene.number(
        f"SELECT SUM(quantity) FROM reservations WHERE status = 'active' AND customer_id = '{customer}'"
    )
