"""`make soak`: one phase after another on the real processes, each with its own rules, then the separate checker."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tests.chaos import clients
from tests.chaos.history import History
from tests.chaos.supervisor import rest
from tests.processes import ROOT
from tests.soak import contests, phases, report, rules
from tests.soak.gauges import Gauges, taken_by_others
from tests.soak.scene import BACKENDS, Scene, Shown
from tests.soak.wares import STOCKED, stock_up

RESULTS = ROOT / "benchmarks" / "results"
# How the time is shared out, in a hundred; each part is (phase, share, what to do), and each group has a service of
# its own, with the settings named.
PEAK_SHARE = 5
Phase = tuple[str, int, Callable[[Scene, float], dict[str, Any]]]
AS_SHIPPED: list[Phase] = [
    ("steady", 30, phases.steady),
    ("double submit", 9, contests.double_submit),
    ("flash sale", 9, contests.flash_sale),
    ("overload", 10, phases.overload),
    ("slow clients", 10, phases.slow_clients),
    ("expiry", 0, phases.expiry),
]
WITH_BUDGET: list[Phase] = [("hoarder", 7, contests.hoarder)]
WITH_FAULTS: list[Phase] = [("faults", 20, phases.faults)]


@click.command()
@click.option("--minutes", type=click.FloatRange(1, 6000), default=6.0, show_default=True)
@click.option("--seed", type=int, help="The same seed gives the same wishes and the same faults.")
@click.option("--rate", type=float, help="Calls per second; without it half of the peak that is measured first.")
@click.option("--backend", type=click.Choice([*BACKENDS]), default="server", show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Where the history and the verdict are kept.")
def main(
    minutes: float, seed: int | None, rate: float | None, backend: str, results: Path, output: Path | None
) -> None:
    """Exit code 0 when every phase kept its rules and nothing was lost or done twice."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    folder = output or Path(tempfile.mkdtemp(prefix=f"inventory-soak-{seed}-"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "history.jsonl").unlink(missing_ok=True)  # another run's, on another database
    click.echo(f"seed {seed}, backend {backend}, {minutes:g} minutes; kept in {folder}")
    with BACKENDS[backend]() as rig:
        scene = Scene(rig, History(folder / "history.jsonl"), Gauges(rig), seed, backend, click.echo)
        shown = _perform(scene, minutes * 60, rate)
        verdict = _check(scene, folder)
    found = report.facts(scene, shown, verdict, _growth(scene), minutes=minutes)
    _write(found, results)
    broken = [f"{one.phase}: {words}" for one in shown for words in one.broken]
    broken += [f"checker: {rule}" for rule in verdict["violations"]]
    click.echo(f"\n{report.sentence(found)}\n")
    click.echo("FAILED " + "; ".join(broken) if broken else "passed")
    sys.exit(1 if broken else 0)


def _perform(scene: Scene, seconds: float, rate: float | None) -> list[Shown]:
    shown: list[Shown] = []
    with scene.gauges.watching():
        with scene.serving():
            _prepare(scene, seconds, rate)
            shown += [_show(scene, phase, seconds) for phase in AS_SHIPPED]
        with scene.serving(HOLD_BUDGET_UNITS=str(contests.BUDGET)):
            shown += [_show(scene, phase, seconds) for phase in WITH_BUDGET]
        with scene.serving(**scene.rig.proxied):
            shown += [_show(scene, phase, seconds) for phase in WITH_FAULTS]
            clients.resolve(scene.caller(), scene.history)
            rest(scene.rig)
    return shown


def _prepare(scene: Scene, seconds: float, rate: float | None) -> None:
    stock_up(scene.caller(), STOCKED)
    with _bar("peak", seconds * PEAK_SHARE / 100):
        scene.peak = phases.measure_peak(scene, seconds * PEAK_SHARE / 100)
    scene.target = rate or scene.peak * phases.SHARE_OF_PEAK
    click.echo(f"  peak {scene.peak:.0f} calls/s, target {scene.target:.0f}")


def _show(scene: Scene, phase: Phase, whole: float) -> Shown:
    name, share, perform = phase
    seconds, start, before = whole * share / 100, time.monotonic(), scene.gauges.spent()
    with _bar(name, seconds):
        figures = perform(scene, seconds)
    scene.spans[name] = (start, time.monotonic())
    took = time.monotonic() - start
    figures["cores taken by others"] = taken_by_others(before, scene.gauges.spent(), took)
    broken = rules.broken(name, figures)
    click.echo(f"  {name:14} {'BROKEN: ' + '; '.join(broken) if broken else 'passed'}")
    click.echo("    " + ", ".join(f"{key} {value}" for key, value in figures.items() if key != "attempts"))
    return Shown(name, took, figures, broken)


@contextmanager
def _bar(label: str, seconds: float) -> Iterator[None]:
    """A bar that moves with time, for somebody who watches."""
    over, hidden = threading.Event(), not sys.stderr.isatty()

    def move() -> None:
        with click.progressbar(
            length=max(1, round(seconds)), label=f"  {label}", file=sys.stderr, hidden=hidden
        ) as bar:
            while not over.wait(1):
                bar.update(1)

    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _check(scene: Scene, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.chaos.checker", str(scene.history.path), scene.rig.checked_url]
    subprocess.run([*command, "--json", str(folder / "report.json")], check=False)
    verdict: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return verdict


def _growth(scene: Scene) -> dict[str, Any]:
    return scene.gauges.figures(*scene.spans["steady"])


def _write(found: dict[str, Any], results: Path) -> None:
    results.mkdir(parents=True, exist_ok=True)
    (results / f"soak-{found['backend']}.json").write_text(json.dumps(found, indent=2, default=str) + "\n")
    (results / f"soak-{found['backend']}.md").write_text(report.page(found))


if __name__ == "__main__":
    main()
