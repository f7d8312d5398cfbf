"""What the files of a catalogue are taken to say, and what is told of each repair."""

import gzip
import json
from decimal import Decimal

import pytest

from app.cli import catalogue_files
from app.cli.tables import UnusableFile
from app.models.imported import Content, Step

CODE_RULE = "code: Must be 1-64 of A-Z a-z 0-9 . _ : - and begin with a letter or digit."


@pytest.fixture
def read(tmp_path):
    """What a file with this content says: rows are written as JSON, text as it is."""

    def read_content(given, name="file"):
        if not isinstance(given, bytes):
            given = (given if isinstance(given, str) else json.dumps(given)).encode()
        path = tmp_path / name
        path.write_bytes(given)
        content = Content()
        catalogue_files.read(path, name, content)
        return content

    return read_content


@pytest.fixture
def one(read):
    """The one product that these values are read as."""

    def read_one(**values):
        content = read([{"id": "A"} | values])
        assert not content.bad
        [row] = content.products
        return row

    return read_one


def told(content):
    return [(remark.kind, remark.id, remark.detail) for remark in content.remarks if remark.kind != "more_columns"]


def refused(content):
    return [(row.origin.place, row.id, row.reason) for rows in content.bad.values() for row in rows]


def complaint(read, given):
    with pytest.raises(UnusableFile) as caught:
        read(given)
    return str(caught.value)


# ── Which kind of file it is ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([{"sku": "A", "price": 1}], "products"),
        ([{"id": "A", "name": "a", "category": "c"}], "products"),
        ("id,name,price\nA,a,1\n", "products"),
        ([{"id": "c", "name": "c", "path": [], "subCategories": []}], "categories"),
        ("id,name,path,path_ids\nc,c,c,c\n", "categories"),
        ("parent_id,child_id\na,b\n", "links"),
        ("id,name,city,zip\n1,S,Boston,02128\n", "stores"),
    ],
)
def test_its_columns_tell_what_a_file_is_and_packing_it_changes_nothing(read, given, kind):
    text = (given if isinstance(given, str) else json.dumps(given)).encode()
    for data in (text, gzip.compress(text), b"\xef\xbb\xbf" + text):
        content = read(data)
        found = {name for name in ("products", "categories", "links", "stores") if getattr(content, name)}
        assert found == {kind}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "it is empty"),
        ("colour,size\nred,M\n", "it is no table of products, categories or stores: its columns are colour, size"),
        ('[{"colour": "red"}]', "it is no table of products, categories or stores: its columns are colour"),
        ('{"id": "A"}', "it must be a JSON array of objects"),
        ('[{"id": "A", ]', "it is not JSON: Expecting property name enclosed in double quotes at line 1 column 14"),
        ("id,name,id\nA,a,B\n", "columns named twice: 'id'"),
        (b"id,name\nA,\xff\n", "line 2 is not UTF-8 (byte 0xff); save it as UTF-8"),
        (gzip.compress(b"[]" * 1000, mtime=0)[:20], "it cannot be unpacked: "),
    ],
)
def test_what_is_no_such_file_is_refused_in_a_sentence(read, given, said):
    assert complaint(read, given).startswith(said)


def test_what_unpacks_to_more_than_fits_is_refused(read, monkeypatch):
    monkeypatch.setattr(catalogue_files, "MAX_BYTES", 1000)
    assert complaint(read, gzip.compress(b" " * 1001)) == "it is larger than 1,000 bytes; divide it"


@pytest.mark.parametrize("column", ["price", "stock", "sku", "upc", "variant_of"])
@pytest.mark.parametrize("place", ["city", "zip"])
def test_a_table_of_things_for_sale_may_have_a_city(read, column, place):
    content = read([{"id": "A", column: 1, place: "Vienna"}])
    assert (content.stores, content.bad["stores"], content.bad["links"]) == ([], [], [])
    assert len(content.products) + len(content.bad["products"]) == 1


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("id,name,city,description", "(city) or of products (description)"),
        ("id,name,city,zip,currency,unit", "(city, zip) or of products (currency, unit)"),
        ("code,name,zip,price", "(zip) or of products (price)"),
    ],
)
def test_what_can_be_stores_and_products_is_refused(read, header, named):
    assert complaint(read, header + "\n") == f"it can be a table of stores {named}; rename one or other"


