"""SKUs over HTTP: priced with a history, one number behind many barcodes, deleted only when nothing is left."""

from dataclasses import replace

import pytest

from app.models.api_keys import Permission
from app.repositories import skus as sku_rows
from app.services import api_keys, skus
from app.utils import context
from tests import factories
from tests.api.refusals import assert_refused, conflicts, nothing_changes
from tests.statements import counted

URL = "/api/v1/skus/"
KB, STOCK = f"{URL}KB-1", "/api/v1/inventory/KB-1"
EAN, UPC_A, UPC_E, UPC_AS_EAN = "4006381333931", "042100005264", "04252614", "0042100005264"
# Right as UPC-E and as EAN-8; the second number of each is the other reading in full.
FROM_0, FROM_0_AS_UPC_A = "01234565", "012345000065"
FROM_1, FROM_1_AS_UPC_A = "12345670", "123456000070"


@pytest.fixture
def product(app):
    return factories.product(sku=None)


def create(client, product, code="KB-2", **values):
    body = {"catalog_product_id": product, "sku_code": code, "price": "5.00", **values}
    return client.post(URL, json=body)


def show(client, code="KB-1"):
    answer = client.get(f"{URL}{code}")
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def change(client, code="KB-1", **values):
    return client.put(f"{URL}{code}", json={"version": show(client, code)["version"], **values})


def prices(client, code="KB-1"):
    rows = client.get(f"{URL}{code}/prices").json["data"]
    return [(row["old_price"], row["old_currency"], row["new_price"], row["new_currency"]) for row in rows]


class TestCreating:
    def test_a_sku_is_made_with_its_defaults_and_without_stock(self, client, product):
        answer = create(client, product)
        made = answer.json["data"]
        assert (answer.status_code, answer.headers["Location"], answer.headers["ETag"]) == (201, f"{URL}KB-2", '"1"')
        assert made == show(client, "KB-2")
        assert {name: made[name] for name in ("catalog_product_id", "price", "currency", "unit", "barcode")} == {
            "catalog_product_id": product, "price": "5.00", "currency": "USD", "unit": "each", "barcode": None,
        }  # fmt: skip
        assert client.get("/api/v1/inventory/KB-2").status_code == 404

    def test_opening_stock_is_put_where_it_is_said(self, client, product):
        factories.location("north")
        create(client, product, opening_stock=7, location="north")
        assert factories.numbers("KB-2", at="north") == (7, 0, 7)

    def test_a_code_is_given_once_also_when_its_sku_is_deleted(self, client, product):
        create(client, product)
        for deleted in (False, True):
            with nothing_changes():
                conflicts(create(client, product), "already_exists", sku_code="KB-2", deleted=deleted)
            client.delete(f"{URL}KB-2")
        assert create(client, product, "kb-2").status_code == 201

    def test_without_a_product_there_is_no_sku(self, client):
        with nothing_changes():
            refused = create(client, 999)
            assert list(assert_refused(refused, 422, "unknown_product")["errors"]) == ["catalog_product_id"]

    def test_stock_that_cannot_be_opened_leaves_no_sku(self, client, product):
        factories.stock(1, "KB-2")
        with nothing_changes():
            conflicts(create(client, product, opening_stock=5), "already_exists", product_id="KB-2")
            refused = create(client, product, "KB-3", opening_stock=5, location="nowhere")
            assert list(assert_refused(refused, 422, "unknown_location")["errors"]) == ["location"]
        assert create(client, product).status_code == 201, "stock that is there already may be named in the catalogue"

    @pytest.mark.parametrize(
        ("price", "shown"), [("12.5", "12.50"), (7, "7.00"), ("0", "0.00"), ("999999999999.99",) * 2]
    )
    def test_money_is_exact_from_end_to_end(self, client, product, price, shown):
        assert create(client, product, price=price).json["data"]["price"] == shown
        assert show(client, "KB-2")["price"] == shown


