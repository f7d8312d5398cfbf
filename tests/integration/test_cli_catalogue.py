"""The commands that bring a catalogue in and out, as an operator uses them, on both backends."""

import csv
import gzip
import io
import json
import os
import sys
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from flask_migrate import downgrade, upgrade
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from app.cli import catalogue as commands
from app.cli import catalogue_export
from app.errors import LostRace
from app.extensions import db
from app.models import Category, InventoryItem, Location, PriceChange, Product, Sku, StockMovement
from app.repositories import categories as category_rows
from app.repositories import inventory_items as item_rows
from app.repositories import products as product_rows
from app.repositories import skus as sku_rows
from app.services import categories, inventory_items, locations, products, skus
from app.utils import clock
from config import ROOT
from tests import factories
from tests.processes import Server
from tests.statements import counted

REAL, SEEDS = ROOT / "database" / "catalogue", ROOT / "database" / "seeds"
GOODS = REAL / "bestbuy_products.json.gz"
FILES = sorted(path for path in REAL.iterdir() if path.suffix != ".md")
DEMO = SEEDS / "products.json"
VERSIONED = (Category, Product, Sku, Location, InventoryItem)


@pytest.fixture
def flask(app):
    """Runs a command of `flask --app run` and answers how it ended and what it said."""
    return lambda *words, **more: app.test_cli_runner().invoke(args=[str(word) for word in words], **more)


@pytest.fixture
def file(tmp_path):
    """A file of these rows as JSON, one to a line, or of this text."""

    def write(*rows, name="products.json"):
        path = tmp_path / name
        as_json = "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]"
        path.write_text("\n".join(rows) + "\n" if rows and isinstance(rows[0], str) else as_json)
        return path

    return write


@pytest.fixture
def bring_in(flask, file):
    """Imports these rows of products and answers the report."""

    def run(*rows, exit_code=0, words=(), **more):
        ended = flask("import-catalogue", file(*rows, **more), "--json", *words)
        assert ended.exit_code == exit_code, ended.output
        return json.loads(ended.stdout)

    return run


def count(model):
    return db.session.execute(select(func.count()).select_from(model)).scalar_one()


def numbers(report, part="products"):
    """Created, changed, unchanged, refused."""
    return tuple(report[part].values())


def refused(report):
    return [(row["id"], row["reason"]) for row in report["refused"]]


def of_sku(code):
    """The SKU's view of its product and its own row."""
    db.session.rollback()
    sku = sku_rows.get(code)
    return product_rows.view(sku.catalog_product_id), sku


def state():
    """Everything that an import could write: a row's version goes up with each change of it."""
    db.session.rollback()
    rows = {
        model.__name__: sorted(db.session.execute(select(model.id, model.version, model.updated_at)).all())
        for model in VERSIONED
    }
    return {name: list(map(tuple, found)) for name, found in rows.items()} | {
        model.__name__: count(model) for model in (StockMovement, PriceChange)
    }


def path_of(code):
    view, _ = of_sku(code)
    return view["category"] and view["category"]["path"]


# ── The real files ───────────────────────────────────────────────────────────────────────────────


def test_all_real_files_are_imported_whole_and_a_second_time_nothing_is_written(flask, tmp_path):
    """Also exported and imported once more: one test, for the first import is what takes time."""
    first = json.loads(flask("import-catalogue", *FILES, "--json").stdout)
    assert [numbers(first, part) for part in ("products", "categories", "stores")] == [
        (1_033, 0, 0, 0), (6_716, 0, 0, 0), (1_565, 0, 0, 0),
    ]  # fmt: skip
    assert first["refused"] == []
    assert Counter(remark["kind"] for remark in first["repaired"]) == {
        "outer_spaces": 47, "html": 34, "lost_characters": 5, "zip_zero": 19, "zip_plus_4": 5, "more_columns": 2,
        "nameless": 1, "same_name": 47, "several_parents": 428, "only_mentioned": 2_128, "unknown_category": 4,
    }  # fmt: skip
    before = state()
    assert [len(before[name]) for name in ("Product", "Sku", "Category", "Location")] == [1_033, 1_033, 6_716, 1_566]
    assert {version for name in ("Product", "Sku", "Category", "Location") for _, version, _ in before[name]} == {1}
    assert_the_tree_is_sound()
    assert_what_bites_was_handled()
    assert_nothing_is_written(flask, FILES)
    for number, words in enumerate([(), ("--format", "json"), ("--categories",), ("--categories", "--format", "json")]):
        path = tmp_path / str(number)
        assert flask("export-catalogue", path, *words).exit_code == 0
        assert_nothing_is_written(flask, [path])
    assert state() == before


