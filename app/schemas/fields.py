"""Field types with the platform's rules built in: identifiers, quantities, times, text, query values."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import iso4217
from marshmallow import ValidationError, fields, validate

from app.models.inventory_items import RESERVED_WORDS
from app.utils.clock import written
from config import MAX_QUANTITY

# ASCII classes and fullmatch on purpose: `\d` accepts other scripts' digits and `$` a trailing newline.
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
NUMBER = re.compile(r"[0-9]{1,18}")
SIGNED_NUMBER = re.compile(r"-?[0-9]{1,18}")
AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")
CURRENCY = re.compile(r"[A-Z]{3}")
# Metals, funds and "no currency" have codes as well; these five are currencies of several countries.
SHARED = frozenset({"XAF", "XCD", "XCG", "XOF", "XPF"})
CURRENCIES = frozenset(each.code for each in iso4217.Currency if each.code[0] != "X" or each.code in SHARED)
INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Code(fields.String):
    """1-64 of A-Z a-z 0-9 . _ : -, the first one alphanumeric; case-sensitive."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": f"^{CODE.pattern}$", "example": "TSHIRT-M"} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        code = super()._deserialize(value, attr, data, **kwargs)
        if not CODE.fullmatch(code):
            raise ValidationError("Must be 1-64 of A-Z a-z 0-9 . _ : - and begin with a letter or digit.")
        return code


class ProductId(Code):
    """A code that is not the name of a call."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        code = super()._deserialize(value, attr, data, **kwargs)
        if code in RESERVED_WORDS:
            raise ValidationError(f"{code!r} is a reserved word.")
        return code


class Reference(fields.String):
    """The caller's own reference: 1-64 visible characters."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"minLength": 1, "maxLength": 64, "example": "order-1001"} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        # Composed first: a few characters get longer by it.
        text = unicodedata.normalize("NFC", super()._deserialize(value, attr, data, **kwargs))
        if not 1 <= len(text) <= 64 or not text.isprintable() or any(mark.isspace() for mark in text):
            raise ValidationError("Must be 1-64 visible characters.")
        return text


class Text(fields.String):
    """Words for people, kept as written but for composed accents; no NUL, no half characters, and not blank
    unless that is allowed.
    """

    def __init__(self, longest: int, *, may_be_blank: bool = False, **kwargs: Any) -> None:
        metadata = {"minLength": 0 if may_be_blank else 1, "maxLength": longest} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)
        self.longest, self.may_be_blank = longest, may_be_blank

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = unicodedata.normalize("NFC", super()._deserialize(value, attr, data, **kwargs))
        if not text.strip() and not self.may_be_blank:
            raise ValidationError("Must not be blank.")
        if len(text) > self.longest:
            raise ValidationError(f"Must be at most {self.longest} characters.")
        if "\x00" in text or any("\ud800" <= mark <= "\udfff" for mark in text):
            raise ValidationError("Must not contain NUL or half of a character.")
        return text


class Document(fields.Dict):
    """A free-form object, kept as it is."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        document = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        try:
            text = json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValidationError("Must not contain half of a character.") from None
        if len(text) > 16_384:
            raise ValidationError("Must be smaller than 16 kB.")
        return document


class Whole(fields.Integer):
    """A JSON integer within bounds; 1.0, "1" and true are not integers here."""

    def __init__(self, least: int | None = 0, most: int = MAX_QUANTITY, **kwargs: Any) -> None:
        self.bounds = validate.Range(least, most)
        super().__init__(strict=True, validate=[self.bounds, *kwargs.pop("validate", [])], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if type(value) is not int:
            raise self.make_error("invalid")
        return value


class Amount(fields.Field[Decimal]):
    """An exact amount of money: a string such as "129.99" or a whole number, never a float; "129.99" when read."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"type": "string", "pattern": f"^{AMOUNT.pattern}$", "example": "129.99"}
        super().__init__(metadata=metadata | kwargs.pop("metadata", {}), **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else f"{value:.2f}"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        text = str(value) if type(value) is int else value
        if not isinstance(text, str) or not AMOUNT.fullmatch(text):
            raise ValidationError('Must be an amount with at most two decimals, as a string such as "129.99".')
        return Decimal(text).quantize(Decimal("0.01"))


class Currency(fields.String):
    """An ISO 4217 code: three capital letters."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": f"^{CURRENCY.pattern}$", "example": "USD"} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        code = super()._deserialize(value, attr, data, **kwargs)
        if code not in CURRENCIES:
            raise ValidationError("Must be the code of a currency in ISO 4217, such as USD.")
        return code


class Instant(fields.AwareDateTime):
    """RFC 3339 with an offset; written in UTC with Z, microseconds kept."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"example": "2026-03-29T10:15:00.000000Z"} | kwargs.pop("metadata", {})
        super().__init__(format="iso", metadata=metadata, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else written(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not INSTANT.fullmatch(value):
            raise ValidationError("Must be an RFC 3339 time with an offset, such as 2026-03-29T10:15:00Z.")
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError("Is not a moment in time.") from None


class QueryWhole(fields.Integer):
    """Digits in a query string; nothing else that Python's int() would also take."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(least, most), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not isinstance(value, str) or not NUMBER.fullmatch(value):
            raise ValidationError("Must be a whole number.")
        return int(value)


class Flag(fields.Boolean):
    """A JSON true or false; 1, 0 and "yes" are something else."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if type(value) is not bool:
            raise self.make_error("invalid", input=value)
        return value


class QueryFlag(fields.Boolean):
    """`true` or `false` in a query string."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise ValidationError("Must be true or false.")
        return bool(value == "true")


class Search(fields.String):
    """Words to look for, at most 100 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"minLength": 1, "maxLength": 100} | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not text.strip() or len(text) > 100 or not text.isprintable():
            raise ValidationError("Must be 1-100 printable characters.")
        return unicodedata.normalize("NFC", text)