def test_too_many_rows_are_refused(read, monkeypatch):
    monkeypatch.setattr(catalogue_files, "MAX_ROWS", 2)
    assert complaint(read, [{"id": code} for code in "ABC"]) == "it has more than 2 rows; divide it"


# ── Products ─────────────────────────────────────────────────────────────────────────────────────


def test_a_product_is_read_with_all_that_it_says(one):
    row = one(
        name="Batteries", description="Four", price=5.49, category="AAA", category_path=["Home", "AAA"],
        category_ids=["h", "a"], barcode="041333424019", manufacturer="Duracell", stock=7, shipping=0,
    )  # fmt: skip
    assert row.product == {
        "name": "Batteries", "description": "Four", "attributes": {"manufacturer": "Duracell", "shipping": 0},
    }  # fmt: skip
    assert row.sku == {"price": Decimal("5.49"), "barcode": "041333424019"}
    assert (row.path, row.leaf, row.stock) == ((Step("h", "Home"), Step("a", "AAA")), None, 7)


def test_what_a_row_does_not_say_is_not_made_up(one):
    row = one(name=None, stock=None, model="")
    assert (row.product, row.sku, row.path, row.leaf, row.stock) == ({}, {}, None, None, None)


def test_the_same_product_in_csv_says_the_same(read, one):
    table = (
        "sku,name,price,category_path,category_ids,upc,manufacturer,stock\n"
        " A ,Batteries, 5.49 ,Home > AAA,h > a,041333424019,Duracell,7\n"
    )
    [row] = read(table).products
    assert (row.product, row.sku, row.path, row.stock) == (
        {"name": "Batteries", "attributes": {"manufacturer": "Duracell"}},
        {"price": Decimal("5.49"), "barcode": "041333424019"},
        (Step("h", "Home"), Step("a", "AAA")),
        7,
    )


@pytest.mark.parametrize(
    ("price", "amount"), [(0.1, "0.10"), (1148.99, "1148.99"), (3, "3.00"), ("12.5", "12.50"), (29.9, "29.90")]
)
def test_a_price_is_the_digits_that_were_written(one, price, amount):
    assert str(one(price=price).sku["price"]) == amount


@pytest.mark.parametrize("price", [1.005, -1, "-1", "1,000", "$5", "1e3", 1e30, True, "NaN"])
def test_what_is_no_exact_amount_is_refused(read, price):
    content = read([{"id": "A", "price": price}])
    reason = 'price: Must be an amount with at most two decimals, as a string such as "129.99".'
    assert (refused(content), content.products) == ([("line 1, row 1", "A", reason)], [])


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"sku": 43900}, "43900"),
        ({"sku": "A", "id": 7}, "A"),
        ({"product_id": "A"}, "A"),
        ({"id": "A", "sku": ""}, "A"),
    ],
)
def test_the_code_is_found_under_its_several_names_and_numbers_are_codes_too(read, values, code):
    assert [row.code for row in read([values]).products] == [code]


@pytest.mark.parametrize("code", [True, False, 5.0, ["A"], {"a": 1}])
@pytest.mark.parametrize("column", ["id", "sku"])
def test_only_text_and_whole_numbers_are_codes(read, column, code):
    content = read([{column: code, "name": "Lamp"}, {column: "B"}])
    assert refused(content) == [("line 1, row 1", "", f"{column}: Must be text or a whole number.")]
    assert [row.code for row in content.products] == ["B"]


def test_null_is_no_code(read):
    content = read([{"id": None, "name": "Lamp"}])
    assert (refused(content), content.products) == ([("line 1, row 1", "", CODE_RULE)], [])


def test_bad_rows_are_told_with_line_and_id_and_the_others_are_read(read):
    content = read('[\n{"id": "A"},\n{"id": "B C"},\n7,\n{"id": "products"},\n{"id": "A"}, {"name": "x"},{"id": "D"}]')
    assert refused(content) == [
        ("line 3, row 2", "B C", CODE_RULE),
        ("line 4, row 3", "", "it must be an object"),
        ("line 5, row 4", "products", "code: 'products' is a reserved word."),
        ("line 6, row 5", "A", "A is on line 2, row 1 already"),
        ("line 6, row 6", "", CODE_RULE),
    ]
    assert [row.code for row in content.products] == ["A", "D"]


