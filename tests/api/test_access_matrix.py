"""Every call against every kind of caller, made from the URL map: a new call is in it by being there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask_migrate import upgrade
from flask_restx import Namespace, Resource

from app import controllers, create_app
from app.controllers import auth
from app.controllers.auth import PUBLIC
from app.controllers.calls import read, write
from app.extensions import db
from app.models.api_keys import Permission
from app.services import api_keys
from app.services.user_tokens import GRANTED
from app.utils import context
from config import Config
from tests.api.refusals import assert_refused, nothing_changes

SIGNING_KEY = "a-signing-key-of-this-test-with-32-bytes"
# All that strangers may have. Everything else is closed.
OPEN_CALLS = {"GET /api/v1/health/", "GET /api/v1/health/live", "GET /api/v1/health/ready"}
OPEN_PAGES = {"/", "/metrics", "/api/v1/docs/", "/api/v1/swagger.json", "/api/v1/", "/swaggerui/<path:filename>"}
# What stands in a path, by the kind of its converter. A kind that is not here fails, and wants an example.
EXAMPLES = {
    "product": "NOBODY-1",
    "code": "nowhere",
    "key": "never",
    "row": "999999",
    "string": "4006381333931",
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
}
ARGUMENT = re.compile(r"<(?:(?P<kind>\w+)(?:\([^)]*\))?:)?(?P<name>\w+)>")
EACH = frozenset(Permission) - {Permission.ADMIN}
OWNER, STRANGER = "ann", "bob"


@dataclass(frozen=True)
class Call:
    """One method of one rule, and what it says it needs."""

    method: str
    rule: str
    path: str
    scope: str
    of_a_user: bool

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"

    def by(self, client: Any, headers: dict[str, str] | None = None, *, owner: str = OWNER) -> Any:
        path = self.path.replace("{user_id}", owner)
        return client.open(path, method=self.method, json={}, headers=headers)


def calls_of(app: Flask) -> list[Call]:
    """All that the map has. An argument of a kind without an example fails, so that none is left out."""
    return [
        Call(
            method,
            rule.rule,
            path_of(rule.rule),
            str(getattr(resource, method.lower()).scope),
            "user_id" in rule.arguments,
        )
        for rule, resource in resources(app)
        for method in sorted(resource.methods)
    ]


def resources(app: Flask) -> Iterator[tuple[Any, Any]]:
    for rule in app.url_map.iter_rules():
        resource = getattr(app.view_functions[rule.endpoint], "view_class", None)
        if resource is not None and not resource.__module__.startswith("flask_restx"):
            yield rule, resource


def path_of(rule: str) -> str:
    return ARGUMENT.sub(
        lambda found: "{user_id}" if found["name"] == "user_id" else EXAMPLES[found["kind"] or "string"], rule
    )


def closed(app: Flask) -> list[Call]:
    return [call for call in calls_of(app) if call.scope != PUBLIC]


@pytest.fixture
def guarded(app: Flask, client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a service that asks everybody who they are, and accepts users' tokens."""
    changed = replace(
        app.extensions["settings"],
        require_api_key=True,
        jwt_algorithm="HS256",
        jwt_keys=(SIGNING_KEY,),
        jwt_audience="shop",
    )
    monkeypatch.setitem(app.extensions, "settings", changed)
    api_keys.forget()
    yield client
    api_keys.forget()


def with_key(*scopes: Permission, name: str = "caller", **more: Any) -> dict[str, str]:
    return {"X-API-Key": api_keys.create(name, scopes, **more).secret}


def with_token(user: str, *, key: str = SIGNING_KEY, **claims: Any) -> dict[str, str]:
    own = {"sub": user, "aud": "shop", "exp": datetime.now(UTC) + timedelta(minutes=5)} | claims
    return {"Authorization": f"Bearer {jwt.encode(own, key, 'HS256')}"}


# ── The list itself ──────────────────────────────────────────────────────────────────────────────


def test_nothing_is_open_but_what_is_listed_here(embedded_app):
    assert {str(call) for call in calls_of(embedded_app) if call.scope == PUBLIC} == OPEN_CALLS
    calls = {rule.rule for rule, _ in resources(embedded_app)}
    pages = {rule.rule for rule in embedded_app.url_map.iter_rules()} - calls
    assert pages - {"/static/<path:filename>"} == OPEN_PAGES, "what is no call asks nobody who they are"


