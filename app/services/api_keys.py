"""Give out API keys, take them back, and tell who is calling."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cachetools import TTLCache

from app.errors import Unauthenticated
from app.models.api_keys import ApiKey, Permission
from app.repositories import api_keys
from app.utils import clock
from app.utils.transactions import transactional

# A revoked key may be let in this much longer by a process that has just seen it.
REMEMBERED_SECONDS = 2.0
_remembered: TTLCache[str, Caller] = TTLCache(1024, REMEMBERED_SECONDS)
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: the name changes are written under, and what it may do."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes or Permission.ADMIN in self.scopes


class NoSuchKey(LookupError):
    """No valid key has this name."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key with the secret that is shown once and never again."""

    key: ApiKey
    secret: str


@transactional
def create(name: str, scopes: Sequence[str], *, lives: timedelta | None = None) -> Issued:
    now = clock.now()
    prefix = secrets.token_hex(4)
    secret = f"inv_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        name=name,
        prefix=prefix,
        secret_hash=_hash(secret),
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=None if lives is None else now + lives,
    )
    return Issued(api_keys.add(key), secret)


@transactional
def revoke(name: str) -> int:
    """End every valid key of this name now; how many there were."""
    ended = _end(name, clock.now())
    if not ended:
        raise NoSuchKey(f"no valid key of {name}")
    return ended


@transactional
def rotate(name: str, *, overlap: timedelta) -> Issued:
    """A new key with the same scopes; the old ones stay valid for `overlap`."""
    now = clock.now()
    valid = [key for key in api_keys.of_name(name) if key.is_valid(now)]
    if not valid:
        raise NoSuchKey(f"no valid key of {name}")
    _end(name, now + overlap)
    return create(name, valid[-1].scopes)


def authenticate(secret: str) -> Caller:
    """Who presents this secret. Raises `Unauthenticated` alike for unknown, revoked and expired keys."""
    hashed = _hash(secret)
    with _lock:
        caller = _remembered.get(hashed)
    if caller is None:
        caller = _look_up(hashed)
        with _lock:
            _remembered[hashed] = caller
    return caller


def forget() -> None:
    """Ask the database again about everybody."""
    with _lock:
        _remembered.clear()


@transactional
def _look_up(hashed: str) -> Caller:
    now = clock.now()
    key = api_keys.find(hashed)
    if key is None or not key.is_valid(now):
        raise Unauthenticated("the API key is not valid")
    caller = Caller(key.name, frozenset(key.scopes))
    api_keys.note_use(key.id, now)
    return caller


def _end(name: str, moment: datetime) -> int:
    keys = [key for key in api_keys.of_name(name) if key.is_valid(moment)]
    for key in keys:
        key.expires_at = moment
    forget()
    return len(keys)


def _hash(secret: str) -> str:
    # The secret has 256 random bits, so a plain hash cannot be guessed back; none of it is compared in Python.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
