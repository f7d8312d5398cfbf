"""Every error leaves as an RFC 9457 problem, and leaves through here. The only place that gives errors a status."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import orjson
from flask import Flask, Response
from flask_restx import Api
from flask_restx.representations import output_json
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app.errors import (
    Conflict,
    DomainError,
    Expired,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Stale,
    TokenRequired,
    TooSoon,
    Unauthenticated,
    Unavailable,
)
from app.utils import clock, context, database_errors, metrics
from app.utils.strict_json import LengthRequired, PayloadTooLarge, RequestTimeout, UnsupportedMediaType

log = logging.getLogger(__name__)

STATUS: dict[type[DomainError], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Expired: 410,
    RequestTimeout: 408,
    LengthRequired: 411,
    Stale: 412,
    PayloadTooLarge: 413,
    UnsupportedMediaType: 415,
    Invalid: 422,
    TokenRequired: 428,
    TooSoon: 429,
    Unavailable: 503,
}


class ProblemApi(Api):
    """Leaves errors to the application: RESTX's handler answers with an exception's `data`, the rejected input."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # So that the API page announces it; every answer is a finished response and never negotiated.
        self.representation("application/problem+json")(output_json)

    def error_router(self, original_handler: Any, e: Exception) -> Any:
        return original_handler(e)


def init_app(app: Flask) -> None:
    app.register_error_handler(Exception, to_response)


def to_response(error: Exception) -> Response:
    match error:
        case DomainError():
            return _of_domain(error)
        case HTTPException() if error.code is None or error.code < 400:
            return error.get_response()  # type: ignore[return-value]
        case HTTPException():
            return _of_http(error)
        case SQLAlchemyError():
            known = database_errors.translated(error)
            if known is not None:
                log.warning("the database failed", exc_info=error)
                return _of_domain(known)
    log.error("unhandled error", exc_info=error)
    return response(500, "internal_error", "An error of ours", "Something went wrong here; it is logged.")


def status_of(error: type[DomainError]) -> int:
    return next(STATUS[kind] for kind in error.__mro__ if kind in STATUS)


def code_of(error: type[Exception]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", error.__name__).lower()


def body_of(error: DomainError) -> dict[str, Any]:
    """The problem as an object, for answers that carry several."""
    kind = type(error)
    return _body(status_of(kind), code_of(kind), _title(kind), str(error), error.facts)


def response(status: int, code: str, title: str, detail: str, facts: dict[str, Any] | None = None) -> Response:
    body = _body(status, code, title, detail, facts or {})
    return Response(encoded(body), status, content_type="application/problem+json")


def problem(status: int, code: str, title: str, detail: str) -> bytes:
    """A problem outside of any request."""
    return encoded(_body(status, code, title, detail, {}))


def encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:
        # Half a character, echoed from the request, is no UTF-8; the standard library escapes it.
        return json.dumps(value, default=_plain).encode()


def _of_domain(error: DomainError) -> Response:
    body = body_of(error)
    metrics.REFUSALS.labels(body["code"]).inc()
    answer = Response(encoded(body), body["status"], content_type="application/problem+json")
    if isinstance(error, Unauthenticated):
        answer.headers["WWW-Authenticate"] = 'Bearer realm="inventory"'
    if hasattr(error, "retry_after"):
        answer.headers["Retry-After"] = str(error.retry_after)
    elif "retry_after_seconds" in error.facts:
        answer.headers["Retry-After"] = str(error.facts["retry_after_seconds"])
    return answer


def _of_http(error: HTTPException) -> Response:
    code = code_of(type(error))
    answer = response(error.code or 500, code, error.name, error.description or error.name)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            answer.headers[name] = value
    return answer


def _body(status: int, code: str, title: str, detail: str, facts: dict[str, Any]) -> dict[str, Any]:
    own = {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": context.request_id(),
        "code": code,
    }
    return own | {name: value for name, value in facts.items() if name not in own}


def _title(kind: type[DomainError]) -> str:
    return (kind.__doc__ or kind.__name__).strip().split("\n")[0]


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return clock.written(value)
    if isinstance(value, DomainError):
        return body_of(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
