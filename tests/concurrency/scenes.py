"""Two who want what only one can have. Each scene sets the stage and names both, and how its damage would look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text

from app.extensions import db
from app.models.reservations import Hold
from app.services import reservations
from tests import factories
from tests.concurrency.races import Actor, call, sweep
from tests.conftest import Time

RESERVATIONS, ITEM = "/reservations/", f"/inventory/{factories.PRODUCT}"
ENDS = ("outbound", "release", "expiry")


@dataclass(frozen=True, slots=True)
class Scene:
    """`refusals`: what the one who comes too late may be told. `harmed`: whether the numbers show the damage."""

    first: Actor
    second: Actor
    refusals: set[tuple[int, str]]
    harmed: Callable[[], bool]


def buyer(quantity: int, product_id: str = factories.PRODUCT, location: str | None = None) -> Actor:
    body = {"product_id": product_id, "quantity": quantity, "location": location}
    return call("POST", RESERVATIONS, body | {"order_id": "o-2", "customer_id": "c-2"})


def the_last_unit_to_two_buyers(time: Time) -> Scene:
    factories.stock(1)
    return Scene(buyer(1), buyer(1), {(409, "insufficient_stock")}, oversold)


def confirm_against_expiry(time: Time) -> Scene:
    held = about_to_expire(time)
    confirm = call("POST", f"{RESERVATIONS}{held.id}/confirm")
    return Scene(confirm, sweep, {(410, "reservation_expired"), (404, "nothing_overdue")}, _ended_twice(held))


def extend_against_expiry(time: Time) -> Scene:
    held = about_to_expire(time)
    extend = call("PATCH", f"{RESERVATIONS}{held.id}", {"ttl_seconds": 600})
    # Whoever was told of ten more minutes has lost the units nevertheless.
    return Scene(extend, sweep, {(410, "reservation_expired"), (404, "nothing_overdue")}, lambda: ends(held) == 1)


def cancel_against_confirm(time: Time) -> Scene:
    factories.stock(5)
    held = factories.hold(5)
    cancel = call("DELETE", f"{RESERVATIONS}{held.id}")
    confirm = call("POST", f"{RESERVATIONS}{held.id}/confirm")
    return Scene(cancel, confirm, {(409, "already_confirmed"), (409, "already_cancelled")}, _ended_twice(held))


def two_sweeps(time: Time) -> Scene:
    held = about_to_expire(time)
    return Scene(sweep, sweep, {(404, "nothing_overdue")}, _ended_twice(held))


def resize_against_reserve(time: Time) -> Scene:
    factories.stock(5)
    held = factories.hold(2)
    resize = call("PATCH", f"{RESERVATIONS}{held.id}", {"quantity": 4})
    return Scene(resize, buyer(3), {(409, "insufficient_stock")}, oversold)


def transfer_against_reserve(time: Time) -> Scene:
    factories.stock(5)
    factories.location("north")
    move = {"from_location": "default", "to_location": "north", "quantity": 5, "reason": "rebalancing"}
    transfer = call("POST", f"{ITEM}/transfer", move)
    return Scene(transfer, buyer(5, location="default"), {(409, "insufficient_stock")}, oversold)


def bulk_against_reserve(time: Time) -> Scene:
    factories.stock(5)
    row = {"op": "adjust", "product_id": factories.PRODUCT, "quantity": -5, "movement_type": "damage"}
    bulk = call("POST", "/inventory/bulk", {"operations": [row], "atomic": True})
    return Scene(bulk, buyer(5), {(409, "insufficient_stock"), (422, "bulk_refused")}, oversold)


def archive_against_return(time: Time) -> Scene:
    factories.stock(0)
    archive = call("DELETE", f"{ITEM}?location=default")
    back = call("POST", f"{ITEM}/adjust", {"quantity": 1, "movement_type": "return"})
    return Scene(archive, back, {(409, "item_archived"), (409, "item_not_empty")}, _archive_or_units_lost)


def sku_deletion_against_receipt(time: Time) -> Scene:
    factories.product(stock=0)
    delete = call("DELETE", f"/skus/{factories.PRODUCT}")
    receive = call("POST", f"{ITEM}/adjust", {"quantity": 1, "movement_type": "inbound"})
    return Scene(delete, receive, {(409, "sku_in_use"), (409, "item_archived")}, _deleted_with_stock)


def two_counts_of_one_version(time: Time) -> Scene:
    factories.stock(10)
    seven, twelve = (call("PUT", ITEM, {"quantity": counted}, version=1) for counted in (7, 12))
    return Scene(seven, twelve, {(412, "version_mismatch")}, _counter_is_not_the_ledger)


def two_late_confirms_for_one_unit(time: Time) -> Scene:
    factories.stock(1)
    late = []
    for _ in range(2):
        late.append(factories.hold(1, ttl=60))
        time.forward(seconds=60)
        reservations.expire_overdue(limit=10)
    first, second = (call("POST", f"{RESERVATIONS}{held.id}/confirm", {"on_expired": "reacquire"}) for held in late)
    return Scene(first, second, {(409, "insufficient_stock")}, oversold)


def two_creations_of_one_item(time: Time) -> Scene:
    body = {"product_id": factories.PRODUCT, "quantity": 5}
    first, second = call("POST", "/inventory/", body), call("POST", "/inventory/", body)
    return Scene(first, second, {(409, "already_exists")}, lambda: _number("SELECT COUNT(*) FROM inventory_items") == 2)


OF_TWO_MOVEMENTS = [
    the_last_unit_to_two_buyers,
    confirm_against_expiry,
    cancel_against_confirm,
    two_sweeps,
    resize_against_reserve,
    transfer_against_reserve,
    bulk_against_reserve,
    archive_against_return,
    sku_deletion_against_receipt,
    two_counts_of_one_version,
    two_late_confirms_for_one_unit,
]
OF_ONE_ROW = [*OF_TWO_MOVEMENTS, extend_against_expiry]
SCENES = [*OF_ONE_ROW, two_creations_of_one_item]


def oversold() -> bool:
    """More units are promised, gone or moved than ever came in."""
    promised = _number("SELECT COALESCE(SUM(quantity), 0) FROM reservations WHERE status = 'active'")
    came_and_went = _number("SELECT SUM(quantity_change) FROM stock_movements")
    elsewhere = _number(
        "SELECT COALESCE(SUM(quantity), 0) FROM inventory_items"
        " WHERE location_id <> (SELECT id FROM locations WHERE code = 'default')"
    )
    return promised + elsewhere > came_and_went


def ends(held: Hold) -> int:
    """How often the ledger says that this hold ended."""
    kinds = ", ".join(f"'{kind}'" for kind in ENDS)
    return _number(
        f"SELECT COUNT(*) FROM stock_movements WHERE reservation_id = '{held.id}' AND movement_type IN ({kinds})"
    )


def about_to_expire(time: Time, *, units: int = 5) -> Hold:
    """All there is, promised for one more microsecond."""
    factories.stock(units)
    held = factories.hold(units, ttl=60)
    time.forward(seconds=60, microseconds=-1)
    return held


def _ended_twice(held: Hold) -> Callable[[], bool]:
    return lambda: ends(held) == 2


def _counter_is_not_the_ledger() -> bool:
    return _number("SELECT quantity FROM inventory_items") != _number(
        "SELECT SUM(quantity_change) FROM stock_movements"
    )


def _archive_or_units_lost() -> bool:
    """Both were told that it is done, and one of the two is not to be seen."""
    still_open = _number("SELECT COUNT(*) FROM inventory_items WHERE archived_at IS NULL")
    return still_open == 1 or _counter_is_not_the_ledger()


def _deleted_with_stock() -> bool:
    """The SKU is gone, and a unit of it came in."""
    deleted = _number("SELECT COUNT(*) FROM skus WHERE archived_at IS NOT NULL")
    return deleted == 1 and _number("SELECT SUM(quantity_change) FROM stock_movements") == 1


def _number(statement: str) -> int:
    db.session.rollback()
    return int(db.session.execute(text(statement)).scalar_one())
