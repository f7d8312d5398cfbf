"""The real order files, classified line by line, and the stock they need and leave: exact figures."""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli.expected_stock import expected_stock
from app.cli.order_lines import (
    MOVES_STOCK,
    Kind,
    OrderLine,
    UnusableFile,
    least_opening_stock,
    read_kinds,
    read_order_lines,
)
from app.cli.replay_plan import CODES, plan_replay

ORDERS = CODES.parent
KINDS = read_kinds(CODES)
FILES = ["online_retail_5000.csv", "online_retail_returning_customers.csv", "online_retail_oddities.csv"]
HEADER = "line,invoice,code,quantity,time,unit_price,customer,country,description\n"


@dataclass(frozen=True)
class Figures:
    kinds: dict[Kind, int]
    units: dict[str, int]
    codes: int
    opening: int
    closing: int
    short_codes: int


FIGURES = {
    "online_retail_5000.csv": Figures(
        kinds={
            Kind.SALE: 4769,
            Kind.CANCELLATION: 102,
            Kind.ADJUSTMENT: 86,
            Kind.SERVICE: 40,
            Kind.VOUCHER: 3,
        },
        units={"sold": 49_411, "cancelled": 651, "found": 207, "lost": 1_542},
        codes=1675,
        opening=50_632,
        closing=537,
        short_codes=1632,
    ),
    "online_retail_returning_customers.csv": Figures(
        kinds={Kind.SALE: 2756, Kind.CANCELLATION: 195, Kind.SERVICE: 5},
        units={"sold": 184_538, "cancelled": 156_073, "found": 0, "lost": 0},
        codes=1096,
        opening=184_132,
        closing=155_667,
        short_codes=1087,
    ),
    "online_retail_oddities.csv": Figures(
        kinds={
            Kind.SALE: 114,
            Kind.CANCELLATION: 30,
            Kind.ADJUSTMENT: 66,
            Kind.SERVICE: 155,
            Kind.VOUCHER: 34,
            Kind.BAD_DEBT: 3,
        },
        units={"sold": 205_164, "cancelled": 164_973, "found": 11_073, "lost": 51_944},
        codes=177,
        opening=257_105,
        closing=176_043,
        short_codes=134,
    ),
}


def read(file: str) -> list[OrderLine]:
    return read_order_lines(ORDERS / file, KINDS)


def units_by_direction(lines: list[OrderLine]) -> dict[str, int]:
    adjusted = [line.stock_change for line in lines if line.kind is Kind.ADJUSTMENT]
    return {
        "sold": -sum(line.stock_change for line in lines if line.kind is Kind.SALE),
        "cancelled": sum(line.stock_change for line in lines if line.kind is Kind.CANCELLATION),
        "found": sum(change for change in adjusted if change > 0),
        "lost": -sum(change for change in adjusted if change < 0),
    }


def drive(lines: list[OrderLine], opening: dict[str, int]) -> tuple[dict[str, int], dict[str, list[OrderLine]]]:
    """A shelf that refuses to go below zero: what it ends with, and which lines it refused."""
    stock, refused = dict(opening), defaultdict(list)
    for line in lines:
        if line.kind in MOVES_STOCK and stock[line.code] + line.stock_change < 0:
            refused[line.code].append(line)
        elif line.kind in MOVES_STOCK:
            stock[line.code] += line.stock_change
    return stock, dict(refused)


@pytest.mark.parametrize("file", FILES)
def test_every_line_of_the_real_files_has_one_kind(file: str):
    assert Counter(line.kind for line in read(file)) == FIGURES[file].kinds


@pytest.mark.parametrize("file", FILES)
def test_units_are_counted_in_the_direction_they_moved(file: str):
    assert units_by_direction(read(file)) == FIGURES[file].units


@pytest.mark.parametrize("file", FILES)
def test_the_least_opening_stock_and_what_is_left_of_it_are_known_figures(file: str):
    lines, figures = read(file), FIGURES[file]
    opening = least_opening_stock(lines)
    assert len(opening) == figures.codes
    assert sum(opening.values()) == figures.opening
    assert sum(units > 0 for units in opening.values()) == figures.short_codes
    assert sum(drive(lines, opening)[0].values()) == figures.closing


@pytest.mark.parametrize("file", FILES)
def test_with_the_least_opening_stock_no_line_is_refused(file: str):
    lines = read(file)
    assert drive(lines, least_opening_stock(lines))[1] == {}


@pytest.mark.parametrize("file", FILES)
def test_two_independent_computations_agree_on_every_code(file: str):
    lines = read(file)
    opening = least_opening_stock(lines)
    expected = expected_stock(ORDERS / file, CODES)
    assert opening == {code: stock.opening for code, stock in expected.items()}
    assert drive(lines, opening)[0] == {code: stock.closing for code, stock in expected.items()}


