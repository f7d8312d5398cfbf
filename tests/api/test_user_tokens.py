"""A user's token opens that user's own calls, and nothing a forger, another issuer or another user could make of it."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.controllers import auth
from app.errors import Forbidden, NotFound, Unauthenticated
from app.utils import context
from config import Config, ConfigurationError

SECRET = "a shared secret of thirty-two by."
SHORT = "only thirty-one bytes long ....."[:31]


def private_key(algorithm):
    made = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_half(pem):
    made = serialization.load_pem_private_key(pem.encode(), None).public_key()
    return made.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


RSA, OTHER_RSA, EC = private_key("RS256"), private_key("RS256"), private_key("ES256")


def claims(**changes):
    own = {"sub": "ann", "aud": "shop", "iss": "login", "exp": datetime.now(UTC) + timedelta(minutes=5)}
    return {name: value for name, value in (own | changes).items() if value is not None}


def token(key=RSA, algorithm="RS256", **changes):
    return jwt.encode(claims(**changes), key, algorithm)


@pytest.fixture
def accepts(app, monkeypatch):
    """Let the service accept the tokens that these keys verify, and ask every caller for a credential."""

    def configure(algorithm="RS256", *keys):
        changed = replace(
            app.extensions["settings"],
            require_api_key=True,
            jwt_algorithm=algorithm,
            jwt_keys=keys or (public_half(RSA),),
            jwt_audience="shop",
            jwt_issuer="login",
        )
        monkeypatch.setitem(app.extensions, "settings", changed)

    configure()
    return configure


@pytest.fixture
def call(app, accepts):
    """Make a call with a token, of the cart of `user_id` by default; the name it is made under."""

    def make(given, *, user_id="ann", scope="orders:write"):
        with app.test_request_context(headers={"Authorization": f"Bearer {given}"}) as made:
            made.request.view_args = {} if user_id is None else {"user_id": user_id}
            auth.require(scope)
            return context.actor()

    return make


@pytest.mark.parametrize(
    ("algorithm", "signs", "verifies"),
    [("RS256", RSA, public_half(RSA)), ("ES256", EC, public_half(EC)), ("HS256", SECRET, SECRET)],
)
def test_a_users_token_opens_the_users_own_calls(accepts, call, algorithm, signs, verifies):
    accepts(algorithm, verifies)
    assert call(token(signs, algorithm)) == "user:ann"


def test_what_is_another_users_is_not_there(call):
    with pytest.raises(NotFound):
        call(token(), user_id="bob")


@pytest.mark.parametrize("scope", ["stock:read", "stock:write", "catalog:write", "admin"])
def test_a_users_token_does_not_open_what_is_everybodys(call, scope):
    with pytest.raises(Forbidden):
        call(token(), scope=scope)


@pytest.mark.parametrize("scope", ["orders:read", "orders:write"])
def test_a_users_token_does_not_open_the_staffs_view_of_orders(call, scope):
    with pytest.raises(Forbidden):
        call(token(), user_id=None, scope=scope)


def unsigned():
    return jwt.encode(claims(), "", "none")


def signed_with_the_public_key_as_secret():
    """The confusion of algorithms: what everybody knows, used as if it were the shared secret."""
    import hashlib
    import hmac

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    body = claims()
    body["exp"] = int(body["exp"].timestamp())
    text = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + b"." + part(json.dumps(body).encode())
    return (text + b"." + part(hmac.new(public_half(RSA).encode(), text, hashlib.sha256).digest())).decode()


@pytest.mark.parametrize(
    "forged",
    [
        unsigned,
        signed_with_the_public_key_as_secret,
        lambda: token(OTHER_RSA),
        lambda: token(EC, "ES256"),
        lambda: token(aud="another service"),
        lambda: token(aud=None),
        lambda: token(iss="another issuer"),
        lambda: token(iss=None),
        lambda: token(exp=None),
        lambda: token(exp=datetime.now(UTC) - timedelta(minutes=1)),
        lambda: token(nbf=datetime.now(UTC) + timedelta(minutes=1)),
        lambda: token(sub=None),
        lambda: token(sub=""),
        lambda: token(sub="two words"),
        lambda: token(sub="a" * 60),
        lambda: token()[:-4] + "AAAA",
        lambda: "not.a.token",
    ],
)
def test_a_token_that_is_not_whole_and_ours_opens_nothing(call, forged):
    with pytest.raises(Unauthenticated):
        call(forged())


def test_a_token_in_the_place_of_an_api_key_is_none(client, accepts):
    assert client.get("/api/v1/inventory/", headers={"X-API-Key": "a.b.c"}).status_code == 401


def test_while_one_key_replaces_another_both_count(accepts, call):
    accepts("RS256", public_half(RSA), public_half(OTHER_RSA))
    assert [call(token(key)) for key in (RSA, OTHER_RSA)] == ["user:ann", "user:ann"]


def test_without_configuration_no_token_counts(client):
    answer = client.get("/api/v1/inventory/", headers={"Authorization": f"Bearer {token()}"})
    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")


def test_over_http_a_token_is_refused_where_no_user_is_named(client, accepts):
    answer = client.get("/api/v1/inventory/", headers={"Authorization": f"Bearer {token()}"})
    assert (answer.status_code, answer.json["required"]) == (403, "stock:read")


class TestSettings:
    def read(self, monkeypatch, **values):
        given = {"FLASK_ENV": "development", "JWT_AUDIENCE": "shop"} | values
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return Config.from_env()

    def test_several_keys_may_stand_in_one_setting_with_their_line_ends_escaped(self, monkeypatch):
        both = public_half(RSA) + public_half(OTHER_RSA)
        config = self.read(monkeypatch, JWT_ALGORITHM="RS256", JWT_KEY=both.replace("\n", "\\n"))
        assert config.jwt_keys == (public_half(RSA).strip(), public_half(OTHER_RSA).strip())

    @pytest.mark.parametrize(
        ("algorithm", "key", "says"),
        [
            ("HS256", SHORT, "32 bytes"),
            ("HS256", "", "needs JWT_KEY"),
            ("RS256", "no PEM", "needs JWT_KEY"),
            ("RS256", RSA, "public key"),
            ("RS256", public_half(EC), "no key for RS256"),
            ("ES256", public_half(RSA), "no key for ES256"),
            ("none", SECRET, "JWT_ALGORITHM"),
        ],
    )
    def test_a_key_that_would_not_keep_anybody_out_is_refused(self, monkeypatch, algorithm, key, says):
        with pytest.raises(ConfigurationError, match=says):
            self.read(monkeypatch, JWT_ALGORITHM=algorithm, JWT_KEY=key)

    def test_an_audience_must_be_named(self, monkeypatch):
        with pytest.raises(ConfigurationError, match="JWT_AUDIENCE"):
            self.read(monkeypatch, JWT_ALGORITHM="RS256", JWT_KEY=public_half(RSA), JWT_AUDIENCE="")
