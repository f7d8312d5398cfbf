"""A replay's verdict, and the order in which several clients drive the lines."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import pytest

from app.cli.replay_plan import CODES, Plan, plan_replay
from app.cli.replay_report import Mismatch, Report, as_dict, as_text, mismatches
from app.cli.replay_run import Outcome, outcomes
from app.cli.stock_client import Refused, StockClient

ODDITIES = CODES.parent / "online_retail_oddities.csv"
SHORT = "23843"
TIGHTEST = 540422


class Recording(StockClient):
    """Takes every call without a service and remembers the references, per code and in order."""

    def __init__(self, calls: dict[str, list[str]], *, refuse: str | None = None) -> None:
        self.calls, self.refuse = calls, refuse

    def reserve(self, code: str, units: int, *, order_id: str, customer_id: str) -> str:
        if code == self.refuse:
            raise Refused({"code": "insufficient_stock"})
        self.calls[code].append(order_id)
        return "id"

    def confirm(self, reservation_id: str) -> None:
        assert reservation_id == "id"

    def adjust(self, code: str, change: int, *, movement_type: str, reference_id: str) -> None:
        self.calls[code].append(reference_id)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_replay(ODDITIES, short=frozenset({SHORT}))


def report(plan: Plan, *, refusals: dict[int, str], found: list[Mismatch] | None = None) -> Report:
    seen = [
        Outcome(line, Refused({"code": refusals[line.number]}) if line.number in refusals else None)
        for line in plan.stock_lines
    ]
    return Report(
        file="x.csv",
        plan=plan,
        outcomes=seen,
        clients=1,
        seconds=2.0,
        mismatches=[] if found is None else found,
    )


def test_exactly_the_computed_refusal_and_equal_stock_is_success(plan: Plan):
    right = report(plan, refusals={TIGHTEST: "insufficient_stock"})
    assert right.ok
    assert right.wrongly_accepted == {}
    assert "[exactly as computed]" in as_text(right)
    assert as_dict(right)["refusals"] == [
        {
            "line": TIGHTEST,
            "invoice": "581483",
            "code": SHORT,
            "quantity": 80_995,
            "problem": {"code": "insufficient_stock"},
            "expected": True,
        }
    ]


@pytest.mark.parametrize(
    ("refusals", "sign"),
    [
        ({}, f"NOT REFUSED     line {TIGHTEST}"),
        ({TIGHTEST: "not_found"}, "[UNEXPECTED]"),
        ({540421: "insufficient_stock"}, f"NOT REFUSED     line {TIGHTEST}"),
        ({TIGHTEST: "insufficient_stock", 61620: "insufficient_stock"}, "[UNEXPECTED]"),
    ],
)
def test_any_other_refusal_or_none_is_a_failure(plan: Plan, refusals: dict[int, str], sign: str):
    wrong = report(plan, refusals=refusals)
    assert not wrong.ok
    assert sign in as_text(wrong)


def test_one_unit_too_many_one_promised_or_a_missing_code_is_a_mismatch(plan: Plan):
    expected = {"A": 5, "B": 5, "C": 5, "D": 5}
    found = mismatches(expected, {"A": (5, 0), "B": (6, 0), "C": (5, 1), "other": (9, 9)})
    assert found == [
        Mismatch(code="B", expected=5, quantity=6, reserved=0),
        Mismatch(code="C", expected=5, quantity=5, reserved=1),
        Mismatch(code="D", expected=5, quantity=None, reserved=None),
    ]
    assert not report(plan, refusals={TIGHTEST: "insufficient_stock"}, found=found).ok


def test_a_replay_that_stopped_early_never_succeeds(plan: Plan):
    stopped = Report(file="x.csv", plan=plan, outcomes=[], clients=1, seconds=0.0, mismatches=None)
    assert not stopped.ok
    assert as_text(stopped).endswith("stock not compared (--keep-going goes on)")


@pytest.mark.parametrize("clients", [1, 3, 8])
def test_lines_of_one_code_stay_in_order_however_many_clients(plan: Plan, clients: int):
    calls: dict[str, list[str]] = defaultdict(list)
    seen = list(outcomes(plan.stock_lines, clients=clients, connect=lambda: Recording(calls)))
    in_file: dict[str, list[str]] = defaultdict(list)
    for line in plan.stock_lines:
        in_file[line.code].append(line.invoice)
    assert calls == in_file
    assert len(seen) == 210


def test_a_refused_line_does_not_keep_other_codes_from_their_turn(plan: Plan):
    calls: dict[str, list[str]] = defaultdict(list)
    seen = list(outcomes(plan.stock_lines, clients=2, connect=lambda: Recording(calls, refuse=SHORT)))
    assert [outcome.line.number for outcome in seen if outcome.refused] == [TIGHTEST]
    assert calls[SHORT] == ["C581484"]


def test_closing_the_outcomes_stops_every_client(plan: Plan):
    calls: dict[str, list[str]] = defaultdict(list)
    before = threading.active_count()
    stream = outcomes(plan.stock_lines, clients=1, connect=lambda: Slow(calls))
    next(stream)
    stream.close()
    assert threading.active_count() == before
    assert sum(map(len, calls.values())) < 210


class Slow(Recording):
    """Lets the reader of the outcomes go first."""

    def __init__(self, calls: dict[str, list[str]]) -> None:
        super().__init__(calls)
        self.turn = threading.Event()

    def adjust(self, code: str, change: int, **reference: Any) -> None:
        self.turn.wait(0.02)
        super().adjust(code, change, **reference)


def test_a_failure_of_the_client_itself_reaches_the_caller(plan: Plan):
    def broken() -> StockClient:
        raise RuntimeError("no client")

    with pytest.raises(RuntimeError, match="no client"):
        list(outcomes(plan.stock_lines, clients=4, connect=broken))
