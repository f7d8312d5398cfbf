"""One product of one store: shown with its version, promised, changed with a reason, and never shown old."""

from decimal import Decimal
from typing import Any

import pytest

from app.services import categories, products, skus
from tests import factories
from tests.api.refusals import assert_refused, conflicts, nothing_changes
from tests.api.store import API, KB, LISTS, STORE, open_shop

NO_CHANGE: tuple[Any, ...] = (0, 1.5, 1.0, "1", True, None, {}, 10**9 + 1, -(10**9) - 1, 2**63, -(2**64))


@pytest.fixture
def shop(app):
    return open_shop()


class TestOneProductOfOneStore:
    def test_it_is_shown_with_its_version(self, client, shop):
        factories.hold(1, at="default")
        answer = client.get(KB)
        data = answer.json["data"]
        assert (answer.status_code, answer.headers["ETag"][:3], data["version"]) == (200, '"2-', 2)
        assert client.get(KB, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
        assert (data["name"], data["location"], data["available_quantity"], data["status"]) == (
            "Keyboard", "default", 4, "in_stock",
        )  # fmt: skip

    def test_a_new_price_is_seen_though_the_version_is_the_same(self, client, shop):
        seen = client.get(KB)
        tag, price = seen.headers["ETag"], seen.json["data"]["price"]
        assert price == "49.99"
        skus.update("KB-1", {"price": Decimal(10)}, version=1, versions=None)
        answer = client.get(KB, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.json["data"]["price"]) == (200, "10.00")

    def test_a_new_name_of_what_a_deleted_sku_left_is_seen_too(self, client):
        product = factories.product(stock=0)
        skus.delete("KB-1")
        # Nothing bars stock of its code from coming in again elsewhere.
        factories.location("store-1")
        factories.stock(3, at="store-1")
        url = f"{STORE}/store-1/KB-1"
        tag = client.get(url).headers["ETag"]
        products.update(product, {"name": "Other"}, version=1, versions=None)
        assert client.get(url, headers={"If-None-Match": tag}).json["data"]["name"] == "Other"

    def test_what_has_numbers_alone_is_not_sent_twice(self, client, shop, time):
        url = f"{STORE}/default/MYSTERY"
        assert client.get(url, headers={"If-None-Match": '"1"'}).status_code == 304
        factories.hold(1, "MYSTERY", ttl=60)
        assert client.get(url, headers={"If-None-Match": '"1"'}).status_code == 200
        assert client.get(url, headers={"If-None-Match": '"2"'}).status_code == 304
        time.forward(seconds=60)
        assert client.get(url, headers={"If-None-Match": '"2"'}).json["data"]["available_quantity"] == 4

    def test_an_archived_item_is_shown_as_that(self, client, shop):
        skus.delete("HP-1")
        data = client.get(f"{STORE}/default/HP-1").json["data"]
        assert (data["archived"], data["name"], data["status"]) == (True, "Silence", "out_of_stock")

    @pytest.mark.parametrize("path", ["default/NOBODY", "moon/KB-1", "default/kb-1", "east/MYSTERY"])
    @pytest.mark.parametrize("rest", ["", "/availability"])
    def test_what_a_store_never_had_is_not_found(self, client, shop, path, rest):
        problem = assert_refused(client.get(f"{STORE}/{path}{rest}"), 404, "inventory_item_not_found")
        assert [problem["location"], problem["product_id"]] == path.split("/")

    @pytest.mark.parametrize("path", ["default/summary", "default/products", "a%20b/KB-1", "-/KB-1", "default/KB-1/x"])
    def test_what_is_no_code_is_an_unknown_url(self, client, path):
        assert_refused(client.get(f"{STORE}/{path}"), 404, "not_found")


class TestAvailability:
    def test_a_store_says_what_it_could_promise_and_what_is_missing(self, client, shop):
        answer = client.get(f"{STORE}/east/KB-1/availability?quantity=3").json["data"]
        assert answer == {
            "product_id": "KB-1",
            "location": "east",
            "quantity": 3,
            "available": False,
            "available_quantity": 2,
            "shortage": 1,
            "single_location": False,
            "next_release_at": None,
            "next_release_quantity": 0,
        }
        assert client.get(f"{STORE}/east/KB-1/availability").json["data"]["available"] is True

    @pytest.mark.parametrize(
        "query", ["quantity=0", "quantity=-1", "quantity=1.0", "quantity=1000000001", "location=a"]
    )
    def test_a_quantity_is_a_whole_number_above_nought(self, client, shop, query):
        assert_refused(client.get(f"{KB}/availability?{query}"), 400, "invalid_query")


class TestChangingStock:
    @pytest.mark.parametrize(("change", "left"), [(3, 8), (-5, 0)])
    def test_a_change_is_one_adjustment_with_its_reason(self, client, shop, change, left):
        answer = client.put(f"{KB}/stock", json={"quantity_change": change, "reason": "counted again"})
        movement = answer.json["data"]
        assert (answer.status_code, movement["movement_type"], movement["sequence"]) == (200, "adjustment", 2)
        assert (movement["quantity_change"], movement["quantity_after"]) == (change, left)
        assert (movement["product_id"], movement["location"], movement["reason"]) == (
            "KB-1", "default", "counted again",
        )  # fmt: skip
        assert factories.numbers() == (left, 0, left)
        assert factories.numbers(at="east") == (2, 0, 2)

    def test_under_one_key_it_takes_effect_once(self, client, shop):
        sent = {"json": {"quantity_change": 1}, "headers": {"Idempotency-Key": "k-1"}}
        first, again = client.put(f"{KB}/stock", **sent), client.put(f"{KB}/stock", **sent)
        assert (first.json, again.headers["Idempotent-Replayed"]) == (again.json, "true")
        assert factories.numbers() == (6, 0, 6)
        other = client.put(f"{KB}/stock", json={"quantity_change": 2}, headers={"Idempotency-Key": "k-1"})
        assert_refused(other, 422, "idempotency_key_reused")

    def test_what_is_promised_stays(self, client, shop):
        factories.hold(4, at="default")
        with nothing_changes():
            conflicts(
                client.put(f"{KB}/stock", json={"quantity_change": -2}),
                "insufficient_stock",
                available_quantity=1,
                reserved_quantity=4,
                shortage=1,
            )

    def test_holds_that_ran_out_make_room(self, client, shop, time):
        factories.hold(4, at="default", ttl=60)
        time.forward(seconds=60)
        assert client.put(f"{KB}/stock", json={"quantity_change": -5}).status_code == 200
        assert factories.numbers() == (0, 0, 0)

    def test_the_limit_of_an_item_holds(self, client, shop):
        with nothing_changes():
            conflicts(client.put(f"{KB}/stock", json={"quantity_change": 999_999_996}), "quantity_limit")

    def test_an_archived_item_takes_no_stock(self, client, shop):
        skus.delete("HP-1")
        with nothing_changes():
            conflicts(client.put(f"{STORE}/default/HP-1/stock", json={"quantity_change": 1}), "item_archived")

    @pytest.mark.parametrize("path", ["moon/KB-1", "default/NOBODY"])
    def test_nothing_comes_to_where_nothing_was(self, client, shop, path):
        with nothing_changes():
            answer = client.put(f"{STORE}/{path}/stock", json={"quantity_change": 1})
            assert_refused(answer, 404, "inventory_item_not_found")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "quantity_change"),
            *(({"quantity_change": value}, "quantity_change") for value in NO_CHANGE),
            *(
                ({"quantity_change": 1, "reason": value}, "reason")
                for value in ("", "  ", "x" * 256, "a\0", 5, "\ud800")
            ),
            *(
                ({"quantity_change": 1, name: "x"}, name)
                for name in ("quantity", "location", "movement_type", "version", "price", "is_admin")
            ),
        ],
    )
    def test_what_is_no_change_is_refused_and_changes_nothing(self, client, shop, body, field):
        with nothing_changes():
            problem = assert_refused(client.put(f"{KB}/stock", json=body), 422, "validation_failed")
            assert list(problem["errors"]) == [field]

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"", "application/json", 400),
            (b"{", "application/json", 400),
            (b"[]", "application/json", 400),
            (b"null", "application/json", 400),
            (b'{"quantity_change":NaN}', "application/json", 400),
            (b'{"quantity_change":1e400}', "application/json", 400),
            (b'{"quantity_change":1,"quantity_change":9}', "application/json", 400),
            (b'{"quantity_change":1,"reason":"\xe9"}', "application/json", 400),
            (b'{"quantity_change":1}', "text/plain", 415),
            (b'{"reason":"' + b"x" * 70_000 + b'"}', "application/json", 413),
        ],
    )
    def test_what_is_no_json_object_is_refused_and_changes_nothing(self, client, shop, body, content_type, status):
        with nothing_changes():
            assert client.put(f"{KB}/stock", data=body, content_type=content_type).status_code == status


