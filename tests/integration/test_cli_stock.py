"""The commands that bring stock in and out, as an operator uses them, on both backends."""

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from flask_migrate import downgrade, upgrade
from redis import RedisError
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from app.cli import stock as commands
from app.errors import LostRace
from app.extensions import cache, db
from app.models.inventory_items import InventoryItem
from app.models.stock_movements import MovementType, StockMovement
from app.repositories import inventory_items as item_rows
from app.repositories import locations as location_rows
from app.services import inventory_items, locations, reservations, stock_totals
from app.utils import clock
from config import ROOT
from tests import factories

HEADER = "product_id,quantity,location,minimum_stock_level,maximum_stock_level"
EXPORT_HEADER = f"{HEADER},reserved_quantity,available_quantity"
PRODUCTS = json.loads((ROOT / "database" / "seeds" / "products.json").read_text())


@pytest.fixture
def flask(app):
    """Runs a command of `flask --app run` and answers how it ended and what it said."""
    return lambda *words, **more: app.test_cli_runner().invoke(args=[str(word) for word in words], **more)


@pytest.fixture
def file(tmp_path):
    """A file of that name with these rows below the usual header."""

    def write(*rows, header=HEADER, name="stock.csv"):
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def count(model):
    return db.session.execute(select(func.count()).select_from(model)).scalar_one()


def ledger(client, product_id):
    """Each row as type, changes, balance and reason."""
    return [
        (row["movement_type"], row["quantity_change"], row["quantity_after"], row["reason"])
        for row in factories.movements(client, product_id)
    ]


def levels(product_id, at="default"):
    [row] = item_rows.find(product_id, at, clock.now())
    return row.minimum_stock_level, row.maximum_stock_level


# ── seed ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_demo_spreads_every_unit_of_its_products_over_four_locations(flask):
    ended = flask("seed")
    assert (ended.exit_code, ended.stdout) == (0, "demo stock: 304 items, 13,656 units\n")
    assert sum(product["stock"] for product in PRODUCTS) == 13_656
    places = stock_totals.totals(None, clock.now())["locations"]
    assert {place["location"]: (place["items"], place["quantity"]) for place in places} == {
        "default": (200, 10_908),
        "store-281": (36, 817),
        "store-1531": (33, 1_145),
        "store-203": (35, 786),
    }
    for product in PRODUCTS:
        rows = item_rows.find(product["id"], None, clock.now())
        assert sum(row.quantity for row in rows) == product["stock"]


def test_the_demo_opens_through_the_ledger_and_says_who_did_it(flask, client):
    flask("seed")
    [row] = factories.movements(client, "1003127", location="store-1531")
    assert (row["movement_type"], row["quantity_change"], row["reason"]) == ("inbound", 1, "opening stock")
    assert (row["actor"], len(row["request_id"])) == ("seed", 36)
    assert count(StockMovement) == 304 - 46  # what opens with no units moves none
    assert levels("1003127") == (5, None)
    assert levels("1003127", "store-1531") == (2, None)
    place = location_rows.get("store-1531")
    assert (place.name, place.priority, place.address["city"]) == ("Union Square", 120, "New York")


def test_seeding_again_changes_nothing_and_says_so(flask):
    flask("seed")
    inventory_items.run(
        inventory_items.Adjust(product_id="1003127", location="default", quantity=-3, movement_type=MovementType.DAMAGE)
    )
    before = count(StockMovement)
    ended = flask("seed")
    assert (ended.exit_code, ended.stdout) == (0, "the demo stock is there already; nothing was changed\n")
    assert count(StockMovement) == before
    assert factories.numbers("1003127") == (1, 0, 1)


def test_seeding_adds_what_is_missing_beside_stock_of_ones_own_and_leaves_archived_items_archived(flask):
    factories.stock(7, "MINE")
    factories.stock(3, "1003127")
    factories.stock(0, "1003003")
    inventory_items.run(inventory_items.Archive(product_id="1003003", location="default"))
    assert flask("seed").stdout == "demo stock: 302 items, 13,650 units\n"
    assert factories.numbers("MINE") == (7, 0, 7)
    assert factories.numbers("1003127") == (3, 0, 3)
    assert item_rows.get("1003003", "default", clock.now()).archived_at is not None


def test_seeding_if_empty_fills_an_empty_database_and_is_silent_about_a_used_one(flask):
    assert flask("seed", "--if-empty").stdout == "demo stock: 304 items, 13,656 units\n"
    before = count(StockMovement)
    ended = flask("seed", "--if-empty")
    assert (ended.exit_code, ended.output) == (0, "")
    assert count(StockMovement) == before


