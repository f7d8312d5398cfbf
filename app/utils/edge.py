"""What happens to every request: an id, an actor, a log line, a measurement, a few headers."""

from __future__ import annotations

import logging
import re
import time

from flask import Flask, Response, g, request

from app.utils import context, ids, metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
ANONYMOUS = "anonymous"
# Whatever else a client calls its method must not become a label of its own.
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
log = logging.getLogger("app.requests")


def init_app(app: Flask) -> None:
    app.before_request(_enter)
    app.after_request(_leave)
    app.teardown_request(_forget)


def _enter() -> None:
    g.started = time.perf_counter()
    asked = request.headers.get("X-Request-ID", "")
    context.enter(actor=ANONYMOUS, request_id=asked if REQUEST_ID.fullmatch(asked) else ids.new_id())


def _leave(response: Response) -> Response:
    response.headers["X-Request-ID"] = context.request_id() or ""
    seconds = time.perf_counter() - g.get("started", time.perf_counter())
    route = request.url_rule.rule if request.url_rule else "unmatched"
    method = request.method if request.method in METHODS else "other"
    metrics.REQUESTS.labels(method, route, str(response.status_code)).observe(seconds)
    log.info(
        "request",
        extra={
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "milliseconds": round(seconds * 1000, 2),
        },
    )
    return response


def _forget(_error: BaseException | None) -> None:
    """What this thread says between two requests belongs to neither."""
    context.enter(actor=context.SYSTEM, request_id=None)
