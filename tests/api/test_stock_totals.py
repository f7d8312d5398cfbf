"""The sums over the stock: exact in every currency, by location and by category, and adding up to the whole."""

from decimal import Decimal

import pytest

from app.services import categories, products, skus
from tests import factories
from tests.api.refusals import assert_refused

INVENTORY = "/api/v1/inventory/"
PATHS = [f"{INVENTORY}summary", f"{INVENTORY}categories", f"{INVENTORY}units"]


def get(client, path, **query):
    answer = client.get(INVENTORY + path, query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def usd(amount):
    return [{"currency": "USD", "amount": amount}]


def sell(code, price, currency="USD", *, unit="each", category=None, **stock):
    """A product of one SKU with units at each of these locations."""
    product_id = factories.product(code, sku=code, price=price, category=category)
    skus.update(code, {"currency": currency, "unit": unit}, version=1, versions=None)
    for place, quantity in stock.items():
        factories.stock(quantity, code, at=place)
    return product_id


@pytest.fixture
def shop(app):
    """Two locations, two currencies, Tea below Food, something without a category and something without a price."""
    factories.location("east")
    food = factories.category("Food")
    tea = factories.category("Tea", food)
    sell("TEA", "3.33", unit="box", category=tea, default=3, east=7)
    sell("HONEY", "0.10", category=food, default=3)
    sell("CUP", "2.50", "EUR", default=2, east=0)
    factories.stock(11, "MYSTERY", at="east")
    return {"food": food, "tea": tea}


class TestSummary:
    def test_the_value_is_units_on_hand_at_their_price_by_currency(self, client, shop):
        factories.hold(2, "TEA", at="east")
        summary = get(client, "summary")
        assert summary["value"] == [{"currency": "EUR", "amount": "5.00"}, {"currency": "USD", "amount": "33.60"}]
        default, east = summary["locations"]
        assert default["value"] == [{"currency": "EUR", "amount": "5.00"}, {"currency": "USD", "amount": "10.29"}]
        assert east["value"] == [{"currency": "EUR", "amount": "0.00"}, {"currency": "USD", "amount": "23.31"}]
        assert (summary["products"], summary["items"], summary["quantity"]) == (4, 6, 26)
        assert (summary["available_quantity"], summary["reserved_quantity"]) == (24, 2)

    def test_categories_are_told_apart_and_what_is_in_none_comes_last(self, client, shop):
        assert get(client, "summary")["by_category"] == [
            {"category_id": shop["food"], "name": "Food", "items": 1, "quantity": 3, "available_quantity": 3,
             "value": usd("0.30")},
            {"category_id": shop["tea"], "name": "Tea", "items": 2, "quantity": 10, "available_quantity": 10,
             "value": usd("33.30")},
            {"category_id": None, "name": None, "items": 3, "quantity": 13, "available_quantity": 13,
             "value": [{"currency": "EUR", "amount": "5.00"}]},
        ]  # fmt: skip

    @pytest.mark.parametrize("group", ["locations", "by_category"])
    def test_the_parts_add_up_to_the_whole(self, client, shop, group):
        summary = get(client, "summary")
        for name in ("items", "quantity", "available_quantity"):
            assert sum(part[name] for part in summary[group]) == summary[name]
        for whole in summary["value"]:
            amounts = [Decimal(one["amount"]) for part in summary[group] for one in part["value"]
                       if one["currency"] == whole["currency"]]  # fmt: skip
            assert sum(amounts) == Decimal(whole["amount"])

    def test_one_location_is_summed_alone(self, client, shop):
        east = get(client, "summary", location="east")
        assert (east["products"], east["items"], east["quantity"]) == (3, 3, 18)
        assert [place["location"] for place in east["locations"]] == ["east"]
        assert [kind["name"] for kind in east["by_category"]] == ["Tea", None]
        nowhere = get(client, "summary", location="moon")
        assert (nowhere["products"], nowhere["value"], nowhere["by_category"]) == (0, [], [])

    def test_not_a_cent_is_lost_at_the_limits_of_stock_and_price(self, client):
        for place in ("default", "east", "west"):
            if place != "default":
                factories.location(place)
        sell("GOLD", "999999999999.99", default=10**9, east=10**9, west=10**9 - 1)
        sell("SAND", "0.01", default=1)
        # Past 64 bits of hundredths, and past what a float tells apart.
        assert get(client, "summary")["value"] == usd("2999999998999970000000.02")
        assert get(client, "summary", location="west")["value"] == usd("999999998999990000000.01")

    def test_many_small_prices_sum_without_a_rounding_error(self, client):
        for number in range(30):
            sell(f"P-{number}", "0.10", default=1)
        sell("Q", "1234.57", default=3)
        assert get(client, "summary")["value"] == usd("3706.71")

    def test_stock_of_deleted_skus_and_in_deleted_categories_counts_as_long_as_it_is_there(self, client):
        lamps = factories.category("Lamps")
        products.delete(sell("LAMP", "5", category=lamps))
        categories.delete(lamps)
        factories.stock(2, "LAMP")
        summary = get(client, "summary")
        assert (summary["value"], summary["by_category"][0]["name"]) == (usd("10.00"), "Lamps")
        assert [row["name"] for row in get(client, "categories")] == ["Lamps"]

    def test_a_new_price_is_in_the_next_summary(self, client, shop):
        get(client, "summary")
        skus.update("TEA", {"price": Decimal("1.00")}, version=2, versions=None)
        assert get(client, "summary")["value"][1]["amount"] == "10.30"


class TestCategoriesInStock:
    def test_those_with_something_available_are_listed_by_name(self, client, shop):
        factories.category("Empty")
        assert get(client, "categories") == [
            {"category_id": shop["food"], "name": "Food", "parent_id": None, "products": 1, "available_quantity": 3},
            {"category_id": shop["tea"], "name": "Tea", "parent_id": shop["food"], "products": 1,
             "available_quantity": 10},
        ]  # fmt: skip
        assert [row["name"] for row in get(client, "categories", location="east")] == ["Tea"]

    def test_what_is_held_is_not_available_until_the_hold_runs_out(self, client, shop, time):
        factories.hold(3, "HONEY", ttl=60)
        assert [row["name"] for row in get(client, "categories")] == ["Tea"]
        time.forward(seconds=60)
        assert [row["name"] for row in get(client, "categories")] == ["Food", "Tea"]

    def test_the_list_is_paged(self, client, shop):
        first = client.get(f"{INVENTORY}categories?per_page=1").json
        assert (first["meta"]["total"], first["data"][0]["name"]) == (2, "Food")
        rest = get(client, "categories", cursor=first["meta"]["next_cursor"])
        assert [row["name"] for row in rest] == ["Tea"]


class TestUnits:
    def test_each_unit_has_its_products_and_units_on_hand(self, client, shop):
        assert get(client, "units") == [
            {"unit": "box", "products": 1, "quantity": 10},
            {"unit": "each", "products": 2, "quantity": 5},
        ]
        assert get(client, "units", location="east") == [
            {"unit": "box", "products": 1, "quantity": 7},
            {"unit": "each", "products": 1, "quantity": 0},
        ]

    def test_the_list_is_paged(self, client, shop):
        first = client.get(f"{INVENTORY}units?per_page=1").json
        assert (first["meta"]["total"], first["data"][0]["unit"]) == (2, "box")
        assert [row["unit"] for row in get(client, "units", cursor=first["meta"]["next_cursor"])] == ["each"]


@pytest.mark.parametrize("path", PATHS)
def test_the_second_reader_is_answered_from_the_cache_until_something_changes(client, shop, path):
    assert [client.get(path).headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]
    factories.stock(1, "NEW")
    assert client.get(path).headers["X-Cache"] == "miss"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["location=a%20b", "location=", "category=1", "page=0", "location=a&location=b"])
def test_a_query_that_is_not_as_documented_is_refused(client, path, query):
    assert_refused(client.get(f"{path}?{query}"), 400, "invalid_query")