def assert_nothing_is_written(flask, files):
    with counted() as statements:
        report = json.loads(flask("import-catalogue", *files, "--json").stdout)
    for part in ("products", "categories", "stores"):
        created, changed, _, refused_rows = numbers(report, part)
        assert (created, changed, refused_rows) == (0, 0, 0)
    assert [each for each in statements if each.split()[0] in {"INSERT", "UPDATE", "DELETE", "REPLACE"}] == []


def assert_the_tree_is_sound():
    rows = {row.id: row for row in db.session.execute(select(*Category.__table__.c)).all()}
    for row in rows.values():
        above = rows[row.parent_id].path if row.parent_id else "/"
        assert (row.path, row.depth) == (f"{above}{row.id}/", row.path.count("/") - 1)


def assert_what_bites_was_handled():
    by_id = {row.external_id: row for row in category_rows.every()}
    assert by_id["pcmcat748300293073"].name == "pcmcat748300293073"  # has no name
    assert by_id["pcmcat270500050001"].name == "Mdot Recycling"  # had a space behind it
    assert by_id["abcat0105000"].parent_id == by_id["abcat0100000"].id  # has two parents
    assert {by_id["cat02818"].name, by_id["cat02843"].name} == {"Christmas", "Christmas (cat02843)"}
    assert path_of("324884") == ["Carfi Instore Only"]  # no file describes that category
    assert len(path_of("1119208")) == 7
    assert path_of("43900") == [
        "Connected Home & Housewares",
        "Housewares",
        "Household Batteries",
        "Alkaline Batteries",
    ]
    view, _ = of_sku("1019306")
    assert view["description"].startswith("Compatible with Apple® MacBook")
    view, sku = of_sku("43900")
    assert (sku.barcode, sku.price, view["attributes"]["manufacturer"]) == ("041333424019", Decimal("5.49"), "Duracell")
    store = db.session.execute(select(Location).where(Location.code == "store-8007")).scalar_one()
    assert (store.address["state"], store.address["zip"]) == ("MA", "02128")


def test_the_report_says_in_words_what_was_repaired(flask):
    ended = flask("import-catalogue", DEMO)
    assert ended.exit_code == 0
    assert ended.stdout.splitlines()[:6] == [
        "products.json: 200 rows of products",
        "categories: 203 created, 0 changed, 0 unchanged, 0 refused",
        "products: 200 created, 0 changed, 0 unchanged, 0 refused",
        "stock: 200 items opened with 13,656 units",
        "repaired or decided (--json lists every one):",
        "  HTML entities, written as the characters they stand for: 9, such as"
        " 1019306 Compatible with Apple® MacBook and MacBook Pro with a [...];"
        " 1032403 Switch into gear and feel the need — the Need for Speed;"
        " 1049688 1500W of power; 180° fill tank; easy-push buttons; [...]",
    ]


def test_names_alone_and_ids_lead_to_the_same_categories_in_either_order(flask, file):
    with_names = {row["id"]: row for row in json.loads(DEMO.read_text())[:40]}
    with_ids = [row for row in json.loads(gzip.decompress(GOODS.read_bytes())) if row["sku"] in with_names]
    names, ids = file(*with_names.values(), name="names.json"), file(*with_ids, name="ids.json")
    flask("import-catalogue", names)
    report = json.loads(flask("import-catalogue", ids, "--json").stdout)
    assert (numbers(report), numbers(report, "categories")[0]) == ((0, 40, 0, 0), 0)
    assert all(row.external_id for row in category_rows.every())
    flask("import-catalogue", names)
    before = state()
    assert_nothing_is_written(flask, [names])
    assert_nothing_is_written(flask, [ids])
    assert state() == before


# ── What a row writes ────────────────────────────────────────────────────────────────────────────

LAMP = {"id": "LAMP", "name": "Lamp", "price": 19.9, "category": "Light", "barcode": "4006381333931", "stock": 4}


def test_a_new_row_is_a_product_with_its_sku_its_category_and_its_stock(bring_in, client):
    report = bring_in(LAMP | {"description": "Bright", "manufacturer": "Lux"})
    assert (numbers(report), numbers(report, "categories")) == ((1, 0, 0, 0), (1, 0, 0, 0))
    assert report["stock"] == {"items": 1, "units": 4}
    view, sku = of_sku("LAMP")
    assert (view["name"], view["description"], view["attributes"]) == ("Lamp", "Bright", {"manufacturer": "Lux"})
    assert (view["category"]["path"], sku.price, sku.currency, sku.barcode) == (
        ["Light"], Decimal("19.90"), "USD", "4006381333931",
    )  # fmt: skip
    [movement] = factories.movements(client, "LAMP")
    assert (movement["movement_type"], movement["quantity_change"], movement["actor"]) == (
        "inbound",
        4,
        "import-catalogue",
    )


