"""If-Match, read strictly: it names versions, and a weak or starred tag names none."""

import re

from flask import request

from app.errors import InvalidIfMatch, VersionMismatch

_TAG = re.compile(r'(W/)?"([^"]*)"')
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}")


def versions() -> frozenset[int] | None:
    """The versions that If-Match names, or None without the header."""
    header = request.headers.get("If-Match")
    if header is None:
        return None
    tags = [tag.strip() for tag in header.split(",")]
    found = [_TAG.fullmatch(tag) for tag in tags]
    if not all(match and _VERSION.fullmatch(match[2]) for match in found):
        raise InvalidIfMatch('If-Match must name versions, such as "7"', if_match=header)
    strong = frozenset(int(match[2]) for match in found if match and not match[1])
    if not strong:
        raise VersionMismatch("a weak tag never matches")
    return strong
