"""If-Match, read strictly: it names versions, and a weak or starred tag names none."""

import re

from flask import request

from app.errors import InvalidIfMatch, VersionMismatch

_TAG = re.compile(r'(W/)?"([^"]*)"')
# What follows a hyphen tells details apart that change without a version.
_VERSION = re.compile(r"(0|[1-9][0-9]{0,17})(-[0-9a-f]{12})?")


def versions() -> frozenset[int] | None:
    """The versions that If-Match names, or None without the header."""
    header = request.headers.get("If-Match")
    if header is None:
        return None
    tags = [tag.strip() for tag in header.split(",")]
    found = [_TAG.fullmatch(tag) for tag in tags]
    named = [(match[1], _VERSION.fullmatch(match[2])) for match in found if match]
    if len(named) < len(found) or not all(version for _, version in named):
        raise InvalidIfMatch('If-Match must name versions, such as "7"', if_match=header)
    strong = frozenset(int(version[1]) for weak, version in named if version and not weak)
    if not strong:
        raise VersionMismatch("a weak tag never matches")
    return strong
