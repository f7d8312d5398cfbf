"""The commands for those who run the service, and the repair that never contradicts the ledger."""

import json
from typing import cast

import pytest
from sqlalchemy import text

from app.extensions import db
from app.services import audit
from tests import factories


def run(app, *words):
    return app.test_cli_runner().invoke(args=list(words))


def break_counters(quantity, reserved):
    db.session.rollback()
    with db.engine.begin() as connection:
        connection.execute(
            text("UPDATE inventory_items SET quantity = :q, reserved_quantity = :r"), {"q": quantity, "r": reserved}
        )


def test_audit_of_sound_books_ends_well(app):
    factories.stock(10)
    factories.hold(4)
    done = run(app, "audit")
    assert (done.exit_code, done.output) == (0, "1 items checked: all in order\n")
    told = json.loads(run(app, "audit", "--json").output)
    assert (told["clean"], told["items"], told["findings"]) == (True, 1, [])


@pytest.mark.leaves_findings
def test_audit_finds_a_forged_counter_and_ends_badly(app):
    factories.stock(10)
    factories.hold(4)
    break_counters(12, 4)
    done = run(app, "audit", "--json")
    assert done.exit_code == 1
    [finding] = json.loads(done.output)["findings"]
    assert finding["rule"] == "counters"
    assert (finding["facts"]["quantity"], finding["facts"]["ledger_quantity"]) == (12, 10)


@pytest.mark.leaves_findings
def test_a_dry_run_tells_what_it_would_write_and_writes_nothing(app, client):
    factories.stock(10)
    break_counters(12, 3)
    done = run(app, "audit", "--repair", "--dry-run")
    assert done.exit_code == 1
    assert "would write a movement for KB-1 at default" in done.output
    assert len(factories.movements(client)) == 1


@pytest.mark.parametrize(("quantity", "reserved"), [(12, 4), (10, 1), (10, 9), (3, 0)])
def test_a_repair_writes_one_compensating_row_and_the_books_are_sound_again(app, client, quantity, reserved):
    factories.stock(10)
    factories.hold(4)
    break_counters(quantity, reserved)
    done = run(app, "audit", "--repair")
    assert done.exit_code == 0, done.output
    last = factories.movements(client)[-1]
    assert (last["movement_type"], last["sequence"], last["actor"]) == ("adjustment", 3, "audit")
    assert (last["quantity_after"], last["reserved_after"]) == (10, 4)
    assert last["reason"] == f"audit: counters said {quantity}/{reserved}, ledger 10/4, holds 4"
    assert factories.numbers() == (10, 4, 6)
    assert run(app, "audit", "--repair").exit_code == 0
    assert len(factories.movements(client)) == 3


def test_dry_run_alone_is_refused(app):
    assert run(app, "audit", "--dry-run").exit_code == 2


@pytest.mark.leaves_findings
@pytest.mark.parametrize(
    ("forged", "rule"),
    [
        ("UPDATE reservations SET status = 'expired', expired_at = expires_at", "reservation_story"),
        ("UPDATE reservations SET status = 'confirmed', confirmed_at = created_at", "reservation_story"),
        ("UPDATE reservations SET quantity = 5", "reservation_story"),
        ("UPDATE inventory_items SET version = version + 1", "counters"),
    ],
)
def test_audit_finds_each_kind_of_forgery(app, forged, rule):
    factories.stock(10)
    factories.hold(4)
    assert audit.check().clean
    with db.engine.begin() as connection:
        connection.execute(text(forged))
    assert rule in {finding.rule for finding in audit.check().findings}


@pytest.mark.leaves_findings
def test_audit_finds_a_hole_in_the_ledger(app):
    factories.stock(10)
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO stock_movements (inventory_item_id, sequence, movement_type, quantity_change,"
                " reserved_change, quantity_after, reserved_after, actor, created_at)"
                " VALUES (1, 3, 'inbound', 5, 0, 15, 0, 'forger', '2030-01-01 12:00:00.000000')"
            )
        )
    assert {finding.rule for finding in audit.check().findings} == {"counters", "ledger_chain"}


def test_audit_over_http_is_bounded_and_goes_on_where_it_stopped(client):
    for number in range(5):
        factories.stock(1, f"P-{number}")
    seen, after = 0, cast("int | None", 0)
    while after is not None:
        told = client.get("/api/v1/audit", query_string={"after": after, "limit": 2}).json["data"]
        assert told["clean"]
        seen, after = seen + told["items"], told["next_after"]
    assert seen == 5


def test_expire_and_stats_tell_what_there_is(app, time):
    factories.stock(10, minimum=7)
    factories.hold(4, ttl=60)
    time.forward(seconds=60)
    assert run(app, "expire").output == "expired 1 reservations\n"
    told = json.loads(run(app, "stats", "--json").output)
    assert (told["items"], told["quantity"], told["available_quantity"], told["low_stock"]) == (1, 10, 10, 0)
    assert told["reservations"] == {"expired": {"reservations": 1, "units": 4}}
    assert "quantity" in run(app, "stats").output