@pytest.mark.parametrize(
    ("change", "product_version", "sku_version", "prices"),
    [
        ({"name": "Lamp 2"}, 2, 1, 1),
        ({"price": 9}, 1, 2, 2),
        ({"barcode": None}, 1, 2, 1),
        ({"name": "Lamp 2", "price": 9, "description": "New", "category": "Lamps", "unit": "box"}, 2, 2, 2),
        ({"colour": "red"}, 2, 1, 1),
        ({"stock": 9}, 1, 1, 1),
        ({}, 1, 1, 1),
    ],
)
def test_a_changed_row_is_one_update_of_what_changed(bring_in, change, product_version, sku_version, prices):
    bring_in(LAMP)
    report = bring_in(LAMP | change)
    view, sku = of_sku("LAMP")
    assert (view["version"], sku.version, count(PriceChange)) == (product_version, sku_version, prices)
    changed = int((product_version, sku_version) != (1, 1))
    assert numbers(report) == (0, changed, 1 - changed, 0)
    assert (count(StockMovement), factories.numbers("LAMP")) == (1, (4, 0, 4))


def test_what_a_row_does_not_say_stays(bring_in):
    bring_in(LAMP | {"description": "Bright", "manufacturer": "Lux"})
    categories.update(category_rows.every()[0].id, {"name": "Renamed"}, version=1, versions=None)
    assert numbers(bring_in({"id": "LAMP", "price": 5, "colour": "red"})) == (0, 1, 0, 0)
    view, sku = of_sku("LAMP")
    assert (view["name"], view["description"], view["category"]["path"]) == ("Lamp", "Bright", ["Renamed"])
    assert (view["attributes"], sku.barcode) == ({"manufacturer": "Lux", "colour": "red"}, "4006381333931")


def test_stock_opens_new_items_and_is_never_added_to_one_that_is_there(bring_in):
    factories.stock(10, "LAMP")
    factories.stock(0, "GONE")
    inventory_items.run(inventory_items.Archive(product_id="GONE", location="default"))
    report = bring_in(
        LAMP,
        {"id": "GONE", "name": "Gone", "price": 1, "stock": 5},
        {"id": "NONE", "name": "None", "price": 1, "stock": 0},
        {"id": "BARE", "name": "Bare", "price": 1},
    )
    assert (numbers(report), report["stock"]) == ((4, 0, 0, 0), {"items": 1, "units": 0})
    assert factories.numbers("LAMP") == (10, 0, 10)
    assert item_rows.get("GONE", "default", clock.now()).archived_at is not None
    assert factories.numbers("NONE") == (0, 0, 0)
    assert item_rows.find("BARE", None, clock.now()) == []


def test_stock_goes_to_the_location_that_is_named(bring_in, flask, file):
    factories.location("store-1")
    bring_in(LAMP, words=("--location", "store-1"))
    assert factories.numbers("LAMP", at="store-1") == (4, 0, 4)
    assert item_rows.find("LAMP", "default", clock.now()) == []
    ended = flask("import-catalogue", file(LAMP), "--location", "nowhere")
    assert (ended.exit_code, "no location 'nowhere'" in ended.stderr) == (2, True)


def test_a_category_by_its_name_alone_is_the_one_it_is_in_or_the_top_one_or_the_only_one(bring_in):
    top, other = factories.category("Light"), factories.category("Other")
    factories.category("Light", other)
    factories.category("Only", other)
    factories.category("Twice", top)
    factories.category("Twice", other)
    report = bring_in(
        {"id": "A", "name": "a", "price": 1, "category": "light"},
        {"id": "B", "name": "b", "price": 1, "category": "Only"},
        {"id": "C", "name": "c", "price": 1, "category": "Twice"},
        {"id": "D", "name": "d", "price": 1, "category_path": ["Other", "Twice"]},
        exit_code=1,
    )
    assert refused(report) == [("C", "2 categories are called 'Twice'; say which with category_path")]
    assert (path_of("A"), path_of("B"), path_of("D")) == (["Light"], ["Other", "Only"], ["Other", "Twice"])
    assert numbers(bring_in({"id": "D", "category": "Twice"})) == (0, 0, 1, 0)


