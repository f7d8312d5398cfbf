"""Commands for those who run the service: worker, expire, audit, stats."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from flask.cli import with_appcontext

from app.cli.plainly import told_plainly
from app.extensions import settings
from app.jobs import expiry
from app.repositories import denied_demand, reservations
from app.schemas.stock_totals import Summary
from app.services import audit, explanations, health, stock_totals
from app.utils import clock, context
from app.utils.problems import encoded


@click.command("worker")
@click.option("--burst", is_flag=True, help="Run what is queued and stop.")
@with_appcontext
@told_plainly()
def worker(burst: bool) -> None:
    """Sweep overdue reservations whenever the queue says so. Needs REDIS_URL."""
    from app.jobs import worker as jobs

    if settings().redis_url is None:
        raise click.ClickException("the worker needs REDIS_URL; without Redis the service sweeps by itself")
    if settings().worker_metrics_port is not None:
        jobs.serve_metrics(int(settings().worker_metrics_port or 0))
    jobs.run(burst=burst)


@click.command("expire")
@with_appcontext
@told_plainly()
def expire() -> None:
    """Expire everything overdue, now."""
    click.echo(f"expired {expiry.sweep()} reservations")


@click.command("audit")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--repair", is_flag=True, help="Write compensating movements for what can be repaired.")
@click.option("--dry-run", is_flag=True, help="With --repair: say what would be written, and write nothing.")
@with_appcontext
@told_plainly()
def audit_command(as_json: bool, repair: bool, dry_run: bool) -> None:
    """Check everything that must always be true. Exit code 0 only when all of it is."""
    if dry_run and not repair:
        raise click.UsageError("--dry-run goes with --repair")
    report = audit.check()
    late = audit.overdue()
    repairs = _repair(report, dry_run=dry_run) if repair else []
    remaining = audit.check() if repair and not dry_run else report
    told = {"clean": remaining.clean, "items": report.items, "findings": report.findings,
            "sweep": late, "repairs": repairs}  # fmt: skip
    if as_json:
        click.echo(encoded(told).decode())
    else:
        _print_audit(report, late, repairs, dry_run=dry_run)
    raise SystemExit(0 if remaining.clean else 1)


def _repair(report: audit.Report, *, dry_run: bool) -> list[dict[str, Any]]:
    with context.acting_as("audit"):
        done = [audit.repair(finding, dry_run=dry_run) for finding in report.findings]
    return [repair for repair in done if repair is not None]


def _print_audit(
    report: audit.Report, late: list[audit.Finding], repairs: list[dict[str, Any]], *, dry_run: bool
) -> None:
    click.echo(
        f"{report.items} items checked: {'all in order' if report.clean else f'{len(report.findings)} findings'}"
    )
    for finding in [*report.findings, *late]:
        click.echo(f"  {finding.rule}: {encoded(finding.facts).decode()}")
    for repair in repairs:
        verb = "would write" if dry_run else "wrote"
        click.echo(f"  {verb} a movement for {repair['product_id']} at {repair['location']}: {repair['reason']}")


@click.command("stats")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@with_appcontext
@told_plainly()
def stats(as_json: bool) -> None:
    """What is in stock, promised, overdue and asked for in vain."""
    now = clock.now()
    totals = Summary().dump(stock_totals.totals(None, now))
    holds = {status: {"reservations": count, "units": units} for status, count, units in reservations.count_by_status()}
    denied = [dict(row._mapping) for row in denied_demand.since(now - explanations.DENIED_WINDOW)]
    figures = totals | {
        "reservations": holds,
        "denied_last_24_hours": denied,
        "sweep_lag_seconds": health.lag_seconds(),
    }
    if as_json:
        click.echo(encoded(figures).decode())
        return
    for name in ("products", *stock_totals.SUMMED):
        click.echo(f"{name.replace('_', ' '):<20}{figures[name]:>14,}")
    for value in figures["value"]:
        click.echo(f"{'value':<20}{Decimal(value['amount']):>17,}  {value['currency']}")
    for status, numbers in holds.items():
        click.echo(f"{status + ' holds':<20}{numbers['reservations']:>14,}  of {numbers['units']:,} units")
    click.echo(f"{'sweep lag':<20}{figures['sweep_lag_seconds']:>14.1f}  s")
    for row in denied[:10]:
        click.echo(f"denied: {row['units']} units of {row['product_id']} in {row['refusals']} requests")
