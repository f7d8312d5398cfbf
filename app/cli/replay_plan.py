"""What a replay loads, what it drives, and what must come of it: all decided before the first call."""

from dataclasses import dataclass
from pathlib import Path

from app.cli.expected_stock import expected_stock
from app.cli.order_lines import (
    MOVES_STOCK,
    PRODUCT_ID,
    OrderLine,
    UnusableFile,
    least_opening_stock,
    read_kinds,
    read_order_lines,
)

CODES = Path(__file__).parents[2] / "database" / "orders" / "onlineretail_skus.csv.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`opening` and `closing` are units per code; `to_be_refused` is the code by the line it must fail at."""

    lines: list[OrderLine]
    opening: dict[str, int]
    closing: dict[str, int]
    to_be_refused: dict[int, str]

    @property
    def stock_lines(self) -> list[OrderLine]:
        return [line for line in self.lines if line.kind in MOVES_STOCK]


def plan_replay(
    orders: Path, *, short: frozenset[str] = frozenset(), limit: int | None = None, prefix: str = ""
) -> Plan:
    """Opens with what `order_lines` derives and expects what `expected_stock` computes, one by one apart."""
    lines = read_order_lines(orders, read_kinds(CODES), limit=limit)
    opening = least_opening_stock(lines)
    expected = expected_stock(orders, CODES, limit=limit)
    if unfit := [code for code in opening if not PRODUCT_ID.fullmatch(prefix + code)]:
        raise UnusableFile([f"{prefix + code!r} cannot be a product id" for code in unfit])
    if endless := sorted(code for code in short if not opening.get(code)):
        raise UnusableFile([f"code {code!r} needs no opening stock here, so it cannot be short" for code in endless])
    return Plan(
        lines=lines,
        opening={code: units - (code in short) for code, units in opening.items()},
        closing={
            code: stock.closing_if_one_short if code in short else stock.closing for code, stock in expected.items()
        },
        to_be_refused={
            stock.tightest_line: code for code, stock in expected.items() if code in short and stock.tightest_line
        },
    )