def test_seeding_if_empty_leaves_a_shop_with_one_item_alone(flask):
    factories.stock(1, "MINE")
    assert flask("seed", "--if-empty").output == ""
    assert (count(InventoryItem), location_rows.find("store-281")) == (1, None)


# ── reset-demo ───────────────────────────────────────────────────────────────────────────────────


def test_resetting_puts_the_demo_back_to_its_start_and_forgets_everything_else(flask, client):
    flask("seed")
    factories.stock(7, "MINE")
    hold = factories.hold(2, "1003127", at="default")
    factories.location("my-own")
    assert client.get("/api/v1/inventory/MINE").status_code == 200
    ended = flask("reset-demo", "--yes")
    assert (ended.exit_code, ended.stdout) == (0, "demo stock: 304 items, 13,656 units\n")
    assert (count(InventoryItem), count(StockMovement)) == (304, 258)
    assert factories.numbers("1003127") == (4, 0, 4)
    assert client.get("/api/v1/inventory/MINE").status_code == 404
    assert client.get(f"/api/v1/reservations/{hold.id}").status_code == 404
    assert location_rows.find("my-own") is None


def test_the_ledger_is_still_append_only_after_a_reset(flask):
    flask("reset-demo", "--yes")
    with pytest.raises(Exception, match="append-only"):
        db.session.execute(StockMovement.__table__.delete())
    db.session.rollback()
    assert count(StockMovement) == 258


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_resetting_asks_and_anything_but_yes_destroys_nothing(flask, answer):
    factories.stock(7, "MINE")
    ended = flask("reset-demo", input=answer)
    assert ended.exit_code == 1
    assert "Destroy all stock, reservations and history in " in ended.stdout
    assert ":tests@" not in ended.output  # the database's password
    assert factories.numbers("MINE") == (7, 0, 7)


def test_resetting_does_it_when_the_answer_is_yes(flask):
    factories.stock(7, "MINE")
    assert flask("reset-demo", input="y\n").exit_code == 0
    assert (item_rows.find("MINE", None, clock.now()), count(InventoryItem)) == ([], 304)


def test_resetting_is_refused_in_production_whoever_says_yes(flask, app, monkeypatch):
    factories.stock(7, "MINE")
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], env="production"))
    ended = flask("reset-demo", "--yes")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "this is production" in ended.stderr
    assert factories.numbers("MINE") == (7, 0, 7)


def test_resetting_destroys_nothing_when_the_cache_could_not_be_emptied_afterwards(flask, monkeypatch):
    factories.stock(7, "MINE")

    def refuse():
        raise RedisError("connection refused")

    monkeypatch.setattr(cache(), "ping", refuse)
    ended = flask("reset-demo", "--yes")
    assert (ended.exit_code, ended.stderr) == (1, "Error: Redis does not answer: connection refused\n")
    assert factories.numbers("MINE") == (7, 0, 7)


# ── import-stock ─────────────────────────────────────────────────────────────────────────────────


def test_a_new_product_opens_and_one_that_is_there_is_counted(flask, file, client):
    factories.location("store-1")
    factories.stock(10, "OLD", minimum=2)
    ended = flask("import-stock", file("NEW,5,store-1,1,9", "OLD,7,,,", "NONE,0,,,"))
    assert (ended.exit_code, ended.stdout) == (0, "stock.csv: 2 created, 1 counted, 0 unchanged, 0 refused\n")
    assert (factories.numbers("NEW", at="store-1"), levels("NEW", "store-1")) == ((5, 0, 5), (1, 9))
    assert (factories.numbers("OLD"), levels("OLD")) == ((7, 0, 7), (2, None))
    assert ledger(client, "NEW") == [("inbound", 5, 5, "opening stock")]
    assert ledger(client, "OLD") == [
        ("inbound", 10, 10, "opening stock"),
        ("adjustment", -3, 7, "import stock.csv"),
    ]
    assert (factories.numbers("NONE"), ledger(client, "NONE")) == ((0, 0, 0), [])


def test_all_rows_of_one_import_share_an_actor_and_a_request_id(flask, file, client):
    flask("import-stock", file("A,1,,,", "B,2,,,"))
    [a], [b] = factories.movements(client, "A"), factories.movements(client, "B")
    assert (a["actor"], b["actor"], a["request_id"]) == ("import-stock", "import-stock", b["request_id"])
    assert len(a["request_id"]) == 36