class TestPrices:
    def test_every_price_is_kept_with_who_made_it_and_when(self, client, product, time):
        create(client, product, "KB-1", price="10")
        time.forward(hours=1)
        with context.acting_as("buyer", "r-1"):
            skus.update("KB-1", {"price": sku_rows.get("KB-1").price + 5}, version=1, versions=None)
        change(client, currency="EUR")
        assert prices(client) == [
            ("15.00", "USD", "15.00", "EUR"),
            ("10.00", "USD", "15.00", "USD"),
            (None, None, "10.00", "USD"),
        ]
        told = client.get(f"{KB}/prices").json["data"][1]
        assert (told["actor"], told["request_id"], told["created_at"]) == (
            "buyer",
            "r-1",
            "2030-01-01T13:00:00.000000Z",
        )

    def test_the_same_price_again_is_no_change(self, client):
        factories.product(price="49.99")
        with nothing_changes():
            assert change(client, price="49.990"[:5], currency="USD").json["data"]["version"] == 1
        change(client, unit="pair")
        assert len(prices(client)) == 1

    def test_the_history_is_paged(self, client):
        factories.product(price="1")
        for price in range(2, 6):
            change(client, price=price)
        first = client.get(f"{KB}/prices?per_page=3").json
        rest = client.get(f"{KB}/prices?per_page=3&cursor={first['meta']['next_cursor']}").json
        assert [row["new_price"] for row in first["data"] + rest["data"]] == ["5.00", "4.00", "3.00", "2.00", "1.00"]
        assert first["meta"]["total"] == 5


class TestChanging:
    def test_what_is_given_changes_and_the_rest_stays(self, client):
        factories.product(barcode=EAN)
        changed = change(client, price="39.99", attributes={"keys": 104})
        assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
        seen = show(client)
        assert (seen["price"], seen["attributes"], seen["barcode"], seen["unit"]) == (
            "39.99",
            {"keys": 104},
            EAN,
            "each",
        )

    def test_values_that_are_there_already_write_nothing_and_keep_the_version(self, client, time):
        factories.product(barcode=EAN)
        time.forward(hours=1)
        with nothing_changes():
            same = change(client, price="49.99", currency="USD", unit=" each ", barcode=EAN, attributes={})
            assert (same.status_code, same.json["data"]["version"]) == (200, 1)

    def test_a_change_names_the_version_it_was_decided_on(self, client):
        factories.product()
        with nothing_changes():
            assert_refused(client.put(KB, json={"price": "1"}), 428, "version_required")
            conflicts(client.put(KB, json={"price": "1", "version": 7}), "version_conflict", version=1)
            for answer in (
                client.put(KB, json={"price": "1"}, headers={"If-Match": '"7"'}),
                client.delete(KB, headers={"If-Match": '"7"'}),
                client.post(f"{KB}/restore", headers={"If-Match": '"7"'}),
            ):
                conflicts(answer, "version_mismatch", 412, version=1)
            for header in ("*", 'W/"1"', "1", '"x"', ""):
                assert client.put(KB, json={"price": "1"}, headers={"If-Match": header}).status_code in {400, 412}
        assert client.put(KB, json={"price": "1"}, headers={"If-Match": '"1"'}).json["data"]["version"] == 2

    def test_code_and_product_are_for_life(self, client):
        factories.product()
        for field in ("sku_code", "catalog_product_id", "opening_stock", "archived_at"):
            with nothing_changes():
                assert assert_refused(change(client, **{field: 1}), 422, "validation_failed")["errors"] == {
                    field: ["Unknown field."]
                }


