"""`make chaos`: the real processes under load and under faults from one seed, then the separate checker."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tests.chaos import deployments, disks, supervisor
from tests.chaos.history import History
from tests.chaos.rig import SWEEP_SECONDS, Rig
from tests.chaos.supervisor import RECOVERY_LIMIT, Outcome

BACKENDS = {"server": deployments.server, "embedded": deployments.embedded}


@click.command()
@click.option("--minutes", type=click.FloatRange(0.1, 600), default=3.0, show_default=True)
@click.option("--seed", type=int, help="The same seed gives the same faults and the same wishes of the clients.")
@click.option("--backend", type=click.Choice([*BACKENDS]), default="server", show_default=True)
@click.option("--clients", type=click.IntRange(1, 200), default=10, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Where history, faults and report are kept.")
def main(minutes: float, seed: int | None, backend: str, clients: int, output: Path | None) -> None:
    """Exit code 0 when nothing was lost or done twice and the service was back in time after every fault."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    folder = output or Path(tempfile.mkdtemp(prefix=f"inventory-chaos-{seed}-"))
    folder.mkdir(parents=True, exist_ok=True)
    click.echo(f"seed {seed}, backend {backend}, {minutes:g} minutes, {clients} clients; kept in {folder}")
    (folder / "history.jsonl").unlink(missing_ok=True)  # another run's, on another database
    history, started = History(folder / "history.jsonl"), time.time()
    with BACKENDS[backend]() as deployment:
        for left_out in deployment.left_out:
            click.echo(f"  left out: {left_out}")
        outcomes = supervisor.run(
            deployment, history, seed=seed, backend=backend, minutes=minutes, clients=clients, tell=click.echo
        )
        clean = _check(folder, deployment)
        lost_commits = deployment.database_proxy.commits_lost if deployment.database_proxy else 0
        deployment.keep_logs(folder)
    figures = _summary(outcomes) | {"lost COMMITs": lost_commits, "seconds": round(time.time() - started)}
    for name, value in figures.items():
        click.echo(f"  {name:22} {value}")
    facts = {"seed": seed, "backend": backend, "figures": figures, "faults": [asdict(outcome) for outcome in outcomes]}
    (folder / "faults.json").write_text(json.dumps(facts, indent=2))
    late = [outcome for outcome in outcomes if not outcome.in_time]
    click.echo(f"{'FAILED' if late or not clean else 'passed'}: seed {seed}, {len(late)} recoveries too late")
    sys.exit(0 if clean and not late else 1)


def _check(folder: Path, deployment: Rig) -> bool:
    command = [sys.executable, "-m", "tests.chaos.checker", str(folder / "history.jsonl"), deployment.checked_url]
    command += ["--sweep-seconds", str(SWEEP_SECONDS), "--json", str(folder / "report.json")]
    return subprocess.run(command, check=False).returncode == 0


def _summary(outcomes: list[Outcome]) -> dict[str, Any]:
    times = [outcome.recovered for outcome in outcomes if outcome.recovered is not None]
    kinds = Counter(name for outcome in outcomes for name in outcome.faults)
    return {
        "faults": f"{sum(kinds.values())} of {len(kinds)} kinds",
        "slowest recovery": f"{max(times, default=0):.2f} s (limit {RECOVERY_LIMIT:g} s)",
    }


if __name__ == "__main__":
    disks.isolate("tests.chaos", sys.argv[1:])
    main()
