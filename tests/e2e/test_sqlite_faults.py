"""SQLite when its process is killed in mid-write, again and again, and when its disk is full."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import event

from app.extensions import db
from tests import factories
from tests.api.refusals import nothing_changes
from tests.chaos import checker, disks
from tests.chaos.calls import Call, Caller
from tests.chaos.clients import Client, resolve, stock_up
from tests.chaos.history import History
from tests.e2e.buyers import buying
from tests.e2e.deployments import Deployment, embedded, eventually
from tests.processes import new_home

KILLS, CLIENTS, SEED = 10, 8, 25
DISK_MEGABYTES = 16
SWEEP_SECONDS = 1.0
SETTINGS = {"LOG_LEVEL": "WARNING", "EXPIRY_INTERVAL_SECONDS": str(SWEEP_SECONDS)}


def file_of(deployment: Deployment) -> Path:
    return Path(deployment.env["DATABASE_URL"].removeprefix("sqlite:///"))


def assert_sound(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
        assert list(connection.execute("PRAGMA foreign_key_check")) == []


class Counting(Caller):
    """Knows how many writes were acknowledged so far."""

    acknowledged = 0

    def perform(self, call: Call, random: Random, *, twice: bool = False, url: str | None = None) -> Any:
        answer = super().perform(call, random, twice=twice, url=url)
        self.acknowledged += answer is not None
        return answer


@contextmanager
def at_work(caller: Caller) -> Iterator[None]:
    """Customers who reserve, confirm, cancel, adjust and transfer until the block ends."""
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as crowd:
        customers = [crowd.submit(Client(number, SEED, caller, stop).run) for number in range(CLIENTS)]
        try:
            yield
        finally:
            stop.set()
        for customer in customers:
            customer.result()


def test_killed_ten_times_in_mid_write_nothing_acknowledged_is_lost_and_nothing_is_done_twice(tmp_path):
    random, history = Random(SEED), History(tmp_path / "history.jsonl")
    with embedded(**SETTINGS) as deployment:
        service, file = deployment.serve(), file_of(deployment)
        caller = Counting([service.url], history)
        stock_up(caller)
        with at_work(caller):
            for _ in range(KILLS):
                enough = caller.acknowledged + random.randint(20, 60)
                eventually(lambda: caller.acknowledged >= enough, within=30, because="some writes are acknowledged")  # noqa: B023
                service.kill()
                assert_sound(file)
                service.start()
        resolve(caller, history)
        verdict = checker.check_url(history.path, deployment.env["DATABASE_URL"], sweep_seconds=SWEEP_SECONDS)
        deployment.assert_in_order()
    history.close()
    assert verdict.clean, checker.told(verdict)
    assert verdict.figures["by outcome"]["ok"] > KILLS * 20
    broken_off = sum(count for told, count in verdict.figures["attempts"].items() if told.startswith("lost"))
    assert broken_off >= KILLS, "too few calls were under way when the service was killed"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = new_home("disk")
    if not disks.mount(folder, megabytes=DISK_MEGABYTES):
        pytest.skip("no small disk may be mounted here; the test with a bounded file stands for this one")
    yield folder
    disks.unmount(folder)


def test_on_a_full_disk_writes_are_refused_reads_go_on_and_room_is_all_it_takes_to_recover(small_disk):
    with embedded(**SETTINGS, DATABASE_URL=f"sqlite:///{small_disk / 'inventory.db'}") as deployment:
        service = deployment.serve()
        deployment.stock("KB-1", quantity=1_000_000)
        with buying(service.url, "KB-1", buyers=8) as tally:
            eventually(lambda: tally.told["201"] > 50, within=20, because="buying before the disk is full")
            disks.fill(small_disk)
            eventually(lambda: full_for(tally, small_disk) > 50, within=20, because="the disk is full")
            for path in ("/inventory/KB-1", f"/reservations/{tally.held[-1]}", "/inventory/", "/health/ready"):
                assert deployment.call("GET", path).status_code == 200, path
            disks.free(small_disk)
            before = len(tally.held)
            eventually(lambda: len(tally.held) > before + 50, within=10, because="buying again by itself")
        assert set(tally.told) == {"201", "503 storage_full"}
        assert tally.without_retry_after == 0
        assert {row[0] for row in deployment.sql("SELECT id FROM reservations")} == set(tally.held)
        assert_sound(file_of(deployment))
        deployment.assert_in_order()


def full_for(tally: Any, disk: Path) -> int:
    """How many were refused; SQLite may free a little of its own, so the disk is filled up again."""
    disks.fill(disk)
    return int(tally.told["503 storage_full"])


@contextmanager
def no_room() -> Iterator[None]:
    """The file may not grow: SQLite then says what it says on a full disk, on any machine."""
    with db.engine.connect() as connection:
        [pages] = connection.exec_driver_sql("PRAGMA page_count").one()

    def bound(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(db.engine, "connect", bound)
    db.engine.dispose()
    try:
        yield
    finally:
        event.remove(db.engine, "connect", bound)
        db.engine.dispose()


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_in_a_file_that_may_not_grow_a_call_is_refused_whole_and_its_key_is_good_once_there_is_room(client):
    factories.stock(1_000)

    def reserve(number: int) -> Any:
        body = {"product_id": "KB-1", "quantity": 1, "order_id": "o-1", "customer_id": "c-1", "notes": "n" * 500}
        return client.post("/api/v1/reservations/", json=body, headers={"Idempotency-Key": f"key-{number}"})

    with no_room():
        granted = next(number for number in range(100) if reserve(number).status_code != 201)
        for _ in range(3):
            with nothing_changes():
                refused = reserve(granted)
            assert (refused.status_code, refused.json["code"]) == (503, "storage_full")
            assert refused.headers["Retry-After"] == "1"
        assert client.get("/api/v1/inventory/KB-1").json["data"]["reserved_quantity"] == granted
        assert reserve(0).headers["Idempotent-Replayed"] == "true"
    again = reserve(granted)
    assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, False)
    assert factories.numbers() == (1_000, granted + 1, 1_000 - granted - 1)