def test_importing_again_writes_no_movement(flask, file):
    stock = file("A,1,,2,", "B,2,,,9", "C,0,,,")
    flask("import-stock", stock)
    before = count(StockMovement)
    ended = flask("import-stock", stock)
    assert (ended.exit_code, ended.stdout) == (0, "stock.csv: 0 created, 0 counted, 3 unchanged, 0 refused\n")
    assert (before, count(StockMovement)) == (2, 2)


def test_levels_alone_can_change_and_an_empty_one_stays(flask, file, client):
    factories.stock(10, "A", minimum=4)
    ended = flask("import-stock", file("A,10,,,50"))
    assert ended.stdout == "stock.csv: 0 created, 1 counted, 0 unchanged, 0 refused\n"
    assert levels("A") == (4, 50)
    assert ledger(client, "A")[1:] == [("adjustment", 0, 10, "stock levels changed")]


def test_json_can_take_a_maximum_away(flask, tmp_path):
    inventory_items.run(inventory_items.Create(product_id="A", location="default", quantity=1, maximum_stock_level=9))
    path = tmp_path / "stock.json"
    path.write_text('[{"product_id": "A", "quantity": 1, "maximum_stock_level": null}]')
    assert flask("import-stock", path).stdout == "stock.json: 0 created, 1 counted, 0 unchanged, 0 refused\n"
    assert levels("A") == (0, None)


def test_an_archived_item_is_opened_again(flask, file, client):
    factories.stock(0, "A")
    inventory_items.run(inventory_items.Archive(product_id="A", location="default"))
    ended = flask("import-stock", file("A,4,,1,"))
    assert ended.stdout == "stock.csv: 1 created, 0 counted, 0 unchanged, 0 refused\n"
    assert (factories.numbers("A"), levels("A")) == ((4, 0, 4), (1, None))
    assert [row[0] for row in ledger(client, "A")] == ["adjustment", "adjustment", "adjustment", "inbound"]


def test_rows_that_name_no_location_go_to_the_given_one(flask, file):
    factories.location("store-1")
    factories.location("store-2")
    flask("import-stock", file("A,1,,,", "A,2,store-2,,"), "--location", "store-1")
    assert factories.numbers("A", at="store-1") == (1, 0, 1)
    assert factories.numbers("A", at="store-2") == (2, 0, 2)
    assert item_rows.find("A", "default", clock.now()) == []


def test_what_is_promised_is_not_counted_away(flask, file):
    factories.stock(10, "A")
    factories.hold(6, "A")
    ended = flask("import-stock", file("A,5,,,"))
    assert (ended.exit_code, ended.stdout) == (
        1,
        "stock.csv: 1 refused, so nothing was changed; with --partial: 0 created, 0 counted, 0 unchanged\n",
    )
    assert "line 2: 6 units of A at default are promised" in ended.stderr
    assert factories.numbers("A") == (10, 6, 4)
    assert flask("import-stock", file("A,6,,,")).exit_code == 0
    assert factories.numbers("A") == (6, 6, 0)


def test_a_hold_that_ran_out_does_not_stand_in_the_way_of_a_count(flask, file, time, client):
    factories.stock(10, "A")
    hold = factories.hold(6, "A", ttl=60)
    time.forward(seconds=60)
    assert flask("import-stock", file("A,5,,,")).exit_code == 0
    assert factories.numbers("A") == (5, 0, 5)
    assert client.get(f"/api/v1/reservations/{hold.id}").json["data"]["status"] == "expired"


GOOD_AND_BAD = ("NEW,5,,,", "OLD,-1,,,", "OLD,7,,,", "", "FAR,1,nowhere,,", "NEW,6,default,,", "HELD,2,,,")
REASONS = [
    "line 3: quantity: Must be greater than or equal to 0 and less than or equal to 1000000000.",
    "line 6: no location nowhere",
    "line 7: NEW at default is on line 2 already",
    "line 8: 3 units of HELD at default are promised",
]


@pytest.fixture
def old_and_held(app):
    factories.stock(10, "OLD")
    factories.stock(10, "HELD")
    factories.hold(3, "HELD")


def complaints(ended):
    return [line for line in ended.stderr.splitlines() if line.startswith("line ")]