def test_an_id_says_where_a_product_hangs_and_a_path_that_leads_elsewhere_is_told_of(bring_in):
    by_hand = categories.create({"name": "Here", "external_id": "x"}).id
    report = bring_in(
        {"id": "A", "name": "a", "price": 1, "category_ids": ["y", "x"], "category_path": ["There", "Here"]}
    )
    assert [(each["kind"], each["id"], each["detail"]) for each in report["repaired"]] == [
        ("unknown_category", "y", "There"),
        ("elsewhere", "A", "Here"),
    ]
    view, _ = of_sku("A")
    assert view["category_id"] == by_hand


def test_of_two_siblings_with_one_name_the_product_stays_in_the_one_it_is_in(bring_in):
    twins = [{"id": each, "name": "Twin", "path": [{"id": each, "name": "Twin"}]} for each in ("x", "y")]
    bring_in(*[twin | {"subCategories": []} for twin in twins])
    bring_in({"id": "A", "name": "a", "price": 1, "category_ids": ["y"], "category_path": ["Twin"]})
    assert path_of("A") == ["Twin (y)"]
    assert numbers(bring_in({"id": "A", "category_path": ["Twin"]})) == (0, 0, 1, 0)
    assert numbers(bring_in({"id": "A", "category_ids": ["x"]})) == (0, 1, 0, 0)


# ── Variants ─────────────────────────────────────────────────────────────────────────────────────

SHIRT = {"id": "SHIRT-S", "name": "Shirt", "price": 10}


def test_a_variant_is_another_sku_of_the_product(bring_in):
    report = bring_in({"id": "SHIRT-M", "variant_of": "SHIRT-S", "price": 11, "stock": 2}, SHIRT)
    assert numbers(report) == (2, 0, 0, 0)
    view, sku = of_sku("SHIRT-M")
    assert ([each.sku_code for each in view["skus"]], sku.price) == (["SHIRT-S", "SHIRT-M"], Decimal(11))
    assert count(Product) == 1


def test_rows_of_one_product_cannot_say_two_things_of_it(bring_in):
    bring_in(SHIRT, {"id": "SHIRT-M", "variant_of": "SHIRT-S", "price": 11})
    report = bring_in(SHIRT | {"name": "New"}, {"id": "SHIRT-M", "name": "Newer", "price": 12}, exit_code=1)
    assert refused(report) == [("SHIRT-M", "products.json, line 2, row 1 says another name of the same product")]
    view, sku = of_sku("SHIRT-M")
    assert (view["name"], view["version"], sku.price) == ("New", 2, Decimal(11))
    assert numbers(bring_in(SHIRT | {"name": "X"}, {"id": "SHIRT-M", "name": "X", "price": 11})) == (0, 1, 1, 0)


# ── Rows that are refused ────────────────────────────────────────────────────────────────────────


def test_bad_rows_are_told_with_place_id_and_reason_and_the_others_are_in(flask, file):
    factories.product("Taken", sku="TAKEN", barcode="4006381333931")
    factories.product("Deleted", sku="DELETED")
    skus.delete("DELETED")
    ended = flask(
        "import-catalogue",
        file(
            LAMP,
            {"id": "B", "name": "B", "price": "1.234"},
            {"id": "C", "price": 1},
            {"id": "D", "name": "D"},
            {"id": "DELETED", "price": 1},
            {"id": "E", "variant_of": "GHOST", "price": 1},
            {"id": "F", "variant_of": "TAKEN"},
            {"id": "TAKEN", "variant_of": "DELETED"},
            {"id": "GOOD", "name": "Good", "price": 1, "stock": 3},
        ),
    )
    assert ended.exit_code == 1
    assert [line for line in ended.stderr.splitlines() if line.startswith("products.json")] == [
        "products.json, line 3, row 2: B: price: Must be an amount with at most two decimals, as a string"
        ' such as "129.99".',
        "products.json, line 6, row 5: DELETED: the SKU is deleted; restore it first",
        "products.json, line 2, row 1: LAMP: SKU TAKEN has this barcode",
        "products.json, line 4, row 3: C: a new product needs a name",
        "products.json, line 5, row 4: D: a new product needs a price",
        "products.json, line 8, row 7: F: a new SKU needs a price",
        "products.json, line 9, row 8: TAKEN: it is a SKU of another product than DELETED",
        "products.json, line 7, row 6: E: there is no SKU GHOST to be a variant of",
    ]
    assert "products: 1 created, 0 changed, 0 unchanged, 8 refused" in ended.stdout
    assert (count(Product), factories.numbers("GOOD")) == (3, (3, 0, 3))  # nothing is left of LAMP


