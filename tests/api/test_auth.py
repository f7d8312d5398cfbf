"""Nobody in who does not belong: keys, permissions, and calls that are closed unless they say otherwise."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.extensions import db
from app.models import ApiKey
from app.models.api_keys import Permission
from app.services import api_keys
from tests import factories

INVENTORY = "/api/v1/inventory/"
ITEM = {"product_id": "NEW", "quantity": 1}


@pytest.fixture
def guarded(app, client, monkeypatch):
    """A client of a service that asks for keys."""
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], require_api_key=True))
    api_keys.forget()
    yield client
    api_keys.forget()


def key(name="shop", *scopes, **more):
    return api_keys.create(name, scopes or [Permission.STOCK_READ], **more).secret


def with_key(secret):
    return {"X-API-Key": secret}


def test_without_a_credential_nothing_is_told_and_nothing_done(guarded):
    for answer in (guarded.get(INVENTORY), guarded.post(INVENTORY, json=ITEM), guarded.get("/api/v1/audit")):
        assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="inventory"'
    assert guarded.get(f"{INVENTORY}NEW", headers=with_key(key())).status_code == 404


@pytest.mark.parametrize("header", [lambda secret: {"Authorization": f"Bearer {secret}"}, with_key])
def test_a_key_is_taken_from_either_header(guarded, header):
    assert guarded.get(INVENTORY, headers=header(key())).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "inv_00000000_wrong"},
        {"X-API-Key": "é"},
        {"X-API-Key": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "inv_00000000_wrong"},
    ],
)
def test_what_is_no_valid_key_is_refused_alike(guarded, headers):
    answer = guarded.get(INVENTORY, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")


def test_two_credentials_are_refused(guarded):
    secret = key()
    answer = guarded.get(INVENTORY, headers={"X-API-Key": secret, "Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.json["code"]) == (400, "ambiguous_credentials")


def test_a_key_may_do_what_it_was_made_for_and_nothing_else(guarded):
    reader, writer = key("reader"), key("writer", Permission.STOCK_READ, Permission.STOCK_WRITE)
    refused = guarded.post(INVENTORY, json=ITEM, headers=with_key(reader))
    assert (refused.status_code, refused.json["code"], refused.json["required"]) == (403, "forbidden", "stock:write")
    assert guarded.post(INVENTORY, json=ITEM, headers=with_key(writer)).status_code == 201
    assert guarded.get("/api/v1/audit", headers=with_key(writer)).status_code == 403
    assert guarded.get("/api/v1/audit", headers=with_key(key("boss", Permission.ADMIN))).status_code == 200


def test_the_ledger_says_whose_key_it_was(guarded):
    secret = key("checkout", Permission.STOCK_WRITE, Permission.STOCK_READ)
    guarded.post(INVENTORY, json=ITEM, headers=with_key(secret))
    rows = guarded.get(f"{INVENTORY}NEW/movements", headers=with_key(secret)).json["data"]
    assert [row["actor"] for row in rows] == ["checkout"]


def test_a_revoked_key_and_one_whose_time_is_over_are_refused(guarded, time):
    revoked, short = key("revoked"), key("short", lives=timedelta(hours=1))
    api_keys.revoke("revoked")
    assert guarded.get(INVENTORY, headers=with_key(revoked)).status_code == 401
    assert guarded.get(INVENTORY, headers=with_key(short)).status_code == 200
    time.forward(hours=1)
    api_keys.forget()
    assert guarded.get(INVENTORY, headers=with_key(short)).status_code == 401


def test_rotating_lets_the_old_key_live_on_for_a_while(guarded, time):
    old = key("shop")
    new = api_keys.rotate("shop", overlap=timedelta(hours=2)).secret
    assert [guarded.get(INVENTORY, headers=with_key(each)).status_code for each in (old, new)] == [200, 200]
    time.forward(hours=2)
    api_keys.forget()
    assert [guarded.get(INVENTORY, headers=with_key(each)).status_code for each in (old, new)] == [401, 200]


def test_only_a_hash_is_kept_and_the_last_use_is_noted(guarded, time):
    secret = key("shop")
    stored = db.session.query(ApiKey).one()
    assert secret not in repr(stored.__dict__)
    assert (len(stored.secret_hash), stored.last_used_at) == (64, None)
    guarded.get(INVENTORY, headers=with_key(secret))
    assert db.session.query(ApiKey).one().last_used_at == time.instant


def test_the_same_idempotency_key_of_two_callers_is_two_keys(guarded):
    factories.stock(10)
    body = {"product_id": "KB-1", "quantity": 1, "order_id": "o", "customer_id": "c"}
    for name in ("one", "two"):
        headers = with_key(key(name, Permission.STOCK_WRITE)) | {"Idempotency-Key": "same"}
        answer = guarded.post("/api/v1/reservations/", json=body, headers=headers)
        assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (201, False)
    assert factories.numbers() == (10, 2, 8)


@pytest.mark.parametrize("path", ["health/live", "health/ready", "health/", "swagger.json", "docs/"])
def test_what_must_be_reachable_without_a_key_is(guarded, path):
    assert guarded.get(f"/api/v1/{path}").status_code == 200


def test_on_loopback_in_development_a_stranger_is_anonymous_but_a_wrong_key_is_still_wrong(client):
    assert client.get(INVENTORY).status_code == 200
    assert client.get(INVENTORY, headers=with_key("wrong")).status_code == 401


class TestCommands:
    def run(self, app, *words):
        return app.test_cli_runner().invoke(args=["api-keys", *words])

    def test_a_key_is_shown_once_and_listed_without_its_secret(self, app):
        made = self.run(app, "create", "shop", "--scope", "stock:read", "--scope", "stock:write")
        secret = made.stdout.strip()
        assert made.exit_code == 0
        assert secret.startswith("inv_")
        listed = self.run(app, "list").output
        assert secret not in listed
        assert listed.split()[0] == "shop"
        assert listed.rstrip().endswith("stock:read stock:write")

    def test_revoking_and_rotating_name_what_they_did(self, app):
        self.run(app, "create", "shop", "--scope", "admin")
        assert self.run(app, "rotate", "shop", "--overlap-hours", "0").stdout.startswith("inv_")
        assert self.run(app, "revoke", "shop").output == "1 keys of shop revoked\n"
        assert self.run(app, "revoke", "shop").exit_code == 1
        assert self.run(app, "rotate", "nobody").exit_code == 1

    @pytest.mark.parametrize(
        "words",
        [
            "shop",
            "two.words --scope everything",
            "a/b --scope admin",
            "system --scope admin",
            "user:ann --scope admin",
        ],
    )
    def test_a_key_needs_a_name_and_a_permission_that_exist(self, app, words):
        assert self.run(app, "create", *words.split()).exit_code == 2
