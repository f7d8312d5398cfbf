"""What a replay did and whether it came out right, as a page for people and as JSON for programs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.cli.order_lines import Kind
from app.cli.replay_plan import Plan
from app.cli.replay_run import Outcome

MISMATCHES_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A code that should stand at `expected` with nothing reserved, and how it stands; None = not there."""

    code: str
    expected: int
    quantity: int | None
    reserved: int | None


def mismatches(expected: Mapping[str, int], found: Mapping[str, tuple[int, int]]) -> list[Mismatch]:
    return [
        Mismatch(code=code, expected=units, quantity=quantity, reserved=reserved)
        for code, units in sorted(expected.items())
        for quantity, reserved in [found.get(code, (None, None))]
        if (quantity, reserved) != (units, 0)
    ]


def is_expected(outcome: Outcome, plan: Plan) -> bool:
    """True for the refusal that one missing unit must cause, and for no other."""
    return (
        outcome.refused is not None
        and outcome.refused.code == "insufficient_stock"
        and plan.to_be_refused.get(outcome.line.number) == outcome.line.code
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`mismatches` is None when the replay stopped early and the stock was not compared."""

    file: str
    plan: Plan
    outcomes: list[Outcome]
    clients: int
    seconds: float
    mismatches: list[Mismatch] | None

    @property
    def ok(self) -> bool:
        as_planned = all(is_expected(outcome, self.plan) for outcome in self.refused)
        return as_planned and not self.wrongly_accepted and self.mismatches == []

    @property
    def refused(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.refused]

    @property
    def wrongly_accepted(self) -> dict[int, str]:
        refused = {outcome.line.number for outcome in self.refused}
        return {number: code for number, code in self.plan.to_be_refused.items() if number not in refused}

    @property
    def lines_per_second(self) -> float:
        return len(self.outcomes) / self.seconds if self.seconds else 0.0

    @property
    def units(self) -> Counter[str]:
        """Units the accepted lines moved, such as `sale_out` and `adjustment_in`."""
        moved: Counter[str] = Counter()
        for outcome in self.outcomes:
            if not outcome.refused:
                change = outcome.line.stock_change
                moved[f"{outcome.line.kind}_{'in' if change > 0 else 'out'}"] += abs(change)
        return moved


def as_dict(report: Report) -> dict[str, Any]:
    plan = report.plan
    return {
        "file": report.file,
        "ok": report.ok,
        "lines": len(plan.lines),
        "lines_by_kind": Counter(line.kind.value for line in plan.lines),
        "replayed": len(report.outcomes),
        "units": report.units,
        "codes": len(plan.opening),
        "opening_units": sum(plan.opening.values()),
        "closing_units": sum(plan.closing.values()),
        "clients": report.clients,
        "seconds": round(report.seconds, 3),
        "lines_per_second": round(report.lines_per_second, 1),
        "refusals": [_refusal(outcome, plan) for outcome in report.refused],
        "wrongly_accepted": report.wrongly_accepted,
        "mismatches": None if report.mismatches is None else [asdict(found) for found in report.mismatches],
    }


def _refusal(outcome: Outcome, plan: Plan) -> dict[str, Any]:
    line = outcome.line
    return {
        "line": line.number,
        "invoice": line.invoice,
        "code": line.code,
        "quantity": line.quantity,
        "problem": outcome.refused.problem if outcome.refused else None,
        "expected": is_expected(outcome, plan),
    }


def as_text(report: Report) -> str:
    return "\n".join([*_summary(report), *_refusals(report), *_verdict(report)])


def _summary(report: Report) -> Iterator[str]:
    plan, units = report.plan, report.units
    lines = Counter(line.kind for line in plan.lines)
    yield (
        f"{report.file}: {len(report.outcomes):,} of {len(plan.stock_lines):,} stock lines driven in "
        f"{report.seconds:.1f} s ({report.lines_per_second:.0f} lines/s, clients: {report.clients})"
    )
    yield f"  sales          {lines[Kind.SALE]:6,} lines, {units['sale_out']:,} units reserved and confirmed"
    yield f"  cancellations  {lines[Kind.CANCELLATION]:6,} lines, {units['cancellation_in']:,} units returned"
    yield (
        f"  adjustments    {lines[Kind.ADJUSTMENT]:6,} lines, {units['adjustment_in']:,} units found, "
        f"{units['adjustment_out']:,} written off"
    )
    yield (
        f"  counted only   {lines[Kind.SERVICE]:6,} service lines, {lines[Kind.VOUCHER]:,} voucher lines, "
        f"{lines[Kind.BAD_DEBT]:,} bad-debt lines"
    )
    yield f"  opening stock  {len(plan.opening):6,} codes, {sum(plan.opening.values()):,} units"


def _refusals(report: Report) -> Iterator[str]:
    for outcome in report.refused:
        line = outcome.line
        yield (
            f"  refused         line {line.number}, invoice {line.invoice}, code {line.code}, "
            f"quantity {line.quantity}: {outcome.refused} "
            f"[{'exactly as computed' if is_expected(outcome, report.plan) else 'UNEXPECTED'}]"
        )
    for number, code in report.wrongly_accepted.items():
        yield f"  NOT REFUSED     line {number}, code {code}: it was one unit short"


def _verdict(report: Report) -> Iterator[str]:
    if report.mismatches is None:
        yield "FAILED: stopped at a refusal nobody expected, stock not compared (--keep-going goes on)"
        return
    for found in report.mismatches[:MISMATCHES_SHOWN]:
        yield (
            f"  MISMATCH        code {found.code}: {found.quantity} on hand and {found.reserved} reserved, "
            f"where the file makes it {found.expected} and 0"
        )
    if len(report.mismatches) > MISMATCHES_SHOWN:
        yield f"  MISMATCH        and {len(report.mismatches) - MISMATCHES_SHOWN:,} more"
    codes, closing = len(report.plan.closing), sum(report.plan.closing.values())
    equal = codes - len(report.mismatches)
    yield (
        f"{'OK' if report.ok else 'FAILED'}: {equal:,} of {codes:,} codes stand exactly where the file puts "
        f"them, at {closing:,} units in all"
    )
