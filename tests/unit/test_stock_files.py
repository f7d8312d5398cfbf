"""What counts as a table of stock, and how one is written."""

import io
import json
from types import SimpleNamespace

import pytest

from app.cli import stock_files
from app.cli.stock_files import BadRow, StockRow, read_stock, write_csv, write_json
from app.cli.tables import UnusableFile

CODE_RULE = "Must be 1-64 of A-Z a-z 0-9 . _ : - and begin with a letter or digit."
QUANTITY_RULE = "Must be greater than or equal to 0 and less than or equal to 1000000000."


@pytest.fixture
def read(tmp_path):
    """Reads what it is given as the content of a file of that name."""

    def read_content(content, name="stock.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_stock(path, location="default"))

    return read_content


def told(rows):
    return [(row.place, row.reason) for row in rows if isinstance(row, BadRow)]


def complaint(read, content, name="stock.csv"):
    with pytest.raises(UnusableFile) as caught:
        read(content, name)
    return str(caught.value)


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_has_the_values_of_its_columns_in_whatever_order_they_are(read):
    rows = read("maximum_stock_level,location,quantity,product_id,minimum_stock_level\n90,store-1,7,0042,5\n")
    levels = {"minimum_stock_level": 5, "maximum_stock_level": 90}
    assert rows == [StockRow(1, "line 2", "0042", "store-1", 7, levels)]


def test_what_a_row_leaves_empty_is_left_as_it_is_and_its_location_is_the_given_one(read):
    assert read("product_id,quantity,location,minimum_stock_level\nKB-1,7,,\n") == [
        StockRow(1, "line 2", "KB-1", "default", 7, {})
    ]


def test_columns_that_follow_from_reservations_are_read_past(read):
    rows = read("product_id,quantity,reserved_quantity,available_quantity\nKB-1,7,x,-1\n")
    assert rows == [StockRow(1, "line 2", "KB-1", "default", 7, {})]


def test_a_byte_order_mark_outer_spaces_and_windows_line_ends_do_not_matter(read):
    rows = read(b"\xef\xbb\xbfproduct_id, quantity \r\n KB-1 , 7\r\n")
    assert rows == [StockRow(1, "line 2", "KB-1", "default", 7, {})]


def test_empty_lines_are_no_rows_but_count_as_lines(read):
    rows = read("\n\nproduct_id,quantity\n\nKB-1,7\n,\n  ,  \nKB-2,-1\n")
    assert rows == [
        StockRow(1, "line 5", "KB-1", "default", 7, {}),
        BadRow(2, "line 8", f"quantity: {QUANTITY_RULE}"),
    ]


def test_a_header_alone_is_a_table_without_rows(read):
    assert read("product_id,quantity") == []


def test_a_row_after_a_cell_of_several_lines_is_told_of_by_its_own_line(read):
    rows = read('product_id,quantity\n"KB\n-\n1",7\nKB-2,x\n')
    assert told(rows) == [
        ("line 2", f"product_id: {CODE_RULE}"),
        ("line 5", "quantity: Not a valid integer."),
    ]


@pytest.mark.parametrize("quantity", ["1.0", "1e3", "1,000", "+5", "0x10", "٣", "five", "1_000", "NaN", "9" * 19])
def test_a_quantity_is_written_in_plain_digits(read, quantity):
    assert told(read(f'product_id,quantity\nKB-1,"{quantity}"\n')) == [("line 2", "quantity: Not a valid integer.")]


@pytest.mark.parametrize("quantity", ["-1", "1000000001"])
def test_a_quantity_stays_within_the_bounds_of_the_service(read, quantity):
    assert told(read(f"product_id,quantity\nKB-1,{quantity}\n")) == [("line 2", f"quantity: {QUANTITY_RULE}")]


def test_an_absent_quantity_is_an_omission_and_not_a_count_of_none(read):
    assert told(read("product_id,quantity\nKB-1,\n")) == [("line 2", "quantity: Missing data for required field.")]


@pytest.mark.parametrize("product_id", ["-KB", "K B", "KB/1", "ä", "K" * 65, "=1+1", "KB\x00"])
def test_a_product_id_is_what_it_is_over_http(read, product_id):
    assert told(read(f"product_id,quantity\n{product_id},1\n")) == [("line 2", f"product_id: {CODE_RULE}")]


def test_every_reason_of_a_row_is_told(read):
    assert told(read("product_id,quantity,location\nsummary,x,?\n")) == [
        (
            "line 2",
            f"product_id: 'summary' is a reserved word. quantity: Not a valid integer. location: {CODE_RULE}",
        )
    ]


def test_a_maximum_below_the_minimum_is_refused(read):
    header = "product_id,quantity,minimum_stock_level,maximum_stock_level"
    assert told(read(f"{header}\nKB-1,7,9,3\n")) == [
        ("line 2", "maximum_stock_level: Must not be below minimum_stock_level.")
    ]


def test_a_row_with_more_or_fewer_cells_than_the_header_is_refused(read):
    assert told(read("product_id,quantity\nKB-1,7,8\nKB-2\nKB-3,1\n")) == [
        ("line 2", "it has 3 cells and the header 2"),
        ("line 3", "it has 1 cells and the header 2"),
    ]


def test_the_same_product_twice_is_refused_the_second_time_naming_the_first(read):
    rows = read("product_id,quantity,location\nKB-1,7,\nKB-1,7,store-1\nkb-1,7,\nKB-1,8,default\n")
    assert told(rows) == [("line 5", "KB-1 at default is on line 2 already")]
    assert [row.key for row in rows[:3]] == [("KB-1", "default"), ("KB-1", "store-1"), ("kb-1", "default")]


def test_a_refused_row_does_not_stand_in_the_way_of_a_good_one(read):
    rows = read("product_id,quantity\nKB-1,x\nKB-1,8\n")
    assert told(rows) == [("line 2", "quantity: Not a valid integer.")]
    assert rows[1] == StockRow(2, "line 3", "KB-1", "default", 8, {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is empty; its first line must name the columns: "
             "product_id, quantity, location, minimum_stock_level, maximum_stock_level"),
        ("product_id,quantity,colour,size\nKB-1,1,red,L\n", "unknown columns: 'colour', 'size'"),
        ("product_id;quantity\nKB-1;1\n", "unknown columns: 'product_id;quantity'; "
                                           "missing columns: 'product_id', 'quantity'"),
        ("location\nx\n", "missing columns: 'product_id', 'quantity'"),
        ("product_id,quantity,quantity\nKB-1,1,2\n", "columns named twice: 'quantity'"),
        ("KB-1,7\n", "unknown columns: 'KB-1', '7'; missing columns: 'product_id', 'quantity'"),
        (b"product_id,quantity\nKB-1,7\nCaf\xe9,1\n", "line 3 is not UTF-8 (byte 0xe9); save it as UTF-8"),
        ("product_id,quantity\n".encode("utf-16"), "line 1 is not UTF-8 (byte 0xff); save it as UTF-8"),
        ('product_id,quantity\nKB-1,1\n"KB-2,1\nKB-3,1\n', "line 3 is not CSV: unexpected end of data"),
        ('product_id,quantity\n"KB"-1,1\n', "line 2 is not CSV: ',' expected after '\"'"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_of_stock_says_why(read, content, said):
    assert complaint(read, content) == said


def test_a_file_says_by_its_name_what_it_is(read):
    assert complaint(read, "product_id,quantity\n", "stock.xlsx") == "its name must end in .csv or .json"
    assert read("product_id,quantity\n", "STOCK.CSV") == []


def test_a_file_too_large_for_memory_is_refused(read, monkeypatch):
    monkeypatch.setattr(stock_files, "MAX_ROWS", 2)
    assert len(read("product_id,quantity\nA,1\nB,1\n")) == 2
    assert complaint(read, "product_id,quantity\nA,1\nB,1\nC,1\n") == "it has more than 2 rows; divide it"
    monkeypatch.setattr(stock_files, "MAX_BYTES", 10)
    assert complaint(read, "product_id,quantity\n") == "it is larger than 10 bytes; divide it"


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────


def test_json_rows_have_their_lines_also_when_one_goes_over_several(read):
    content = '\n[\n{"product_id": "A,]", "quantity": 1},\n{\n"product_id": "B",\n"quantity": 2\n}, 3,\n"x"]'
    assert read(content, "stock.json") == [
        BadRow(1, "line 3, row 1", f"product_id: {CODE_RULE}"),
        StockRow(2, "line 4, row 2", "B", "default", 2, {}),
        BadRow(3, "line 7, row 3", "it must be an object"),
        BadRow(4, "line 8, row 4", "it must be an object"),
    ]


def test_json_takes_numbers_for_numbers_and_text_for_codes_only(read):
    rows = [{"product_id": 7, "quantity": "1"}, *({"product_id": "A", "quantity": one} for one in (1.0, True))]
    content = json.dumps(rows)
    assert told(read(content, "stock.json")) == [
        ("line 1, row 1", "product_id: Not a valid string. quantity: Not a valid integer."),
        ("line 1, row 2", "quantity: Not a valid integer."),
        ("line 1, row 3", "quantity: Not a valid integer."),
    ]


def test_json_can_say_that_there_is_no_maximum_any_more(read):
    content = '[{"product_id": "A", "quantity": 1, "maximum_stock_level": null, "available_quantity": 1}]'
    assert read(content, "stock.json") == [
        StockRow(1, "line 1, row 1", "A", "default", 1, {"maximum_stock_level": None})
    ]


def test_an_unknown_name_in_json_is_refused_by_name(read):
    content = '[{"product_id": "A", "quantity": 1, "colour": "red"}]'
    assert told(read(content, "stock.json")) == [("line 1, row 1", "colour: Unknown field.")]


def test_two_json_rows_on_one_line_are_still_two(read):
    content = '[{"product_id": "A", "quantity": 1}, {"product_id": "A", "quantity": 1}]'
    assert told(read(content, "stock.json")) == [("line 1, row 2", "A at default is on line 1, row 1 already")]


def test_an_empty_json_array_is_a_table_without_rows(read):
    assert read(b"\xef\xbb\xbf[ ]\n", "stock.json") == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is not JSON: Expecting value at line 1 column 1"),
        ('[{"product_id": "A",\n]', "it is not JSON: "),
        ('[{"quantity": 1, "quantity": 2}]', "it is not JSON: an object names the same key twice"),
        ('[{"quantity": NaN}]', "it is not JSON: NaN is not JSON"),
        ("[" * 100_000, "it is not JSON: the body is nested deeper than 20 levels"),
        ('[{"quantity": ' + "9" * 5000 + "}]", "it is not JSON: a number is out of range"),
        ('{"product_id": "A"}', "it must be a JSON array of objects"),
        (b'["\xff"]', "line 1 is not UTF-8 (byte 0xff); save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_json_array_says_why(read, content, said):
    assert complaint(read, content, "stock.json").startswith(said)


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────


def item(product_id, **more):
    values = dict(
        product_id=product_id, quantity=7, location="default", minimum_stock_level=2, maximum_stock_level=None,
        reserved_quantity=3, available_quantity=4,
    )  # fmt: skip
    return SimpleNamespace(**values | more)


def test_csv_has_a_header_and_numbers_without_quotes():
    out = io.StringIO()
    assert write_csv(iter([item("0042"), item("B", maximum_stock_level=9)]), out) == 2
    assert out.getvalue() == (
        "product_id,quantity,location,minimum_stock_level,maximum_stock_level,reserved_quantity,available_quantity\n"
        "0042,7,default,2,,3,4\n"
        "B,7,default,2,9,3,4\n"
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_what_a_spreadsheet_would_run_is_written_as_text_and_a_number_is_not(start):
    out = io.StringIO()
    write_csv([item(f"{start}1", quantity=-5)], out)
    assert out.getvalue().splitlines()[1] == f"'{start}1,-5,default,2,,3,4"


def test_json_has_one_object_per_line():
    out = io.StringIO()
    assert write_json(iter([item("A"), item("=B")]), out) == 2
    lines = out.getvalue().splitlines()
    assert (lines[0], lines[1][-1], lines[-1], len(lines)) == ("[", ",", "]", 4)
    assert json.loads(out.getvalue())[1] == {
        "product_id": "=B", "quantity": 7, "location": "default", "minimum_stock_level": 2,
        "maximum_stock_level": None, "reserved_quantity": 3, "available_quantity": 4,
    }  # fmt: skip


def test_nothing_to_write_is_still_a_whole_file():
    csv_out, json_out = io.StringIO(), io.StringIO()
    assert (write_csv([], csv_out), write_json([], json_out)) == (0, 0)
    assert csv_out.getvalue().count("\n") == 1
    assert json.loads(json_out.getvalue()) == []
