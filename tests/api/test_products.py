"""Products over HTTP: made with SKUs and stock in one go, changed, taken off sale whole and brought back whole."""

import pytest

from app.repositories import products as product_rows
from app.services import products
from tests import factories
from tests.api.refusals import assert_refused, conflicts, nothing_changes
from tests.statements import counted

URL = "/api/v1/products/"
EAN, UPC_A, UPC_E = "4006381333931", "042100005264", "04252614"


def row(code, price="19.99", **more):
    return {"sku_code": code, "price": price, **more}


def create(client, **values):
    return client.post(URL, json={"name": "T-shirt", **values})


def show(client, product_id):
    answer = client.get(f"{URL}{product_id}")
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def change(client, product_id, **values):
    return client.put(f"{URL}{product_id}", json={"version": show(client, product_id)["version"], **values})


def names(answer):
    assert answer.status_code == 200, answer.text
    return [product["name"] for product in answer.json["data"]]


class TestCreating:
    def test_one_call_makes_a_sellable_thing_with_stock(self, client):
        tops = factories.category("Tops", factories.category("Clothes"))
        small = row("T-S", "19.9", barcode=EAN, attributes={"size": "S"}, opening_stock=40)
        answer = create(client, name=" T-shirt ", description="Plain", category_id=tops, attributes={"cut": "slim"},
                        skus=[small, row("T-M", 20, currency="EUR", unit="pair")])  # fmt: skip
        made = answer.json["data"]
        assert (answer.status_code, answer.headers["Location"]) == (201, f"{URL}{made['id']}")
        assert answer.headers["ETag"] == '"1"'
        assert made == show(client, made["id"])
        assert (made["name"], made["description"], made["attributes"]) == ("T-shirt", "Plain", {"cut": "slim"})
        assert made["category"] == {"id": tops, "name": "Tops", "path": ["Clothes", "Tops"]}
        first, second = made["skus"]
        assert (first["sku_code"], first["price"], first["currency"], first["unit"], first["barcode"]) == (
            "T-S", "19.90", "USD", "each", EAN,
        )  # fmt: skip
        assert (second["price"], second["currency"], second["unit"], second["barcode"]) == (
            "20.00",
            "EUR",
            "pair",
            None,
        )
        assert {sku["catalog_product_id"] for sku in made["skus"]} == {made["id"]}
        assert factories.numbers("T-S") == (40, 0, 40)
        assert client.get("/api/v1/inventory/T-M").status_code == 404
        [opening] = factories.movements(client, "T-S")
        assert (opening["movement_type"], opening["reason"]) == ("inbound", "opening stock")

    def test_a_product_needs_no_more_than_a_name(self, client):
        made = create(client).json["data"]
        assert (made["description"], made["category"], made["category_id"], made["attributes"], made["skus"]) == (
            "", None, None, {}, [],
        )  # fmt: skip

    def test_opening_stock_of_none_makes_an_empty_item_and_leaving_it_out_makes_no_item(self, client):
        create(client, skus=[row("EMPTY", opening_stock=0), row("NONE")])
        assert factories.numbers("EMPTY") == (0, 0, 0)
        assert client.get("/api/v1/inventory/NONE").status_code == 404

    @pytest.mark.parametrize(
        ("spoilt", "code"),
        [
            (row("KB-1"), "already_exists"),
            (row("NEW-2", barcode=EAN), "already_exists"),
            (row("NEW-1"), "already_exists"),
            (row("STOCKED", opening_stock=1), "already_exists"),
        ],
    )
    def test_one_sku_that_cannot_be_leaves_nothing_of_all(self, client, spoilt, code):
        factories.product(barcode=EAN)
        factories.stock(5, "STOCKED")
        with nothing_changes():
            assert_refused(create(client, skus=[row("NEW-1", opening_stock=3), spoilt]), 409, code)

    @pytest.mark.parametrize(
        ("spoilt", "code", "field"),
        [
            (row("NEW-2", barcode="4006381333932"), "invalid_barcode", "barcode"),
            (row("NEW-2", opening_stock=1, location="nowhere"), "unknown_location", "location"),
        ],
    )
    def test_what_is_wrong_with_one_sku_is_said_of_that_sku(self, client, spoilt, code, field):
        with nothing_changes():
            problem = assert_refused(create(client, skus=[row("NEW-1", opening_stock=3), spoilt]), 422, code)
        assert (list(problem["errors"]["skus"]["1"]), problem["sku_code"]) == ([field], "NEW-2")

    def test_one_number_written_in_two_ways_is_one_barcode(self, client):
        with nothing_changes():
            refused = create(client, skus=[row("A", barcode=UPC_E), row("B", barcode=UPC_A)])
            conflicts(refused, "already_exists", sku_code="A", gtin="00042100005264")

    def test_below_a_category_that_is_not_there_or_deleted_nothing_is_made(self, client):
        gone = factories.category("Gone")
        client.delete(f"/api/v1/categories/{gone}")
        for category_id in (999, gone):
            with nothing_changes():
                refused = create(client, category_id=category_id)
                assert list(assert_refused(refused, 422, "unknown_category")["errors"]) == ["category_id"]

    def test_a_hundred_skus_at_most(self, client):
        with nothing_changes():
            assert_refused(create(client, skus=[row(f"S-{n}") for n in range(101)]), 422, "validation_failed")
        assert len(create(client, skus=[row(f"S-{n}") for n in range(100)]).json["data"]["skus"]) == 100

    def test_words_are_stored_as_they_are_but_for_composed_accents(self, client):
        made = create(client, name="Cafe\u0301 <b>'; DROP TABLE</b> 😀", description="a\nb").json["data"]
        assert (made["name"], made["description"]) == ("Café <b>'; DROP TABLE</b> 😀", "a\nb")