def test_a_barcode_keeps_its_leading_zeros_and_gets_back_those_a_spreadsheet_took(read):
    content = read("id,barcode\nA,041333424019\nB,41333424019\n")
    assert [row.sku["barcode"] for row in content.products] == ["041333424019", "041333424019"]
    assert told(content) == [("barcode_zeros", "B", "041333424019")]
    assert read([{"id": "A", "upc": 41333424019}]).products[0].sku == {"barcode": "041333424019"}


def test_a_wrong_barcode_refuses_the_row(read):
    assert refused(read([{"id": "A", "upc": "041333424018"}])) == [
        ("line 1, row 1", "A", "barcode: The check digit is wrong.")
    ]


def test_null_takes_a_barcode_away_and_an_empty_one_says_nothing(one):
    assert one(barcode=None).sku == {"barcode": None}
    assert one(barcode="").sku == {}


# ── Text ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "meant", "kinds"),
    [
        ("Apple&#174; &amp; Co", "Apple® & Co", ["html"]),
        ("CafÃ©", "Café", ["mojibake"]),
        ("â€œquotedâ€\x9d", "“quoted”", ["mojibake"]),
        (" Mdot E3 ", "Mdot E3", ["outer_spaces"]),
        ("Don¿t", "Don¿t", ["lost_characters"]),
        ("Fees ¿ ATT", "Fees ¿ ATT", ["lost_characters"]),
        ("Fees \ufffd ATT", "Fees \ufffd ATT", ["lost_characters"]),
        ("¿Qué?", "¿Qué?", []),
        ("R&D, AT&T; 5 °C — Ünï", "R&D, AT&T; 5 °C — Ünï", []),
        ("&amp;lt;", "&lt;", ["html"]),
    ],
)
def test_text_is_made_what_was_meant_and_every_repair_is_told(read, written, meant, kinds):
    content = read([{"id": "A", "name": written, "manufacturer": written}])
    assert content.products[0].product == {"name": meant, "attributes": {"manufacturer": meant}}
    assert told(content) == [(kind, "A", meant) for kind in kinds]


def test_a_row_that_means_what_it_says_is_left_alone(read):
    content = read([{"id": "A", "name": "&lt;", "category_path": ["CafÃ©"], "verbatim": True}])
    assert (content.products[0].product, content.products[0].path) == ({"name": "&lt;"}, (Step(None, "CafÃ©"),))
    assert told(content) == []


def test_a_mark_against_formulas_is_taken_off(read):
    content = read("id,name\nA,'=SUM(1)\nB,''-x\nC,'tis\n")
    assert [row.product["name"] for row in content.products] == ["=SUM(1)", "'-x", "'tis"]


def test_columns_without_a_meaning_are_kept_and_told_once(read):
    content = read([{"id": "A", "model": "X1", "attributes": {"own": 1}}, {"id": "B", "colour": "red"}])
    assert [row.product["attributes"] for row in content.products] == [{"model": "X1", "own": 1}, {"colour": "red"}]
    assert [(remark.kind, remark.detail) for remark in content.remarks] == [("more_columns", "model, colour")]


def test_attributes_in_csv_are_json(read):
    content = read('id,attributes\nA,"{""n"": 1}"\nB,{oops\n')
    assert content.products[0].product == {"attributes": {"n": 1}}
    assert refused(content) == [("line 3", "B", "attributes: Not a valid mapping type.")]


@pytest.mark.parametrize("attributes", ["not json", "[1]", "7"])
def test_attributes_that_are_no_object_refuse_their_row_alone_beside_other_columns_too(read, attributes):
    content = read(f"id,attributes,colour\nA,{attributes},red\nB,,red\n")
    assert refused(content) == [("line 2", "A", "attributes: Not a valid mapping type.")]
    assert [row.product for row in content.products] == [{"attributes": {"colour": "red"}}]


