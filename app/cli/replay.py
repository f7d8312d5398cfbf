"""`flask replay FILE`: a shop's real order lines against a running service, checked to the last unit."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import click

from app.cli.order_lines import UnusableFile
from app.cli.replay_plan import Plan, plan_replay
from app.cli.replay_report import Mismatch, Report, as_dict, as_text, is_expected, mismatches
from app.cli.replay_run import Outcome, outcomes
from app.cli.stock_client import Refused, StockClient

PROBLEMS_SHOWN = 20


@click.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", default="http://127.0.0.1:5000", show_default=True, help="Where the service runs.")
@click.option("--api-key", envvar="REPLAY_API_KEY", help="Sent as X-API-Key.")
@click.option("--location", default="default", show_default=True, help="Where the stock is opened.")
@click.option("--prefix", default="", help="Put before every code, so that replays do not meet each other's stock.")
@click.option("--clients", type=click.IntRange(1, 64), default=1, show_default=True, help="Lines driven at once.")
@click.option("--limit", type=click.IntRange(min=1), help="Only so many lines from the start of the file.")
@click.option("--short", multiple=True, metavar="CODE", help="Load one unit less; repeatable.")
@click.option("--keep-going", is_flag=True, help="Go on after a refusal nobody expected.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    file: Path,
    url: str,
    api_key: str | None,
    location: str,
    prefix: str,
    clients: int,
    limit: int | None,
    short: tuple[str, ...],
    keep_going: bool,
    as_json: bool,
) -> None:
    """Drive every order line of FILE through the service at --url and compare the stock it ends with.

    Each code opens with the fewest units that let all its lines succeed. A sale is then reserved and
    confirmed, a cancellation returned, an adjustment made with its own sign; lines of services and vouchers
    are counted.
    With --short CODE exactly one line must be refused, and it is known beforehand which.

    The exit code is 0 only if every line was answered as planned and every code's stock equals what a second,
    independent computation makes of the file.
    """
    plan = _plan(file, short=frozenset(short), limit=limit, prefix=prefix)
    connect = partial(StockClient, url, location=location, prefix=prefix, api_key=api_key)
    _open_stock(connect(), plan)
    started = time.perf_counter()
    seen = _drive(plan, connect=connect, clients=clients, keep_going=keep_going)
    seconds = time.perf_counter() - started
    found = _compare(connect(), plan.closing) if len(seen) == len(plan.stock_lines) else None
    report = Report(file=file.name, plan=plan, outcomes=seen, clients=clients, seconds=seconds, mismatches=found)
    click.echo(json.dumps(as_dict(report), indent=2) if as_json else as_text(report))
    sys.exit(0 if report.ok else 1)


def _plan(file: Path, *, short: frozenset[str], limit: int | None, prefix: str) -> Plan:
    try:
        return plan_replay(file, short=short, limit=limit, prefix=prefix)
    except UnusableFile as error:
        shown = error.problems[:PROBLEMS_SHOWN]
        rest = len(error.problems) - len(shown)
        more = [f"and {rest:,} more"] if rest else []
        raise click.ClickException("\n  ".join([f"{file.name} cannot be replayed:", *shown, *more])) from error


def _open_stock(client: StockClient, plan: Plan) -> None:
    try:
        client.open_stock(plan.opening)
    except Refused as refused:
        hint = "; give the replay a --prefix of its own" if "already_exists" in refused.codes else ""
        raise click.ClickException(f"the stock was not opened and no line driven: {refused}{hint}") from refused


def _compare(client: StockClient, expected: Mapping[str, int]) -> list[Mismatch]:
    try:
        return mismatches(expected, client.stock())
    except Refused as refused:
        raise click.ClickException(f"the stock could not be read after the last line: {refused}") from refused


def _drive(plan: Plan, *, connect: Callable[[], StockClient], clients: int, keep_going: bool) -> list[Outcome]:
    """All outcomes, or those up to the first refusal nobody expected."""
    lines, seen = plan.stock_lines, []
    stream = outcomes(lines, clients=clients, connect=connect)
    bar = click.progressbar(stream, length=len(lines), label="replay", file=sys.stderr, hidden=not sys.stderr.isatty())
    with closing(stream), bar as shown:
        for outcome in shown:
            seen.append(outcome)
            if outcome.refused and not keep_going and not is_expected(outcome, plan):
                break
    return seen
