"""The checker finds every lie: of a database that was changed behind the service's back, and of a forged history."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app.extensions import db
from tests.chaos import checker
from tests.chaos.calls import Attempt, Call, Caller, attempt
from tests.chaos.history import History, lines

pytestmark = [pytest.mark.leaves_findings, pytest.mark.parametrize("backend", ["embedded"], indirect=True)]
PLACE = "(SELECT i.id FROM inventory_items i JOIN locations l ON l.id = i.location_id WHERE {})"
A_ITEM = PLACE.format("i.product_id = 'A' AND l.code = 'default'")
LOOKED_UP_WRONGLY = "look-up: the service tells another outcome than its rows"
LAST = "(SELECT MAX(id) FROM stock_movements)"


class InProcess(Caller):
    """The same clients' side, with the service in this process."""

    client: Any

    def _send(self, call: Call, url: str) -> Attempt:
        headers = {"Idempotency-Key": call.key, "X-Request-ID": call.key}
        answer = self.client.open(f"/api/v1{call.path}", method=call.method, json=call.body, headers=headers)
        return attempt(answer.status_code, answer.json, "Idempotent-Replayed" in answer.headers)


@dataclass
class Scene:
    """A small run of every kind of call; the database and the history it left."""

    file: Path
    history: Path
    caller: InProcess

    def call(self, kind: str, key: str, method: str, path: str, body: Any = None, **facts: Any) -> Any:
        return self.caller.perform(Call(kind, method, path, body, key, facts), Random(1))

    def reserve(self, key: str, product: str, quantity: int, ttl: int = 3600) -> Any:
        body = {"product_id": product, "quantity": quantity, "ttl_seconds": ttl, "order_id": key, "customer_id": "c-1"}
        return self.call("reserve", key, "POST", "/reservations/", body)

    def end(self, kind: str, key: str, held: Any) -> None:
        method, tail = ("POST", "/confirm") if kind == "confirm" else ("DELETE", "")
        path = f"/reservations/{held['id']}{tail}"
        self.call(kind, key, method, path, reservation_id=held["id"], quantity=held["quantity"])

    def forge(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            for verb in ("update", "delete"):
                connection.execute(f"DROP TRIGGER IF EXISTS stock_movements_no_{verb}")
            for statement in statements:
                connection.execute(statement)

    def rewrite(self, key: str, kind: str, **changes: Any) -> None:
        """Change what the history says of one line."""
        told = list(lines(self.history))
        for line in told:
            if line.get("key") == key and line["type"] == kind:
                line.update(changes)
        self.history.write_text("".join(json.dumps(line) + "\n" for line in told))

    def broken(self) -> set[str]:
        found = checker.check_url(self.history, f"sqlite:///{self.file}", sweep_seconds=5)
        return set(found.violations)


@pytest.fixture
def scene(app, client, tmp_path) -> Iterator[Scene]:
    history = History(tmp_path / "history.jsonl")
    caller = InProcess(["here"], history)
    caller.client = client
    played = Scene(Path(str(db.engine.url.database)), history.path, caller)
    assert client.post("/api/v1/locations/", json={"code": "east", "name": "East"}).status_code == 201
    play(played)
    yield played
    history.close()


def play(scene: Scene) -> None:
    for product, location in (("A", "default"), ("A", "east"), ("B", "default")):
        body = {"product_id": product, "quantity": 10, "location": location}
        scene.call("create", f"open-{product}-{location}", "POST", "/inventory/", body)
    bought, given_back = scene.reserve("bought", "A", 2), scene.reserve("given-back", "B", 3)
    scene.end("confirm", "confirm", bought)
    scene.end("cancel", "cancel", given_back)
    scene.end("confirm", "confirm-again", bought)
    scene.reserve("refused", "B", 999)
    items = [{"product_id": "A", "quantity": 1, "location": "east"}, {"product_id": "B", "quantity": 1}]
    batch = {"items": items, "order_id": "batch", "customer_id": "c-1"}
    scene.call("batch", "batch", "POST", "/reservations/batch", batch)
    move = {"from_location": "default", "to_location": "east", "quantity": 2}
    scene.call("transfer", "transfer", "POST", "/inventory/A/transfer", move)
    adjust = {"quantity": 5, "movement_type": "inbound", "location": "default"}
    scene.call("adjust", "adjust", "POST", "/inventory/A/adjust", adjust)
    scene.reserve("kept", "B", 1)


def appended(request_id: str, change: int = 5, item: str = A_ITEM) -> list[str]:
    """A ledger row that is right in itself, with the counters that belong to it."""
    return [
        f"UPDATE inventory_items SET quantity = quantity + {change}, version = version + 1 WHERE id = {item}",
        f"""INSERT INTO stock_movements (inventory_item_id, sequence, movement_type, quantity_change, reserved_change,
                                         quantity_after, reserved_after, actor, request_id, created_at)
            SELECT id, version, 'inbound', {change}, 0, quantity, reserved_quantity, 'x', '{request_id}', updated_at
            FROM inventory_items WHERE id = {item}""",
    ]


VANISHED = [
    "DELETE FROM reservations WHERE order_id = 'kept'",
    "DELETE FROM stock_movements WHERE request_id = 'kept'",
    "DELETE FROM idempotency_keys WHERE idempotency_key = 'kept'",
    "UPDATE inventory_items SET version = version - 1 WHERE product_id = 'B'",
    "UPDATE inventory_items SET reserved_quantity = reserved_quantity - 1 WHERE product_id = 'B'",
]
FORGED = {
    "an acknowledged hold is gone without a trace": (VANISHED, "lost: an acknowledged write is not there"),
    "an adjustment was made twice": (appended("adjust"), "twice: more effects than one"),
    "a refused call took effect": (appended("refused"), "ghost: an effect of a call that failed"),
    "a row nobody asked for": (appended("nobody"), "ghost: rows nobody asked for"),
    "units out of nothing": (
        ["UPDATE inventory_items SET quantity = quantity + 1 WHERE product_id = 'B'"],
        "I1 counters are the sum of the ledger",
    ),
    "units out of nothing, seen by the clients": (
        ["UPDATE inventory_items SET quantity = quantity + 1 WHERE product_id = 'B'"],
        "I13 units made or lost",
    ),
    "half a transfer": (
        ["DELETE FROM stock_movements WHERE request_id = 'transfer' AND quantity_change > 0"],
        "I13 transfers neither make nor lose units",
    ),
    "half a transfer, by its key": (
        ["DELETE FROM stock_movements WHERE request_id = 'transfer' AND quantity_change > 0"],
        "torn: not the whole effect",
    ),
    "a balance that does not follow": (
        [f"UPDATE stock_movements SET quantity_after = quantity_after + 1 WHERE id = {LAST}"],
        "I1 each row follows from the one before",
    ),
    "a counter of promised units": (
        ["UPDATE inventory_items SET reserved_quantity = 0 WHERE product_id = 'B'"],
        "I2 reserved is the sum of active holds",
    ),
    "more promised than there is": (
        ["UPDATE inventory_items SET quantity = 1 WHERE product_id = 'B'"],
        "I3 never more promised than there is",
    ),
    "ledger rows renumbered": (
        [f"UPDATE stock_movements SET id = -1 WHERE id = {LAST}"],
        "I4 the ledger only grows",
    ),
    "confirmed too late": (
        ["UPDATE reservations SET confirmed_at = expires_at WHERE order_id = 'bought'"],
        "I5 a hold ends once and in time",
    ),
    "ended twice": (
        ["UPDATE reservations SET cancelled_at = confirmed_at WHERE order_id = 'bought'"],
        "I5 a hold ends once and in time",
    ),
    "an acknowledged purchase undone": (
        ["UPDATE reservations SET status = 'cancelled' WHERE order_id = 'bought'"],
        "lost: the rows are not what was acknowledged",
    ),
    "a hold given back twice": (
        ["UPDATE stock_movements SET movement_type = 'expiry' WHERE request_id = 'cancel'"],
        "I7 the ledger tells how each hold ended",
    ),
    "nobody sweeps": (
        ["UPDATE reservations SET expires_at = '2020-01-01 00:00:00.000000' WHERE order_id = 'kept'"],
        "I6 nothing overdue is left lying",
    ),
    "a key that was never finished": (
        ["UPDATE idempotency_keys SET status = NULL WHERE idempotency_key = 'adjust'"],
        "I9 a key stands for one finished call",
    ),
    "an effect without its key": (
        ["DELETE FROM idempotency_keys WHERE idempotency_key = 'adjust'"],
        "key: kept without its effect, or the effect without it",
    ),
    "another answer kept than given": (
        ["UPDATE idempotency_keys SET body = '{\"data\": 1}' WHERE idempotency_key = 'adjust'"],
        "answers: the kept answer is another one",
    ),
    "a hold of nothing": (
        ["UPDATE reservations SET inventory_item_id = 999 WHERE order_id = 'kept'"],
        "I14 nothing hangs in the air",
    ),
    "a change by nobody": (
        [f"UPDATE stock_movements SET actor = '' WHERE id = {LAST}"],
        "I18 every row says who and under which request",
    ),
}


def test_what_the_service_really_did_is_found_in_order(scene):
    assert scene.broken() == set()


@pytest.mark.parametrize("case", FORGED)
def test_a_changed_database_is_found(scene, case):
    statements, rule = FORGED[case]
    scene.forge(*statements)
    assert rule in scene.broken()


def test_what_vanished_without_a_trace_breaks_no_invariant_and_only_the_history_tells(scene):
    scene.forge(*VANISHED)
    assert all(rule.startswith("lost") for rule in scene.broken())


def test_a_failure_that_was_none_is_found(scene):
    scene.rewrite("adjust", "ok", type="fail", answers=[])
    assert scene.broken() == {"ghost: an effect of a call that failed"}


def test_two_answers_under_one_key_are_found(scene):
    scene.rewrite("adjust", "ok", answers=[{"id": 1}, {"id": 2}])
    assert "answers: one key, different answers" in scene.broken()


def test_an_answer_that_promised_more_is_found(scene):
    [line] = [line for line in lines(scene.history) if line["type"] == "ok" and line["key"] == "bought"]
    scene.rewrite("bought", "ok", answers=[line["answers"][0] | {"quantity": 3}])
    assert "lost: the rows are not what was acknowledged" in scene.broken()


@pytest.mark.parametrize(
    ("said", "rules"), [([], {"look-up: the service tells another outcome than its rows"}), ([1], set())]
)
def test_an_unknown_outcome_is_no_fault_unless_the_service_tells_another_one_than_its_rows(scene, said, rules):
    scene.rewrite("adjust", "ok", type="unknown", answers=[])
    with scene.history.open("a") as file:
        file.write(json.dumps({"type": "resolved", "key": "adjust", "status": 200, "answers": said}) + "\n")
    assert scene.broken() == rules


def test_a_client_that_was_killed_leaves_unknown_outcomes_and_half_a_line(scene):
    told = [line for line in lines(scene.history) if not (line["type"] == "ok" and line["key"] == "adjust")]
    scene.history.write_text("".join(json.dumps(line) + "\n" for line in told) + '{"type": "o')
    assert scene.broken() == set()


def test_numbers_that_were_wrong_for_a_moment_are_found(scene):
    with scene.history.open("a") as file:
        file.write(json.dumps({"type": "live", "broken": {"I2": [{"id": 1}]}}) + "\n")
    assert scene.broken() == {"live: numbers wrong at one moment of the run"}


def test_a_reader_who_is_shown_old_numbers_is_found(scene):
    seen = {"type": "read", "product_id": "B", "location": "default", "quantity": 10}
    with scene.history.open("a") as file:
        file.write(json.dumps(seen | {"reserved_quantity": 2}) + "\n")
    assert scene.broken() == set()
    with scene.history.open("a") as file:
        file.write(json.dumps(seen | {"reserved_quantity": 1}) + "\n")
    assert scene.broken() == {"I15 readers are shown other numbers than the rows"}


@pytest.mark.parametrize(("statements", "exit_code"), [([], 0), (VANISHED, 1)])
def test_the_program_says_so_with_its_exit_code_and_a_report(scene, tmp_path, statements, exit_code):
    scene.forge(*statements)
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "tests.chaos.checker", str(scene.history), f"sqlite:///{scene.file}"]
    done = subprocess.run([*command, "--json", str(report)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (exit_code, "")
    verdict = json.loads(report.read_text())
    assert (verdict["clean"], verdict["figures"]["lost"]) == (exit_code == 0, exit_code)
    assert ("BROKEN" in done.stdout) == (exit_code == 1)


def test_the_checker_knows_nothing_of_the_service(backend):
    ours = "{'app', 'config'} & {name.split('.')[0] for name in sys.modules}"
    code = f"import sys, tests.chaos.checker; sys.exit(len({ours}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