def test_a_deleted_category_refuses_the_products_that_belong_there(bring_in):
    categories.delete(categories.create({"name": "Closed", "external_id": "x"}).id)
    report = bring_in(LAMP | {"category": [{"id": "x", "name": "Closed"}]}, SHIRT, exit_code=1)
    closed = category_rows.every()[0].id
    assert refused(report) == [
        ("x", f"category {closed} is deleted; restore it first"),
        ("LAMP", "its category was refused"),
    ]
    assert (count(Product), numbers(report)) == (1, (1, 0, 0, 1))


def test_one_refused_category_does_not_stop_those_made_together_with_it(bring_in):
    deep = [{"id": f"d{depth}", "name": "d"} for depth in range(21)]
    rows = [{"id": each["id"], "name": "d", "path": deep[: depth + 1]} for depth, each in enumerate(deep)]
    other = {"id": "x", "name": "x", "path": [{"id": "x", "name": "x"}]}
    report = bring_in(*[row | {"subCategories": []} for row in (*rows, other)], exit_code=1)
    assert (refused(report), count(Category)) == ([("d20", "the tree has at most 20 levels")], 21)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is empty"),
        ("a,b\n1,2\n", "it is no table of products, categories or stores: its columns are a, b"),
        ('[{"id": ]', "it is not JSON: Expecting value at line 1 column 9"),
    ],
)
def test_a_file_that_is_none_is_refused_before_anything_is_imported(flask, file, tmp_path, content, said):
    bad = tmp_path / "bad"
    bad.write_text(content)
    ended = flask("import-catalogue", file(LAMP), bad)
    assert (ended.exit_code, ended.stderr) == (1, f"Error: bad cannot be imported: {said}\n")
    assert count(Product) == 0


# ── Categories and stores ────────────────────────────────────────────────────────────────────────


def tree(*lines):
    """Rows of categories, each by ids with `/` between them and called as its id in capitals."""
    return [
        {
            "id": line.split("/")[-1],
            "name": line.split("/")[-1].upper(),
            "path": [{"id": each, "name": each.upper()} for each in line.split("/")],
            "subCategories": [],
        }
        for line in lines
    ]


def test_a_category_that_moved_takes_all_below_it_along_in_one_update(bring_in):
    bring_in(*tree("a", "b", "a/c", "a/c/d"))
    report = bring_in(*tree("a", "b", "b/c", "b/c/d"))
    assert numbers(report, "categories") == (0, 1, 3, 0)
    by_id = {row.external_id: row for row in category_rows.every()}
    assert by_id["c"].parent_id == by_id["b"].id
    assert_the_tree_is_sound()
    assert numbers(bring_in(*tree("a", "b", "b/c", "b/c/d")), "categories") == (0, 0, 4, 0)


@pytest.mark.parametrize("chunk", [1, 200])
def test_names_that_change_hands_are_through_after_one_import(bring_in, monkeypatch, chunk):
    monkeypatch.setattr(commands, "CHUNK", chunk)

    def named(**names):
        return [row | {"name": name, "path": []} for row, name in zip(tree(*names), names.values(), strict=True)]

    bring_in(*named(a="Phones", b="Tablets", c="Readers"))
    after = named(a="Tablets", b="Phones", c="Books", d="Readers")
    report = bring_in(*after)
    assert (numbers(report, "categories"), report["repaired"]) == ((1, 3, 0, 0), [])
    assert {row.external_id: row.name for row in category_rows.every()} == {row["id"]: row["name"] for row in after}
    before = state()
    assert numbers(bring_in(*after), "categories") == (0, 0, 4, 0)
    assert state() == before


def test_attributes_of_a_category_are_added_to_and_the_same_again_writes_nothing(bring_in):
    [row] = tree("a")
    bring_in(row | {"attributes": {"icon": "x"}})
    assert numbers(bring_in(row | {"attributes": {"n": 1}}), "categories") == (0, 1, 0, 0)
    assert [(each.attributes, each.version) for each in category_rows.every()] == [({"icon": "x", "n": 1}, 2)]
    for said in ({"n": 1}, {}, None):
        assert numbers(bring_in(row | {"attributes": said}), "categories") == (0, 0, 1, 0)


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([{"id": "A", "name": "One", "price": 1}, {"id": "A", "name": "Two", "price": 2}], "products"),
        ([{"id": "A", "name": name, "path": [], "subCategories": []} for name in ("One", "Two")], "categories"),
    ],
)
def test_a_record_in_two_files_of_a_call_is_refused_in_the_second_and_stays_as_the_first_says(flask, file, rows, kind):
    files = [file(row, name=f"{number}.json") for number, row in enumerate(rows)]
    first = json.loads(flask("import-catalogue", *files, "--json").stdout)
    assert (numbers(first, kind), refused(first)) == ((1, 0, 0, 1), [("A", "A is on 0.json, line 2, row 1 already")])
    before = state()
    again = flask("import-catalogue", *files, "--json")
    assert (again.exit_code, numbers(json.loads(again.stdout), kind)) == (1, (0, 0, 1, 1))
    assert state() == before