def test_the_matrix_has_every_call_of_the_page(embedded_app):
    page = embedded_app.test_client().get("/api/v1/swagger.json").json["paths"]
    documented = [method for methods in page.values() for method in methods if method != "parameters"]
    assert len(set(map(str, calls_of(embedded_app)))) == len(documented) >= 30


# ── The matrix ───────────────────────────────────────────────────────────────────────────────────


def test_without_a_credential_every_closed_call_is_401_and_says_how_to_come_in(app, guarded, subtests):
    with nothing_changes():
        for call in closed(app):
            with subtests.test(call=str(call)):
                answer = call.by(guarded)
                assert_refused(answer, 401, "unauthenticated")
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_that_does_not_count_is_401_everywhere_in_the_same_words(app, guarded, subtests, time):
    wrong, expired = {"X-API-Key": f"inv_00000000_{'x' * 43}"}, with_key(Permission.ADMIN, lives=timedelta(hours=1))
    revoked = with_key(Permission.ADMIN, name="revoked")
    api_keys.revoke("revoked")
    time.forward(hours=1)
    api_keys.forget()
    with nothing_changes():
        for call in closed(app):
            with subtests.test(call=str(call)):
                said = [
                    assert_refused(call.by(guarded, each), 401, "unauthenticated") for each in (wrong, revoked, expired)
                ]
                assert len({problem["detail"] for problem in said}) == 1


@pytest.mark.parametrize("names", [("Authorization",) * 2, ("X-API-Key",) * 2, ("Authorization", "X-API-Key")])
def test_two_credentials_are_400_even_when_both_are_the_same_good_one(app, guarded, names):
    secret = api_keys.create("caller", [Permission.ADMIN]).secret
    headers = [(name, f"Bearer {secret}" if name == "Authorization" else secret) for name in names]
    assert_refused(guarded.get("/api/v1/inventory/", headers=headers), 400, "ambiguous_credentials")


def test_a_key_for_everything_else_is_403_and_is_told_what_it_lacks(app, guarded, subtests):
    others = {scope: with_key(*set(EACH) - {scope}, name=f"not-{scope[:5]}") for scope in Permission}
    for headers in others.values():
        guarded.get("/api/v1/idempotency/never", headers=headers)  # its use is noted
    with nothing_changes():
        for call in closed(app):
            with subtests.test(call=str(call)):
                problem = assert_refused(call.by(guarded, others[Permission(call.scope)]), 403, "forbidden")
                assert (problem["required"], call.scope in problem["granted"]) == (call.scope, False)


def test_a_key_for_it_and_a_key_for_all_come_in(app, guarded, subtests):
    admin, own = with_key(Permission.ADMIN), {scope: with_key(scope, name=scope[:5]) for scope in Permission}
    for call in closed(app):
        for headers in (own[Permission(call.scope)], admin):
            with subtests.test(call=str(call)):
                assert_let_in(call.by(guarded, headers))


def test_a_users_token_opens_what_is_that_users_and_nothing_else(app, guarded, subtests):
    assert_users_come_in_to_their_own(app, guarded, subtests)


def test_a_users_token_that_does_not_count_is_401_everywhere(app, guarded, subtests):
    hour = timedelta(hours=1)
    late, elsewhere = with_token(OWNER, exp=datetime.now(UTC) - hour), with_token(OWNER, aud="elsewhere")
    with nothing_changes():
        for call in closed(app):
            for headers in (late, elsewhere, with_token(OWNER, key="f" * 32)):
                with subtests.test(call=str(call)):
                    assert_refused(call.by(guarded, headers), 401, "unauthenticated")


def test_an_open_call_asks_nobody_and_minds_no_credential(app, guarded, subtests):
    for call in calls_of(app):
        if call.scope == PUBLIC:
            for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Basic x"}, with_token(OWNER)):
                with subtests.test(call=str(call), headers=str(headers)[:20]):
                    assert call.by(guarded, headers).status_code == 200


