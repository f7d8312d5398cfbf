"""Search over HTTP: by words, codes and barcodes, the best first, and never by what no longer is."""

import pytest

from app.models.search_words import PLAIN
from app.services import shoppers
from app.services.shoppers import History
from tests import factories
from tests.statements import counted

URL = "/api/v1/products/search"
PRODUCTS, SKUS = "/api/v1/products/", "/api/v1/skus/"


def search(client, q, **query):
    return client.get(URL, query_string={"q": q, **query})


def names(client, q, **query):
    answer = search(client, q, **query)
    assert answer.status_code == 200, answer.text
    return [product["name"] for product in answer.json["data"]]


def meta(client, q, **query):
    answer = search(client, q, **query)
    assert answer.status_code == 200, answer.text
    return answer.json["meta"]


class TestWords:
    @pytest.fixture(autouse=True)
    def shop(self, app):
        factories.product('Sony - 55" 4K Smart TV', sku="TV-1", description="An Ultra HD television for the wall")
        factories.product("HDMI cable", sku="C-1", description="For a TV or a projector, 2m")
        factories.product("Men's Wi-Fi watch", sku="W-1", description="USB-C charging, usb_stick included")
        factories.product("The Who - Who Are You", sku="CD-1", description="")

    def test_every_word_is_looked_for_in_name_and_description_as_it_is_or_as_a_beginning(self, client):
        for q in ("hdmi", "HDMI", "hdm", "cable hdmi", "hdmi,cable!", "projector", "2m", "cable tv", "cable cable"):
            assert (q, names(client, q)) == (q, ["HDMI cable"])

    def test_one_word_that_is_not_there_finds_nothing(self, client):
        for q in ("hdmi sony", "dmi", "cables", "hdmicable", "tvs", "tv " + "x" * 97):
            assert (q, names(client, q)) == (q, [])

    def test_short_words_are_words(self, client):
        assert names(client, "tv") == ['Sony - 55" 4K Smart TV', "HDMI cable"]
        assert names(client, "4k tv") == names(client, "hd tv 4k") == ['Sony - 55" 4K Smart TV']

    def test_a_lone_letter_is_not_the_beginning_of_a_word(self, client):
        assert names(client, "usb c") == names(client, "USB-C") == names(client, "watch s") == ["Men's Wi-Fi watch"]
        assert names(client, "usb h") == names(client, "5") == []

    def test_what_is_no_letter_or_digit_parts_words(self, client):
        for q in ("wi-fi", "wi fi", "fi/wi", "men's", "men’s", "usb_stick", "stick", "usb_", "_fi_"):
            assert (q, names(client, q)) == (q, ["Men's Wi-Fi watch"])
        for q in ("wifi", "mens", "usbstick"):
            assert (q, names(client, q)) == (q, [])

    def test_stop_words_count_only_when_there_is_nothing_else(self, client):
        assert names(client, "the cable of a projector") == ["HDMI cable"]
        assert names(client, "the who") == ["The Who - Who Are You"]
        assert names(client, "for") == ["HDMI cable", 'Sony - 55" 4K Smart TV']
        assert names(client, "whe") == []


SPELLINGS = {
    "Café Crème": "cafe creme", "Jalapeno": "JALAPEÑO", "Ångström Müsli": "angstrom musli", "Zażółć": "zazolc",
    "Straße": "STRASSE", "Grosse": "große", "Smørrebrød": "smorrebrod", "Ærø": "aero", "Łódź": "lodz",
    "Filter m³": "m3", "Cœur": "coeur", "日本語テスト": "日本", "Ноутбук": "НОУТ", "한국어": "한국어",
    "हिन्दी": "हिन्दी", "עברית": "עברית",
    "İstanbul": "istanbul",
} | {f"q{letter}{ord(letter)}": f"Q{plain}{ord(letter)}" for letter, plain in PLAIN.items()}  # fmt: skip


def test_a_word_is_found_with_and_without_its_accents(client):
    for number, name in enumerate(SPELLINGS):
        factories.product(name, sku=f"S-{number}", description="")
    for name, q in SPELLINGS.items():
        assert (names(client, q), names(client, name)) == ([name], [name])


