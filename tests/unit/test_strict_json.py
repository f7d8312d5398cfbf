"""The JSON gate by itself: what it lets through every reader reads alike; everything else is malformed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from flask import Request
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from app.errors import Malformed
from app.utils.strict_json import (
    MAX_DEPTH,
    MAX_DIGITS,
    InvalidJson,
    LengthRequired,
    PayloadTooLarge,
    UnsupportedMediaType,
    parse,
    read_object,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
ALMOST_JSON = st.text(alphabet='{}[]",:\\/ue0123456789.+-EtrufalsnNIy \n\t\ud800', max_size=60).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + closing * depth).encode()


def depth_of(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(depth_of, inside), default=0)


@settings(deadline=None)
@given(st.binary(max_size=200) | ALMOST_JSON)
@example(b"\xef\xbb\xbf{}")
@example(b'"\\ud800"')
@example(b"[" * 100_000)
@example(b'"' + b"\\" * 100_001)
@example(b'{"a":' * 50_000 + b'"[[[[')
def test_any_bytes_are_refused_as_malformed_or_read_as_the_standard_library_reads_them(body):
    try:
        value = parse(body)
    except Malformed:
        return
    assert repr(value) == repr(json.loads(body.decode()))


@settings(deadline=None)
@given(VALUES.filter(lambda value: depth_of(value) <= MAX_DEPTH), st.booleans())
def test_every_json_value_comes_through_unchanged(value, escaped):
    body = json.dumps(value, ensure_ascii=escaped).encode()
    assert repr(parse(body)) == repr(value)


@settings(deadline=None)
@given(VALUES)
def test_what_comes_through_is_never_deeper_than_allowed(value):
    body = json.dumps(value).encode()
    if depth_of(value) > MAX_DEPTH:
        with pytest.raises(InvalidJson):
            parse(body)
    else:
        assert depth_of(parse(body)) == depth_of(value)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_twenty_levels_are_read_and_twenty_one_are_not(opening, closing):
    bottom = "[]" if opening == "[" else "{}"
    assert depth_of(parse((opening * (MAX_DEPTH - 1) + bottom + closing * (MAX_DEPTH - 1)).encode())) == MAX_DEPTH
    with pytest.raises(InvalidJson, match="nested deeper than 20 levels"):
        parse((opening * MAX_DEPTH + bottom + closing * MAX_DEPTH).encode())


@pytest.mark.parametrize("depth", [1_000, 20_000, 200_000])
def test_no_depth_exhausts_the_interpreter(depth):
    for body in (nested(depth), nested(depth)[:depth], nested(depth, '{"a":', "}")):
        with pytest.raises(InvalidJson):
            parse(body)


@pytest.mark.parametrize(
    "text", ['"[[[[[[[[[[[[[[[[[[[[[[[["', r'"\"[[[[[[[[[[[[[[[[[[[[[[[[\\"', '{"[[[[[[[[[[[[[[[[[[[[[[[":1}']
)
def test_brackets_inside_of_strings_are_text(text):
    assert parse(text.encode()) == json.loads(text)


@pytest.mark.parametrize("body", [b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b'[{"b":{"a":1,"a":2}}]'])
def test_a_key_twice_is_refused_at_any_level(body):
    with pytest.raises(InvalidJson, match="same key twice"):
        parse(body)


def test_keys_that_only_look_alike_are_two_keys():
    assert parse('{"é":1,"e\u0301":2,"E":3,"e":4}'.encode()) == {"\u00e9": 1, "e\u0301": 2, "E": 3, "e": 4}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "[1e999999]"])
def test_a_number_that_is_none_is_refused(number):
    with pytest.raises(InvalidJson):
        parse(number.encode())


@pytest.mark.parametrize("number", ["1e308", "-1.7976931348623157e308", "5e-324", "1e-400", "-0.0", "0.1"])
def test_every_finite_number_is_read(number):
    assert math.isfinite(parse(number.encode()))


def test_an_integer_has_thirty_characters_at_most():
    assert parse(b"9" * MAX_DIGITS) == 10**MAX_DIGITS - 1
    for digits in (b"9" * (MAX_DIGITS + 1), b"9" * 5_000, b"-" + b"9" * 5_000):
        with pytest.raises(InvalidJson, match="out of range"):
            parse(digits)


@pytest.mark.parametrize(
    "body", [b"\xe9", b'"\xed\xa0\x80"', b'"\xc0\xaf"', b'"\xf4\x90\x80\x80"', '{"a":1}'.encode("utf-16")]
)
def test_other_encodings_are_refused_with_the_place(body):
    with pytest.raises(InvalidJson, match=r"byte \d+ is not UTF-8"):
        parse(body)


def test_half_a_character_that_is_escaped_is_left_to_the_schema():
    assert parse(b'"\\ud800"') == "\ud800"
    assert parse(b'"\\ud83d\\ude00"') == "😀"


# ── The request around the body ──────────────────────────────────────────────────────────────────


def request(body: bytes = b"{}", content_type: str = "application/json", **headers: str) -> Request:
    given_headers = [(name.replace("_", "-"), value) for name, value in headers.items()]
    environ = EnvironBuilder(method="POST", data=body, content_type=content_type, headers=given_headers).get_environ()
    return Request(environ)


def test_an_object_is_handed_over():
    assert read_object(request(b'{"a":[1]}'), max_bytes=100) == {"a": [1]}


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"true", b" ", b"\n"])
def test_anything_but_an_object_is_invalid(body):
    with pytest.raises(InvalidJson):
        read_object(request(body), max_bytes=100)


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": ""},
        {"content_type": "application/json; charset=utf-16"},
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "identity, gzip"},
    ],
)
def test_anything_but_plain_json_in_utf8_is_unsupported(headers):
    with pytest.raises(UnsupportedMediaType):
        read_object(request(**headers), max_bytes=100)


def test_the_limit_is_the_last_byte_that_fits():
    assert read_object(request(b"{}".ljust(100)), max_bytes=100) == {}
    with pytest.raises(PayloadTooLarge) as refused:
        read_object(request(b"{}".ljust(101)), max_bytes=100)
    assert refused.value.facts == {"max_bytes": 100}


def test_a_chunked_body_is_refused_before_a_byte_is_read():
    chunked = request(Transfer_Encoding="chunked")
    with pytest.raises(LengthRequired):
        read_object(chunked, max_bytes=100)
    assert chunked.stream.tell() == 0