def assert_let_in(answer: Any) -> None:
    assert answer.status_code not in {401, 403, 405, 429} and answer.status_code < 500, answer.text


def assert_users_come_in_to_their_own(app: Flask, client: Any, subtests: Any) -> None:
    """Their own calls; another user's are not there, and those that name no user are forbidden."""
    for call in closed(app):
        with subtests.test(call=str(call)):
            if not (call.of_a_user and call.scope in GRANTED):
                assert_refused(call.by(client, with_token(OWNER)), 403, "forbidden")
                continue
            assert_let_in(call.by(client, with_token(OWNER), owner=OWNER))
            assert_refused(call.by(client, with_token(STRANGER), owner=OWNER), 404, "not_found")


# ── That it would notice ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def with_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Flask, list[str]]]:
    """A service of its own that has users' calls; and the names under which they were let in."""
    ns, actors = Namespace("users"), []

    class Cart(Resource):
        @read(ns, scope=Permission.ORDERS_READ)
        def get(self, user_id: str) -> dict[str, str]:
            """Somebody's cart"""
            actors.append(context.actor())
            return {"of": user_id}

        @write(ns, scope=Permission.ORDERS_WRITE)
        def delete(self, user_id: str) -> dict[str, str]:
            """Empty it"""
            return self.get(user_id)

    class Staff(Resource):
        @read(ns, scope=Permission.STOCK_READ)
        def get(self, user_id: str) -> dict[str, str]:
            """What only services may know of a user"""
            return {"of": user_id}

    ns.add_resource(Cart, "/<user_id>/cart")
    ns.add_resource(Staff, "/<string:user_id>/report")
    monkeypatch.setitem(controllers.NAMESPACES, "/users", ns)
    settings = Config(
        env="testing",
        database_url=f"sqlite:///{tmp_path / 'x.db'}",
        require_api_key=True,
        jwt_algorithm="HS256",
        jwt_keys=(SIGNING_KEY,),
        jwt_audience="shop",
    )
    app = create_app(settings.checked())
    with app.app_context():
        upgrade()
        yield app, actors
        db.session.remove()
        db.engine.dispose()


def test_a_call_that_names_a_user_is_in_the_matrix_by_being_there(with_users, subtests):
    app, actors = with_users
    users = {str(call) for call in calls_of(app) if call.of_a_user}
    assert users == {"GET /api/v1/users/<user_id>/cart", "DELETE /api/v1/users/<user_id>/cart",
                     "GET /api/v1/users/<string:user_id>/report"}  # fmt: skip
    assert_users_come_in_to_their_own(app, app.test_client(), subtests)
    assert actors == ["user:ann", "user:ann"], "nobody else was let in"


def test_a_service_acts_for_every_user_with_its_key(with_users):
    app, actors = with_users
    key = with_key(Permission.ORDERS_READ, name="shop")
    answers = [app.test_client().get(f"/api/v1/users/{user}/cart", headers=key) for user in (OWNER, STRANGER)]
    assert [answer.json["data"] for answer in answers] == [{"of": OWNER}, {"of": STRANGER}]
    assert actors == ["shop", "shop"]


def test_without_the_check_the_matrix_fails(with_users, monkeypatch):
    """The control: a service that takes everybody for the owner is noticed."""
    app, _ = with_users
    monkeypatch.setattr(auth, "_require_own", lambda user, scope: None)
    call = next(call for call in calls_of(app) if call.of_a_user)
    with pytest.raises(AssertionError):
        assert_refused(call.by(app.test_client(), with_token(STRANGER), owner=OWNER), 404, "not_found")


def test_a_call_that_does_not_say_who_may_make_it_keeps_the_service_from_starting(tmp_path, monkeypatch):
    ns = Namespace("forgotten")

    @ns.route("/")
    class Forgotten(Resource):
        def get(self) -> None:
            """Open by mistake"""

    monkeypatch.setitem(controllers.NAMESPACES, "/forgotten", ns)
    with pytest.raises(RuntimeError, match="GET /api/v1/forgotten/ does not say which permission it needs"):
        create_app(Config(env="testing", database_url=f"sqlite:///{tmp_path / 'x.db'}").checked())