def test_stores_become_locations_and_only_what_changed_is_written(flask, file):
    header = "id,type,name,address,address2,city,state,zip"
    path = file(header, "1,BigBox,One,1 Main St.,,Boston,MA,2128", "2,Mobile,Two,2 Main St.,,Newark,NJ,07114")
    assert flask("import-catalogue", path).exit_code == 0
    locations.update("store-1", {"priority": 7}, version=1, versions=None)
    factories.location("store-3")
    locations.delete("store-3")
    path = file(
        header,
        "1,BigBox,One,1 Main St.,,Boston,MA,02128",
        "2,Mobile,Two,9 Main St.,,Newark,NJ,07114",
        "3,,Three,,,X,MA,1",
    )
    ended = flask("import-catalogue", path, "--json")
    report = json.loads(ended.stdout)
    assert (ended.exit_code, numbers(report, "stores")) == (1, (0, 1, 1, 1))
    assert refused(report) == [("store-3", "location store-3 is deleted; restore it first")]
    rows = {row.code: row for row in db.session.execute(select(Location)).scalars()}
    assert (rows["store-1"].version, rows["store-1"].priority, rows["store-1"].address["zip"]) == (2, 7, "02128")
    assert (rows["store-2"].version, rows["store-2"].address["street"]) == (2, "9 Main St.")


# ── Dry runs, breaks and races ───────────────────────────────────────────────────────────────────


def test_a_dry_run_reports_the_same_and_leaves_nothing(flask, file):
    factories.product("Lamp, old", sku="LAMP", price="1.00")
    before = state()
    path = file(LAMP, SHIRT | {"category": "Wear", "stock": 1}, {"id": "BAD", "price": 1})
    dry = json.loads(flask("import-catalogue", path, "--dry-run", "--json").stdout)
    assert (numbers(dry), dry["stock"], dry["dry_run"]) == ((1, 1, 0, 1), {"items": 2, "units": 5}, True)
    assert state() == before
    assert item_rows.find("SHIRT-S", None, clock.now()) == []
    ended = flask("import-catalogue", path, "--dry-run")
    assert "products: would be 1 created, 1 changed, 0 unchanged, 1 refused" in ended.stdout
    assert (ended.exit_code, ended.stdout.splitlines()[-1]) == (1, "dry run, nothing was changed")
    wet = json.loads(flask("import-catalogue", path, "--json").stdout)
    assert {**wet, "dry_run": True} == dry


def many(number):
    return [{"id": f"P-{each:03}", "name": f"Product {each}", "price": 1, "stock": each + 1} for each in range(number)]


def breaks_at_call(number, real, error):
    calls = iter(range(1, 1000))

    def call(*args, **kwargs):
        if next(calls) == number:
            raise error
        return real(*args, **kwargs)

    return call


def test_chunks_that_are_through_stay_when_a_later_one_breaks_and_the_rest_follows(flask, file, monkeypatch):
    monkeypatch.setattr(commands, "CHUNK", 10)
    broken = OperationalError("INSERT", {}, Exception("disk on fire"))
    monkeypatch.setattr(products, "create", breaks_at_call(25, products.create, broken))
    ended = flask("import-catalogue", file(*many(35)))
    assert (ended.exit_code, "the database refused (disk on fire)" in ended.stderr) == (1, True)
    assert (count(Product), count(Sku), count(InventoryItem)) == (20, 20, 20)
    monkeypatch.undo()
    again = flask("import-catalogue", file(*many(35)))
    assert "products: 15 created, 0 changed, 20 unchanged, 0 refused" in again.stdout
    assert (count(Product), count(StockMovement)) == (35, 35)


def test_a_lost_race_runs_its_chunk_again_and_counts_each_row_once(bring_in, monkeypatch):
    monkeypatch.setattr(commands, "CHUNK", 10)
    monkeypatch.setattr(products, "create", breaks_at_call(15, products.create, LostRace("somebody was faster")))
    report = bring_in(*[row | {"category": row["id"][:4]} for row in many(35)])
    assert (numbers(report), report["stock"]["items"]) == ((35, 0, 0, 0), 35)
    assert (count(Product), count(Sku), count(StockMovement), count(Category)) == (35, 35, 35, 4)


