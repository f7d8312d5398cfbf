"""What a store has, with names and prices: lists that no stock vanishes from, whatever the filter and the order."""

from typing import Any

import pytest

from app.services import categories, products, skus
from tests import factories
from tests.api.refusals import assert_refused
from tests.api.store import API, KB, LISTS, STORE, UPC_A, found, ids, open_shop, rows

ORDERS = {
    "product_id": ["HP-1", "KB-1", "KB-1", "MYSTERY", "SP-1"],
    "name": ["MYSTERY", "KB-1", "KB-1", "HP-1", "SP-1"],
    "price": ["MYSTERY", "KB-1", "KB-1", "SP-1", "HP-1"],
    "quantity": ["HP-1", "KB-1", "MYSTERY", "KB-1", "SP-1"],
    "available_quantity": ["HP-1", "KB-1", "MYSTERY", "KB-1", "SP-1"],
}


@pytest.fixture
def shop(app):
    return open_shop()


class TestRows:
    def test_a_row_has_the_numbers_of_the_item_and_what_the_catalogue_says(self, client, shop):
        row = rows(client, location="east")[0]
        assert (row["name"], row["description"], row["category"]) == ("Keyboard", "Clicks", None)
        assert (row["price"], row["currency"], row["unit"], row["barcode"]) == ("49.99", "USD", "each", UPC_A)
        assert (row["quantity"], row["available_quantity"], row["status"]) == (2, 2, "low_stock")
        plain = client.get(f"{API}/inventory/?location=east").json["data"][0]
        assert {name: row[name] for name in plain} == plain

    def test_a_row_names_the_category_its_product_hangs_right_in(self, client, shop):
        [row] = rows(client, category=shop["phones"])
        assert row["category"] == {"id": shop["phones"], "name": "Headphones"}

    def test_what_the_catalogue_does_not_know_is_listed_all_the_same(self, client, shop):
        [row] = [row for row in rows(client) if row["product_id"] == "MYSTERY"]
        nulls = ("catalog_product_id", "name", "description", "category", "price", "currency", "unit", "barcode")
        assert {row[name] for name in nulls} == {None}
        assert (row["available_quantity"], row["status"], row["sku_archived_at"]) == (4, "in_stock", None)

    def test_stock_of_a_deleted_sku_stays_and_says_what_it_was(self, client, shop):
        product_id = factories.product("Mouse", sku="M-1", category=shop["phones"])
        products.delete(product_id)
        factories.stock(3, "M-1")
        [row] = [row for row in rows(client) if row["product_id"] == "M-1"]
        assert (row["name"], row["price"], row["quantity"]) == ("Mouse", "49.99", 3)
        assert row["sku_archived_at"] == "2030-01-01T12:00:00.000000Z"
        assert row["archived"] is False

    def test_stock_in_a_deleted_category_is_found_below_it_and_below_its_parent(self, client, shop):
        lights = factories.category("Lights", shop["audio"])
        products.delete(factories.product("Lamp", sku="L-1", category=lights))
        categories.delete(lights)
        factories.stock(1, "L-1")
        assert ids(client, category=lights) == ["L-1"]
        assert ids(client, category=shop["audio"]) == ["HP-1", "L-1", "SP-1"]

    def test_archived_items_are_left_out(self, client, shop):
        skus.delete("HP-1")
        assert ids(client) == ["KB-1", "KB-1", "MYSTERY", "SP-1"]


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"location": "east"}, ["KB-1", "SP-1"]),
            ({"location": "moon"}, []),
            ({"category": "audio"}, ["HP-1", "SP-1"]),
            ({"category": "phones"}, ["HP-1"]),
            ({"category": 999}, []),
            ({"status": "in_stock"}, ["KB-1", "MYSTERY", "SP-1"]),
            ({"status": "low_stock"}, ["KB-1"]),
            ({"status": "out_of_stock"}, ["HP-1"]),
            ({"min_price": "49.99"}, ["HP-1", "KB-1", "KB-1", "SP-1"]),
            ({"min_price": "50"}, ["HP-1", "SP-1"]),
            ({"max_price": "49.99"}, ["KB-1", "KB-1"]),
            ({"max_price": "49.98"}, []),
            ({"min_price": "89.5", "max_price": "89.50"}, ["SP-1"]),
            ({"min_price": "0", "currency": "EUR"}, []),
            ({"currency": "USD", "location": "default"}, ["HP-1", "KB-1"]),
            ({"search": "keyboard", "location": "default"}, ["KB-1"]),
            ({"category": "audio", "status": "in_stock", "min_price": "80", "search": "speak"}, ["SP-1"]),
        ],
    )
    def test_filters_narrow_the_list_and_go_together(self, client, shop, query, expected):
        query = query | ({"category": shop.get(query["category"], 999)} if "category" in query else {})
        assert ids(client, **query) == expected

    def test_prices_are_compared_within_one_currency_which_is_usd_unless_named(self, client, shop):
        factories.product("Tastatur", sku="KB-EU", price="60")
        assert skus.update("KB-EU", {"currency": "EUR"}, version=1, versions=None).currency == "EUR"
        factories.stock(1, "KB-EU")
        assert ids(client, min_price="55", max_price="65") == []
        assert ids(client, min_price="55", max_price="65", currency="EUR") == ["KB-EU"]
        assert "KB-EU" in ids(client)

    def test_each_item_has_one_status_and_a_hold_that_ran_out_counts_no_more(self, client, time):
        factories.stock(5, minimum=2)
        factories.hold(3, ttl=60)
        assert [row["status"] for row in rows(client)] == ["low_stock"]
        factories.hold(2, ttl=60)
        assert [row["status"] for row in rows(client)] == ["out_of_stock"]
        assert found(client, "low-stock") == [("KB-1", "default")]
        time.forward(seconds=60)
        [row] = rows(client, status="in_stock")
        assert (row["reserved_quantity"], row["available_quantity"], row["status"]) == (0, 5, "in_stock")
        assert (ids(client, status="low_stock"), ids(client, status="out_of_stock")) == ([], [])
        assert found(client, "low-stock") == []

    def test_a_category_moves_with_what_is_in_it(self, client, shop):
        other = factories.category("Other")
        categories.update(shop["phones"], {"parent_id": other}, version=1, versions=None)
        assert (ids(client, category=shop["audio"]), ids(client, category=other)) == (["SP-1"], ["HP-1"])


