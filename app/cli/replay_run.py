"""Drives order lines through the service as its customers would, by one client or several at once."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event
from zlib import crc32

from app.cli.order_lines import Kind, OrderLine
from app.cli.stock_client import Refused, StockClient

GUEST = "guest"


@dataclass(frozen=True, slots=True)
class Outcome:
    line: OrderLine
    refused: Refused | None


def outcomes(
    lines: Sequence[OrderLine], *, clients: int, connect: Callable[[], StockClient]
) -> Generator[Outcome, None, None]:
    """What became of each line, as it happens; closing this stops every client after its present line."""
    done: SimpleQueue[Outcome | Exception] = SimpleQueue()
    stop = Event()
    with ThreadPoolExecutor(clients) as pool:
        try:
            for share in _shares(lines, clients):
                pool.submit(_work, share, connect=connect, done=done, stop=stop)
            for _ in lines:
                outcome = done.get()
                if isinstance(outcome, Exception):
                    raise outcome
                yield outcome
        finally:
            stop.set()


def _shares(lines: Sequence[OrderLine], clients: int) -> list[list[OrderLine]]:
    """One client has all lines of a code, so that they stay in order."""
    shares: list[list[OrderLine]] = [[] for _ in range(clients)]
    for line in lines:
        shares[crc32(line.code.encode()) % clients].append(line)
    return shares


def _work(
    share: list[OrderLine],
    *,
    connect: Callable[[], StockClient],
    done: SimpleQueue[Outcome | Exception],
    stop: Event,
) -> None:
    try:
        client = connect()
        for line in share:
            if stop.is_set():
                return
            done.put(_attempt(client, line))
    except Exception as error:
        done.put(error)


def _attempt(client: StockClient, line: OrderLine) -> Outcome:
    try:
        _drive(client, line)
    except Refused as refused:
        return Outcome(line, refused)
    return Outcome(line, None)


def _drive(client: StockClient, line: OrderLine) -> None:
    if line.kind is Kind.SALE:
        customer = line.customer or GUEST
        client.confirm(client.reserve(line.code, line.quantity, order_id=line.invoice, customer_id=customer))
        return
    movement_type = "return" if line.kind is Kind.CANCELLATION else "adjustment"
    client.adjust(line.code, line.stock_change, movement_type=movement_type, reference_id=line.invoice)