def test_the_longest_texts_have_room_in_the_index(client):
    factories.product(("a! " * 67)[:199], sku="S", description=(" 1" * 2500))
    factories.product("w" * 200, sku="L", description="é" * 5000)
    assert len(names(client, "a 1")) == 1
    assert names(client, "A! a") == names(client, "S") == [("a! " * 67)[:199]]
    assert names(client, "L") == ["w" * 200]


class TestOrder:
    def test_what_fits_best_comes_first_and_equals_come_by_name(self, client):
        factories.product("Zebra lamps", sku="A", description="")
        factories.product("Desk lamp", sku="B", description="")
        factories.product("Bulb", sku="C", description="for any lamp")
        factories.product("An old lamp", sku="D", description="lamp lamp lamp")
        factories.product("Torch", sku="lamp", description="")
        factories.product("Candle", sku="LAMP-2", description="")
        assert names(client, "lamp") == ["Torch", "Candle", "An old lamp", "Desk lamp", "Zebra lamps", "Bulb"]

    def test_of_several_words_the_name_may_have_some(self, client):
        factories.product("Alpha", sku="A", description="a red lamp")
        factories.product("Beta red", sku="B", description="a lamp")
        factories.product("Gamma red lamp", sku="C", description="")
        factories.product("Delta red lampshade", sku="D", description="")
        assert names(client, "red lamp") == ["Gamma red lamp", "Delta red lampshade", "Beta red", "Alpha"]

    def test_pages_neither_repeat_nor_leave_out_and_the_same_page_is_the_same(self, client):
        factories.many_products(range(1, 46))
        pages = [search(client, "p", page=page, per_page=10).json for page in (1, 2, 3, 4, 5)]
        found = [product["id"] for page in pages for product in page["data"]]
        assert sorted(found) == list(range(1, 46))
        assert [len(page["data"]) for page in pages] == [10, 10, 10, 10, 5]
        assert [page["meta"]["pages"] for page in pages] == [5] * 5
        assert search(client, "p", page=2, per_page=10).json == pages[1]
        assert names(client, "p", page=6, per_page=10) == []


class TestCodes:
    def test_a_product_is_found_by_a_code_and_by_its_beginning_in_small_letters_too(self, client):
        factories.product("Keyboard", sku="KB-1")
        factories.product("Other", sku="XKB-1")
        for q in ("KB-1", " KB-1 ", "kb-1", "KB-", "kb"):
            assert (q, names(client, q)) == (q, ["Keyboard"])

    def test_the_exact_code_comes_before_longer_ones(self, client):
        for name, code in {"A": "KB-11", "B": "KB-1", "C": "kb-1", "D": "KB-1.2"}.items():
            factories.product(name, sku=code)
        assert names(client, "KB-1") == ["B", "A", "C", "D"]
        assert names(client, "kb-1") == ["C", "A", "B", "D"]

    def test_no_character_stands_for_another(self, client):
        factories.product("One", sku="AB1")
        for q in ("A_1", "A%", "A.1", "A_", "%", "_", "*", "A?1", "[A]", "A~", "A:", "B1"):
            assert (q, names(client, q)) == (q, [])

    def test_of_several_skus_one_is_enough_and_the_product_comes_once(self, client):
        product = factories.product("T-shirt", sku="T-S")
        for code in ("T-M", "T-L"):
            client.post(SKUS, json={"catalog_product_id": product, "sku_code": code, "price": "1"})
        assert names(client, "T-") == names(client, "T-L") == ["T-shirt"]
        assert [sku["sku_code"] for sku in search(client, "T-M").json["data"][0]["skus"]] == ["T-S", "T-M", "T-L"]

    def test_a_barcode_is_found_in_every_form_of_it_and_not_in_part(self, client):
        factories.product("Soup", sku="A", barcode="042100005264")
        factories.product("Pen", sku="B", barcode="4006381333931")
        for q in ("042100005264", "0042100005264", "04252614", " 042100005264 "):
            assert (q, names(client, q)) == (q, ["Soup"])
        for q in ("042100005265", "42100005264", "0421000052", "4252614"):
            assert (q, names(client, q)) == (q, [])


