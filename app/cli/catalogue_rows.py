"""Products and stores as a file names them, made rows of ours: the synonyms, the repairs, the refusals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields

from app.cli.catalogue_paths import Reading, document, path_of, plain
from app.errors import InvalidBarcode
from app.models import barcodes
from app.models.imported import ProductRow, StoreRow
from app.models.products import DESCRIPTION_LENGTH, NAME_LENGTH
from app.schemas.fields import SIGNED_NUMBER, Amount, Code, Currency, Document, ProductId, Text, Whole

# Of several columns with one meaning the first that a row has counts; the others are kept as attributes.
CODE_COLUMNS = ("sku", "sku_code", "product_id", "id")
BARCODE_COLUMNS = ("barcode", "upc", "ean", "gtin")
CATEGORY_COLUMNS = ("category", "category_path", "category_ids")
DOCUMENTS = ("attributes", "sku_attributes")
OF_PRODUCT = ("name", "description", "attributes")
OF_SKU = ("price", "currency", "unit", "barcode")
# What only something for sale has; and what a store may have as well, be it under the same word for something else.
FOR_SALE = {"sku", "sku_code", "product_id", "price", "stock", "variant_of", "sku_attributes", *BARCODE_COLUMNS}
OF_EITHER = {"description", "currency", "unit", *CATEGORY_COLUMNS}
KNOWN = {*OF_PRODUCT, *OF_SKU, *CATEGORY_COLUMNS, *DOCUMENTS, "stock", "variant_of", "verbatim"}
# Where the codes of the Postal Service begin with 0.
ZERO_STATES = {"CT", "MA", "ME", "NH", "NJ", "PR", "RI", "VI", "VT"}
ZIP, ZIP_PLUS_4, SHORT_ZIP = re.compile("[0-9]{5}"), re.compile("[0-9]{5}-[0-9]{4}"), re.compile("[0-9]{3,4}")
STORE_COLUMNS = {"id", "code", "name", "address", "address2", "city", "state", "zip", "country", "services"}


class ProductShape(Schema):
    """A row of products: only its code must be there."""

    code = ProductId(required=True)
    variant_of = ProductId()
    name = Text(NAME_LENGTH)
    description = Text(DESCRIPTION_LENGTH, may_be_blank=True)
    attributes = Document()
    price = Amount()
    currency = Currency()
    unit = Text(32)
    barcode = fields.Str(allow_none=True)
    sku_attributes = Document()
    stock = Whole()


class StoreShape(Schema):
    code = Code(required=True)
    name = Text(200)
    address = Document()
    attributes = Document()


PRODUCT, STORE = ProductShape(), StoreShape()


# ── Products ─────────────────────────────────────────────────────────────────────────────────────


def product_row(values: Mapping[str, Any], reading: Reading) -> ProductRow:
    """Raises ValueError with the reason when the row cannot be used."""
    loaded = _loaded(PRODUCT, _stated(values, reading))
    path, leaf = path_of(values, reading)
    sku = {name: loaded[name] for name in OF_SKU if name in loaded}
    if "sku_attributes" in loaded:
        sku["attributes"] = loaded["sku_attributes"]
    return ProductRow(
        origin=reading.origin,
        code=loaded["code"],
        product={name: loaded[name] for name in OF_PRODUCT if name in loaded},
        sku=sku,
        path=path,
        leaf=leaf,
        stock=loaded.get("stock"),
        variant_of=loaded.get("variant_of"),
    )


def _stated(values: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """What the row says, under our names and as the shape takes it."""
    code_column, barcode_column = _first(CODE_COLUMNS, values), _first(BARCODE_COLUMNS, values)
    reading.id = plain(values.get(code_column), code_column)
    said = {name: values[name] for name in KNOWN & values.keys() if values[name] is not None}
    said |= {name: document(said[name]) for name in DOCUMENTS if name in said}
    said |= {name: reading.tidy(said[name]) for name in ("name", "description") if name in said}
    extra = _more(values, KNOWN | {code_column, barcode_column}, reading)
    stated = said.get("attributes", {})
    if extra and isinstance(stated, dict):  # what is no object the shape refuses
        said["attributes"] = extra | stated
    if type(said.get("price")) is float:
        said["price"] = repr(said["price"])  # the digits that were written, not the binary number nearest to them
    if isinstance(said.get("stock"), str) and SIGNED_NUMBER.fullmatch(said["stock"]):
        said["stock"] = int(said["stock"])
    said = {name: said[name] for name in PRODUCT.fields if name in said and name != "barcode"}
    return said | {"code": reading.id} | _barcode(values, barcode_column, reading)


def _barcode(values: Mapping[str, Any], column: str, reading: Reading) -> dict[str, str | None]:
    if column not in values or values[column] == "":
        return {}
    if values[column] is None:
        return {"barcode": None}
    text = str(values[column]).strip()
    # Between EAN-8 and UPC-A there is nothing: a spreadsheet took the zeros for those of a number.
    if re.fullmatch("[0-9]{9,11}", text):
        text = text.zfill(12)
        reading.remark("barcode_zeros", text)
    try:
        return {"barcode": barcodes.read(text).text}
    except InvalidBarcode as error:
        raise ValueError(f"barcode: {' '.join(error.facts['errors']['barcode'])}") from None


# ── Stores ───────────────────────────────────────────────────────────────────────────────────────


def store_row(values: Mapping[str, Any], reading: Reading) -> StoreRow:
    """A store of the United States unless it names its country. Raises ValueError when the row cannot be used."""
    reading.id = code = _store_code(values)
    said = {name: plain(cell, name) if name in STORE_COLUMNS else cell for name, cell in values.items()}
    said = {name: reading.tidy(cell) for name, cell in said.items() if not isinstance(cell, str) or cell.strip()}
    attributes = _more(said, STORE_COLUMNS, reading)
    if "services" in said:
        attributes["services"] = [service.strip() for service in said["services"].split("|")]
    address: dict[str, Any] = {name: said[name] for name in ("city", "state", "zip") if name in said}
    street = " ".join(said[name] for name in ("address", "address2") if name in said)
    if street:
        address["street"] = street
    if address:
        address["country"] = said.get("country", "US")
    if "zip" in address and address["country"] == "US":
        address["zip"] = _zip(address["zip"], said.get("state", ""), reading)
    stated = {"name": said.get("name"), "address": address, "attributes": attributes}
    loaded = _loaded(STORE, {"code": code} | {name: value for name, value in stated.items() if value})
    return StoreRow(origin=reading.origin, code=loaded.pop("code"), values=loaded)


def _store_code(values: Mapping[str, Any]) -> str:
    code, number = (plain(values.get(column), column).strip() for column in ("code", "id"))
    if not code and not number:
        raise ValueError("a store needs an id or a code")
    return code or f"store-{number}"


def _zip(code: str, state: str, reading: Reading) -> str:
    if SHORT_ZIP.fullmatch(code) and state in ZERO_STATES:
        reading.remark("zip_zero", f"{code} → {code.zfill(5)}")
        return code.zfill(5)
    if ZIP_PLUS_4.fullmatch(code):
        reading.remark("zip_plus_4", code)
    elif not ZIP.fullmatch(code):
        reading.remark("zip_odd", code)
    return code


# ── Of both ──────────────────────────────────────────────────────────────────────────────────────


def _more(values: Mapping[str, Any], known: set[str], reading: Reading) -> dict[str, Any]:
    """What has no meaning of its own here, and says something."""
    extra = {name: value for name, value in values.items() if name not in known and value not in (None, "")}
    reading.more_columns.update(dict.fromkeys(extra))
    return {name: reading.tidy(value) if isinstance(value, str) else value for name, value in extra.items()}


def _first(columns: tuple[str, ...], values: Mapping[str, Any]) -> str:
    """The first of these that says something, else the first that is there, else the last."""
    there = [name for name in columns if name in values]
    return next((name for name in there if values[name] not in (None, "")), (there or columns[-1:])[0])


def _loaded(shape: Schema, values: dict[str, Any]) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = shape.load(values)
    except ValidationError as error:
        reasons = [f"{name}: {' '.join(messages)}" for name, messages in error.messages_dict.items()]
        raise ValueError(" ".join(reasons)) from None
    return loaded
