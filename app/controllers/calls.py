"""How a call is declared: `read` changes nothing, `write` changes something and takes an Idempotency-Key.

Both name the permission the caller needs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response, request
from flask_restx import Namespace

from app.controllers import auth
from app.errors import (
    AmbiguousCredentials,
    Forbidden,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    Unauthenticated,
)
from app.models.api_keys import Permission
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
AUTH_ERRORS = [Unauthenticated, Forbidden, AmbiguousCredentials]


def read(
    ns: Namespace, *args: Any, scope: str = Permission.STOCK_READ, errors: Any = (), **kwargs: Any
) -> Callable[[Any], Any]:
    """Declare a call that changes nothing."""
    refusals = [] if scope == auth.PUBLIC else AUTH_ERRORS
    declare = call(ns, *args, errors=[*errors, *refusals], before=partial(auth.require, scope), **kwargs)
    if scope == auth.PUBLIC:
        return _scoped(scope, lambda view: ns.doc(security=[])(declare(view)))
    return _scoped(scope, declare)


def write(
    *args: Any,
    scope: str = Permission.STOCK_WRITE,
    errors: Any = (),
    headers: dict[str, str] | None = None,
    **kwargs: Any,
) -> Callable[[Any], Any]:
    """Declare a call that changes something. Under an Idempotency-Key it takes effect once."""
    described = {HEADER: "makes the call take effect once, however often it is sent; kept for 72 hours"}
    return _scoped(
        scope,
        call(
            *args,
            errors=[*errors, *KEY_ERRORS, *AUTH_ERRORS],
            headers=described | (headers or {}),
            before=partial(auth.require, scope),
            around=once,
            **kwargs,
        ),
    )


def _scoped(scope: str, declare: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(view: Any) -> Any:
        declared = declare(view)
        declared.scope = scope
        return declared

    return decorate


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
    # Servers hand over two headers of one name as one, with a comma in between.
    if len(given) > 1 or not _TOKEN.fullmatch(key) or (not quoted and "," in key):
        raise InvalidIdempotencyKey("send one key of 1-255 visible ASCII characters; in quotes when it has a comma")
    return key


def _fingerprint(body: Any) -> str:
    """The same for the same request however its JSON is written: method, path with query, canonical body."""
    canonical = json.dumps([request.method, request.full_path, body], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
