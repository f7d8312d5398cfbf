"""What may stand in a path; anything else in its place is an unknown URL."""

from flask import Flask
from werkzeug.routing import BaseConverter

from app.models.inventory_items import RESERVED_WORDS


class CodeConverter(BaseConverter):
    """A location code."""

    regex = r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}"


class ProductConverter(BaseConverter):
    """A product id: a code that is not the name of a call."""

    regex = rf"(?!(?:{'|'.join(sorted(RESERVED_WORDS))})(?:/|\Z)){CodeConverter.regex}"


class RowConverter(BaseConverter):
    """A number that the database has given out."""

    regex = r"[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        return int(value)


class IdConverter(BaseConverter):
    """A UUID as we write it."""

    regex = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class KeyConverter(BaseConverter):
    """An idempotency key: visible ASCII but for the slash that would end it."""

    regex = r"[!-.0-~]{1,255}"


def init_app(app: Flask) -> None:
    app.url_map.converters |= {
        "code": CodeConverter,
        "product": ProductConverter,
        "row": RowConverter,
        "id": IdConverter,
        "key": KeyConverter,
    }