@pytest.mark.parametrize("file", FILES)
def test_with_one_unit_less_of_every_code_exactly_the_computed_line_is_refused(file: str):
    lines = read(file)
    expected = expected_stock(ORDERS / file, CODES)
    one_less = {code: max(units - 1, 0) for code, units in least_opening_stock(lines).items()}
    stock, refused = drive(lines, one_less)
    assert len(refused) == FIGURES[file].short_codes
    assert {code: [line.number for line in them] for code, them in refused.items()} == {
        code: [stock.tightest_line] for code, stock in expected.items() if stock.opening
    }
    assert {code: stock[code] for code in refused} == {
        code: stock.closing_if_one_short for code, stock in expected.items() if stock.opening
    }


def test_codes_whose_whole_year_is_in_the_files_need_what_the_table_of_codes_says():
    """The table was made from the whole year apart from this code: a third computation to compare."""
    with gzip.open(CODES, "rt", encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["kind"] == "product"]
    union = {line.number: line for file in FILES for line in read(file)}
    lines = [union[number] for number in sorted(union)]
    seen, opening = Counter(line.code for line in lines), least_opening_stock(lines)
    complete = [row for row in rows if seen[row["code"]] == int(row["lines"])]
    assert len(complete) == 18
    for row in complete:
        of_code = [line for line in lines if line.code == row["code"]]
        assert opening[row["code"]] == int(row["min_opening_stock"])
        assert units_by_direction(of_code) == {
            "sold": int(row["units_sold"]),
            "cancelled": int(row["units_cancelled"]),
            "found": int(row["units_adjusted_in"]),
            "lost": int(row["units_adjusted_out"]),
        }


def test_no_file_moves_more_units_of_a_code_than_its_whole_year():
    with gzip.open(CODES, "rt", encoding="utf-8", newline="") as table:
        year = {row["code"]: row for row in csv.DictReader(table)}
    for file in FILES:
        sold: Counter[str] = Counter()
        for line in read(file):
            sold[line.code] += line.quantity if line.kind is Kind.SALE else 0
        assert all(units <= int(year[code]["units_sold"]) for code, units in sold.items())


def test_codes_that_differ_only_in_case_are_different_products():
    opening = least_opening_stock(read("online_retail_5000.csv"))
    assert opening["85123A"] != opening["85123a"]


def test_a_limit_reads_the_first_lines_and_both_computations_keep_to_it():
    file = ORDERS / "online_retail_oddities.csv"
    lines = read_order_lines(file, KINDS, limit=100)
    expected = expected_stock(file, CODES, limit=100)
    assert len(lines) == 100
    assert least_opening_stock(lines) == {code: stock.opening for code, stock in expected.items()}


def one_line(tmp_path: Path, line: str) -> OrderLine:
    (tmp_path / "orders.csv").write_text(HEADER + line + "\n", encoding="utf-8")
    (read_line,) = read_order_lines(tmp_path / "orders.csv", KINDS)
    return read_line


