"""The audit on a schedule: slice by slice, whole, and heard when something is wrong."""

import logging
from dataclasses import replace

import pytest
from sqlalchemy import text

from app.extensions import cache, db
from app.jobs import expiry
from app.services import audit, audit_rounds
from tests import factories

NOTHING_SEEN = {"running": None, "last": None}


@pytest.fixture(autouse=True)
def unseen(app):
    """As on the first day: where a pass stands outlives the tables that a test begins with."""
    cache().remember_beat(audit_rounds.STANDING, NOTHING_SEEN)
    yield
    cache().remember_beat(audit_rounds.STANDING, NOTHING_SEEN)


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
    assert audit_rounds.seen() is None
    assert gauges(client) == {}
    assert client.get("/api/v1/health/").json["data"]["checks"]["audit"]["detail"] == "no pass is finished yet"


def test_a_pass_goes_on_after_each_sweep_until_it_saw_every_item(app, time, slices_of_two):
    for number in range(5):
        factories.stock(1, f"P-{number}")
    began = time.instant
    for _ in range(2):
        expiry.housekeep()
        assert audit_rounds.seen() is None
        time.forward(seconds=5)
    expiry.housekeep()
    assert audit_rounds.seen() == {
        "started_at": began.isoformat(),
        "finished_at": time.instant.isoformat(),
        "items": 5,
        "rules": {},
    }


def test_the_next_pass_waits_until_it_is_due(app, time):
    factories.stock(1)
    expiry.housekeep()
    first = audit_rounds.seen()
    time.forward(seconds=3599)
    expiry.housekeep()
    assert audit_rounds.seen() == first
    time.forward(seconds=1)
    expiry.housekeep()
    again = audit_rounds.seen()
    assert again is not None
    assert again["started_at"] == time.instant.isoformat()


def test_a_period_of_nothing_is_never(app, monkeypatch):
    never = replace(app.extensions["settings"], audit_interval_seconds=0)
    monkeypatch.setitem(app.extensions, "settings", never)
    expiry.housekeep()
    assert cache().last_beat(audit_rounds.STANDING) == NOTHING_SEEN


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
