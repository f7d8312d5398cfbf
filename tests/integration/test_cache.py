"""What the cache promises: never older than the last commit, never a reason to fail or to wait long."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time as real_time

import pytest
import redis

from app.extensions import cache, db
from app.utils.cache import EVERYTHING, Entry, RedisCache, connect
from tests import factories, servers

ITEM = "/api/v1/inventory/KB-1"


def test_the_second_look_is_a_hit_with_the_same_bytes(client):
    factories.stock(5)
    first, second = client.get(ITEM), client.get(ITEM)
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    assert first.data == second.data


def test_a_write_is_seen_by_the_very_next_reader(client):
    factories.stock(5)
    client.get(ITEM)
    held = factories.hold(2)
    assert client.get(ITEM).json["data"]["available_quantity"] == 3
    assert client.get(f"/api/v1/reservations/{held.id}").json["data"]["status"] == "active"
    client.delete(f"/api/v1/reservations/{held.id}")
    assert client.get(f"/api/v1/reservations/{held.id}").json["data"]["status"] == "cancelled"
    assert client.get("/api/v1/inventory/").json["data"][0]["available_quantity"] == 5


def test_a_filler_who_was_overtaken_by_a_writer_cannot_bring_old_numbers_back(app):
    shelf = cache()
    shelf.lookup("k", "tag", lambda: Entry(b"version 1"), seconds=60)
    shelf.forget({"tag"})
    _commit_something()

    def slow_fill():
        shelf.forget({"tag"})  # a writer commits while we are reading
        _commit_something()
        return Entry(b"version 1")

    shelf.lookup("k", "tag", slow_fill, seconds=60)
    entry, outcome = shelf.lookup("k", "tag", lambda: Entry(b"version 2"), seconds=60)
    assert (entry.body, outcome) == (b"version 2", "miss")


def test_without_the_token_the_same_filler_would_have_brought_them_back(app, backend, monkeypatch):
    """The control: a cache that ignores the token serves the old numbers."""
    if backend == "embedded":
        monkeypatch.setattr(type(cache()), "_data_version", lambda self: 1)
    else:
        monkeypatch.setattr(RedisCache, "_token", lambda self, tag, current: "same")
        monkeypatch.setattr(RedisCache, "forget", lambda self, tags: None)
        for tag in ("tag", EVERYTHING):
            cache()._redis.set(f"inventory:tag:{tag}", "same")  # type: ignore[attr-defined]
    shelf = cache()
    shelf.lookup("k", "tag", lambda: _after(_commit_something, Entry(b"version 1")), seconds=60)
    entry, outcome = shelf.lookup("k", "tag", lambda: Entry(b"version 2"), seconds=60)
    assert (entry.body, outcome) == (b"version 1", "hit")


def test_forgetting_everything_makes_every_entry_worthless_also_one_that_is_being_filled(app):
    shelf = cache()
    shelf.lookup("k", "tag", lambda: Entry(b"old"), seconds=60)
    assert shelf.lookup("k", "tag", lambda: Entry(b"new"), seconds=60) == (Entry(b"old"), "hit")
    shelf.lookup("other", "other", lambda: _after(_forget_everything, Entry(b"old")), seconds=60)
    assert shelf.lookup("k", "tag", lambda: Entry(b"new"), seconds=60)[1] == "miss"
    assert shelf.lookup("other", "other", lambda: Entry(b"new"), seconds=60)[0].body == b"new"


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_losing_everything_in_redis_while_filling_is_only_a_miss(app):
    shelf = cache()

    def fill_through_a_flush():
        shelf.clear()
        return Entry(b"version 1")

    shelf.lookup("k", "tag", fill_through_a_flush, seconds=60)
    assert shelf.lookup("k", "tag", lambda: Entry(b"version 2"), seconds=60)[0].body == b"version 2"


def test_an_entry_lives_no_longer_than_the_next_expiry(app):
    shelf = cache()
    shelf.lookup("k", "tag", lambda: Entry(b"soon over", seconds=0.05), seconds=60)
    deadline = real_time.monotonic() + 5
    while real_time.monotonic() < deadline:
        entry, _ = shelf.lookup("k", "tag", lambda: Entry(b"after"), seconds=60)
        if entry.body == b"after":
            return
    pytest.fail("the entry outlived what it told")


def test_an_item_is_cached_until_its_next_hold_ends(app, client, time, monkeypatch):
    factories.stock(5)
    factories.hold(2, ttl=60)
    kept: list[Entry] = []
    monkeypatch.setattr(type(cache()), "lookup", _recording(type(cache()).lookup, kept))
    client.get(ITEM)
    assert [entry.seconds for entry in kept] == [60.0]


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_a_commit_by_another_process_makes_the_embedded_cache_forget(client):
    factories.stock(5)
    client.get(ITEM)
    assert client.get(ITEM).headers["X-Cache"] == "hit"
    with sqlite3.connect(str(db.engine.url.database)) as stranger:
        stranger.execute("UPDATE inventory_items SET minimum_stock_level = 7")
    stranger.close()
    answer = client.get(ITEM)
    assert (answer.headers["X-Cache"], answer.json["data"]["locations"][0]["minimum_stock_level"]) == ("miss", 7)


@pytest.mark.parametrize("poison", [b"", b"garbage", b"\x00\x05[1,2]rest", b"\xff" * 40, b'\x00\x12["t", null, true]'])
@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_a_poisoned_value_is_a_miss_and_is_overwritten(client, poison):
    factories.stock(5)
    client.get(ITEM)
    store = cache()._redis  # type: ignore[attr-defined]
    for key in store.keys("inventory:stock:*"):
        store.set(key, poison)
    assert client.get(ITEM).json["data"]["quantity"] == 5
    assert client.get(ITEM).headers["X-Cache"] == "hit"


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_a_key_of_another_type_is_a_miss(client):
    factories.stock(5)
    client.get(ITEM)
    store = cache()._redis  # type: ignore[attr-defined]
    for key in store.keys("inventory:stock:*"):
        store.delete(key)
        store.rpush(key, "a list")
    answer = client.get(ITEM)
    assert (answer.status_code, answer.json["data"]["quantity"]) == (200, 5)


def test_a_redis_that_refuses_is_a_bypass_and_costs_nothing():
    shelf = RedisCache(connect("redis://127.0.0.1:1/0", max_connections=5))
    started = real_time.monotonic()
    outcomes = [shelf.lookup("k", "t", lambda: Entry(b"x"), seconds=60)[1] for _ in range(20)]
    assert outcomes == ["bypass"] * 20
    assert real_time.monotonic() - started < 1


def test_a_redis_that_hangs_costs_one_bounded_wait_and_then_nothing():
    silent = socket.create_server(("127.0.0.1", 0))
    try:
        shelf = RedisCache(connect(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", max_connections=5), failures=1)
        waits = []
        for _ in range(10):
            started = real_time.monotonic()
            assert shelf.lookup("k", "t", lambda: Entry(b"x"), seconds=60)[1] == "bypass"
            waits.append(real_time.monotonic() - started)
        assert waits[0] < 1.0
        assert sum(waits[1:]) < 0.1
    finally:
        silent.close()


def test_the_cache_comes_back_with_its_redis():
    server = servers.redis(private=True)
    if server is None:
        pytest.skip(servers.HOW_TO_GET["redis"])
    shelf = RedisCache(connect(server.url, max_connections=5), failures=1, rest_seconds=0.05)
    server.kill()
    assert shelf.lookup("k", "t", lambda: Entry(b"x"), seconds=60)[1] == "bypass"
    server.start()
    deadline = real_time.monotonic() + 5
    while shelf.lookup("k", "t", lambda: Entry(b"x"), seconds=60)[1] != "hit":
        assert real_time.monotonic() < deadline
    server.stop()


@pytest.mark.parametrize("setting", [("maxmemory", "1"), ("requirepass", "secret")])
def test_an_unfriendly_redis_is_a_bypass(setting):
    server = servers.redis(private=True)
    if server is None:
        pytest.skip(servers.HOW_TO_GET["redis"])
    shelf = RedisCache(connect(server.url, max_connections=5))
    redis.Redis.from_url(server.url).config_set(*setting)
    if setting[0] == "requirepass":
        shelf._redis.connection_pool.disconnect()
    entry, outcome = shelf.lookup("k", "t", lambda: Entry(b"from the database"), seconds=60)
    assert (entry.body, outcome) == (b"from the database", "bypass")
    server.stop()


def test_many_readers_at_once_all_get_the_entry(app):
    shelf, seen = cache(), []

    def read():
        for _ in range(50):
            seen.append(shelf.lookup("k", "tag", lambda: Entry(b"same"), seconds=60)[0].body)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [b"same"] * 400


def _commit_something():
    factories.stock(1, f"P-{real_time.monotonic_ns()}")


def _forget_everything():
    _commit_something()
    cache().forget({EVERYTHING})


def _after(action, result):
    action()
    return result


def _recording(lookup, kept):
    def recorded(self, key, tag, fill, *, seconds):
        def filled():
            kept.append(fill())
            return kept[-1]

        return lookup(self, key, tag, filled, seconds=seconds)

    return recorded


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_twenty_readers_of_a_cold_entry_ask_the_database_once(app):
    shelf, asked = cache(), []
    under_way = shelf._flights._under_way  # type: ignore[attr-defined]
    shelf.lookup("k", "tag", lambda: Entry(b"warm the tag"), seconds=60)
    shelf._redis.delete("inventory:k")  # type: ignore[attr-defined]
    release = threading.Event()

    def slow():
        asked.append(1)
        release.wait(5)
        return Entry(b"cold")

    def read():
        with app.app_context():
            bodies.append(shelf.lookup("k", "tag", slow, seconds=60)[0].body)

    bodies: list[bytes] = []
    threads = [threading.Thread(target=read) for _ in range(20)]
    for thread in threads:
        thread.start()
    deadline = real_time.monotonic() + 5
    while sum(len(flight._condition._waiters) for flight in under_way.values()) < 19:
        assert real_time.monotonic() < deadline, "nineteen readers did not come to wait for the one who asks"
        real_time.sleep(0.01)
    release.set()
    for thread in threads:
        thread.join()
    assert bodies == [b"cold"] * 20
    assert asked == [1]


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_who_comes_after_a_write_does_not_get_what_was_read_before_it(app):
    """The flight is shared under the token: a writer takes the token away, so a later reader flies by itself."""
    shelf, reading, go_on = cache(), threading.Event(), threading.Event()

    def read_before_the_write():
        reading.set()
        go_on.wait(5)
        return Entry(b"old")

    first = threading.Thread(target=lambda: shelf.lookup("k", "tag", read_before_the_write, seconds=60))
    first.start()
    assert reading.wait(5)
    shelf.forget({"tag"})
    assert shelf.lookup("k", "tag", lambda: Entry(b"new"), seconds=60)[0].body == b"new"
    go_on.set()
    first.join()
    assert shelf.lookup("k", "tag", lambda: Entry(b"newer"), seconds=60)[0].body != b"old"


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_a_failure_of_the_one_who_asked_is_told_to_all_and_not_kept(app):
    shelf = cache()
    with pytest.raises(LookupError):
        shelf.lookup("k", "tag", _raise, seconds=60)
    assert shelf.lookup("k", "tag", lambda: Entry(b"fine"), seconds=60)[0].body == b"fine"


def _raise():
    raise LookupError("not there")