def test_an_import_that_is_killed_half_way_is_completed_by_the_next(flask):
    url = db.engine.url.render_as_string(hide_password=False)
    command = [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "run",
        "import-catalogue",
        str(GOODS),
    ]
    env = {"PATH": os.environ["PATH"], "FLASK_ENV": "development", "DATABASE_URL": url, "FLASK_SKIP_DOTENV": "1"}

    def is_half_way(_server):
        with db.engine.connect() as connection:
            return connection.execute(text("SELECT COUNT(*) FROM products")).scalar_one() > 0

    with Server("import", "", command=command, env=env, ready=is_half_way) as process:
        process.start()
        process.kill()
        assert process.exit_code == -9
    there = count(Product)
    assert 0 < there < 1_033
    assert (count(Sku), count(PriceChange)) == (there, there)
    report = json.loads(flask("import-catalogue", GOODS, "--json").stdout)
    assert numbers(report) == (1_033 - there, 0, there, 0)
    assert_nothing_is_written(flask, [GOODS])


# ── Export ───────────────────────────────────────────────────────────────────────────────────────

NASTY = [
    "=SUM(A1)", "'=x", "''quoted", "-5 °C", "@home", "R&amp;D", "CafÃ©", "a, b; c", 'say "x"', "two\nlines",
    "two\r\nlines", "[bracket", "A > B", "Don¿t", "tab\there", "日本語 😀", "&lt;b&gt;",
]  # fmt: skip


@pytest.fixture
def nasty(app):
    """Products whose texts an import would repair, a spreadsheet run, or a table break."""
    top = factories.category("A > B")
    below = categories.create(
        {"name": "R&amp;D", "parent_id": top, "external_id": "r-d", "attributes": {"icon": "=1", "n": [1, None]}}
    ).id
    for number, words in enumerate(NASTY):
        factories.product(
            words, sku=f"N-{number:02}", description=f" {words} ", category=below, stock=number,
            attributes={"manufacturer": words, "nested": {"n": [1, None, 1.5, True]}},
        )  # fmt: skip
    products.create(
        {
            "name": "Shirt",
            "attributes": {"manufacturer": 7},
            "skus": [
                {"sku_code": "SHIRT-S", "price": Decimal("1.50"), "currency": "EUR", "attributes": {"size": "S"}},
                {"sku_code": "SHIRT-M", "price": Decimal(0), "unit": "box", "barcode": "73513537"},
            ],
        }
    )
    factories.product("Deleted", sku="DELETED")
    skus.delete("DELETED")


@pytest.mark.parametrize("words", [(), ("--format", "json")])
def test_importing_an_export_changes_nothing_whatever_the_texts_are(flask, nasty, tmp_path, words):
    before = state()
    for number, of in enumerate([(), ("--categories",)]):
        path = tmp_path / str(number)
        assert flask("export-catalogue", path, *words, *of).exit_code == 0
        assert_nothing_is_written(flask, [path])
    assert state() == before


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_export_makes_the_same_catalogue_in_an_empty_database(flask, nasty, tmp_path, kind):
    tree_file, goods = tmp_path / f"tree.{kind}", tmp_path / f"goods.{kind}"
    flask("export-catalogue", tree_file, "--categories")
    flask("export-catalogue", goods)
    db.session.remove()
    downgrade(revision="base")
    upgrade()
    ended = flask("import-catalogue", tree_file, goods)
    assert (ended.exit_code, count(Product), count(Sku)) == (0, len(NASTY) + 1, len(NASTY) + 2), ended.output
    for words, former in (((), goods), (("--categories",), tree_file)):
        flask("export-catalogue", tmp_path / f"again.{kind}", *words)
        assert (tmp_path / f"again.{kind}").read_bytes() == former.read_bytes()


def test_an_export_has_every_live_sku_with_its_stock_at_one_place(flask, nasty):
    ended = flask("export-catalogue")
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(ended.stdout))}
    assert (len(rows), ended.stderr) == (
        len(NASTY) + 2,
        f"{len(NASTY) + 2} SKUs exported\nproducts left out because they have no SKU: 1\n",
    )
    assert (rows["N-03"]["stock"], rows["SHIRT-S"]["stock"]) == ("3", "")
    assert (rows["SHIRT-M"]["variant_of"], rows["SHIRT-M"]["price"], rows["SHIRT-M"]["unit"]) == (
        "SHIRT-S",
        "0.00",
        "box",
    )
    assert (rows["N-05"]["verbatim"], rows["N-00"]["name"]) == ("true", "'=SUM(A1)")
    assert json.loads(rows["N-00"]["category_path"]) == ["A > B", "R&amp;D"]
    factories.location("store-1")
    elsewhere = flask("export-catalogue", "-", "--location", "store-1", "--format", "json")
    assert {row["stock"] for row in json.loads(elsewhere.stdout)} == {None}
    assert flask("export-catalogue", "-", "--location", "nowhere").exit_code == 2


