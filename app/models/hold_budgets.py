"""How much one customer may hold at once, so that nobody keeps goods from others by holding what they never buy.

Pure but for the table, whose rows only make requests of the same customer wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Integer
from sqlalchemy.orm import Mapped, mapped_column

from app.errors import HoldBudgetExceeded, HoldCoolDown
from app.extensions import db


class HoldBudgetLock(db.Model):  # type: ignore[name-defined]
    """A place to wait at. The migration makes 1,024; each customer has one, and shares it with other customers."""

    __tablename__ = "hold_budget_locks"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    turns: Mapped[int] = mapped_column(BigInteger)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLimits:
    """What one customer may have at once; 0 is no limit.

    `expiries` holds that ran out within `window` start a `cool_down`, counted from the last of them.
    """

    units: int = 0
    holds: int = 0
    expiries: int = 0
    window: timedelta = timedelta(hours=1)
    cool_down: timedelta = timedelta(minutes=15)

    @property
    def telling_expiries(self) -> int:
        """So many of a customer's latest expiries decide about the cool-down, however many there are.

        As long as none of these starts one, each `expiries` in a row take a whole window or more; these
        together then reach further back than a cool-down lasts.
        """
        return self.expiries * (self.cool_down // self.window + 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a customer's live holds come to, and when the first of them ends."""

    units: int = 0
    holds: int = 0
    next_release_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldBudget:
    """One customer's budget at one instant. `expiries`: when the latest holds ran out, the newest first."""

    customer_id: str
    now: datetime
    limits: HoldLimits
    held: Held = Held()
    expiries: Sequence[datetime] = ()

    def require(self, *, units: int, holds: int) -> None:
        """Raises `HoldCoolDown` while too many holds ran out too close to each other, else as `require_room` does."""
        ends = self.cool_down_ends()
        if ends is None or self.now >= ends:
            return self.require_room(units=units, holds=holds)
        raise HoldCoolDown(
            f"{self.limits.expiries} reservations of customer {self.customer_id} ran out within"
            f" {_seconds(self.limits.window)} seconds",
            customer_id=self.customer_id,
            requested_units=units,
            requested_holds=holds,
            limit=self.limits.expiries,
            window_seconds=_seconds(self.limits.window),
            last_expired_at=ends - self.limits.cool_down,
            cool_down_seconds=_seconds(self.limits.cool_down),
            cool_down_ends_at=ends,
            retry_after_seconds=_seconds(ends - self.now),
        )

    def require_room(self, *, units: int, holds: int) -> None:
        """Raises `HoldBudgetExceeded` unless so many more fit. What does not grow is never refused."""
        self._require("units", self.limits.units, self.held.units, units)
        self._require("holds", self.limits.holds, self.held.holds, holds)

    def cool_down_ends(self) -> datetime | None:
        """The end of the latest cool-down, which may be long past."""
        if not self.limits.expiries:
            return None
        for last, first in zip(self.expiries, self.expiries[self.limits.expiries - 1 :], strict=False):
            if last - first < self.limits.window:
                return last + self.limits.cool_down
        return None

    def _require(self, what: str, limit: int, held: int, more: int) -> None:
        if limit and more and held + more > limit:
            raise HoldBudgetExceeded(
                f"customer {self.customer_id} holds {held} of at most {limit} {_WORDS[what]} at once",
                customer_id=self.customer_id,
                limited=what,
                limit=limit,
                held=held,
                requested=more,
                left=max(0, limit - held),
                next_release_at=self.held.next_release_at,
            )


_WORDS = {"units": "units", "holds": "reservations"}


def _seconds(length: timedelta) -> int:
    """Whole seconds, rounded up: who comes back after them is not too early."""
    return -(-length // timedelta(seconds=1))
