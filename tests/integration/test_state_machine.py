"""Thousands of random calls to the service and to the model at once; and proof that a fault would be found."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from flask import Flask
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.exc import SQLAlchemyError

from app.errors import DomainError, LostRace
from app.models.allocation import Allocation
from app.models.reservations import Hold
from app.models.stock import Stock
from app.models.stock_movements import MovementType
from app.repositories import reservations as reservation_rows
from tests import factories
from tests.conftest import Time
from tests.integration.stock_machine import LOCATIONS, LONGEST, ROUNDS, THOROUGH, StockMachine


@pytest.fixture
def machine(app: Flask, time: Time, monkeypatch: pytest.MonkeyPatch) -> type[StockMachine]:
    for code, priority in LOCATIONS.items():
        if code != "default":
            factories.location(code, priority=priority)
    config = replace(app.extensions["settings"], reservation_max_ttl_seconds=LONGEST, reservation_ttl_seconds=60)
    monkeypatch.setitem(app.extensions, "settings", config)
    return type("Machine", (StockMachine,), {"time": time, "run_number": count(1)})


@pytest.mark.parametrize("number", ROUNDS)
def test_the_service_does_what_the_model_says_whatever_is_called_in_whatever_order(machine, number):
    run_state_machine_as_test(seed(number)(machine), settings=THOROUGH)


def _expire_without_giving_back(stock: Stock, units: int, cause: Any) -> Any:
    return stock._post(MovementType.EXPIRY, 0, 0, cause)


def _lapsed_one_tick_late(hold: Hold, now: datetime) -> bool:
    return hold.status == "active" and hold.expires_at < now


def _free_of_nothing_planned(allocation: Allocation, stock: Stock) -> int:
    return stock.available


def _release_without_a_row(stock: Stock, units: int, cause: Any) -> None:
    stock.reserved_quantity -= units


def _take_from_the_shelf_only(stock: Stock, units: int, cause: Any) -> Any:
    return stock._post(MovementType.OUTBOUND, -units, 0, cause)


def _extend_without_a_cap(hold: Hold, now: datetime, *, seconds: int, longest: int) -> None:
    hold.expires_at = now + timedelta(seconds=seconds)


def _overdue_of_nothing(*args: Any, **kwargs: Any) -> list[Hold]:
    return []


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "expiry gives nothing back": (Stock, "expire", _expire_without_giving_back),
    "a hold lives one tick too long": (Hold, "is_lapsed", _lapsed_one_tick_late),
    "lines of one request do not see each other": (Allocation, "_free", _free_of_nothing_planned),
    "a release leaves no ledger row": (Stock, "release", _release_without_a_row),
    "a confirmed unit stays promised": (Stock, "take", _take_from_the_shelf_only),
    "a hold can be extended for ever": (Hold, "extend", _extend_without_a_cap),
    "nothing overdue is ever found": (reservation_rows, "lock_overdue", _overdue_of_nothing),
}


@pytest.mark.leaves_findings
@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_machine_finds_a_planted_fault(machine, monkeypatch, fault):
    owner, name, wrong = FAULTS[fault]
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises((AssertionError, SQLAlchemyError, LostRace, DomainError)):
        for number in ROUNDS:
            run_state_machine_as_test(seed(number)(machine), settings=THOROUGH)