def test_one_bad_row_is_enough_to_change_nothing_and_every_bad_row_is_told_of(flask, file, old_and_held):
    before = count(StockMovement)
    ended = flask("import-stock", file(*GOOD_AND_BAD))
    assert (ended.exit_code, ended.stdout) == (
        1,
        "stock.csv: 4 refused, so nothing was changed; with --partial: 1 created, 1 counted, 0 unchanged\n",
    )
    assert complaints(ended) == REASONS
    assert (count(StockMovement), count(InventoryItem)) == (before, 2)
    assert factories.numbers("OLD") == (10, 0, 10)


def test_with_partial_the_good_rows_are_imported_and_the_exit_code_still_says_1(flask, file, old_and_held):
    before = count(StockMovement)
    ended = flask("import-stock", file(*GOOD_AND_BAD), "--partial")
    assert (ended.exit_code, ended.stdout) == (1, "stock.csv: 1 created, 1 counted, 0 unchanged, 4 refused\n")
    assert complaints(ended) == REASONS
    assert count(StockMovement) == before + 2
    assert (factories.numbers("NEW"), factories.numbers("OLD")) == ((5, 0, 5), (7, 0, 7))
    assert factories.numbers("HELD") == (10, 3, 7)


@pytest.mark.parametrize("how", [(), ("--partial",)])
def test_a_dry_run_tells_what_would_happen_and_leaves_nothing(flask, file, client, old_and_held, how):
    before = count(StockMovement)
    ended = flask("import-stock", file("NEW,5,,,", "OLD,7,,,", "HELD,10,,,"), "--dry-run", *how)
    assert (ended.exit_code, ended.stdout) == (
        0,
        "stock.csv: would be 1 created, 1 counted, 1 unchanged, 0 refused; dry run, nothing was changed\n",
    )
    assert (count(StockMovement), count(InventoryItem)) == (before, 2)
    assert client.get("/api/v1/inventory/NEW").status_code == 404
    assert factories.numbers("OLD") == (10, 0, 10)


def test_a_dry_run_tells_of_bad_rows_as_a_real_one_would(flask, file, old_and_held):
    before = count(StockMovement)
    ended = flask("import-stock", file(*GOOD_AND_BAD), "--dry-run", "--partial")
    assert (ended.exit_code, ended.stdout) == (
        1,
        "stock.csv: would be 1 created, 1 counted, 0 unchanged, 4 refused; dry run, nothing was changed\n",
    )
    assert complaints(ended) == REASONS
    assert (count(StockMovement), count(InventoryItem)) == (before, 2)


@pytest.mark.parametrize("bad_row", ["P-0000,-1,,,", "LAST,1,nowhere,,"])
def test_all_or_none_holds_over_many_chunks(flask, file, monkeypatch, bad_row):
    monkeypatch.setattr(commands, "CHUNK", 10)
    ended = flask("import-stock", file(*(f"P-{number:04},{number},,," for number in range(35)), bad_row))
    assert ended.exit_code == 1
    assert (count(StockMovement), count(InventoryItem)) == (0, 0)


def test_with_partial_a_chunk_that_is_through_stays_when_a_later_one_breaks(flask, file, monkeypatch):
    monkeypatch.setattr(commands, "CHUNK", 10)
    monkeypatch.setattr(inventory_items, "bulk", breaks_at_call(3, inventory_items.bulk))
    rows = [f"P-{number:04},{number + 1},,," for number in range(35)]
    ended = flask("import-stock", file(*rows), "--partial")
    assert (ended.exit_code, count(InventoryItem)) == (1, 20)
    assert "the database refused (disk on fire)" in ended.stderr
    monkeypatch.undo()
    again = flask("import-stock", file(*rows), "--partial")
    assert again.stdout == "stock.csv: 15 created, 0 counted, 20 unchanged, 0 refused\n"


def test_without_partial_nothing_stays_when_a_later_chunk_breaks(flask, file, monkeypatch):
    monkeypatch.setattr(commands, "CHUNK", 10)
    monkeypatch.setattr(inventory_items, "bulk", breaks_at_call(3, inventory_items.bulk))
    ended = flask("import-stock", file(*(f"P-{number:04},1,,," for number in range(35))))
    assert (ended.exit_code, count(InventoryItem), count(StockMovement)) == (1, 0, 0)
    assert "Traceback" not in ended.output


def breaks_at_call(number, real):
    calls = iter(range(1, 100))

    def bulk(*args, **kwargs):
        if next(calls) == number:
            raise OperationalError("UPDATE", {}, Exception("disk on fire"))
        return real(*args, **kwargs)

    return bulk