class TestWhatIsGone:
    def test_a_deleted_product_is_not_found_until_it_is_restored(self, client):
        product = factories.product("Radio", sku="R-1", barcode="4006381333931")
        client.delete(f"{PRODUCTS}{product}")
        for q in ("radio", "R-1", "R", "4006381333931"):
            assert names(client, q) == []
            assert meta(client, q)["total"] == 0
        client.post(f"{PRODUCTS}{product}/restore")
        assert names(client, "radio") == names(client, "R-1") == names(client, "4006381333931") == ["Radio"]

    def test_a_deleted_sku_finds_its_product_by_words_alone(self, client):
        product = factories.product("Radio", sku="R-1", barcode="4006381333931")
        client.post(SKUS, json={"catalog_product_id": product, "sku_code": "Q-2", "price": "1"})
        client.delete(f"{SKUS}R-1")
        assert names(client, "R-1") == names(client, "4006381333931") == []
        assert names(client, "radio") == names(client, "Q-2") == ["Radio"]
        assert [sku["sku_code"] for sku in search(client, "radio").json["data"][0]["skus"]] == ["Q-2"]

    def test_words_are_found_as_they_are_now(self, client):
        product = factories.product("Radio", description="portable")
        client.put(f"{PRODUCTS}{product}", json={"name": "Wireless", "description": "mains", "version": 1})
        assert names(client, "radio") == names(client, "portable") == []
        assert names(client, "wireless") == names(client, "mains") == ["Wireless"]
        client.put(f"{PRODUCTS}{product}", json={"attributes": {"color": "red"}, "version": 2})
        assert names(client, "wireless") == ["Wireless"]


class TestFacets:
    @pytest.fixture
    def shop(self, app):
        """Audio above Speakers and Headphones, with one, three and two products; one more is in no category."""
        audio = factories.category("Audio")
        made = {"audio": audio, "speakers": factories.category("Speakers", audio)}
        made["phones"] = factories.category("Headphones", audio)
        for number, where in enumerate(["audio", "speakers", "speakers", "speakers", "phones", "phones", "none"]):
            factories.product(f"Thing {number}", sku=f"T-{number}", category=made.get(where))
        return made

    def test_they_count_the_whole_match_and_not_the_page(self, client, shop):
        found = meta(client, "thing", per_page=1)
        assert found == {
            "page": 1, "per_page": 1, "total": 7, "pages": 7,
            "facets": [
                {"category_id": shop["speakers"], "name": "Speakers", "count": 3},
                {"category_id": shop["phones"], "name": "Headphones", "count": 2},
                {"category_id": shop["audio"], "name": "Audio", "count": 1},
            ],
        }  # fmt: skip

    def test_a_category_stands_for_what_is_below_it_and_the_facets_stay_within(self, client, shop):
        assert meta(client, "thing", category=shop["audio"])["total"] == 6
        found = meta(client, "thing", category=shop["phones"])
        assert (found["total"], [facet["name"] for facet in found["facets"]]) == (2, ["Headphones"])
        assert names(client, "thing", category=shop["phones"]) == ["Thing 4", "Thing 5"]

    def test_in_a_category_that_is_not_there_nothing_is_found(self, client, shop):
        assert names(client, "thing", category=999) == []
        assert meta(client, "thing", category=999)["facets"] == []

    def test_the_biggest_fifty_are_told(self, client):
        for number in range(52):
            factories.product(f"Thing {number}", sku=f"T-{number}", category=factories.category(f"C {number:02}"))
        found = meta(client, "thing")
        assert (found["total"], len(found["facets"])) == (52, 50)
        assert [facet["name"] for facet in found["facets"]] == [f"C {number:02}" for number in range(50)]


class TestFlags:
    def test_they_are_false_while_there_are_no_carts_and_orders(self, client):
        factories.product("Radio")
        for query in ({}, {"user_id": "u-1"}):
            found = search(client, "radio", **query).json["data"][0]
            assert (found["in_cart"], found["previously_purchased"]) == (False, False)

    def test_one_sku_of_a_product_raises_them(self, client, monkeypatch):
        asked = []

        def history(user_id, codes):
            asked.append((user_id, sorted(codes)))
            return History(in_cart=frozenset({"R-2"}), purchased=frozenset({"L-1"}))

        monkeypatch.setattr(shoppers, "history", history)
        radio = factories.product("Radio one", sku="R-1")
        client.post(SKUS, json={"catalog_product_id": radio, "sku_code": "R-2", "price": "1"})
        factories.product("Radio two", sku="L-1")
        found = search(client, "radio", user_id="u-1").json["data"]
        assert [(row["name"], row["in_cart"], row["previously_purchased"]) for row in found] == [
            ("Radio one", True, False),
            ("Radio two", False, True),
        ]
        assert asked == [("u-1", ["L-1", "R-1", "R-2"])]
        search(client, "radio")
        assert len(asked) == 1, "nobody is asked about nobody"


