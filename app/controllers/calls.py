"""How a call is declared: `read` changes nothing, `write` changes something and takes an Idempotency-Key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response, request

from app.errors import IdempotencyInProgress, IdempotencyKeyReused, InvalidIdempotencyKey
from app.repositories.idempotency_keys import Scope
from app.services import idempotency_keys
from app.services.idempotency_keys import Answer
from app.utils import context
from app.utils.openapi import call

HEADER = "Idempotency-Key"
_TOKEN = re.compile(r"[!#-~]{1,255}")
_QUOTED = re.compile(r'"([^"\\]*)"')
# Headers that belong to the answer; the others belong to the request that carries it.
KEPT_HEADERS = ("Location", "ETag")
KEY_ERRORS = [InvalidIdempotencyKey, IdempotencyInProgress, IdempotencyKeyReused]

read = call


def write(*args: Any, errors: Any = (), headers: dict[str, str] | None = None, **kwargs: Any) -> Callable[[Any], Any]:
    """Declare a call that changes something. Under an Idempotency-Key it takes effect once."""
    described = {HEADER: "makes the call take effect once, however often it is sent; kept for 72 hours"}
    return call(*args, errors=[*errors, *KEY_ERRORS], headers=described | (headers or {}), around=once, **kwargs)


def once(perform: Callable[[], Response], body: Any) -> Response:
    key = _key()
    if key is None:
        return perform()
    scope = Scope(context.actor(), key, request.method, request.path[:255])
    answer = idempotency_keys.once(scope, _fingerprint(body), partial(_answer, perform))
    response = Response(answer.body, answer.status, answer.headers, content_type="application/json")
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _answer(perform: Callable[[], Response]) -> Answer:
    response = perform()
    kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return Answer(response.status_code, response.get_data(), kept)


def _key() -> str | None:
    """The key, as a bare token or a quoted string; None without the header."""
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    quoted = _QUOTED.fullmatch(given[0])
    key = quoted[1] if quoted else given[0]
    if len(given) > 1 or not _TOKEN.fullmatch(key):
        raise InvalidIdempotencyKey("send one key of 1-255 visible ASCII characters")
    return key


def _fingerprint(body: Any) -> str:
    """The same for the same request however its JSON is written: method, path with query, canonical body."""
    canonical = json.dumps([request.method, request.full_path, body], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
