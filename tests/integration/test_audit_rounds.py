"""The audit on a schedule: slice by slice, whole, and heard when something is wrong."""

import logging
from dataclasses import replace

import pytest
import redis
from sqlalchemy import text

from app.extensions import cache, db, settings
from app.jobs import expiry
from app.services import audit, audit_rounds, health
from app.utils.cache import create
from tests import factories

ODD_VALUES = [
    {},
    {"running": None, "last": {"x": 1}},
    {"at": "2030-01-01T12:00:00+00:00", "under_way": None, "last": {"x": 1}},
    {"at": "2030-01-01T12:00:00+00:00", "under_way": {"started_at": 1}, "last": None},
    {"at": "2030-01-01T12:00:00", "under_way": None, "last": None},
    {"at": ["2030"], "under_way": 7, "last": "x"},
]


def forget(app):
    app.extensions.pop(audit_rounds.OWN, None)
    cache().remember_beat(audit_rounds.STANDING, {})


@pytest.fixture(autouse=True)
def unseen(app):
    """As on the first day: where a pass stands outlives the tables that a test begins with."""
    forget(app)
    yield
    forget(app)


def last_pass():
    known = audit_rounds.standing()
    return None if known is None else known.last


def audit_check(client):
    cache().clear()
    return client.get("/api/v1/health/").json["data"]["checks"]["audit"]


@pytest.fixture
def slices_of_two(monkeypatch):
    monkeypatch.setattr(audit, "CHUNK", 2)
    monkeypatch.setattr(audit_rounds, "SLICE_SECONDS", 0)


def forge(change, product_id):
    db.session.rollback()
    with db.engine.begin() as connection:
        connection.execute(text(f"UPDATE inventory_items SET {change} WHERE product_id = '{product_id}'"))


def gauges(client):
    lines = client.get("/metrics").text.splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("inventory_audit")}


def test_before_the_first_pass_nothing_is_claimed(client):
    assert last_pass() is None
    assert gauges(client) == {}
    assert client.get("/api/v1/health/").json["data"]["checks"]["audit"]["detail"] == "no pass is finished yet"


def test_a_pass_goes_on_after_each_sweep_until_it_saw_every_item(app, time, slices_of_two):
    for number in range(5):
        factories.stock(1, f"P-{number}")
    began = time.instant
    for _ in range(2):
        expiry.housekeep()
        assert last_pass() is None
        time.forward(seconds=5)
    expiry.housekeep()
    assert last_pass() == audit_rounds.Finished(began, time.instant, items=5, rules={})


def test_the_next_pass_waits_until_it_is_due(app, time):
    factories.stock(1)
    expiry.housekeep()
    first = last_pass()
    time.forward(seconds=3599)
    expiry.housekeep()
    assert last_pass() == first
    time.forward(seconds=1)
    expiry.housekeep()
    again = last_pass()
    assert again is not None
    assert again.started_at == time.instant


def test_a_period_of_nothing_is_never(app, client, monkeypatch):
    never = replace(app.extensions["settings"], audit_interval_seconds=0)
    monkeypatch.setitem(app.extensions, "settings", never)
    expiry.housekeep()
    assert audit_rounds.standing() is None
    monkeypatch.setattr(health, "STARTED", health.STARTED - 1_000_000)
    assert audit_check(client) == {"status": "healthy", "detail": "no pass is finished yet"}


def test_what_is_wrong_is_in_the_log_in_the_metric_and_on_the_health_page_until_it_is_repaired(client, time, caplog):
    factories.stock(10)
    factories.stock(10, "SOUND")
    forge("quantity = 12", "KB-1")
    with caplog.at_level(logging.ERROR):
        expiry.housekeep()
    [record] = [record for record in caplog.records if record.name == "app.services.audit_rounds"]
    assert (record.rule, record.facts["quantity"], record.facts["ledger_quantity"]) == ("counters", 12, 10)
    told = client.get("/api/v1/health/")
    assert (told.status_code, told.json["data"]["status"]) == (200, "degraded")
    assert told.json["data"]["checks"]["audit"]["rules"] == {"counters": 1}
    assert gauges(client) == {
        'inventory_audit_findings{rule="counters"}': 1,
        'inventory_audit_findings{rule="ledger_chain"}': 0,
        'inventory_audit_findings{rule="reservation_story"}': 0,
        "inventory_audit_items": 2,
        "inventory_audit_finished_timestamp_seconds": time.instant.timestamp(),
    }
    audit.repair(audit.check().findings[0])
    time.forward(hours=1)
    expiry.housekeep()
    assert gauges(client)['inventory_audit_findings{rule="counters"}'] == 0
    assert client.get("/api/v1/health/").json["data"]["status"] == "healthy"


def test_a_finding_is_told_before_its_pass_is_over(client, time, slices_of_two):
    for number in range(3):
        factories.stock(10, f"P-{number}")
    expiry.housekeep()
    expiry.housekeep()
    forge("quantity = 12", "P-0")
    time.forward(hours=1)
    expiry.housekeep()
    told = client.get("/api/v1/health/").json["data"]["checks"]["audit"]
    assert told["rules"] == {"counters": 1}
    forge("quantity = 10", "P-0")


@pytest.mark.parametrize("value", ODD_VALUES)
def test_whatever_stands_where_the_audit_writes_is_nothing_and_is_written_over(client, value):
    factories.stock(1)
    cache().remember_beat(audit_rounds.STANDING, value)
    assert client.get("/api/v1/health/ready").status_code == 200
    assert (audit_check(client)["detail"], gauges(client)) == ("no pass is finished yet", {})
    expiry.housekeep()
    assert gauges(client)["inventory_audit_items"] == 1