# What is an operator, a quote, a wildcard or a placeholder somewhere, around words that are there.
FINDS = [
    'radio"', '"radio', "'radio'", "radio*", "*radio", "+radio", "-radio", "~radio", ">radio", "<radio", "(radio",
    "radio)", "@radio", "radio + -", "++radio", "^radio", "radio%", "radio\\", "{radio}", "{{radio}}", "`radio`",
    "[radio]", "(^|radio", "${radio}", "😀radio", "radió", "radio -one", "radio - one", "radio <one", "RADIO;--",
    "radio\u00b4", "/*radio*/", "one@radio", "%radio", "{radio one}: radio", "radio++one",
]  # fmt: skip
FINDS_NOTHING = [
    '"', '""', "'", "''; DROP TABLE products; --", "radio OR 1=1", "radio AND one", "radio NOT lamp", "NEAR(radio)",
    "NEAR", "OR", "AND NOT", "name:radio", "{name}: radio", "rowid:1", "*", "()", "+-", "radio @4", "radio^2", "%", "_",
    "\\", "\\\\", "%s", "%(q)s", ":q", "?1", "$$", "<script>", "/*", "*/", "--", "#", ";", "radio{1000000}", "😀",
    "\u0301", "½", "①", "٣", "\U00020bb7", "x" * 100, "+" * 100, '"' * 100, "あ" * 100, "radio NEAR/2 one",
    " ".join("abcdefghijklmnopqrstuvwxyz0123456789"), "radio " + "a" * 90,
]  # fmt: skip


def test_what_somebody_types_is_text_and_never_a_query(client):
    factories.product("Radio one", sku="R-1", description="")
    factories.product("Lamp", sku="L-1", description="")
    for q in FINDS:
        assert (q, names(client, q)) == (q, ["Radio one"])
    for q in FINDS_NOTHING:
        assert (q, names(client, q)) == (q, [])


@pytest.mark.parametrize(
    "query",
    [
        {}, {"q": ""}, {"q": "  "}, {"q": "x" * 101}, {"q": "a\x00b"}, {"q": "a\nb"}, {"q": "a", "category": "0"},
        {"q": "a", "category": "root"}, {"q": "a", "category": "-1"}, {"q": "a", "user_id": "a b"},
        {"q": "a", "user_id": ""}, {"q": "a", "page": "0"}, {"q": "a", "per_page": "101"}, {"q": "a", "sort": "name"},
        {"q": "a", "cursor": "abc"}, {"q": "a", "include_deleted": "true"}, {"q": ["a", "b"]},
    ],
)  # fmt: skip
def test_what_is_no_search_is_refused(client, query):
    answer = client.get(URL, query_string=query)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_query")


def test_pages_go_as_deep_as_in_every_list(client):
    assert search(client, "radio", page=100, per_page=100).status_code == 200
    answer = search(client, "radio", page=101, per_page=100)
    assert (answer.status_code, answer.json["code"], answer.json["maximum_rows"]) == (400, "page_too_deep", 10_000)


def test_it_asks_the_same_number_of_times_of_ten_products_and_of_a_thousand(client):
    def asked(**query):
        with counted() as statements:
            answer = search(client, "p", per_page=100, **query)
        return len(answer.json["data"]), answer.json["meta"]["total"], len(statements)

    factories.many_products(range(1, 11))
    assert asked(user_id="u-1") == (10, 10, 6)
    factories.many_products(range(11, 1001))
    assert asked(user_id="u-1") == (100, 1000, 6)
    with counted() as statements:
        assert names(client, "nothing like it") == []
    assert len(statements) == 1
