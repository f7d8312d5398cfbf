"""What a store has, looked for by code, by words and by barcode."""

from decimal import Decimal

import pytest

from app.services import products, skus
from tests import factories
from tests.api.refusals import assert_refused
from tests.api.store import API, UPC_A, UPC_E, found, open_shop


@pytest.fixture
def shop(app):
    return open_shop()


class TestSearch:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("kb", [("KB-1", "default"), ("KB-1", "east")]),
            ("B-1", [("KB-1", "default"), ("KB-1", "east")]),
            ("KEYB", [("KB-1", "default"), ("KB-1", "east")]),
            ("ear", [("HP-1", "default")]),
            ("on the ear silence", [("HP-1", "default")]),
            ("speaker silence", []),
            ("yst", [("MYSTERY", "default")]),
            (UPC_A, [("KB-1", "default"), ("KB-1", "east")]),
            (UPC_E, [("KB-1", "default"), ("KB-1", "east")]),
            (f"0{UPC_A}", [("KB-1", "default"), ("KB-1", "east")]),
            ("%", []),
            ('"', []),
            ("* +silence", [("HP-1", "default")]),
        ],
    )
    def test_it_finds_by_characters_of_the_code_by_words_and_by_barcode(self, client, shop, words, expected):
        assert found(client, "search", q=words) == expected
        assert found(client, "products", search=words) == expected
        at_east = [each for each in expected if each[1] == "east"]
        assert found(client, "search", q=words, location="east") == at_east

    def test_words_find_every_size_and_a_barcode_or_code_only_its_own(self, client):
        product_id = factories.product("Shirt", sku="TS-S", barcode=UPC_A, stock=1)
        skus.create({"catalog_product_id": product_id, "sku_code": "TS-M", "price": Decimal(1), "opening_stock": 1})
        both = [("TS-M", "default"), ("TS-S", "default")]
        assert found(client, "search", q="shirt") == both
        assert found(client, "search", q="TS-") == both
        assert found(client, "search", q=UPC_A) == [("TS-S", "default")]
        assert found(client, "search", q="TS-S") == [("TS-S", "default")]

    def test_words_find_the_stock_of_a_deleted_product_too(self, client):
        products.delete(factories.product("Gramophone", sku="G-1"))
        factories.stock(1, "G-1")
        assert found(client, "search", q="gramophone") == [("G-1", "default")]


class TestBarcodes:
    @pytest.mark.parametrize("barcode", [UPC_A, UPC_E, f"0{UPC_A}"])
    def test_every_way_to_write_a_number_finds_the_product_in_all_its_places(self, client, shop, barcode):
        assert found(client, f"barcode/{barcode}") == [("KB-1", "default"), ("KB-1", "east")]
        assert found(client, f"barcode/{barcode}", location="east") == [("KB-1", "east")]
        assert found(client, f"barcode/{barcode}", location="moon") == []

    def test_eight_digits_that_are_right_in_two_ways_find_both_products(self, client):
        factories.product("Small", sku="EIGHT", barcode="10000007", stock=1)
        factories.product("Long", sku="TWELVE", barcode="100000000007", stock=1)
        assert found(client, "barcode/10000007") == [("EIGHT", "default"), ("TWELVE", "default")]
        assert found(client, "barcode/100000000007") == [("TWELVE", "default")]

    def test_a_product_that_was_never_in_stock_is_known_and_in_no_store(self, client):
        factories.product(barcode=UPC_A)
        assert found(client, f"barcode/{UPC_A}") == []

    def test_a_barcode_that_nobody_has_is_not_found(self, client, shop):
        problem = assert_refused(client.get(f"{API}/inventory/barcode/4006381333931"), 404, "barcode_not_found")
        assert problem["barcode"] == "4006381333931"

    def test_the_barcode_of_a_deleted_sku_is_nobodys(self, client, shop):
        factories.product("Old", sku="OLD", barcode="4006381333931")
        skus.delete("OLD")
        assert_refused(client.get(f"{API}/inventory/barcode/4006381333931"), 404, "barcode_not_found")

    @pytest.mark.parametrize(
        "barcode",
        ["42100005264", "042100005265", "00000000", "KB-1", "1e7", "-1", "%00", "%EF%BC%91" * 8, "1" * 5000, "a%20b"],
    )
    def test_what_is_no_barcode_is_refused(self, client, barcode):
        problem = assert_refused(client.get(f"{API}/inventory/barcode/{barcode}"), 422, "invalid_barcode")
        assert list(problem["errors"]) == ["barcode"]
