"""Compares a history with the database it left: nothing acknowledged lost, nothing twice, nothing from a refusal.

A program of its own that knows the tables and the history and nothing of the service's code:
`python -m tests.chaos.checker HISTORY DATABASE_URL`. Run it when faults are healed and clients are quiet.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, NullPool, create_engine, make_url

from tests.chaos import invariants
from tests.chaos.effects import Operation, Rows, expected, operations
from tests.chaos.history import lines

ENDS = {"confirm": "confirmed", "cancel": "cancelled"}
SHOWN = 10


@dataclass(slots=True)
class Verdict:
    """By rule, what breaks it; and the figures of the run."""

    violations: dict[str, list[Any]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def note(self, rule: str, fact: Any) -> None:
        self.violations.setdefault(rule, []).append(fact)

    @property
    def clean(self) -> bool:
        return not self.violations


def check(history: Path, connection: Connection, *, sweep_seconds: float) -> Verdict:
    verdict, told = Verdict(), list(lines(history))
    calls, rows = operations(told), Rows.read(connection)
    for operation in calls.values():
        _check_call(operation, rows, verdict)
    _check_nothing_came_from_nowhere(calls, rows, verdict)
    _check_sums(calls, rows, verdict)
    for rule, found in invariants.broken(connection, sweep_seconds=sweep_seconds).items():
        verdict.violations[rule] = found
    for line in told:
        _check_sight(line, rows, verdict)
    _count(told, calls, rows, verdict)
    return verdict


def _check_call(operation: Operation, rows: Rows, verdict: Verdict) -> None:
    found, wanted = rows.effects(operation.key), expected(operation)
    who = {"key": operation.key, "op": operation.kind, "rows": found, "attempts": operation.attempts}
    if found and found != wanted:
        doubled = len(found) > len(wanted)
        verdict.note("twice: more effects than one" if doubled else "torn: not the whole effect", who)
    if len(rows.keys.get(operation.key, ())) > 1:
        verdict.note("twice: a key kept more than once", who)
    match operation.outcome:
        case "ok":
            _check_acknowledged(operation, rows, verdict, who)
        case "fail" if found or operation.key in rows.keys:
            verdict.note("ghost: an effect of a call that failed", who)
    if operation.outcome != "fail":
        _check_look_up(operation, rows, verdict, who)
    if bool(found) != (operation.key in rows.keys) and not _ended_before(operation, rows):
        verdict.note("key: kept without its effect, or the effect without it", who)


def _check_acknowledged(operation: Operation, rows: Rows, verdict: Verdict, who: dict[str, Any]) -> None:
    if not rows.effects(operation.key) and not _ended_before(operation, rows):
        verdict.note("lost: an acknowledged write is not there", who)
    if len(operation.answers) != 1:
        verdict.note("answers: one key, different answers", who | {"answers": operation.answers})
    for answer in operation.answers:
        if answer not in rows.keys.get(operation.key, [answer]):
            verdict.note("answers: the kept answer is another one", who | {"kept": rows.keys[operation.key]})
        for promised in rows.contradicted(operation.kind, answer):
            verdict.note("lost: the rows are not what was acknowledged", who | {"promised": promised})


def _check_look_up(operation: Operation, rows: Rows, verdict: Verdict, who: dict[str, Any]) -> None:
    """What `GET /idempotency/{key}` said later must be what the rows say."""
    if operation.looked_up is not None and bool(operation.looked_up) != (operation.key in rows.keys):
        verdict.note("look-up: the service tells another outcome than its rows", who | {"said": operation.looked_up})


def _ended_before(operation: Operation, rows: Rows) -> bool:
    """To confirm what is confirmed, or cancel what is cancelled, is granted and changes nothing."""
    end, hold = ENDS.get(operation.kind), operation.facts.get("reservation_id", "")
    ended = operation.key in rows.keys and end is not None and rows.status(hold) == end
    return ended and rows.ended_by(hold) != operation.key


def _check_nothing_came_from_nowhere(calls: dict[str, Operation], rows: Rows, verdict: Verdict) -> None:
    for key in rows.by_request.keys() - calls.keys():
        verdict.note("ghost: rows nobody asked for", {"request_id": key, "rows": rows.effects(key)})
    for key in rows.keys.keys() - calls.keys():
        verdict.note("ghost: a key nobody sent", key)


def _check_sums(calls: dict[str, Operation], rows: Rows, verdict: Verdict) -> None:
    """I13 from the clients' side: what they were told, and what unknown calls turned out to be, makes the stock."""
    sums: Counter[tuple[str, str]] = Counter()
    for operation in calls.values():
        applied = bool(rows.effects(operation.key))
        if applied or (operation.outcome == "ok" and not _ended_before(operation, rows)):
            for effect in expected(operation, rows):
                sums[effect.product_id, effect.location] += effect.quantity_change
    for place, (on_hand, _) in rows.stock.items():
        if sums[place] != on_hand:
            verdict.note("I13 units made or lost", {"place": place, "by history": sums[place], "on hand": on_hand})


