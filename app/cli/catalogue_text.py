"""Text as other systems export it, made the text that was meant; what was done to it is told."""

from __future__ import annotations

import re
from html import unescape

from ftfy import fix_encoding

# What a converter puts where it lost a character. A ¿ that opens a Spanish question stands before a letter.
_LOST = re.compile("\ufffd|(?<=\\w)¿|¿(?!\\w)")


def cleaned(text: str) -> tuple[str, list[str]]:
    """The text, and the kinds of `REMARKS` there are about it.

    An entity is resolved once only: `&amp;lt;` is the text `&lt;`.
    """
    said: list[str] = []
    bare = text.strip()
    if bare != text:
        said.append("outer_spaces")
    if bare.isascii() and "&" not in bare:
        return bare, said
    fixed = fix_encoding(bare)
    if fixed != bare:
        said.append("mojibake")
    resolved = unescape(fixed)
    if resolved != fixed:
        said.append("html")
    if _LOST.search(resolved):
        said.append("lost_characters")
    return resolved.strip(), said


def would_change(value: object) -> bool:
    """Whether reading this text, or any in this list, would make another one of it."""
    if isinstance(value, str):
        return cleaned(value)[0] != value
    return isinstance(value, list | tuple) and any(would_change(each) for each in value)
