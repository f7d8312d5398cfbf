"""Reads files of real order lines and decides what each line does to stock, without a service.

A code's kind comes from the table of codes. The first of these rules that fits a line decides:

1. Invoice `A…`: *bad debt*, bookkeeping. Counted, whatever its code, sign or price.
2. A code of kind *service* or *voucher* (postage, fees, samples, gift vouchers): counted as that kind,
   whatever its invoice, sign or price. A "found" voucher of price 0 is still no stock.
3. Invoice `C…`: a *cancellation*. Its quantity is negative and that many units come back, also when it names
   no customer, had no earlier sale, or has price 0: a letter is written on purpose, an empty field may be an
   omission.
4. Price exactly 0 and no customer: an *adjustment*. Here, and only here, the sign is the change of stock
   itself: plus for units found, minus for units damaged or lost. A price of 0.001 is a price.
5. Everything else with a positive quantity: a *sale*, which takes units out. A gift (price 0 to a named
   customer) is one, and so is a line without a customer that has a price, even a negative one: what a line
   moves in money is no concern of stock.

What contradicts itself is never guessed at and never dropped: a positive cancellation, a negative quantity
that neither cancels nor adjusts, a quantity of 0, an unknown code, a product code the service cannot take as
a product id, a line number that does not rise. Reading such a file fails and names every such line.
"""

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO

PRODUCT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
INVOICE = re.compile(r"[AC]?[0-9]{6}")
COLUMNS = {"line", "invoice", "code", "quantity", "unit_price", "customer"}


class Kind(StrEnum):
    SALE = "sale"
    CANCELLATION = "cancellation"
    ADJUSTMENT = "adjustment"
    SERVICE = "service"
    VOUCHER = "voucher"
    BAD_DEBT = "bad_debt"


MOVES_STOCK = frozenset({Kind.SALE, Kind.CANCELLATION, Kind.ADJUSTMENT})


class UnusableFile(ValueError):
    """The file cannot be replayed as it is; `problems` says why, one entry per line of the file."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    number: int
    invoice: str
    code: str
    quantity: int
    customer: str
    kind: Kind

    @property
    def stock_change(self) -> int:
        """Units this line adds to the shelf; the quantity of a sale or cancellation counts what leaves it."""
        if self.kind not in MOVES_STOCK:
            return 0
        return self.quantity if self.kind is Kind.ADJUSTMENT else -self.quantity


def open_table(path: Path) -> IO[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8", newline="")


def read_kinds(path: Path) -> dict[str, str]:
    """The kind of every known code; codes that differ only in case are different codes."""
    with open_table(path) as table:
        return {row["code"]: row["kind"] for row in csv.DictReader(table)}


def read_order_lines(path: Path, kinds: Mapping[str, str], *, limit: int | None = None) -> list[OrderLine]:
    with open_table(path) as table:
        reader = csv.DictReader(table)
        if missing := COLUMNS - set(reader.fieldnames or ()):
            raise UnusableFile([f"columns missing: {', '.join(sorted(missing))}"])
        return list(_checked(islice(reader, limit), kinds))


def _checked(rows: Iterable[dict[str, str]], kinds: Mapping[str, str]) -> Iterator[OrderLine]:
    problems: list[str] = []
    last_number = 0
    for row in rows:
        try:
            line = _parse(row, kinds)
            if line.number <= last_number:
                raise ValueError("line numbers must rise, they are the order of replay")
            last_number = line.number
            yield line
        except ValueError as problem:
            problems.append(f"line {row['line']}: {problem}")
    if problems:
        raise UnusableFile(problems)


def _parse(row: dict[str, str], kinds: Mapping[str, str]) -> OrderLine:
    if None in row or None in row.values():
        raise ValueError("has not as many fields as the header")
    invoice, code, customer = row["invoice"], row["code"], row["customer"]
    quantity, price = int(row["quantity"]), _price(row["unit_price"])
    if not INVOICE.fullmatch(invoice):
        raise ValueError(f"invoice {invoice!r} is not six digits, or C (cancelled) or A (bad debt) and six")
    if code not in kinds:
        raise ValueError(f"code {code!r} is not in the table of codes")
    kind = _kind(
        invoice=invoice,
        code_kind=kinds[code],
        quantity=quantity,
        is_free_for_nobody=price == 0 and not customer,
    )
    if kind in MOVES_STOCK and not PRODUCT_ID.fullmatch(code):
        raise ValueError(f"code {code!r} cannot be a product id")
    return OrderLine(
        number=int(row["line"]), invoice=invoice, code=code, quantity=quantity, customer=customer, kind=kind
    )


def _price(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"unit_price {text!r} is not a number") from None
    if not price.is_finite():
        raise ValueError(f"unit_price {text!r} is not an amount")
    return price


def _kind(*, invoice: str, code_kind: str, quantity: int, is_free_for_nobody: bool) -> Kind:
    if invoice.startswith("A"):
        return Kind.BAD_DEBT
    if code_kind != "product":
        return Kind(code_kind)
    if quantity == 0:
        raise ValueError("a quantity of 0 moves nothing")
    if invoice.startswith("C"):
        if quantity > 0:
            raise ValueError("a cancellation takes units back, so its quantity must be negative")
        return Kind.CANCELLATION
    if is_free_for_nobody:
        return Kind.ADJUSTMENT
    if quantity < 0:
        raise ValueError("a negative quantity on a line that neither cancels nor adjusts")
    return Kind.SALE


def least_opening_stock(lines: Iterable[OrderLine]) -> dict[str, int]:
    """Per product code the fewest units with which every line, in order, finds what it takes."""
    balance: defaultdict[str, int] = defaultdict(int)
    lowest: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        if line.kind in MOVES_STOCK:
            balance[line.code] += line.stock_change
            lowest[line.code] = min(lowest[line.code], balance[line.code])
    return {code: -lowest[code] for code in balance}
