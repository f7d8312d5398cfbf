"""One customer's budget of holds, locked and counted when the settings limit any; else nothing is asked at all."""

from __future__ import annotations

from datetime import timedelta

from app.extensions import settings
from app.models.hold_budgets import Held, HoldBudget, HoldLimits
from app.repositories import hold_budgets
from app.utils import clock


def locked(customer_id: str) -> HoldBudget | None:
    """The budget as it is until the transaction ends; None when there are no limits.

    Call it after locking reservations and before locking items: a refusal then keeps no item from others.
    Whoever makes a hold, lets one grow or last longer, or hands one to the customer waits here for the others.
    """
    limits = _limits()
    if not (limits.units or limits.holds or limits.expiries):
        return None
    hold_budgets.lock(customer_id)
    # Asked for only now: what lapsed while we waited for the customer's other requests has lapsed.
    now = clock.now()
    counted = hold_budgets.held(customer_id, now) if limits.units or limits.holds else Held()
    asked = limits.telling_expiries
    expiries = hold_budgets.latest_expiries(customer_id, now, limit=asked) if asked else ()
    return HoldBudget(customer_id=customer_id, now=now, limits=limits, held=counted, expiries=expiries)


def _limits() -> HoldLimits:
    config = settings()
    return HoldLimits(
        units=config.hold_budget_units,
        holds=config.hold_budget_holds,
        expiries=config.hold_budget_expiries,
        window=timedelta(seconds=config.hold_budget_window_seconds),
        cool_down=timedelta(seconds=config.hold_budget_cool_down_seconds),
    )
