"""Barcodes: what is one, and when two texts are one number."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidBarcode
from app.models import barcodes
from config import ROOT

DIGITS = "0123456789"


def with_check_digit(payload: str) -> str:
    """As GS1 describes it: from the right, three times every other digit and once the rest, up to the next ten."""
    weighed = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(payload)))
    return payload + str(-weighed % 10)


@pytest.mark.parametrize(
    ("text", "gtin14"),
    [
        ("4006381333931", "04006381333931"),  # EAN-13
        ("9780201379624", "09780201379624"),  # a book
        ("73513537", "00000073513537"),  # EAN-8
        ("093207005060", "00093207005060"),  # UPC-A with a leading zero
        ("04252614", "00042100005264"),  # UPC-E
        ("01234565", "00012345000065"),  # right as EAN-8 too
    ],
)
def test_a_barcode_keeps_its_text_and_has_one_number(text, gtin14):
    assert barcodes.read(text) == barcodes.Barcode(text, gtin14)


def test_upc_e_upc_a_and_ean_13_with_a_leading_zero_are_one_number():
    assert {barcodes.read(text).gtin14 for text in ("04252614", "042100005264", "0042100005264")} == {"00042100005264"}


@pytest.mark.parametrize(
    ("text", "stored", "other"),
    [
        ("01234565", "00012345000065", "00000001234565"),  # begins with 0: a UPC-E
        ("12345670", "00000012345670", "00123456000070"),  # begins with 1: an EAN-8
    ],
)
def test_eight_digits_right_both_ways_are_stored_one_way_and_found_either_way(text, stored, other):
    assert barcodes.read(text).gtin14 == stored
    assert barcodes.candidates(text) == [stored, other]


@pytest.mark.parametrize("text", ["00000017", "96385074"])
def test_eight_digits_right_one_way_have_one_reading(text):
    assert barcodes.candidates(text) == [text.rjust(14, "0")]


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "4006381333932", "093207005061", "73513530", "04252615", "400638133393", "14006381333938", "1234567",
        "123456", "4006381333931 ", "4006381333931\n", " 73513537", "4006-3813-33931",
        "٤٠٠٦٣٨١٣٣٣٩٣١", "４００６３８１３３３９３１",
        "400638133393X", "-73513537", "1e7", "00000000", "0000000000000", "9" * 10_000, "7351353\ud800", "73513537\0",
    ],
)  # fmt: skip
def test_what_is_no_barcode_is_refused_and_the_field_named(text):
    with pytest.raises(InvalidBarcode) as refusal:
        barcodes.read(text)
    assert list(refusal.value.facts["errors"]) == ["barcode"]


@given(st.sampled_from([7, 11, 12]).flatmap(lambda length: st.text(DIGITS, min_size=length, max_size=length)))
def test_whatever_has_a_right_check_digit_is_a_barcode_and_a_wrong_digit_is_never_the_same_number(payload):
    text = with_check_digit(payload)
    if not text.strip("0"):
        return
    assert text.rjust(14, "0") in barcodes.candidates(text)
    wrong = text[:-1] + DIGITS[(int(text[-1]) + 1) % 10]
    with suppress(InvalidBarcode):
        assert text.rjust(14, "0") not in barcodes.candidates(wrong)


@given(st.text(max_size=20))
def test_any_text_is_a_barcode_or_refused(text):
    with suppress(InvalidBarcode):
        assert all(len(number) == 14 for number in barcodes.candidates(text))


def test_every_barcode_of_the_demo_is_one():
    products = json.loads((ROOT / "database" / "seeds" / "products.json").read_text(encoding="utf-8"))
    assert all(barcodes.read(product["barcode"]).text == product["barcode"] for product in products)
