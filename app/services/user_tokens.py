"""Tokens of shoppers: a JWT signed by an identity provider says which user is calling, and opens that user's calls."""

from __future__ import annotations

import re
from dataclasses import dataclass

import jwt

from app.errors import Unauthenticated
from app.extensions import settings
from app.models.api_keys import Permission

# What a user may do with their own cart, orders and returns; never what concerns everybody's stock.
GRANTED = frozenset({Permission.ORDERS_READ, Permission.ORDERS_WRITE})
ACTOR_PREFIX = "user:"
# The issuer's clock and this machine's may differ by so much.
LEEWAY_SECONDS = 10
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
# The name changes are written under has 64 characters, and no API key may be called like a user.
_SUBJECT = re.compile(rf"[!-~]{{1,{64 - len(ACTOR_PREFIX)}}}")


@dataclass(frozen=True, slots=True)
class User:
    id: str

    @property
    def actor(self) -> str:
        return f"{ACTOR_PREFIX}{self.id}"


def is_one(secret: str) -> bool:
    """Whether this credential has the form of a user's token, where such tokens are accepted at all."""
    return bool(settings().jwt_algorithm) and _JWT.fullmatch(secret) is not None


def verify(token: str) -> User:
    """Whose token this is. Raises `Unauthenticated` for one that is forged, expired, for another audience or nobody's.

    Only the configured algorithm counts, whatever the token's own header claims. Its times are compared with this
    machine's clock, as its issuer's are not the database's either.
    """
    try:
        claims = _verified(token)
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("the user token has expired") from None
    except jwt.PyJWTError:
        raise Unauthenticated("the user token is not valid") from None
    if not _SUBJECT.fullmatch(claims["sub"]):
        raise Unauthenticated("the user token's sub is no user id")
    return User(claims["sub"])


def _verified(token: str) -> dict[str, str]:
    """The claims, under whichever of the configured keys has signed them: two of them while one replaces the other."""
    config, wrong = settings(), jwt.InvalidSignatureError("no key")
    for key in config.jwt_keys:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[str(config.jwt_algorithm)],
                audience=config.jwt_audience,
                issuer=config.jwt_issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud", *(["iss"] if config.jwt_issuer else [])]},
            )
        except jwt.InvalidSignatureError as error:
            wrong = error
    raise wrong
