"""Which locations serve a request, and with how many units each. Pure: it plans and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from app.errors import InsufficientStock
from app.models.stock import Stock, shortage

Preference = Callable[[Stock, int], tuple[int, str]]

STRATEGIES: dict[str, Preference] = {
    # The lowest priority number first, as in "1st choice"; equal ones by code, so that the answer is always the same.
    "priority": lambda stock, _free: (stock.location_priority, stock.location),
    "most_stock": lambda stock, free: (-free, stock.location),
}


@dataclass(frozen=True, slots=True)
class Line:
    """So many units of a product, at one location or wherever they are."""

    product_id: str
    quantity: int
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """So many units from this item."""

    stock: Stock
    units: int


def merged(lines: list[Line]) -> list[Line]:
    """The same product at the same location, asked for twice, is one line: summed before it is checked."""
    totals: dict[tuple[str, str | None], int] = {}
    for line in lines:
        key = (line.product_id, line.location)
        totals[key] = totals.get(key, 0) + line.quantity
    return [Line(product_id, quantity, location) for (product_id, location), quantity in totals.items()]


@dataclass(slots=True)
class Allocation:
    """A plan for the lines of one request. Units planned for one line are not free for the next."""

    strategy: str
    split: bool = False
    partial: bool = False
    shares: list[Share] = field(default_factory=list)
    shortages: list[InsufficientStock] = field(default_factory=list)
    _planned: Counter[int] = field(default_factory=Counter)

    def add(self, line: Line, places: list[Stock]) -> None:
        """Plan `line` from `places`; what cannot be served is noted as a shortage."""
        open_places = [stock for stock in places if stock.archived_at is None]
        if places and not open_places:
            places[0].require_open()
        preference = STRATEGIES[self.strategy]
        ranked = sorted(open_places, key=lambda stock: preference(stock, self._free(stock)))
        shares = self._split(ranked, line.quantity) if self.split else self._whole(ranked, line.quantity)
        given = sum(share.units for share in shares)
        if given < line.quantity:
            self.shortages.append(self._shortage(line, open_places, given))
            shares = shares if self.partial else []
        for share in shares:
            self._planned[share.stock.id] += share.units
        self.shares += shares

    @property
    def is_refused(self) -> bool:
        return bool(self.shortages) and (not self.partial or not self.shares)

    def refusal(self) -> InsufficientStock:
        """The first shortage, carrying the others when there are several."""
        first = self.shortages[0]
        if len(self.shortages) > 1:
            first.facts["shortages"] = [dict(error.facts) for error in self.shortages]
        return first

    def _free(self, stock: Stock) -> int:
        return stock.available - self._planned[stock.id]

    def _whole(self, ranked: list[Stock], units: int) -> list[Share]:
        """All of it from the first place that can; else what the fullest place has."""
        whole = next((stock for stock in ranked if self._free(stock) >= units), None)
        if whole is not None:
            return [Share(whole, units)]
        fullest = max(ranked, key=self._free, default=None)
        return [Share(fullest, self._free(fullest))] if fullest and self._free(fullest) > 0 else []

    def _split(self, ranked: list[Stock], units: int) -> list[Share]:
        shares, missing = [], units
        for stock in ranked:
            given = min(missing, self._free(stock))
            if given > 0:
                shares.append(Share(stock, given))
                missing -= given
        return shares

    def _shortage(self, line: Line, places: list[Stock], given: int) -> InsufficientStock:
        error = shortage(
            line.product_id,
            line.location,
            requested=line.quantity,
            available=given,
            reserved=sum(stock.reserved_quantity for stock in places),
        )
        if not places:
            error.args = (f"{line.product_id} is not stocked {f'at {line.location}' if line.location else 'anywhere'}",)
        return error