@pytest.mark.parametrize("value", [{"x": 1}, {"at": 7}, {"at": "2030-01-01T12:00:00", "expired": 0, "seconds": 0.1}])
def test_whatever_stands_where_the_sweep_writes_is_nothing_and_is_written_over(client, value):
    cache().remember_beat(health.SWEEP, value)
    cache().clear()
    told = client.get("/api/v1/health/")
    assert told.status_code == 200
    assert told.json["data"]["checks"]["worker"] == {"status": "degraded", "detail": "no sweep was seen yet"}
    expiry.housekeep()
    cache().clear()
    assert client.get("/api/v1/health/").json["data"]["checks"]["worker"]["status"] == "healthy"


@pytest.mark.parametrize("backend", ["server"], indirect=True)
@pytest.mark.parametrize("value", ["x", "[" * 100_000, '{"at": 1e999}', "\xff"])
def test_a_value_that_is_not_even_json_breaks_no_page(client, redis_server, value):
    with redis.Redis.from_url(redis_server.url) as connection:
        for name in (audit_rounds.STANDING, health.SWEEP):
            connection.set(f"inventory:beat:{name}", value)
    assert [client.get(path).status_code for path in ("/api/v1/health/", "/metrics")] == [200, 200]


def test_a_pass_of_the_future_puts_off_no_other(app, time):
    factories.stock(1)
    time.forward(days=30)
    expiry.housekeep()
    time.forward(days=-30)
    expiry.housekeep()
    known = audit_rounds.standing()
    assert known is not None and known.last is not None
    assert known.last.started_at == time.instant


# ── An audit that stands still ───────────────────────────────────────────────────────────────────


def fail(**_):
    raise RuntimeError("the statement took too long")


@pytest.fixture
def breaking(app):
    """Patches that end before the audit that every test is followed by."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_an_audit_that_fails_is_told_by_itself_and_does_not_undo_the_sweep(app, time, breaking, caplog):
    factories.stock(5)
    factories.hold(5, ttl=60)
    time.forward(seconds=60)
    breaking.setattr(audit, "check", fail)
    assert expiry.housekeep() == 1
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == ["the audit failed"]


def test_an_audit_that_always_fails_is_degraded_after_twice_its_period(client, time, breaking):
    began = time.instant
    breaking.setattr(audit, "check", fail)
    expiry.housekeep()
    limit = 2 * 3600 + 3 * settings().expiry_interval_seconds + health.GRACE_SECONDS
    time.forward(seconds=limit)
    expiry.housekeep()
    told = audit_check(client)
    assert (told["status"], told["under_way_since"]) == ("healthy", began.isoformat())
    time.forward(seconds=0.001)
    expiry.housekeep()
    told = audit_check(client)
    assert (told["status"], told["under_way_since"]) == ("degraded", began.isoformat())
    assert told["detail"].startswith("no finished pass is known for longer than twice")


def test_an_audit_that_stops_after_a_good_pass_is_degraded_and_shows_that_pass(client, time, breaking):
    factories.stock(1)
    expiry.housekeep()
    first = time.instant
    breaking.setattr(audit, "check", fail)
    time.forward(days=1)
    expiry.housekeep()
    told = audit_check(client)
    assert (told["status"], told["finished_at"], told["items"]) == ("degraded", first.isoformat(), 1)


def test_of_an_audit_of_which_nothing_is_known_this_process_has_waited_since_its_start(client, monkeypatch):
    assert audit_check(client)["status"] == "healthy"
    monkeypatch.setattr(health, "STARTED", health.STARTED - 2 * 3600 - 3600)
    assert audit_check(client)["status"] == "degraded"


def test_what_was_checked_before_a_failure_is_not_checked_again(app, monkeypatch, breaking):
    monkeypatch.setattr(audit, "CHUNK", 2)
    monkeypatch.setattr(audit_rounds, "SLICE_SECONDS", 60)
    for number in range(5):
        factories.stock(1, f"P-{number}")
    asked, check = [], audit.check

    def fail_once(*, after, limit):
        asked.append(after)
        if len(asked) == 2:
            fail()
        return check(after=after, limit=limit)

    breaking.setattr(audit, "check", fail_once)
    expiry.housekeep()
    app.extensions.pop(audit_rounds.OWN)  # the next round is another worker's
    expiry.housekeep()
    assert (asked[0], asked[1:2] == asked[2:3], len(asked)) == (0, True, 4)
    done = last_pass()
    assert done is not None and done.items == 5


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_a_redis_that_takes_no_writes_does_not_hold_up_the_audit(app, time, slices_of_two, redis_server):
    """Rounds are made without a breath, so that the breaker opens too, as it does for a worker that asks for little."""
    for number in range(5):
        factories.stock(1, f"P-{number}")
    with redis.Redis.from_url(redis_server.url) as connection:
        connection.config_set("maxmemory", 1)
        try:
            for _ in range(3):
                time.forward(seconds=5)
                expiry.housekeep()
            done = last_pass()
            assert done is not None and done.items == 5
        finally:
            connection.config_set("maxmemory", 0)
            app.extensions["cache"] = create(settings(), db.engine)  # one whose breaker is closed
    assert cache().last_beat(audit_rounds.STANDING) == {}