@pytest.mark.parametrize(
    ("line", "kind", "stock_change"),
    [
        ("1,536365,85123A,6,t,2.55,17850,UK,a sale", Kind.SALE, -6),
        ("1,536365,85123A,6,t,2.55,,UK,a guest buys", Kind.SALE, -6),
        ("1,536365,85123A,6,t,0.00,17850,UK,a gift to a customer", Kind.SALE, -6),
        ("1,536365,PADS,1,t,0.001,,UK,a tenth of a penny is a price", Kind.SALE, -1),
        ("1,536365,85123A,6,t,-2.55,17850,UK,money back but goods out", Kind.SALE, -6),
        ("1,C536365,85123A,-6,t,2.55,17850,UK,a cancellation", Kind.CANCELLATION, 6),
        ("1,C536365,85123A,-6,t,2.55,,UK,a guest brings back", Kind.CANCELLATION, 6),
        ("1,C536365,85123A,-6,t,0.00,17850,UK,a gift comes back", Kind.CANCELLATION, 6),
        ("1,C536365,85123A,-6,t,0.00,,UK,the letter decides", Kind.CANCELLATION, 6),
        ("1,536365,85123A,6,t,0.00,,UK,found", Kind.ADJUSTMENT, 6),
        ("1,536365,85123A,-6,t,0,,UK,damaged", Kind.ADJUSTMENT, -6),
        ("1,536365,POST,3,t,18.00,12583,France,POSTAGE", Kind.SERVICE, 0),
        ("1,536365,M,1,t,0.00,,UK,Manual without a price", Kind.SERVICE, 0),
        ("1,C536365,BANK CHARGES,-1,t,95.38,,UK,not a product id and need not be", Kind.SERVICE, 0),
        ("1,536365,gift_0001_20,1,t,16.67,,UK,a voucher", Kind.VOUCHER, 0),
        ("1,556955,gift_0001_20,10,t,0.00,,UK,vouchers pushed through as if found", Kind.VOUCHER, 0),
        ("1,A563186,B,1,t,-11062.06,,UK,Adjust bad debt", Kind.BAD_DEBT, 0),
        ("1,A563186,85123A,1,t,5.00,,UK,bad debt on a product", Kind.BAD_DEBT, 0),
    ],
)
def test_a_line_is_classified_by_the_first_rule_that_fits(tmp_path: Path, line: str, kind: Kind, stock_change: int):
    found = one_line(tmp_path, line)
    assert (found.kind, found.stock_change) == (kind, stock_change)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1,C536365,85123A,6,t,2.55,17850,UK,x", "its quantity must be negative"),
        ("1,536365,85123A,-6,t,2.55,17850,UK,x", "neither cancels nor adjusts"),
        ("1,536365,85123A,-6,t,0.00,17850,UK,x", "neither cancels nor adjusts"),
        ("1,536365,85123A,0,t,2.55,17850,UK,x", "a quantity of 0"),
        ("1,536365,85123Z,1,t,2.55,17850,UK,x", "'85123Z' is not in the table of codes"),
        ("1,X536365,85123A,1,t,2.55,17850,UK,x", "'X536365' is not six digits"),
        ("1,c536365,85123A,-1,t,2.55,17850,UK,x", "'c536365' is not six digits"),
        ("1,536365,85123A,one,t,2.55,17850,UK,x", "invalid literal for int()"),
        ("1,536365,85123A,1,t,free,17850,UK,x", "'free' is not a number"),
        ("1,536365,85123A,1,t,NaN,17850,UK,x", "'NaN' is not an amount"),
        ("1,536365,85123A,1,t,2.55", "not as many fields"),
        ("1,536365,85123A,1,t,2.55,17850,UK,x,more", "not as many fields"),
    ],
)
def test_a_line_that_contradicts_itself_is_reported_and_not_guessed_at(tmp_path: Path, line: str, problem: str):
    with pytest.raises(UnusableFile, match="line 1: ") as refused:
        one_line(tmp_path, line)
    assert problem in refused.value.problems[0]


def test_all_unusable_lines_are_named_at_once(tmp_path: Path):
    lines = "1,536365,85123A,0,t,1,,UK,x\n2,536365,85123A,1,t,1,,UK,x\n2,536365,nosuch,1,t,1,,UK,x\n"
    (tmp_path / "orders.csv").write_text(HEADER + lines + "1,536365,85123A,1,t,1,,UK,x\n")
    with pytest.raises(UnusableFile) as refused:
        read_order_lines(tmp_path / "orders.csv", KINDS)
    assert refused.value.problems == [
        "line 1: a quantity of 0 moves nothing",
        "line 2: code 'nosuch' is not in the table of codes",
        "line 1: line numbers must rise, they are the order of replay",
    ]


def test_a_product_code_that_cannot_be_a_product_id_is_reported(tmp_path: Path):
    (tmp_path / "orders.csv").write_text(HEADER + "1,536365,A B,1,t,1.00,,UK,x\n")
    with pytest.raises(UnusableFile, match="line 1: code 'A B' cannot be a product id"):
        read_order_lines(tmp_path / "orders.csv", {"A B": "product"})


def test_a_file_without_the_columns_is_refused(tmp_path: Path):
    (tmp_path / "orders.csv").write_text("line,invoice,code\n1,536365,85123A\n")
    with pytest.raises(UnusableFile, match="columns missing: customer, quantity, unit_price"):
        read_order_lines(tmp_path / "orders.csv", KINDS)


def test_a_short_plan_loads_one_unit_less_and_knows_the_line_that_fails():
    file = ORDERS / "online_retail_oddities.csv"
    whole, short = plan_replay(file), plan_replay(file, short=frozenset({"23843"}))
    assert whole.opening["23843"] == 80_995
    assert whole.closing["23843"] == 80_995
    assert short.opening == whole.opening | {"23843": 80_994}
    assert short.closing == whole.closing | {"23843": 161_989}
    assert (whole.to_be_refused, short.to_be_refused) == ({}, {540422: "23843"})


def test_a_code_that_needs_no_stock_cannot_be_short():
    with pytest.raises(UnusableFile, match="code 'POST' needs no opening stock here"):
        plan_replay(ORDERS / "online_retail_oddities.csv", short=frozenset({"POST"}))


def test_a_prefix_that_makes_no_product_id_is_refused_before_the_first_call():
    with pytest.raises(UnusableFile, match="cannot be a product id"):
        plan_replay(ORDERS / "online_retail_oddities.csv", prefix="a b-")