class TestBarcodes:
    def test_one_number_belongs_to_one_sku_however_it_is_written(self, client, product):
        create(client, product, "A", barcode=UPC_E)
        for text in (UPC_E, UPC_A, UPC_AS_EAN):
            with nothing_changes():
                conflicts(create(client, product, "B", barcode=text), "already_exists", sku_code="A")
        create(client, product, "B")
        with nothing_changes():
            conflicts(change(client, "B", barcode=UPC_A), "already_exists", sku_code="A")
        assert show(client, "A")["barcode"] == UPC_E

    def test_its_own_number_may_be_written_in_another_way(self, client, product):
        create(client, product, "A", barcode=UPC_E)
        assert change(client, "A", barcode=UPC_A).json["data"]["barcode"] == UPC_A

    def test_eight_digits_right_both_ways_are_a_upc_when_they_begin_with_0_and_else_an_ean(self, client, product):
        create(client, product, "ZERO", barcode=FROM_0)
        create(client, product, "ONE", barcode=FROM_1)
        conflicts(create(client, product, "X", barcode=FROM_0_AS_UPC_A), "already_exists", sku_code="ZERO")
        assert create(client, product, "Y", barcode=FROM_1_AS_UPC_A).status_code == 201

    def test_a_barcode_taken_away_is_free(self, client, product):
        create(client, product, "A", barcode=EAN)
        change(client, "A", barcode=None)
        assert create(client, product, "B", barcode=EAN).status_code == 201

    def test_a_deleted_skus_barcode_may_be_taken_and_then_it_cannot_come_back_with_it(self, client, product):
        create(client, product, "A", barcode=EAN)
        client.delete(f"{URL}A")
        assert show(client, "A")["barcode"] == EAN
        create(client, product, "B", barcode=EAN)
        with nothing_changes():
            conflicts(client.post(f"{URL}A/restore"), "already_exists", sku_code="B")
        change(client, "B", barcode=None)
        assert client.post(f"{URL}A/restore").json["data"]["barcode"] == EAN
        with nothing_changes():
            conflicts(change(client, "B", barcode=EAN), "already_exists", sku_code="A")

    @pytest.mark.parametrize(
        "barcode", ["4006381333932", "", "123", "14006381333938", "4006381333931\n", "\ud800", "x" * 9999]
    )
    def test_what_is_no_barcode_is_refused(self, client, product, barcode):
        create(client, product, "A")
        with nothing_changes():
            for answer in (create(client, product, barcode=barcode), change(client, "A", barcode=barcode)):
                assert list(assert_refused(answer, 422, "invalid_barcode")["errors"]) == ["barcode"]

    @pytest.mark.parametrize("barcode", [4006381333931, True, [], {}])
    def test_a_barcode_is_text(self, client, product, barcode):
        with nothing_changes():
            refused = assert_refused(create(client, product, barcode=barcode), 422, "validation_failed")
            assert list(refused["errors"]) == ["barcode"]


class TestDeleting:
    def test_a_sku_without_stock_goes_and_its_empty_items_are_archived_with_it(self, client):
        factories.product(stock=0)
        gone = client.delete(KB).json["data"]
        assert (gone["archived_at"], gone["version"]) == ("2030-01-01T12:00:00.000000Z", 2)
        assert client.get(STOCK).json["data"]["archived"] is True
        refused = client.post(f"{STOCK}/adjust", json={"quantity": 5, "movement_type": "inbound"})
        assert_refused(refused, 409, "item_archived")

    def test_it_comes_back_with_the_items_that_were_archived_with_it(self, client, time):
        for place in ("north", "south", "closed"):
            factories.location(place)
        factories.product(stock=0)
        for place in ("north", "south", "closed"):
            factories.stock(0, at=place)
        client.delete(f"{STOCK}?location=north")
        time.forward(seconds=1)
        client.delete(KB)
        assert client.delete("/api/v1/locations/closed").status_code == 200
        back = client.post(f"{KB}/restore").json["data"]
        assert (back["archived_at"], back["version"]) == (None, 3)
        places = client.get(STOCK).json["data"]["locations"]
        assert [place["location"] for place in places] == ["default", "south"]
        with nothing_changes():
            assert client.post(f"{KB}/restore").json["data"]["version"] == 3

    def test_stock_anywhere_keeps_it(self, client):
        factories.location("north")
        factories.product(stock=0)
        factories.stock(3, at="north")
        factories.hold(2)
        with nothing_changes():
            conflicts(client.delete(KB), "sku_in_use", sku_codes=["KB-1"], quantity=3, reserved_quantity=2,
                      locations=["north"])  # fmt: skip

    def test_units_that_lapsed_holds_still_occupy_are_counted_as_given_back(self, client, time):
        factories.product(stock=2)
        factories.hold(2, ttl=60)
        time.forward(seconds=60)
        conflicts(client.delete(KB), "sku_in_use", quantity=2, reserved_quantity=0)
        assert show(client)["archived_at"] is None

    def test_a_deleted_one_is_shown_and_neither_changed_nor_deleted(self, client):
        factories.product()
        client.delete(KB)
        assert show(client)["archived_at"] is not None
        with nothing_changes():
            for answer in (client.delete(KB), client.put(KB, json={"price": "1", "version": 2})):
                assert assert_refused(answer, 404, "sku_not_found")["deleted"] is True