class TestChanging:
    def test_what_is_given_changes_and_the_rest_stays(self, client):
        product_id = factories.product(description="Loud", attributes={"keys": 104})
        games = factories.category("Games")
        changed = change(client, product_id, name="Keyboard 2", category_id=games)
        assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
        seen = show(client, product_id)
        assert (seen["name"], seen["description"], seen["attributes"]) == ("Keyboard 2", "Loud", {"keys": 104})
        assert (seen["category"]["name"], seen["skus"][0]["version"]) == ("Games", 1)
        emptied = change(client, product_id, category_id=None, description="").json["data"]
        assert (emptied["category"], emptied["description"], emptied["version"]) == (None, "", 3)

    def test_values_that_are_there_already_write_nothing_and_keep_the_version(self, client, time):
        games = factories.category("Games")
        product_id = factories.product(category=games, description="Loud", attributes={"a": 1, "b": [1.0, True]})
        time.forward(hours=1)
        with nothing_changes():
            same = change(client, product_id, name=" Keyboard ", description="Loud", category_id=games,
                          attributes={"b": [1.0, True], "a": 1})  # fmt: skip
        assert (same.status_code, same.json["data"]["version"]) == (200, 1)

    @pytest.mark.parametrize("attributes", [{"a": True}, {"a": 1.0}, {"a": "1"}, {}])
    def test_what_python_takes_for_equal_is_a_change_all_the_same(self, client, attributes):
        product_id = factories.product(attributes={"a": 1})
        changed = change(client, product_id, attributes=attributes).json["data"]
        assert changed["version"] == 2
        assert repr(changed["attributes"]) == repr(attributes)

    def test_a_change_names_the_version_it_was_decided_on(self, client):
        url = f"{URL}{factories.product()}"
        with nothing_changes():
            assert_refused(client.put(url, json={"name": "x"}), 428, "version_required")
            conflicts(client.put(url, json={"name": "x", "version": 7}), "version_conflict", version=1)
            stale = client.put(url, json={"name": "x"}, headers={"If-Match": '"7"'})
            conflicts(stale, "version_mismatch", 412, version=1)
            for header in ("*", 'W/"1"', "1", '"x"', ""):
                assert client.put(url, json={"name": "x"}, headers={"If-Match": header}).status_code in {400, 412}
            for delete in (client.delete(url, headers={"If-Match": '"7"'}),
                           client.post(f"{url}/restore", headers={"If-Match": '"7"'})):  # fmt: skip
                conflicts(delete, "version_mismatch", 412, version=1)
        assert client.put(url, json={"name": "x"}, headers={"If-Match": '"1"'}).json["data"]["version"] == 2

    def test_a_category_that_is_not_there_changes_nothing(self, client):
        product_id = factories.product()
        with nothing_changes():
            assert_refused(change(client, product_id, name="x", category_id=999), 422, "unknown_category")