def _check_sight(line: dict[str, Any], rows: Rows, verdict: Verdict) -> None:
    """What was seen while everything was in motion, and what readers were shown when all was quiet."""
    if line["type"] == "live" and line["broken"]:
        verdict.note("live: numbers wrong at one moment of the run", line["broken"])
    if line["type"] == "read":
        shown = (line["quantity"], line["reserved_quantity"])
        if rows.stock.get((line["product_id"], line["location"])) != shown:
            verdict.note("I15 readers are shown other numbers than the rows", line)


def _count(told: Sequence[dict[str, Any]], calls: dict[str, Operation], rows: Rows, verdict: Verdict) -> None:
    unknown = [operation for operation in calls.values() if operation.outcome == "unknown"]
    applied = sum(operation.key in rows.keys for operation in unknown)
    outcomes = Counter(operation.outcome for operation in calls.values())
    verdict.figures = {
        "operations": len(calls),
        "by outcome": dict(outcomes),
        "by kind": {kind: dict(count) for kind, count in _by_kind(calls).items()},
        "attempts": dict(Counter(attempt for operation in calls.values() for attempt in operation.attempts)),
        "replayed": sum(operation.replayed for operation in calls.values()),
        "unknown": {"applied": applied, "not applied": len(unknown) - applied},
        "unknown and looked up": sum(operation.looked_up is not None for operation in unknown),
        "ledger rows": rows.count,
        "holds": dict(rows.holds_by_status),
        "looks at the numbers under load": sum(line["type"] == "live" for line in told),
        "lookups compared when quiet": sum(line["type"] == "read" for line in told),
        "lost": _calls_in(verdict, "lost"),
        "twice": _calls_in(verdict, "twice"),
        "oversold": len(verdict.violations.get("I3 never more promised than there is", ())),
    }


def _calls_in(verdict: Verdict, kind: str) -> int:
    return len({fact["key"] for rule, facts in verdict.violations.items() if rule.startswith(kind) for fact in facts})


def _by_kind(calls: dict[str, Operation]) -> dict[str, Counter[str]]:
    kinds: dict[str, Counter[str]] = {}
    for operation in calls.values():
        kinds.setdefault(operation.kind, Counter())[operation.outcome] += 1
    return kinds


def told(verdict: Verdict) -> str:
    """The report for people."""
    written = [f"  {name:22} {value}" for name, value in verdict.figures.items()]
    for rule, facts in verdict.violations.items():
        written.append(f"  BROKEN {rule}: {len(facts)}")
        written += [f"    {json.dumps(fact, default=str)[:600]}" for fact in facts[:SHOWN]]
    written.append("  verdict                " + ("nothing lost, nothing twice, every invariant holds" if verdict.clean
                                                   else "BROKEN"))  # fmt: skip
    return "\n".join(written)


def check_url(history: Path, database_url: str, *, sweep_seconds: float) -> Verdict:
    url = make_url(database_url)
    if url.get_backend_name() in ("mysql", "mariadb"):
        url = url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return check(history, connection, sweep_seconds=sweep_seconds)


@click.command()
@click.argument("history", type=click.Path(exists=True, path_type=Path))
@click.argument("database_url")
@click.option("--sweep-seconds", type=float, default=5.0, help="The period of the sweep in that run.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the verdict there as JSON, too.")
def main(history: Path, database_url: str, sweep_seconds: float, json_file: Path | None) -> None:
    """Exit code 0 when the database is what the history says it must be, 1 when not."""
    verdict = check_url(history, database_url, sweep_seconds=sweep_seconds)
    if json_file:
        json_file.write_text(json.dumps({"clean": verdict.clean, **asdict(verdict)}, indent=2, default=str))
    click.echo(told(verdict))
    sys.exit(0 if verdict.clean else 1)


if __name__ == "__main__":
    main()