def test_an_export_reads_the_stock_of_its_location_alone(flask, monkeypatch):
    factories.product(stock=1)
    for number in range(3):
        factories.location(f"store-{number}")
        factories.stock(2, at=f"store-{number}")
    read: list[Any] = []
    real = item_rows.find_many

    def noting(*words: Any) -> Any:
        rows = real(*words)
        read.extend(rows)
        return rows

    monkeypatch.setattr(item_rows, "find_many", noting)
    [row] = csv.DictReader(io.StringIO(flask("export-catalogue", "-", "--location", "store-1").stdout))
    assert ([item.location for item in read], row["stock"]) == (["store-1"], "2")


def test_an_export_of_categories_says_nothing_of_products_without_a_sku(flask):
    factories.product(sku=None)
    assert flask("export-catalogue", "-", "--categories").stderr == "0 categories exported\n"
    assert flask("export-catalogue").stderr == "0 SKUs exported\nproducts left out because they have no SKU: 1\n"


def test_an_export_goes_over_pages_without_losing_or_doubling_a_row(flask, monkeypatch):
    flask("import-catalogue", DEMO)
    whole = flask("export-catalogue").stdout
    monkeypatch.setattr(catalogue_export, "PAGE", 7)
    assert flask("export-catalogue").stdout == whole
    assert len(list(csv.DictReader(io.StringIO(whole)))) == 200


def test_an_empty_catalogue_is_exported_and_imported_as_such(flask, tmp_path):
    for name in ("out.csv", "out.json"):
        assert flask("export-catalogue", tmp_path / name).stderr == "0 SKUs exported\n"
        assert flask("import-catalogue", tmp_path / name).exit_code == 0
    assert count(Product) == 0


# ── The demo ─────────────────────────────────────────────────────────────────────────────────────


def test_the_demo_has_its_products_in_the_catalogue_too(flask):
    ended = flask("seed")
    assert "demo catalogue: 200 products, 203 new categories" in ended.stderr
    assert (count(Product), count(Sku), count(Category), count(InventoryItem)) == (200, 200, 203, 304)
    view, sku = of_sku("1003127")
    demo = {row["id"]: row for row in json.loads(DEMO.read_text())}["1003127"]
    assert (view["name"], view["category"]["path"], view["attributes"]["manufacturer"], sku.barcode, sku.price) == (
        demo["name"], demo["category_path"], demo["manufacturer"], demo["barcode"], Decimal(str(demo["price"])),
    )  # fmt: skip
    assert {row.actor for row in db.session.execute(select(PriceChange.actor))} == {"seed"}


def test_the_demo_again_changes_nothing_not_even_what_was_edited_or_deleted(flask):
    flask("seed")
    view, _ = of_sku("1003127")
    products.update(view["id"], {"name": "Mine"}, version=1, versions=None)
    skus.update("1003127", {"price": Decimal(1)}, version=1, versions=None)
    empty = next(row["id"] for row in json.loads(DEMO.read_text()) if not row["stock"])
    skus.delete(empty)
    before = state()
    ended = flask("seed")
    assert ended.stdout == "the demo stock is there already; nothing was changed\n"
    assert state() == before


def test_stock_of_an_earlier_demo_gets_its_products(flask):
    factories.stock(3, "1003127")
    flask("seed")
    db.session.execute(text("DELETE FROM price_changes"))
    db.session.execute(text("DELETE FROM skus"))
    db.session.execute(text("DELETE FROM products"))
    db.session.commit()
    moved = count(StockMovement)
    ended = flask("seed")
    assert ended.stdout == "the demo stock is there already; its products were added to the catalogue\n"
    assert (count(Product), count(Category), count(StockMovement)) == (200, 203, moved)
    assert factories.numbers("1003127") == (3, 0, 3)


def test_resetting_the_demo_puts_its_catalogue_back_as_well(flask):
    factories.product("Mine", sku="MINE")
    assert flask("reset-demo", "--yes").exit_code == 0
    assert (count(Product), sku_rows.find("MINE"), count(Category)) == (200, None, 203)


def test_the_demo_can_be_imported_over_itself_without_a_change(flask):
    flask("seed")
    before = state()
    assert_nothing_is_written(flask, [DEMO])
    assert state() == before