# ── Where a product belongs ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "path", "leaf"),
    [
        ({"category": "AAA"}, None, "AAA"),
        ({"category_ids": ["h", "a"]}, (Step("h", None), Step("a", None)), None),
        ({"category_path": "Home > AAA"}, (Step(None, "Home"), Step(None, "AAA")), None),
        ({"category_path": '["A > B", "C"]'}, (Step(None, "A > B"), Step(None, "C")), None),
        ({"category": [{"id": "h", "name": "Home"}]}, (Step("h", "Home"),), None),
        ({"category": None}, (), None),
        ({"category_path": []}, None, None),
        ({"category_path": [], "category": None}, (), None),
    ],
)
def test_a_category_is_named_by_path_by_ids_or_alone(one, values, path, leaf):
    row = one(**values)
    assert (row.path, row.leaf) == (path, leaf)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"category_path": ["a"], "category_ids": ["1", "2"]}, "category_path has 1 levels and category_ids 2"),
        ({"category_path": ["a"], "category": "b"}, "category is 'b' and category_path ends with 'a'"),
        ({"category_path": ["a", " "]}, "a category on the path has neither id nor name"),
        ({"category_path": "[1"}, "category_path: Is neither names with > between them nor a JSON array."),
        ({"category_path": {"a": 1}}, "category_path: Must be a list."),
        ({"category_ids": ["a b"]}, "category id: Must be 1-64 visible characters."),
        ({"category": [1]}, "category: Must be a list of objects with id and name."),
    ],
)
def test_a_path_that_contradicts_itself_refuses_the_row(read, values, reason):
    assert refused(read([{"id": "A"} | values])) == [("line 1, row 1", "A", reason)]


# ── Categories and links ─────────────────────────────────────────────────────────────────────────


def test_a_category_has_its_path_and_its_children(read):
    path = [{"id": "a", "name": "A "}, {"id": "b", "name": "B"}]
    content = read([{"id": "b", "name": "B", "path": path, "subCategories": [{"id": "c", "name": "C"}]}])
    [row] = content.categories
    assert (row.external_id, row.name, row.path, row.children) == (
        "b", "B", (Step("a", "A"), Step("b", "B")), (Step("c", "C"),),
    )  # fmt: skip
    assert told(content) == [("outer_spaces", "a", "A")]


def test_a_category_without_a_name_is_told_of(read):
    content = read([{"id": "b", "name": None, "path": [{"id": "b", "name": None}], "subCategories": []}])
    assert (content.categories[0].name, told(content)) == (None, [("nameless", "b", "")])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"id": "b", "path": [{"id": "a", "name": "A"}]}, "path: Must end with the category itself."),
        ({"id": None, "name": "B", "path": []}, "a category without an id needs a name and a path"),
        ({"id": "b" * 65, "path": []}, "id: Must be 1-64 visible characters."),
        ({"id": "b", "name": "B" * 201, "path": []}, "category name: Must be at most 200 characters."),
        ({"id": "b", "path": "x", "subCategories": 7}, "path: Must end with the category itself."),
    ],
)
def test_a_category_that_makes_no_sense_is_refused(read, values, reason):
    content = read([values | {"subCategories": values.get("subCategories", [])}])
    assert [row.reason for rows in content.bad.values() for row in rows] == [reason]


@pytest.mark.parametrize("written", [{"icon": "x", "n": [1, None]}, '{"icon": "x", "n": [1, null]}'])
def test_a_category_has_attributes(read, written):
    content = read([{"id": "b", "path": [], "attributes": written}, {"id": "c", "path": [], "attributes": ""}])
    assert [row.attributes for row in content.categories] == [{"icon": "x", "n": [1, None]}, {}]


def test_attributes_of_a_category_that_are_no_object_refuse_it(read):
    content = read([{"id": "b", "path": [], "attributes": [1]}])
    assert refused(content) == [("line 1, row 1", "b", "attributes: Not a valid mapping type.")]


@pytest.mark.parametrize(
    ("values", "about", "column"),
    [
        ({"parent_id": "a", "child_id": True}, "", "child_id"),
        ({"parent_id": 5.0, "child_id": "b"}, "b", "parent_id"),
    ],
)
def test_only_text_and_whole_numbers_are_ends_of_a_link(read, values, about, column):
    content = read([values, {"parent_id": 1, "child_id": 2}])
    assert refused(content) == [("line 1, row 1", about, f"{column}: Must be text or a whole number.")]
    assert [(link.parent, link.child) for link in content.links] == [("1", "2")]


def test_null_is_no_end_of_a_link(read):
    content = read([{"parent_id": "a", "child_id": None}])
    assert (refused(content), content.links) == (
        [("line 1, row 1", "", "parent_id and child_id must both be there")],
        [],
    )


def test_a_link_needs_both_ends(read):
    content = read("parent_id,child_id\na,b\n,c\n")
    assert [(link.parent, link.child) for link in content.links] == [("a", "b")]
    assert refused(content) == [("line 3", "c", "parent_id and child_id must both be there")]


# ── Stores ───────────────────────────────────────────────────────────────────────────────────────