class TestCaching:
    @pytest.mark.parametrize("path", [*LISTS, KB])
    def test_the_second_reader_is_answered_from_the_cache_with_the_same_bytes(self, client, shop, path):
        first, second = client.get(path), client.get(path)
        assert [answer.headers["X-Cache"] for answer in (first, second)] == ["miss", "hit"]
        assert first.data == second.data

    def test_every_change_of_stock_or_catalogue_is_seen_by_the_very_next_reader(self, client, shop):
        keyboard = client.get(KB).json["data"]["catalog_product_id"]
        named = {"name": "Keys", "category_id": shop["audio"]}
        client.put(f"{API}/inventory/KB-1", json={"minimum_stock_level": 40})
        changes = {
            "stock": lambda: client.put(f"{KB}/stock", json={"quantity_change": 1}),
            "hold": lambda: factories.hold(1, at="default"),
            "price": lambda: skus.update("KB-1", {"price": Decimal(10)}, version=1, versions=None),
            "name": lambda: products.update(keyboard, named, version=1, versions=None),
            "category": lambda: categories.update(shop["audio"], {"name": "Sound"}, version=1, versions=None),
            "levels": lambda: client.put(f"{API}/inventory/KB-1", json={"minimum_stock_level": 50}),
        }
        for name, change in changes.items():
            before = {path: client.get(path).json["data"] for path in (*LISTS, KB)}
            change()
            for path, seen in before.items():
                assert client.get(path).json["data"] != seen, (name, path)