class TestReading:
    def test_lists_are_by_code_of_all_or_of_one_product(self, client, product):
        other = factories.product("Mouse", sku="M-1")
        for code in ("KB-3", "KB-1", "kb-2"):
            create(client, product, code)
        client.delete(f"{URL}KB-3")

        def codes(query=""):
            return [row["sku_code"] for row in client.get(f"{URL}{query}").json["data"]]

        assert codes() == ["KB-1", "M-1", "kb-2"]
        assert codes(f"?catalog_product_id={product}") == ["KB-1", "kb-2"]
        assert codes(f"?catalog_product_id={product}&include_deleted=true") == ["KB-1", "KB-3", "kb-2"]
        assert (codes(f"?catalog_product_id={other}"), codes("?catalog_product_id=999")) == (["M-1"], [])
        first = client.get(f"{URL}?per_page=2").json["meta"]
        assert (first["total"], first["pages"], codes(f"?per_page=2&cursor={first['next_cursor']}")) == (3, 2, ["kb-2"])

    def test_what_is_not_there_is_not_found(self, client):
        calls = (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/restore"), ("GET", "/prices"))
        for method, path in calls:
            body = {"price": "1", "version": 1} if method == "PUT" else None
            answer = client.open(f"{URL}NOBODY{path}", method=method, json=body)
            assert assert_refused(answer, 404, "sku_not_found")["sku_code"] == "NOBODY"

    def test_a_list_asks_the_same_number_of_times_of_ten_products_and_of_a_thousand(self, client):
        def asked(query):
            with counted() as statements:
                rows = client.get(f"{URL}{query}").json["data"]
            return len(rows), len(statements)

        factories.many_products(range(1, 11))
        assert (asked("?per_page=100"), asked("?catalog_product_id=1")) == ((20, 2), (2, 2))
        factories.many_products(range(11, 1001))
        assert (asked("?per_page=100"), asked("?catalog_product_id=1")) == ((100, 2), (2, 2))

    def test_a_long_history_of_prices_asks_as_often_as_a_short_one(self, client, product):
        def asked():
            with counted() as statements:
                rows = client.get(f"{URL}KB-1/prices?per_page=100").json["data"]
            return len(rows), len(statements)

        create(client, product, "KB-1")
        assert asked() == (1, 3)
        for version in range(1, 41):
            assert change(client, price=f"{version + 5}.00").status_code == 200
        assert asked() == (41, 3)

    def test_many_are_found_by_one_statement(self, app):
        factories.many_products(range(1, 101))
        with counted() as statements:
            found = sku_rows.find_many([f"S-{n}-1" for n in range(1, 101)] + ["NOBODY"])
        assert (len(found), len(statements), found["S-7-1"].catalog_product_id) == (100, 1, 7)
        assert sku_rows.find_many([]) == {}


class TestDetails:
    """What `GET /inventory/{product_id}` says of the product without a product service."""

    def details(self, client):
        return client.get(STOCK).json["data"]["product"]

    def test_they_come_from_the_catalogue(self, client):
        inputs = factories.category("Inputs", factories.category("Computers"))
        product = factories.product(
            category=inputs, barcode=EAN, stock=5, description="Loud", attributes={"keys": 104, "colour": "black"}
        )
        change(client, attributes={"colour": "red", "size": "L"})
        assert self.details(client) == {
            "sku_code": "KB-1",
            "catalog_product_id": product,
            "name": "Keyboard",
            "description": "Loud",
            "category": {"id": inputs, "name": "Inputs", "path": ["Computers", "Inputs"]},
            "price": "49.99",
            "currency": "USD",
            "unit": "each",
            "barcode": EAN,
            "attributes": {"keys": 104, "colour": "red", "size": "L"},
        }

    def test_without_a_category_and_without_a_product(self, client):
        factories.stock(1)
        assert self.details(client) is None
        factories.product()
        assert (self.details(client)["category"], self.details(client)["attributes"]) == (None, {})

    def test_every_change_of_the_catalogue_is_seen_at_once_and_a_304_stands_for_what_was_seen(self, client):
        inputs = factories.category("Inputs")
        product = factories.product(category=inputs, stock=5)
        seen = client.get(STOCK)
        assert seen.headers["ETag"].startswith('"1-')
        assert client.get(STOCK).headers["X-Cache"] == "hit"
        rename = {"name": "New", "version": 1}
        steps = [
            (lambda: change(client, price="1.00"), lambda said: said["price"], "1.00"),
            (lambda: client.put(f"/api/v1/products/{product}", json=rename), lambda said: said["name"], "New"),
            (
                lambda: client.put(f"/api/v1/categories/{inputs}", json=rename),
                lambda said: said["category"]["name"],
                "New",
            ),
        ]
        for act, told, expected in steps:
            assert act().status_code == 200
            again = client.get(STOCK, headers={"If-None-Match": seen.headers["ETag"]})
            assert (again.status_code, told(again.json["data"]["product"])) == (200, expected)
            assert client.get(STOCK, headers={"If-None-Match": again.headers["ETag"]}).status_code == 304
            seen = again

    def test_an_etag_of_changed_details_still_names_the_version_of_the_stock(self, client):
        factories.product(stock=5)
        change(client, price="1.00")
        tag = client.get(STOCK).headers["ETag"]
        assert tag.startswith('"1-')
        counted = client.put(STOCK, json={"quantity": 4, "location": "default"}, headers={"If-Match": tag})
        assert (counted.status_code, counted.headers["ETag"]) == (200, '"2"')
        assert client.get(STOCK).headers["ETag"].startswith('"2-')

    def test_what_came_into_the_catalogue_after_its_stock_is_told_to_who_knew_only_the_stock(self, client):
        factories.stock(5)
        seen = client.get(STOCK)
        assert seen.headers["ETag"] == '"1"'
        factories.product()
        again = client.get(STOCK, headers={"If-None-Match": seen.headers["ETag"]})
        assert (again.status_code, again.json["data"]["product"]["name"]) == (200, "Keyboard")

    @pytest.mark.parametrize("deleted", ["sku", "product"])
    def test_a_deleted_one_has_none_until_it_is_back(self, client, deleted):
        product = factories.product(stock=0)
        url = KB if deleted == "sku" else f"/api/v1/products/{product}"
        seen = client.get(STOCK)
        client.delete(url)
        gone = client.get(STOCK, headers={"If-None-Match": seen.headers["ETag"]})
        assert (gone.status_code, gone.json["data"]["product"]) == (200, None)
        client.post(f"{url}/restore")
        assert self.details(client)["name"] == "Keyboard"


class TestPermissions:
    @pytest.fixture
    def guarded(self, app, client, monkeypatch):
        monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], require_api_key=True))

        def call(method, path, body, *scopes):
            secret = api_keys.create("caller", list(scopes)).secret
            answer = client.open(f"/api/v1{path}", method=method, json=body, headers={"X-API-Key": secret})
            return answer.status_code

        return call

    def test_the_catalogue_is_read_and_written_under_permissions_of_their_own(self, guarded):
        body = {"name": "Lamp"}
        assert guarded("POST", "/products/", body, Permission.STOCK_READ, Permission.STOCK_WRITE) == 403
        assert guarded("POST", "/products/", body, Permission.CATALOG_WRITE) == 201
        assert guarded("GET", "/products/", None, Permission.CATALOG_WRITE) == 403
        assert guarded("GET", "/skus/", None, Permission.STOCK_READ) == 200

    def test_opening_stock_needs_the_permission_to_change_stock_as_well(self, guarded, app):
        product = factories.product(sku=None)
        sku = {"sku_code": "KB-1", "price": "1", "opening_stock": 5}
        for path, body in (
            ("/skus/", sku | {"catalog_product_id": product}),
            ("/products/", {"name": "x", "skus": [sku]}),
        ):
            assert guarded("POST", path, body, Permission.CATALOG_WRITE) == 403
        assert (
            guarded(
                "POST", "/products/", {"name": "x", "skus": [sku]}, Permission.CATALOG_WRITE, Permission.STOCK_WRITE
            )
            == 201
        )
        assert factories.numbers() == (5, 0, 5)


def test_under_an_idempotency_key_a_product_is_made_once(client):
    body = {"name": "Lamp", "skus": [{"sku_code": "L-1", "price": "1", "opening_stock": 5}]}
    first, second = (client.post("/api/v1/products/", json=body, headers={"Idempotency-Key": "k-1"}) for _ in range(2))
    assert (first.status_code, second.status_code, second.headers["Idempotent-Replayed"]) == (201, 201, "true")
    assert first.json == second.json
    assert factories.numbers("L-1") == (5, 0, 5)
