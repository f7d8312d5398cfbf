"""Lookups as ready-to-send bytes. Never asked for a decision; never older than the last commit it was told of.

An entry carries the tokens of its *tag* and of everything, read before the database was. A writer removes the tag after
its commit, which makes every entry under it worthless, and so a reader who was slow to fill can never bring
old numbers back: its token is gone. That stays true when Redis loses everything. A cache that fails,
or is slow, is a miss; after a few failures in a row it is left alone for a while.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import pybreaker
import redis
from cachetools import TLRUCache
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine

from app.utils import ids, metrics
from app.utils.single_flight import SingleFlight
from config import Config

log = logging.getLogger(__name__)
PREFIX = "inventory:"
SOCKET_SECONDS = 0.2
TAG_SECONDS = 86_400
# Every entry is under this tag too, for what may be in any of them.
EVERYTHING = "everything"
STATES = {"closed": "in use", "open": "left alone", "half-open": "tried again"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A body ready to send, its ETag and whether a 304 may stand for it, and how long it stays true.

    `seconds` is the time until the next expiry changes the numbers, so the entry lives no longer.
    """

    body: bytes
    etag: str | None = None
    settled: bool = True
    seconds: float | None = None

    def pack(self, token: str) -> bytes:
        head = json.dumps([token, self.etag, self.settled]).encode()
        return len(head).to_bytes(2, "big") + head + self.body

    @staticmethod
    def unpack(packed: bytes) -> tuple[str, Entry]:
        """Raises ValueError for bytes that `pack` did not make."""
        end = 2 + int.from_bytes(packed[:2], "big")
        token, etag, settled = json.loads(packed[2:end])
        if not isinstance(token, str) or not isinstance(settled, bool) or not isinstance(etag, str | None):
            raise ValueError("not an entry")
        return token, Entry(packed[end:], etag, settled)


class CacheSilent(Exception):
    """The cache did not answer a question that is not about a lookup."""


class _SayWhenItTurns(pybreaker.CircuitBreakerListener):
    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        log.warning("the cache is %s, it was %s", STATES[new_state.name], STATES[old_state.name])


class Cache(Protocol):
    kind: str

    def lookup(self, key: str, tag: str, fill: Callable[[], Entry], *, seconds: float) -> tuple[Entry, str]:
        """The entry, from the cache or from `fill`, and which of hit, miss or bypass it was."""

    def forget(self, tags: set[str]) -> None:
        """Make every entry under `tags` worthless. Call after the commit that changed them."""

    def remember_beat(self, name: str, facts: dict[str, Any]) -> None:
        """Keep what a background worker did last, for the health page."""

    def last_beat(self, name: str) -> dict[str, Any] | None:
        """Raises `CacheSilent` when the cache does not answer."""

    def ping(self) -> None:
        """Raises when the cache does not answer."""

    def clear(self) -> None:
        """Forget every entry, as when nothing in the database is as it was."""


class NoCache:
    """Without Redis and with more than one possible process, nothing in memory would stay true."""

    kind = "none"

    def __init__(self) -> None:
        self._beats: dict[str, dict[str, Any]] = {}

    def lookup(self, key: str, tag: str, fill: Callable[[], Entry], *, seconds: float) -> tuple[Entry, str]:
        metrics.CACHE.labels("bypass").inc()
        return fill(), "bypass"

    def forget(self, tags: set[str]) -> None: ...

    def remember_beat(self, name: str, facts: dict[str, Any]) -> None:
        self._beats[name] = facts

    def last_beat(self, name: str) -> dict[str, Any] | None:
        return self._beats.get(name)

    def ping(self) -> None: ...

    def clear(self) -> None: ...


class EmbeddedCache(NoCache):
    """In this process, beside SQLite: valid until any connection of any process commits.

    SQLite's own `data_version` says so, seen from a connection that never writes.
    """

    kind = "in-process"

    def __init__(self, engine: Engine, *, size: int = 4096, timer: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._engine, self._lock = engine, threading.Lock()
        self._watcher: sqlite3.Connection | None = None
        self._entries: TLRUCache[str, tuple[int, float, Entry]] = TLRUCache(
            size, ttu=lambda _key, value, now: now + value[1], timer=timer
        )

    def lookup(self, key: str, tag: str, fill: Callable[[], Entry], *, seconds: float) -> tuple[Entry, str]:
        try:
            with self._lock:
                version = self._data_version()
                found = self._entries.get(key)
        except sqlite3.Error:  # the file is gone; whoever asks the database says so in its own words
            self.close()
            return super().lookup(key, tag, fill, seconds=seconds)
        if found is not None and found[0] == version:
            metrics.CACHE.labels("hit").inc()
            return found[2], "hit"
        entry = fill()
        lives = seconds if entry.seconds is None else min(seconds, entry.seconds)
        if lives > 0:
            with self._lock:
                self._entries[key] = (version, lives, entry)
        metrics.CACHE.labels("miss").inc()
        return entry, "miss"

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def close(self) -> None:
        with self._lock:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None

    def _data_version(self) -> int:
        if self._watcher is None:
            file = str(self._engine.url.database)
            self._watcher = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])