class TestDeleting:
    def test_a_product_goes_with_its_skus_and_comes_back_with_them(self, client):
        product_id = factories.product(barcode=EAN, stock=0)
        gone = client.delete(f"{URL}{product_id}")
        assert (gone.status_code, gone.headers["ETag"]) == (200, '"2"')
        seen = show(client, product_id)
        assert seen["archived_at"] is not None
        assert seen["archived_at"] == seen["skus"][0]["archived_at"]
        assert names(client.get(URL)) == []
        assert names(client.get(f"{URL}?include_deleted=true")) == ["Keyboard"]
        back = client.post(f"{URL}{product_id}/restore").json["data"]
        assert (back["archived_at"], back["version"]) == (None, 3)
        assert [(sku["archived_at"], sku["version"], sku["barcode"]) for sku in back["skus"]] == [(None, 3, EAN)]
        assert factories.numbers() == (0, 0, 0)
        assert client.post(f"{URL}{product_id}/restore").json["data"]["version"] == 3

    def test_a_sku_that_was_deleted_before_stays_deleted(self, client, time):
        product_id = factories.product()
        client.post("/api/v1/skus/", json={"catalog_product_id": product_id, **row("KB-2")})
        client.delete("/api/v1/skus/KB-2")
        time.forward(seconds=1)
        client.delete(f"{URL}{product_id}")
        assert [sku["sku_code"] for sku in show(client, product_id)["skus"]] == ["KB-1"]
        back = client.post(f"{URL}{product_id}/restore").json["data"]
        assert [sku["sku_code"] for sku in back["skus"]] == ["KB-1"]

    def test_one_sku_in_use_keeps_the_product_whole(self, client):
        product_id = factories.product(sku=None)
        for code, units in (("A", 0), ("B", 3), ("C", 2)):
            client.post("/api/v1/skus/", json={"catalog_product_id": product_id, "opening_stock": units, **row(code)})
        factories.hold(2, "B")
        with nothing_changes():
            conflicts(client.delete(f"{URL}{product_id}"), "sku_in_use", sku_codes=["B", "C"], quantity=5,
                      reserved_quantity=2, locations=["default"])  # fmt: skip

    def test_a_deleted_one_is_neither_changed_nor_deleted_nor_sold_as_more(self, client):
        product_id = factories.product()
        url = f"{URL}{product_id}"
        client.delete(url)
        with nothing_changes():
            for answer in (client.delete(url), client.put(url, json={"name": "x", "version": 2})):
                assert assert_refused(answer, 404, "product_not_found")["deleted"] is True
            refused = client.post("/api/v1/skus/", json={"catalog_product_id": product_id, **row("KB-2")})
            assert_refused(refused, 422, "unknown_product")
            restored = client.post("/api/v1/skus/KB-1/restore")
            conflicts(restored, "parent_deleted", catalog_product_id=product_id)

    def test_it_does_not_come_back_into_a_deleted_category(self, client):
        games = factories.category("Games")
        product_id = factories.product(category=games)
        client.delete(f"{URL}{product_id}")
        assert client.delete(f"/api/v1/categories/{games}").status_code == 200
        with nothing_changes():
            conflicts(client.post(f"{URL}{product_id}/restore"), "parent_deleted", category_id=games)

    def test_it_does_not_come_back_while_another_has_its_barcode(self, client):
        product_id = factories.product(barcode=UPC_A)
        client.delete(f"{URL}{product_id}")
        factories.product(sku="KB-2", barcode=UPC_E)
        with nothing_changes():
            conflicts(client.post(f"{URL}{product_id}/restore"), "already_exists", sku_code="KB-2")

    def test_a_category_with_a_live_product_is_not_deleted(self, client):
        games = factories.category("Games")
        factories.product(category=games)
        conflicts(client.delete(f"/api/v1/categories/{games}"), "category_in_use", products=1, categories=[games])


