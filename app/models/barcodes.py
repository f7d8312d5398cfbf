"""Barcodes as text, and the one number behind each: a UPC-E, its UPC-A and that with a 0 in front are the same.

Pure. An 8-digit code can be right as EAN-8 and as UPC-E, which are two numbers; docs/catalogue.md says which is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from biip import ParseError
from biip.gtin import Gtin
from biip.upc import Upc

from app.errors import InvalidBarcode

# ASCII digits on purpose: the library would take those of other scripts.
_TEXT = re.compile(r"[0-9]{8}|[0-9]{12,13}")


@dataclass(frozen=True, slots=True)
class Barcode:
    """`text` is what was given, leading zeros kept; `gtin14` is what two barcodes are compared by."""

    text: str
    gtin14: str


def read(text: str) -> Barcode:
    """The barcode as it is stored. Raises `InvalidBarcode`."""
    return Barcode(text, candidates(text)[0])


def candidates(text: str) -> list[str]:
    """Every number that `text` can stand for, the more likely one first. Raises `InvalidBarcode`."""
    if not _TEXT.fullmatch(text):
        raise _invalid("Must be the 8, 12 or 13 digits of an EAN-13, EAN-8, UPC-A or UPC-E, as text.")
    if not text.strip("0"):
        raise _invalid("Nobody has a number of zeros alone.")
    readers = {8: [_ean, _upc], 12: [_upc], 13: [_ean]}[len(text)]
    if text.startswith("0"):
        # As an EAN-8 it would be a number for use within one store, which GS1 gives to nobody.
        readers.reverse()
    found = [number for number in (reader(text) for reader in readers) if number is not None]
    if not found:
        raise _invalid("The check digit is wrong.")
    return found


def _ean(text: str) -> str | None:
    try:
        return Gtin.parse(text).as_gtin_14()
    except ParseError:
        return None


def _upc(text: str) -> str | None:
    try:
        return Upc.parse(text).as_gtin_14()
    except ParseError:
        return None


def _invalid(why: str) -> InvalidBarcode:
    return InvalidBarcode("this is no barcode of a product", errors={"barcode": [why]})