class RedisCache:
    """Shared by every process of the service."""

    kind = "redis"

    def __init__(self, client: redis.Redis, *, failures: int = 3, rest_seconds: float = 5.0) -> None:
        self._redis = client
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures, reset_timeout=rest_seconds, listeners=[_SayWhenItTurns()]
        )
        self._flights = SingleFlight[Entry]()
        # Tags that could not be removed when they should have been. Nothing is believed before they are.
        self._owed: set[str] = set()
        self._owed_lock = threading.Lock()

    def lookup(self, key: str, tag: str, fill: Callable[[], Entry], *, seconds: float) -> tuple[Entry, str]:
        asked, token, entry = self._ask(key, tag)
        outcome = "hit" if entry is not None else "miss" if asked else "bypass"
        if entry is None and asked:
            # Whoever reads under the same token at the same time sees the same numbers: one of them asks the database.
            entry = self._flights.share((key, token), lambda: self._fill(key, token, fill, seconds))
        elif entry is None:
            entry = fill()
        metrics.CACHE.labels(outcome).inc()
        return entry, outcome

    def _fill(self, key: str, token: str, fill: Callable[[], Entry], seconds: float) -> Entry:
        entry = fill()
        lives = seconds if entry.seconds is None else min(seconds, entry.seconds)
        if lives > 0:
            self._try(lambda: self._redis.set(PREFIX + key, entry.pack(token), px=max(1, int(lives * 1000))))
        return entry

    def forget(self, tags: set[str]) -> None:
        with self._owed_lock:
            self._owed |= tags
        self._settle()

    def _settle(self) -> bool:
        """Remove every tag that is owed; whether none is left."""
        with self._owed_lock:
            owed = set(self._owed)
        if not owed:
            return True
        removed, _ = self._try(lambda: self._redis.unlink(*(f"{PREFIX}tag:{tag}" for tag in owed)))
        if removed:
            with self._owed_lock:
                self._owed -= owed
        return removed

    def remember_beat(self, name: str, facts: dict[str, Any]) -> None:
        self._try(lambda: self._redis.set(f"{PREFIX}beat:{name}", json.dumps(facts), ex=TAG_SECONDS))

    def last_beat(self, name: str) -> dict[str, Any] | None:
        answered, found = self._try(lambda: self._redis.get(f"{PREFIX}beat:{name}"))
        if not answered:
            raise CacheSilent
        with suppress(TypeError, ValueError, RecursionError):
            facts = json.loads(found)
            return facts if isinstance(facts, dict) else None
        return None

    def ping(self) -> None:
        self._redis.ping()

    def clear(self) -> None:
        keys = [key for key in self._redis.scan_iter(f"{PREFIX}*") if not key.startswith(f"{PREFIX}beat:".encode())]
        if keys:
            self._redis.unlink(*keys)

    def _ask(self, key: str, tag: str) -> tuple[bool, str, Entry | None]:
        """Whether Redis answered, the tokens to fill under, and the entry when it is still true."""
        if not self._settle():
            return False, "", None
        tags = [tag, EVERYTHING]
        answered, found = self._try(lambda: self._redis.mget(PREFIX + key, *(f"{PREFIX}tag:{each}" for each in tags)))
        if not answered:
            return False, "", None
        packed, *current = found
        with suppress(ValueError, TypeError, UnicodeDecodeError):
            token, entry = Entry.unpack(packed)
            if None not in current and token == b".".join(current).decode():
                return True, token, entry
        tokens = [self._token(each, there) for each, there in zip(tags, current, strict=True)]
        return None not in tokens, ".".join(each or "" for each in tokens), None

    def _token(self, tag: str, current: bytes | None) -> str | None:
        """The tag's token, made now if it has none; None when Redis does not answer."""
        if current is not None:
            return current.decode("utf-8", "replace")
        fresh = ids.new_id()
        answered, already = self._try(
            lambda: self._redis.set(f"{PREFIX}tag:{tag}", fresh, nx=True, get=True, ex=TAG_SECONDS)
        )
        if not answered:
            return None
        return already.decode("utf-8", "replace") if already else fresh

    def _try(self, command: Callable[[], Any]) -> tuple[bool, Any]:
        try:
            return True, self._breaker.call(command)
        except (redis.exceptions.RedisError, pybreaker.CircuitBreakerError, OSError) as error:
            metrics.CACHE_ERRORS.inc()
            log.debug("cache: %s", error)
            return False, None


def create(config: Config, engine: Engine) -> Cache:
    if config.redis_url:
        return RedisCache(connect(config.redis_url, max_connections=config.web_threads + 5))
    return EmbeddedCache(engine) if config.is_sqlite else NoCache()


def connect(url: str, *, max_connections: int) -> redis.Redis:
    """A client that gives up quickly: the default one waits seconds for a refused and a minute for a frozen Redis."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=SOCKET_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=15,
    )
    return redis.Redis(connection_pool=pool)
