"""Take secrets out of a text, whoever put them in.

Credentials are recognised by their form or by the name in front of them; passwords this process was configured with,
by themselves. What is taken out too much costs a reader a guess, what is left in costs a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from config import Config

HIDDEN = "***"
LONGEST = 16_384
LOOKED_AT = 262_144
# Shorter words occur anywhere, and whoever chose one as a password has no secret.
SHORTEST_SECRET = 6
_NAMES = (
    r"(?:authori[sz]ation|(?:api|access|private|jwt)[-_]?key|passw(?:or)?d|passphrase|pwd"
    r"|secret|token|signature|credential)"
)
_NAME = re.compile(rf"{_NAMES}|cookie", re.I)
# name: value, name=value, 'name': 'value', ('name', 'value'); an exception's own name is none of these.
_NAMED = (
    rf"({_NAMES}(?!\w{{0,30}}(?:Error|Exception)\b)[\w-]{{0,30}}"
    r"[\"'\\]{0,4}\s{0,3}(?:[=:]|%3D|,(?=\s?b?[\"']))\s{0,3}b?"
)
# The rest of a quoted text, up to a quote like the one before that is not escaped.
_QUOTED = r"(?:\\[^\r\n]|(?!\2)[^\\\r\n]){1,4000}"
_NAME_WORDS = (
    *("authori", "apikey", "api-key", "api_key", "access", "private", "jwt", "passw", "phrase", "pwd"),
    *("secret", "token", "signature", "credential"),
)
# The words without one of which a text, in small letters, has no such credential; its form; what is written instead.
# Every repetition is bounded, since strangers write what is looked at.
_FORMS: list[tuple[tuple[str, ...], re.Pattern[str], str]] = [
    # scheme://user:password@host, up to the last @ of the word.
    (("://",), re.compile(r"(://[^\s:/@\"'<>]{0,100}:)[^\s\"'<>]{0,500}@"), rf"\1{HIDDEN}@"),
    # scheme://token@host; a name alone is taken for one.
    (("://",), re.compile(r"(://)[^\s:/?#@\"'<>]{1,500}@"), rf"\1{HIDDEN}@"),
    (("private key",), re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.{0,16000}?(?:-----END|\Z)", re.S), HIDDEN),
    (("inv_",), re.compile(r"(inv_[0-9a-f]{8}_)[\w-]{8,100}"), rf"\1{HIDDEN}"),
    (("eyj",), re.compile(r"(?:(?<![\w-])|(?<=%..))eyJ[\w-]{4,4000}\.[\w-]{2,4000}(?:\.[\w-]{0,4000}){0,3}"), HIDDEN),
    (
        ("bearer", "basic"),
        re.compile(r"\b(bearer|basic)((?:\s|\+|%20){1,3})[\w.~+/=-]{6,4000}", re.I),
        rf"\1\2{HIDDEN}",
    ),
    # Its parts go by names that say nothing, such as response.
    (("digest",), re.compile(r"\b(digest\s{1,3})(?=\w{1,30}=)[^\r\n]{1,4000}", re.I), rf"\1{HIDDEN}"),
    (
        ("identified",),
        re.compile(rf"(identified\s[^\r\n]{{0,100}}?\b(?:by|as|using)\s[\w\s(\\]{{0,20}}([\"'])){_QUOTED}", re.I),
        rf"\1{HIDDEN}",
    ),
    # Everything is a key somewhere: by this name alone only what a query carries.
    (
        ("key=", "key%3d", "sig=", "sig%3d"),
        re.compile(r"([?&](?:key|sig)(?:=|%3D))[^\s\"'&,;})\]]{1,4000}", re.I),
        rf"\1{HIDDEN}",
    ),
    (("cookie",), re.compile(r"(cookie[\"']{0,2}\s{0,3}[:=,]\s{0,3}b?[\"']?)[^\r\n\"']{1,4000}", re.I), rf"\1{HIDDEN}"),
    (_NAME_WORDS, re.compile(rf"{_NAMED}\\{{0,3}}([\"'])){_QUOTED}", re.I), rf"\1{HIDDEN}"),
    (_NAME_WORDS, re.compile(rf"{_NAMED})(?!bearer\s|basic\s)[^\s\"'&,;}})\]]{{1,4000}}", re.I), rf"\1{HIDDEN}"),
]
# One look for these tells that a text is harmless, as nearly all are; it is made for every line.
_SUSPECT = tuple({word: None for words, _, _ in _FORMS for word in words})


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """The text without what looks like a credential and without what is known to be one; very long ones are cut."""
    text = text[:LOOKED_AT]
    for secret in known:
        text = text.replace(secret, HIDDEN)
    lower = text.lower()
    if any(word in lower for word in _SUSPECT):
        for words, form, instead in _FORMS:
            if any(word in lower for word in words):
                text = form.sub(instead, text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether what goes by this name must not be told."""
    return _NAME.search(name) is not None


def secrets_of(config: Config) -> list[str]:
    """What must never be told of these settings, the longest first."""
    found = {form for secret in _configured(config) for form in (secret, repr(secret)[1:-1])}
    return sorted((secret for secret in found if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)


def _configured(config: Config) -> Iterator[str]:
    yield config.secret_key
    yield from config.jwt_keys
    for url in filter(None, (config.database_url, config.redis_url, config.product_service_url)):
        try:
            yield make_url(url).password or ""
        except (ArgumentError, ValueError):
            continue