class TestOrder:
    @pytest.mark.parametrize("sort", ORDERS)
    def test_lists_sort_both_ways_and_what_has_no_name_or_price_is_the_least(self, client, shop, sort):
        assert ids(client, sort=sort) == ORDERS[sort]
        assert rows(client, sort=f"-{sort}") == rows(client, sort=sort)[::-1]

    @pytest.mark.parametrize("sort", [sign + name for name in ORDERS for sign in ("", "-")])
    def test_numbered_pages_and_cursors_give_the_same_rows_in_the_same_order(self, client, shop, sort):
        whole = rows(client, sort=sort)
        numbered = [row for page in (1, 2, 3) for row in rows(client, sort=sort, per_page=2, page=page)]
        walked: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            after = {"cursor": cursor} if cursor else {}
            answer = client.get(STORE, query_string={"sort": sort, "per_page": 2} | after).json
            walked += answer["data"]
            cursor = answer["meta"]["next_cursor"]
        assert whole == numbered == walked
        assert len(whole) == 5

    def test_names_sort_without_case_on_every_database(self, client):
        for number, name in enumerate(["beta", "Alpha", "ALPHA 2", "Beta 2"]):
            factories.product(name, sku=f"P-{number}", stock=1)
        assert ids(client, sort="name") == ["P-1", "P-2", "P-0", "P-3"]

    def test_prices_of_different_currencies_are_not_mixed(self, client):
        for code, price, currency in (("A", "9", "USD"), ("B", "5", "USD"), ("C", "7", "EUR"), ("D", "100", "EUR")):
            factories.product(code, sku=code, price=price, stock=1)
            skus.update(code, {"currency": currency}, version=1, versions=None)
        assert ids(client, sort="price") == ["C", "D", "B", "A"]

    def test_a_cursor_works_only_for_the_filters_it_came_from(self, client, shop):
        cursor = client.get(f"{STORE}?per_page=2").json["meta"]["next_cursor"]
        for query in ({"status": "in_stock"}, {"category": shop["audio"]}, {"sort": "name"}, {"min_price": "1"}):
            assert_refused(client.get(STORE, query_string={"cursor": cursor} | query), 400, "invalid_cursor")


class TestBadQueries:
    @pytest.mark.parametrize(
        "query",
        [
            "location=a%20b", "location=", "category=0", "category=-1", "category=abc", "category=1.0", "category=",
            f"category={'9' * 19}", "category=%EF%BC%91", "search=", "search=%20", "search=%00", f"search={'a' * 101}",
            "status=low", "status=", "status=IN_STOCK", "min_price=-1", "min_price=0.005", "min_price=12,50",
            "min_price=1e2", "min_price=NaN", "min_price=1_000", "min_price=%EF%BC%91", "min_price=", "max_price=inf",
            "max_price=1000000000000", "min_price=2&max_price=1", "currency=usd", "currency=US", "currency=",
            "sort=id;--", "sort=--name", "sort=", "sort=barcode", "page=0", "page=1_0", "per_page=101", "pgae=2",
            "page=1&page=2", "page=1&cursor=x", "q=x", "low_stock=true",
        ],
    )  # fmt: skip
    def test_a_query_that_is_not_as_documented_is_refused(self, client, query):
        assert assert_refused(client.get(f"{STORE}?{query}"), 400, "invalid_query")["errors"]

    @pytest.mark.parametrize("path", LISTS)
    @pytest.mark.parametrize(
        ("query", "code"),
        [("page=0", "invalid_query"), ("page=501", "page_too_deep"), ("cursor=abc", "invalid_cursor")],
    )
    def test_every_list_has_the_limits_of_all_lists(self, client, shop, path, query, code):
        assert_refused(client.get(f"{path}{'&' if '?' in path else '?'}{query}"), 400, code)

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", STORE), ("PUT", KB), ("DELETE", KB), ("POST", f"{KB}/stock"), ("PUT", f"{KB}/availability")],
    )
    def test_other_methods_are_not_allowed(self, client, method, path):
        assert_refused(client.open(path, method=method), 405, "method_not_allowed")

    def test_text_from_the_far_end_of_unicode_finds_nothing_and_breaks_nothing(self, client, shop):
        for words in ("😀", "\u0301", "ß" * 100, "' OR 1=1 --", "\\", "(", "~", "NEAR(a b)", "@8", "name:x"):
            assert rows(client, search=words) == [], words
