"""Computes in SQL, from the raw file, where every code's stock must stand after its orders.

This is the witness a replay is checked against, so on purpose it shares nothing with `order_lines` or with
the code that talks to the service: a mistake in the one cannot hide in the other.
"""

import csv
import gzip
import io
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

TABLES = """
CREATE TABLE codes (code TEXT PRIMARY KEY, kind TEXT NOT NULL);
CREATE TABLE lines (
    line INTEGER PRIMARY KEY, invoice TEXT, code TEXT, quantity INTEGER, unit_price REAL, customer TEXT
);
"""

# The window sums in line order. SQLite compares by bytes, which keeps codes apart that differ only in case.
EXPECTATIONS = """
WITH changes AS (
    SELECT code, line, CASE
        WHEN unit_price = 0 AND customer = '' AND invoice NOT GLOB 'C*' THEN quantity
        ELSE -quantity
    END AS change
    FROM lines JOIN codes USING (code)
    WHERE kind = 'product' AND invoice NOT GLOB 'A*'
), balances AS (
    SELECT code, line, change, SUM(change) OVER (PARTITION BY code ORDER BY line) AS balance FROM changes
), lows AS (
    SELECT code, line, change, balance, ROW_NUMBER() OVER (PARTITION BY code ORDER BY balance, line) AS rank
    FROM balances
), totals AS (
    SELECT code, SUM(change) AS total FROM changes GROUP BY code
)
SELECT code, MAX(-balance, 0) AS opening, MAX(-balance, 0) + total AS closing,
       CASE WHEN balance < 0 THEN line END AS tightest_line,
       CASE WHEN balance < 0 THEN -change END AS tightest_units
FROM lows JOIN totals USING (code) WHERE rank = 1
"""


@dataclass(frozen=True, slots=True)
class Expected:
    """Loaded with `opening`, a code ends at `closing` and every line finds what it takes.

    `tightest_line`, which takes `tightest_units`, is the first line that leaves nothing over: with one unit
    less it is the one line that must be refused.
    """

    opening: int
    closing: int
    tightest_line: int | None
    tightest_units: int | None

    @property
    def closing_if_one_short(self) -> int:
        return self.closing - 1 + (self.tightest_units or 0)


def expected_stock(orders: Path, codes: Path, *, limit: int | None = None) -> dict[str, Expected]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(TABLES)
        database.executemany("INSERT INTO codes VALUES (:code, :kind)", _rows(codes))
        database.executemany(
            "INSERT INTO lines VALUES (:line, :invoice, :code, :quantity, :unit_price, :customer)",
            islice(_rows(orders), limit),
        )
        return {code: Expected(*figures) for code, *figures in database.execute(EXPECTATIONS)}


def _rows(path: Path) -> "csv.DictReader[str]":
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return csv.DictReader(io.StringIO(text.decode("utf-8"), newline=""))
