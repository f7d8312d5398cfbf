"""The JSON gate: UTF-8, one value, an object, no key twice, no NaN, not too deep. Nothing else gets in.

Python's own parser is generous (duplicate keys, NaN, any depth until the interpreter gives up), and
a generous reader lets two services read the same bytes differently.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from flask import Request
from werkzeug.exceptions import ClientDisconnected

from app.errors import Malformed

MAX_DEPTH = 20
MAX_DIGITS = 30
# The closing quote is optional: an unterminated string is then matched at once instead of from each of its quotes.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


class InvalidJson(Malformed):
    """The body is not one strict JSON object in UTF-8."""


class LengthRequired(Malformed):
    """Send Content-Length; chunked bodies are not accepted."""


class PayloadTooLarge(Malformed):
    """The body is larger than this call takes."""


class RequestTimeout(Malformed):
    """The body stopped coming before it was complete."""


class UnsupportedMediaType(Malformed):
    """The body must be application/json in UTF-8, not compressed."""


def read_object(request: Request, *, max_bytes: int) -> dict[str, Any]:
    """The request's body as a JSON object; raises one of the errors above."""
    _check_headers(request, max_bytes)
    try:
        body = request.get_data(cache=False)
    except (ClientDisconnected, OSError):
        raise RequestTimeout("the body did not arrive") from None
    value = parse(body)
    if not isinstance(value, dict):
        raise InvalidJson("the body must be a JSON object")
    return value


def _check_headers(request: Request, max_bytes: int) -> None:
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("send Content-Type: application/json")
    if request.mimetype_params.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("the body must be in UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("compressed bodies are not accepted")
    if request.headers.get("Transfer-Encoding"):
        raise LengthRequired("send Content-Length; chunked bodies are not accepted")
    if (request.content_length or 0) > max_bytes:
        raise PayloadTooLarge(f"the body may have {max_bytes} bytes", max_bytes=max_bytes)


def parse(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"byte {error.start} is not UTF-8") from None
    if _depth(body) > MAX_DEPTH:
        raise InvalidJson(f"the body is nested deeper than {MAX_DEPTH} levels")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int)
    except json.JSONDecodeError as error:
        raise InvalidJson(f"{error.msg} at line {error.lineno} column {error.colno}") from None


def _depth(body: bytes) -> int:
    """How deep the brackets nest outside of strings: counted before the recursive parser sees them."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidJson("an object names the same key twice")
    return value


def _constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not JSON")


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise InvalidJson("a number is out of range")
    return value


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise InvalidJson("a number is out of range")
    return int(digits)