class TestReading:
    @pytest.fixture
    def shelf(self, app, time):
        """Audio above Headphones; a speaker in the one, buds in the other, and a lamp in none."""
        audio = factories.category("Audio")
        phones = factories.category("Headphones", audio)
        made = {}
        for name, category in (("speaker", audio), ("Buds", phones), ("Lamp 100%", None)):
            made[name] = factories.product(name, sku=name[:4], category=category)
            time.forward(seconds=1)
        return made | {"audio": audio, "phones": phones}

    def test_lists_are_sorted_without_minding_case(self, client, shelf):
        assert names(client.get(URL)) == ["Buds", "Lamp 100%", "speaker"]
        assert names(client.get(f"{URL}?sort=-name")) == ["speaker", "Lamp 100%", "Buds"]
        assert names(client.get(f"{URL}?sort=created_at")) == ["speaker", "Buds", "Lamp 100%"]
        assert names(client.get(f"{URL}?sort=-created_at")) == ["Lamp 100%", "Buds", "speaker"]

    @pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
    def test_by_cursor_every_product_comes_once_and_in_order(self, client, app, sort):
        for number, name in enumerate(["b", "A", "c", "B", "a", "C", "b"]):
            factories.product(name, sku=f"S-{number}")
        whole = [each["id"] for each in client.get(f"{URL}?sort={sort}").json["data"]]
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = client.get(f"{URL}?sort={sort}&per_page=2{cursor and f'&cursor={cursor}'}").json
            seen += [each["id"] for each in page["data"]]
            cursor = page["meta"]["next_cursor"]
        assert (len(whole), seen) == (7, whole)

    def test_a_category_stands_for_all_below_it(self, client, shelf):
        assert names(client.get(f"{URL}?category={shelf['audio']}")) == ["Buds", "speaker"]
        assert names(client.get(f"{URL}?category={shelf['phones']}")) == ["Buds"]
        assert names(client.get(f"{URL}?category=999")) == []

    def test_deleted_products_of_a_deleted_category_are_found_when_asked_for(self, client, shelf):
        client.delete(f"{URL}{shelf['Buds']}")
        client.delete(f"/api/v1/categories/{shelf['phones']}")
        url = f"{URL}?category={shelf['audio']}"
        assert names(client.get(url)) == ["speaker"]
        assert names(client.get(f"{url}&include_deleted=true")) == ["Buds", "speaker"]

    @pytest.mark.parametrize(
        ("q", "found"),
        [("BUD", ["Buds"]), ("%", ["Lamp 100%"]), ("_", []), ("\\", []), ("p", ["Lamp 100%", "speaker"])],
    )
    def test_q_are_characters_of_the_name_that_stand_for_themselves(self, client, shelf, q, found):
        assert names(client.get(URL, query_string={"q": q})) == found

    def test_what_is_not_there_is_not_found(self, client):
        for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/restore")):
            answer = client.open(f"{URL}999{path}", method=method, json={"name": "x", "version": 1})
            assert assert_refused(answer, 404, "product_not_found")["catalog_product_id"] == 999

    def test_a_renamed_category_is_seen_at_once(self, client, shelf):
        client.put(f"/api/v1/categories/{shelf['audio']}", json={"name": "Sound", "version": 1})
        assert show(client, shelf["Buds"])["category"]["path"] == ["Sound", "Headphones"]


class TestStatements:
    QUERIES = ("", "?sort=-created_at&include_deleted=true", "?q=p", "?category=1")

    def asked(self, client):
        """Of each of the lists: how many rows it has, and how many statements it took."""
        found = {}
        for query in self.QUERIES:
            with counted() as statements:
                answer = client.get(f"{URL}{query}{'&' if query else '?'}per_page=100")
            found[query] = (len(answer.json["data"]), len(statements))
        return found

    def test_a_list_asks_the_same_number_of_times_of_ten_products_and_of_a_thousand(self, client):
        factories.many_products(range(1, 11))
        few = self.asked(client)
        factories.many_products(range(11, 1001))
        lots = self.asked(client)
        assert list(few.values()) == [(10, 5), (10, 5), (10, 5), (1, 6)]
        assert list(lots.values()) == [(100, 5), (100, 5), (100, 5), (1, 6)]

    def test_views_take_four_statements_and_keep_the_order_asked_for(self, app):
        factories.many_products(range(1, 101))
        wanted = [*range(100, 0, -1), 999]
        with counted() as statements:
            views = product_rows.views(wanted)
        assert ([view["id"] for view in views], len(statements)) == (wanted[:-1], 4)
        assert [sku.sku_code for sku in views[0]["skus"]] == ["S-100-1", "S-100-2"]
        assert product_rows.views([]) == []


def test_the_service_makes_what_an_importer_knows_and_nothing_more(app):
    made = products.create({"name": "Lamp"})
    assert (made.description, made.attributes, made.category_id) == ("", {}, None)
