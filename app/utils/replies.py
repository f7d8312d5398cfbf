"""Successful answers: one envelope, rendered once, and kept as bytes where they can be kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request
from marshmallow import Schema

from app.extensions import cache
from app.utils.cache import Entry
from app.utils.problems import encoded


@dataclass(slots=True)
class Reply:
    """What a call answers besides plain data."""

    data: Any
    message: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = None


def render(schema: Schema | None, data: Any, *, message: str, meta: dict[str, Any] | None = None) -> bytes:
    dumped = data if schema is None else schema.dump(data)
    return encoded({"status": "success", "data": dumped, "message": message, "meta": meta or {}})


def send(body: bytes, *, status: int = 200, etag: str | None = None, headers: dict[str, str] | None = None) -> Response:
    response = Response(body, status, content_type="application/json")
    response.headers.update(headers or {})
    if etag is not None:
        response.headers["ETag"] = f'"{etag}"'
    return response


def cached(key: str, tag: str, fill: Callable[[], Entry], *, seconds: float) -> Response:
    """The answer from the cache, or from `fill`; 304 when the client has it and nothing but time could differ."""
    entry, outcome = cache().lookup(key, tag, fill, seconds=seconds)
    if entry.etag is not None and entry.settled and request.if_none_match.contains_weak(entry.etag):
        response = Response(status=304, headers={"ETag": f'"{entry.etag}"'})
    else:
        response = send(entry.body, etag=entry.etag)
    response.headers["X-Cache"] = outcome
    return response


def list_key() -> str:
    """One cache key per list and query, whatever the order of the parameters."""
    query = sorted(request.args.items(multi=True))
    return "list:" + hashlib.sha256(repr((request.path, query)).encode()).hexdigest()