STORES = "id,type,name,address,address2,city,state,zip,services\n"


def test_a_store_becomes_a_location_with_an_address(read):
    [store] = read(f"{STORES}281,BigBox, Richfield ,1000 West 78th St.,Ste 5,Richfield,MN,55423,A|B\n").stores
    assert store.code == "store-281"
    assert store.values == {
        "name": "Richfield",
        "address": {
            "street": "1000 West 78th St. Ste 5", "city": "Richfield", "state": "MN", "zip": "55423", "country": "US",
        },
        "attributes": {"type": "BigBox", "services": ["A", "B"]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "written", "kept", "remarks"),
    [
        ("MA", "2128", "02128", [("zip_zero", "store-1", "2128 → 02128")]),
        ("PR", "926", "00926", [("zip_zero", "store-1", "926 → 00926")]),
        ("MN", "55344-5306", "55344-5306", [("zip_plus_4", "store-1", "55344-5306")]),
        ("TX", "7709", "7709", [("zip_odd", "store-1", "7709")]),
        ("TX", "77096", "77096", []),
    ],
)
def test_a_zip_code_gets_its_lost_zero_back_where_codes_begin_with_one(read, state, written, kept, remarks):
    content = read(f"{STORES}1,Mobile,S,,,X,{state},{written},\n")
    assert content.stores[0].values["address"]["zip"] == kept
    assert told(content) == remarks


def test_what_another_country_calls_its_codes_is_kept(read):
    content = read("id,name,city,zip,country\n1,S,Bern,3000,CH\n")
    assert content.stores[0].values["address"] == {"city": "Bern", "zip": "3000", "country": "CH"}
    assert told(content) == []


def test_a_store_in_json_has_numbers_too(read):
    content = read([{"id": 281, "name": "S", "city": "Boston", "state": "MA", "zip": 2128, "floors": 3, "open": True}])
    [store] = content.stores
    assert (store.code, store.values["attributes"]) == ("store-281", {"floors": 3, "open": True})
    assert store.values["address"] == {"city": "Boston", "state": "MA", "zip": "02128", "country": "US"}
    assert told(content) == [("zip_zero", "store-281", "2128 → 02128")]


@pytest.mark.parametrize(
    ("values", "about", "reason"),
    [
        ({"id": 1, "zip": 2128.0}, "store-1", "zip: Must be text or a whole number."),
        ({"id": 1, "services": ["A"]}, "store-1", "services: Must be text or a whole number."),
        ({"id": True}, "", "id: Must be text or a whole number."),
        ({"id": None, "code": " "}, "", "a store needs an id or a code"),
    ],
)
def test_a_store_in_json_that_cannot_be_read_is_refused(read, values, about, reason):
    content = read([{"city": "Boston"} | values])
    assert (refused(content), content.stores) == ([("line 1, row 1", about, reason)], [])


# ── Several files ────────────────────────────────────────────────────────────────────────────────

CATEGORY = {"id": "A", "name": "A", "path": [{"id": "A", "name": "A"}], "subCategories": []}


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("products", {"id": "A", "price": 1}),
        ("categories", CATEGORY),
        ("categories", CATEGORY | {"id": None, "path": [{"name": "A"}]}),
        ("stores", {"code": "A", "city": "Boston"}),
    ],
)
def test_a_record_that_another_file_of_the_call_has_already_is_refused(tmp_path, kind, row):
    content = Content()
    for name, rows in (("one.json", [row]), ("two.json", [row, row])):
        (tmp_path / name).write_text(json.dumps(rows))
        catalogue_files.read(tmp_path / name, name, content)
    assert [each.origin.file for each in getattr(content, kind)] == ["one.json"]
    bad = content.bad[kind]
    assert [(each.origin.file, each.origin.place) for each in bad] == [
        ("two.json", "line 1, row 1"),
        ("two.json", "line 1, row 2"),
    ]
    assert {each.reason for each in bad} == {"A is on one.json, line 1, row 1 already"}


def test_one_id_can_be_a_product_and_a_category(tmp_path):
    content = Content()
    for name, row in (("one.json", {"id": "A", "price": 1}), ("two.json", CATEGORY)):
        (tmp_path / name).write_text(json.dumps([row]))
        catalogue_files.read(tmp_path / name, name, content)
    assert (len(content.products), len(content.categories), dict(content.bad)) == (1, 1, {})
