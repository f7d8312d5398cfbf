"""The two sides the checker compares: which ledger rows each call should have made, and which are there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

FACTS = ("reservation_id", "quantity")
HOLD = ("quantity", "order_id", "product_id", "location")
END = ("quantity", "status")
MOVEMENT = ("sequence", "movement_type", "quantity_change", "quantity_after", "reserved_after", "product_id")
COMPLETIONS = {"ok", "fail", "unknown"}
LEDGER = """
    SELECT m.id, m.sequence, m.movement_type, m.quantity_change, m.reserved_change, m.quantity_after,
           m.reserved_after, m.reservation_id, m.request_id, m.actor, i.product_id, l.code AS location
    FROM stock_movements m
    LEFT JOIN inventory_items i ON i.id = m.inventory_item_id
    LEFT JOIN locations l ON l.id = i.location_id
    ORDER BY m.id
"""
HOLDS = """
    SELECT r.id, r.quantity, r.order_id, r.customer_id, r.status, i.product_id, l.code AS location
    FROM reservations r
    LEFT JOIN inventory_items i ON i.id = r.inventory_item_id
    LEFT JOIN locations l ON l.id = i.location_id
"""
STOCK = """
    SELECT i.product_id, l.code AS location, i.quantity, i.reserved_quantity
    FROM inventory_items i JOIN locations l ON l.id = i.location_id
"""
KEYS = "SELECT idempotency_key, body FROM idempotency_keys ORDER BY id"


@dataclass(slots=True)
class Operation:
    """One call as its client saw it; without a completion, because the client died, its outcome is unknown."""

    key: str
    kind: str
    body: dict[str, Any]
    path: str
    facts: dict[str, Any]
    outcome: str = "unknown"
    answers: list[Any] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    replayed: bool = False
    looked_up: list[Any] | None = None


class Effect(NamedTuple):
    """One ledger row, as far as a call determines it. An empty location stands for whichever was chosen."""

    kind: str
    product_id: str
    location: str
    quantity_change: int
    reserved_change: int


def operations(told: Iterable[dict[str, Any]]) -> dict[str, Operation]:
    calls: dict[str, Operation] = {}
    for line in told:
        if line["type"] == "invoke":
            facts: dict[str, Any] = {name: line[name] for name in FACTS if name in line}
            calls[line["key"]] = Operation(line["key"], line["op"], line["body"] or {}, line["path"], facts)
        elif line["type"] in COMPLETIONS:
            call = calls[line["key"]]
            call.outcome, call.answers, call.replayed = line["type"], line["answers"], line["replayed"]
            call.attempts = line["attempts"]
        elif line["type"] == "resolved":
            calls[line["key"]].looked_up = line["answers"]
    return calls


def expected(operation: Operation, rows: Rows | None = None) -> list[Effect]:
    """The rows this call makes, sorted. With `rows`, a location the service chose is filled in from them."""
    made = list(_made(operation, rows))
    if rows is not None:
        made = [effect._replace(location=effect.location or rows.place(operation.key, effect)) for effect in made]
    return sorted(made)


def _made(operation: Operation, rows: Rows | None) -> Iterator[Effect]:
    body, product = operation.body, operation.path.split("/")[2] if operation.path.startswith("/inventory/") else ""
    match operation.kind:
        case "create":
            yield Effect("inbound", body["product_id"], body["location"], body["quantity"], 0)
        case "adjust":
            yield Effect(body["movement_type"], product, body["location"], body["quantity"], 0)
        case "transfer":
            yield Effect("transfer", product, body["from_location"], -body["quantity"], 0)
            yield Effect("transfer", product, body["to_location"], body["quantity"], 0)
        case "reserve":
            yield Effect("reservation", body["product_id"], body.get("location", ""), 0, body["quantity"])
        case "batch":
            for item in body["items"]:
                yield Effect("reservation", item["product_id"], item.get("location", ""), 0, item["quantity"])
        case "confirm" | "cancel":
            units, kind = operation.facts["quantity"], "outbound" if operation.kind == "confirm" else "release"
            place = rows.place_of_hold(operation.facts["reservation_id"]) if rows else ("", "")
            yield Effect(kind, *place, -units if kind == "outbound" else 0, -units)


@dataclass(slots=True)
class Rows:
    """What the database says."""

    by_request: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    movements: dict[int, dict[str, Any]] = field(default_factory=dict)
    holds: dict[str, dict[str, Any]] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=dict)
    keys: dict[str, list[Any]] = field(default_factory=dict)
    stock: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection) -> Rows:
        rows = cls()
        for movement in connection.execute(text(LEDGER)).mappings():
            rows._add(dict(movement))
        rows.holds = {hold["id"]: dict(hold) for hold in connection.execute(text(HOLDS)).mappings()}
        for key, body in connection.execute(text(KEYS)):
            rows.keys.setdefault(key, []).append(json.loads(body).get("data") if body else None)
        rows.stock = {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(text(STOCK))}
        return rows

    def _add(self, movement: dict[str, Any]) -> None:
        self.movements[movement["id"]] = movement
        if movement["movement_type"] in ("outbound", "release") and movement["reservation_id"]:
            self.endings[movement["reservation_id"]] = movement["request_id"]
        # Whoever is short of units expires what is overdue: those rows are no part of what the call asked for.
        if movement["movement_type"] != "expiry":
            self.by_request.setdefault(str(movement["request_id"]), []).append(movement)

    @property
    def count(self) -> int:
        return len(self.movements)

    @property
    def holds_by_status(self) -> Counter[str]:
        return Counter(hold["status"] for hold in self.holds.values())

    def effects(self, key: str) -> Effects:
        return Effects(sorted(_effect(movement) for movement in self.by_request.get(key, ())))

    def place(self, key: str, effect: Effect) -> str:
        chosen = (row["location"] for row in self.by_request.get(key, ()) if row["product_id"] == effect.product_id)
        return str(next(chosen, ""))

    def place_of_hold(self, reservation_id: str) -> tuple[str, str]:
        hold = self.holds.get(reservation_id, {})
        return str(hold.get("product_id", "")), str(hold.get("location", ""))

    def status(self, reservation_id: str) -> str | None:
        return self.holds.get(reservation_id, {}).get("status")

    def ended_by(self, reservation_id: str) -> str | None:
        return self.endings.get(reservation_id)

    def contradicted(self, kind: str, answer: Any) -> Iterator[dict[str, Any]]:
        """What an answer promised and the rows do not keep."""
        promised = answer["reservations"] if kind == "batch" else answer if isinstance(answer, list) else [answer]
        table: dict[Any, dict[str, Any]] = self.movements if kind in ("adjust", "transfer") else self.holds
        names = {"reserve": HOLD, "batch": HOLD, "confirm": END, "cancel": END}.get(kind, MOVEMENT)
        if kind != "create":
            yield from (each for each in promised if not _agrees(each, table.get(each["id"]), names))


class Effects(list[Effect]):
    """Equal to what was expected when each row is; a location or product that was left open is equal to any."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and len(self) == len(other) and all(map(_fits, self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


def _fits(found: Effect, wanted: Effect) -> bool:
    return all(want in ("", have) for have, want in zip(found, wanted, strict=True))


def _effect(movement: dict[str, Any]) -> Effect:
    return Effect(
        movement["movement_type"], str(movement["product_id"]), str(movement["location"]),
        movement["quantity_change"], movement["reserved_change"],
    )  # fmt: skip


def _agrees(promised: dict[str, Any], row: dict[str, Any] | None, names: Iterable[str]) -> bool:
    return row is not None and all(promised.get(name) == row[name] for name in names)
