"""The figures of a run, as JSON for programs, as a page for people, and as the one sentence they come to."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.processes import ROOT
from tests.soak.scene import Scene, Shown

COLUMNS = ("calls", "p50 ms", "p95 ms", "p99 ms", "5xx", "unknown", "cores taken by others")


def facts(
    scene: Scene, shown: Sequence[Shown], verdict: Mapping[str, Any], growth: Mapping[str, Any], *, minutes: float
) -> dict[str, Any]:
    """Everything that was measured."""
    return {
        "backend": scene.backend, "seed": scene.seed, "commit": commit(), "minutes": minutes,
        "python": platform.python_version(), "cores": os.cpu_count(),
        "requests": scene.samples.requests, "peak per second": round(scene.peak, 1),
        "target per second": round(scene.target, 1),
        "phases": {one.phase: {"seconds": round(one.seconds, 1), "broken": one.broken, **one.figures} for one in shown},
        "faults": [" + ".join(outcome.faults) for outcome in scene.faults],
        "growth in the steady phase": growth,
        "checker": verdict,
    }  # fmt: skip


def sentence(found: Mapping[str, Any]) -> str:
    checked, faults = found["checker"]["figures"], found["phases"].get("faults", {})
    unknown = sum(checked["unknown"].values())
    resolved = "all resolved" if checked["unknown and looked up"] == unknown else "NOT all resolved"
    again = f'make soak ARGS="--backend {found["backend"]} --minutes {found["minutes"]:g} --seed {found["seed"]}"'
    return (
        f"{found['requests']:,} requests over {found['minutes']:g} minutes at {found['target per second']:g} calls/s on"
        f" {found['cores']} cores ({found['backend']}); {faults.get('faults', 0)} faults of"
        f" {faults.get('kinds', 0)} kinds injected (seed {found['seed']}, commit {found['commit']});"
        f" {checked['by outcome'].get('ok', 0):,} acknowledged writes: {checked['lost']} lost,"
        f" {checked['twice']} applied twice, {checked['oversold']} units oversold; {unknown} outcomes unknown to the"
        f" client, {resolved} by looking them up; slowest recovery {faults.get('slowest recovery s') or 0:.1f} s;"
        f" reproduce with `{again}`."
    )


def page(found: Mapping[str, Any]) -> str:
    return "\n".join([*_head(found), "", *_phases(found), "", _checked(found), "", *_growth(found)]) + "\n"


def _checked(found: Mapping[str, Any]) -> str:
    rules = [f"{rule} ({len(facts)})" for rule, facts in found["checker"]["violations"].items()]
    return f"Checker: {'; '.join(rules) if rules else 'nothing lost, nothing twice, every invariant holds'}."


def _head(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Soak, {found['backend']} backend"
    yield ""
    yield sentence(found)
    yield ""
    yield (
        f"Peak, with the clients and all servers on the same {found['cores']} cores: {found['peak per second']:g}"
        f" calls/s; the target is {found['target per second']:g}. What other programs took of the cores meanwhile is"
        " told for each phase; latencies suffer from it. Not covered: power loss, MySQL 8, several hosts."
    )


def _phases(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"| phase | seconds | {' | '.join(COLUMNS)} | also | verdict |"
    yield f"|---|---{'|---' * len(COLUMNS)}|---|---|"
    for name, figures in found["phases"].items():
        cells = [_cell(figures.get(column)) for column in COLUMNS]
        known = {*COLUMNS, "seconds", "broken", "served", "p99.9 ms", "no answer", "attempts"}
        also = ", ".join(f"{key}: {value}" for key, value in figures.items() if key not in known)
        verdict = "broken: " + "; ".join(figures["broken"]) if figures["broken"] else "passed"
        yield f"| {name} | {figures['seconds']:g} | {' | '.join(cells)} | {also} | {verdict} |"


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _growth(found: Mapping[str, Any]) -> Iterator[str]:
    yield "In the steady phase, first and last look, and the slope of the line through all of them:"
    yield ""
    yield "| process | MB | MB per hour | descriptors | per hour |"
    yield "|---|---|---|---|---|"
    for name, grown in found["growth in the steady phase"].items():
        if "MB first" in grown:
            yield (
                f"| {name} | {grown['MB first']} → {grown['MB last']} | {grown['MB per hour']} |"
                f" {grown['descriptors first']:g} → {grown['descriptors last']:g} | {grown['descriptors per hour']} |"
            )
        else:
            yield f"| {name}, open | | | {grown['open first']:g} → {grown['open last']:g} | {grown['open per hour']} |"


def commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    return told.stdout.strip() or "unknown"