def test_a_lost_race_runs_the_whole_import_again_and_counts_each_row_once(flask, file, monkeypatch):
    monkeypatch.setattr(commands, "CHUNK", 10)
    real, calls = inventory_items.bulk, iter(range(1, 100))

    def bulk(*args, **kwargs):
        if next(calls) == 2:
            raise LostRace("somebody was faster")
        return real(*args, **kwargs)

    monkeypatch.setattr(inventory_items, "bulk", bulk)
    ended = flask("import-stock", file(*(f"P-{number:04},1,,," for number in range(35))))
    assert ended.stdout == "stock.csv: 35 created, 0 counted, 0 unchanged, 0 refused\n"
    assert (count(InventoryItem), count(StockMovement)) == (35, 35)


def test_items_are_locked_upwards_by_id_whatever_the_order_of_the_file(flask, file, monkeypatch):
    for name in "CABED":
        factories.stock(1, name)
    monkeypatch.setattr(commands, "CHUNK", 2)
    locked: list[int] = []
    real = item_rows.lock

    def lock(keys):
        found = real(keys)
        locked.extend(item.id for item in found)
        return found

    monkeypatch.setattr(item_rows, "lock", lock)
    ended = flask("import-stock", file("NEW,1,,,", *(f"{name},5,,," for name in "ABCDE")))
    assert ended.stdout == "stock.csv: 1 created, 5 counted, 0 unchanged, 0 refused\n"
    assert list(dict.fromkeys(locked)) == sorted(set(locked))
    assert len(set(locked)) == 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty; its first line must name the columns"),
        (b"product_id,quantity,colour\nA,1,red\n", "unknown columns: 'colour'"),
        (b"product_id\nA\n", "missing columns: 'quantity'"),
        (b"product_id,quantity\nA,1\n\xff\xfe,1\n", "line 3 is not UTF-8 (byte 0xff)"),
        (b'product_id,quantity\nA,1\n"B,1\n', "line 3 is not CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence_and_changes_nothing(flask, tmp_path, content, said):
    path = tmp_path / "stock.csv"
    path.write_bytes(content)
    ended = flask("import-stock", path, "--partial")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Error: stock.csv cannot be imported: {said}")
    assert count(InventoryItem) == 0


def test_malformed_json_is_refused_in_a_sentence(flask, tmp_path):
    path = tmp_path / "stock.json"
    path.write_text('[{"product_id": "A", "quantity": 1},\n{"product_id": ]')
    ended = flask("import-stock", path)
    assert ended.exit_code == 1
    assert ended.stderr == (
        "Error: stock.json cannot be imported: it is not JSON: Expecting value at line 2 column 16\n"
    )
    assert count(InventoryItem) == 0


def test_an_unknown_location_for_the_rest_is_refused_before_anything_is_read(flask, file):
    ended = flask("import-stock", file("A,1,,,"), "--location", "nowhere")
    assert (ended.exit_code, "no location 'nowhere'" in ended.stderr) == (2, True)
    assert count(InventoryItem) == 0


def test_a_table_without_rows_imports_nothing_and_is_no_fault(flask, file):
    ended = flask("import-stock", file())
    assert (ended.exit_code, ended.stdout) == (0, "stock.csv: 0 created, 0 counted, 0 unchanged, 0 refused\n")


def test_a_very_long_file_name_still_fits_the_ledger(flask, file, client):
    factories.stock(1, "A")
    name = "s" * 251 + ".csv"
    assert flask("import-stock", file("A,2,,,", name=name)).exit_code == 0
    assert ledger(client, "A")[1] == ("adjustment", 1, 2, f"import {name}"[:255])


# ── export-stock ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def some_stock(app, time):
    factories.location("store-1")
    factories.stock(10, "A", minimum=2)
    factories.stock(4, "A", at="store-1")
    factories.stock(0, "GONE")
    inventory_items.run(inventory_items.Archive(product_id="GONE", location="default"))
    inventory_items.run(
        inventory_items.Create(product_id="0042", location="default", quantity=3, maximum_stock_level=30)
    )
    factories.hold(6, "A", at="default")
    factories.hold(1, "A", at="store-1", ttl=60)
    time.instant += timedelta(seconds=60)


def test_every_item_is_exported_with_the_numbers_a_reader_sees(flask, some_stock):
    ended = flask("export-stock")
    assert ended.exit_code == 0
    assert ended.stdout.splitlines() == [
        EXPORT_HEADER,
        "0042,3,default,0,30,0,3",
        "A,10,default,2,,6,4",
        "A,4,store-1,0,,0,4",
    ]
    assert ended.stderr == "3 items exported\n"


def test_an_export_can_be_of_one_location(flask, some_stock):
    ended = flask("export-stock", "-", "--format", "json", "--location", "store-1")
    assert json.loads(ended.stdout) == [
        {
            "product_id": "A", "quantity": 4, "location": "store-1", "minimum_stock_level": 0,
            "maximum_stock_level": None, "reserved_quantity": 0, "available_quantity": 4,
        }
    ]  # fmt: skip
    assert ended.stderr == "1 items exported\n"


def test_an_unknown_location_is_no_empty_export(flask, tmp_path):
    ended = flask("export-stock", tmp_path / "out.csv", "--location", "nowhere")
    assert (ended.exit_code, list(tmp_path.iterdir())) == (2, [])


@pytest.mark.parametrize("words", [("out.csv",), ("out.json",), ("data", "--format", "json")])
def test_importing_an_export_changes_nothing(flask, tmp_path, some_stock, words):
    reservations.expire_overdue(limit=10)
    path = tmp_path / words[0]
    assert flask("export-stock", path, *words[1:]).exit_code == 0
    before = count(StockMovement)
    if not path.suffix:
        path = path.rename(path.with_suffix(".json"))
    ended = flask("import-stock", path)
    assert (ended.exit_code, ended.stdout) == (0, f"{path.name}: 0 created, 0 counted, 3 unchanged, 0 refused\n")
    assert count(StockMovement) == before


def test_an_export_fills_a_new_database_that_has_the_locations(flask, tmp_path):
    flask("seed")
    path = tmp_path / "moved.csv"
    flask("export-stock", path)
    db.session.remove()
    downgrade(revision="base")
    upgrade()
    refused = flask("import-stock", path)
    assert len(complaints(refused)) == 104
    assert complaints(refused)[0] == "line 5: no location store-1531"
    for code in ("store-281", "store-1531", "store-203"):
        factories.location(code)
    ended = flask("import-stock", path)
    assert ended.stdout == "moved.csv: 304 created, 0 counted, 0 unchanged, 0 refused\n"
    assert sorted(flask("export-stock").stdout.splitlines()) == sorted(path.read_text().splitlines())


def test_an_export_goes_over_pages_without_losing_or_doubling_an_item(flask, monkeypatch):
    flask("seed")
    whole = flask("export-stock").stdout
    monkeypatch.setattr(commands, "PAGE", 7)
    assert flask("export-stock").stdout == whole
    rows = list(csv.DictReader(io.StringIO(whole)))
    assert len({(row["product_id"], row["location"]) for row in rows}) == len(rows) == 304


def test_an_export_that_breaks_leaves_the_file_that_was_there(flask, tmp_path, some_stock, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("yesterday's")
    monkeypatch.setattr(commands, "PAGE", 2)
    real, calls = item_rows.page, iter((1, 2))

    def page(*args):
        if next(calls) == 2:
            raise OperationalError("SELECT", {}, Exception("disk on fire"))
        return real(*args)

    monkeypatch.setattr(item_rows, "page", page)
    ended = flask("export-stock", path)
    assert (ended.exit_code, "disk on fire" in ended.stderr) == (1, True)
    assert ([entry.name for entry in tmp_path.iterdir()], path.read_text()) == (["out.csv"], "yesterday's")


def test_a_folder_that_is_not_there_is_told_in_a_sentence(flask, tmp_path):
    ended = flask("export-stock", tmp_path / "no" / "out.csv")
    assert (ended.exit_code, ended.stderr.endswith("No such file or directory\n")) == (1, True)


def test_nothing_is_exported_as_a_header(flask):
    ended = flask("export-stock")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, f"{EXPORT_HEADER}\n", "0 items exported\n")


def test_a_closed_location_takes_no_stock_from_a_file(flask, file):
    factories.location("store-1")
    locations.delete("store-1")
    ended = flask("import-stock", file("A,1,store-1,,"))
    assert (ended.exit_code, complaints(ended)) == (1, ["line 2: no location store-1"])


def test_a_closed_location_does_not_open_an_archived_item_again(flask, file):
    factories.location("store-1")
    factories.stock(0, "A", at="store-1")
    inventory_items.run(inventory_items.Archive(product_id="A", location="store-1"))
    locations.delete("store-1")
    ended = flask("import-stock", file("A,1,store-1,,"))
    assert (ended.exit_code, complaints(ended)) == (1, ["line 2: no location store-1"])
