"""One declaration per call: what it takes, what it answers, how it fails. It checks, dumps and documents.

Flask-RESTX knows nothing of marshmallow, so apispec turns each schema into a Swagger 2.0 definition and
RESTX publishes it. RESTX's own fields, parsers and marshalling are not used.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import cache, wraps
from typing import Any, ClassVar

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Response, request
from flask_restx import Namespace
from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from app.errors import DomainError, InvalidQuery, Unavailable, ValidationFailed
from app.utils import problems
from app.utils.replies import Reply, render, send
from app.utils.strict_json import (
    InvalidJson,
    LengthRequired,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
    read_object,
)

View = Callable[..., Any]
Around = Callable[[Callable[[], Response], Any], Response]
BODY_ERRORS = (InvalidJson, RequestTimeout, LengthRequired, PayloadTooLarge, UnsupportedMediaType, ValidationFailed)
MAX_BODY = 65_536


class Problem(Schema):
    """RFC 9457 problem details, with the error's own facts beside them."""

    EXAMPLE: ClassVar = {
        "type": "/problems/insufficient_stock",
        "title": "Fewer units are available than were asked for.",
        "status": 409,
        "detail": "40 of 41 units of KEYBOARD-1 available",
        "instance": "01a1f98d-52fc-7431-959a-57d5d4b193e2",
        "code": "insufficient_stock",
        "requested": 41,
        "available_quantity": 40,
        "shortage": 1,
    }

    class Meta:
        unknown = INCLUDE

    type = fields.Str(required=True)
    title = fields.Str(required=True)
    status = fields.Int(required=True)
    detail = fields.Str(required=True)
    instance = fields.Str(allow_none=True, metadata={"description": "the request id"})
    code = fields.Str(required=True)
    errors = fields.Dict(metadata={"description": "field → messages, for 422"})


def _name(schema: Schema | type[Schema]) -> str:
    return (schema if isinstance(schema, type) else type(schema)).__name__


_marshmallow = MarshmallowPlugin(schema_name_resolver=_name)
# What "Try it out" offers instead of a largest number and the word "string".
_examples: dict[str, dict[str, Any]] = {}
_spec = APISpec(title="", version="", openapi_version="2.0", plugins=[_marshmallow])


def call(
    ns: Namespace,
    *,
    body: Schema | None = None,
    query: Schema | None = None,
    returns: Schema | None = None,
    many: bool = False,
    status: int = 200,
    message: str = "OK",
    errors: Iterable[type[DomainError]] = (),
    headers: dict[str, str] | None = None,
    max_body: int = MAX_BODY,
    optional_body: bool = False,
    before: Callable[[], None] | None = None,
    around: Around | None = None,
) -> Callable[[View], View]:
    """Declare a call. The view gets `body` and `query` loaded, and returns data, a `Reply` or a finished response.

    With `optional_body` an empty request counts as `{}`. `before` runs first and may refuse. `around` is given the
    rest of the call as a function that it may run again, and the body as it was sent.
    """
    shape = returns if returns is None or not many else type(returns)(many=True)

    def decorate(view: View) -> View:
        @wraps(view)
        def run(*args: Any, **kwargs: Any) -> Response:
            if before is not None:
                before()
            loaded = _load_query(query)
            if query is not None:
                kwargs["query"] = loaded
            sent = None if body is None else _read_body(max_body, optional=optional_body)
            if body is not None:
                kwargs["body"] = load(body, sent)

            def perform() -> Response:
                # A view may take its arguments apart, and it may be run again.
                answer = view(*args, **copy.deepcopy(kwargs))
                if isinstance(answer, Response):
                    return answer
                reply = answer if isinstance(answer, Reply) else Reply(answer)
                rendered = render(shape, reply.data, message=reply.message or message, meta=reply.meta)
                return send(rendered, status=status, etag=reply.etag, headers=reply.headers)

            return perform() if around is None else around(perform, sent)

        return _documented(ns, run, body, query, returns, many, status, [*errors], headers or {})

    return decorate


def load(schema: Schema, value: Any) -> Any:
    try:
        return schema.load(value)
    except ValidationError as error:
        raise ValidationFailed("the body is not acceptable", errors=error.messages) from None


def _read_body(max_bytes: int, *, optional: bool) -> dict[str, Any]:
    nothing_sent = not request.content_length and "Transfer-Encoding" not in request.headers
    return {} if optional and nothing_sent else read_object(request, max_bytes=max_bytes)


def _load_query(schema: Schema | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in request.args:
        given = request.args.getlist(name)
        if schema is None or name not in _accepted(schema):
            raise InvalidQuery(f"unknown query parameter {name!r}", errors={name: ["Unknown parameter."]})
        repeatable = isinstance(_accepted(schema)[name], fields.List)
        if len(given) > 1 and not repeatable:
            raise InvalidQuery(f"query parameter {name!r} is repeated", errors={name: ["Repeated."]})
        values[name] = given if repeatable else given[0]
    if schema is None:
        return values
    try:
        loaded: dict[str, Any] = schema.load(values)
        return loaded
    except ValidationError as error:
        raise InvalidQuery("the query is not acceptable", errors=error.messages) from None


def _accepted(schema: Schema) -> dict[str, fields.Field[Any]]:
    return {field.data_key or name: field for name, field in schema.load_fields.items()}


# ── Documentation ────────────────────────────────────────────────────────────────────────────────


def _documented(
    ns: Namespace,
    view: View,
    body: Schema | None,
    query: Schema | None,
    returns: Schema | None,
    many: bool,
    status: int,
    errors: list[type[DomainError]],
    headers: dict[str, str],
) -> View:
    if body is not None:
        view = ns.expect(_model(ns, type(body)), validate=False)(view)
        errors += BODY_ERRORS
    view = ns.doc(params=_parameters(query, headers), description=view.__doc__)(view)
    view = ns.response(status, "Success", _model(ns, _envelope(type(returns) if returns else None, many)))(view)
    for code, words in _by_status([*errors, InvalidQuery, Unavailable]).items():
        view = ns.response(code, words, _model(ns, Problem))(view)
    if "If-None-Match" in headers:
        view = ns.response(304, "Not modified: the ETag that was sent still stands.")(view)
    view = ns.response(500, "internal_error: an error of ours.", _model(ns, Problem))(view)
    return view


def _by_status(errors: list[type[DomainError]]) -> dict[int, str]:
    words: dict[int, list[str]] = {}
    for error in dict.fromkeys(errors):
        described = f"{problems.code_of(error)}: {(error.__doc__ or '').strip()}"
        words.setdefault(problems.status_of(error), []).append(described)
    return {status: " · ".join(lines) for status, lines in words.items()}


def _parameters(query: Schema | None, headers: dict[str, str]) -> dict[str, Any]:
    described: dict[str, Any] = {
        name: {"in": "header", "type": "string", "description": words} for name, words in headers.items()
    }
    if query is not None:
        for parameter in _marshmallow.converter.schema2parameters(query, location="query"):  # type: ignore[union-attr]
            described[parameter.pop("name")] = _without(parameter, "example")
    return described


def _model(ns: Namespace, schema: type[Schema]) -> Any:
    if hasattr(schema, "EXAMPLE"):
        _examples[_name(schema)] = {"example": schema.EXAMPLE}
    _marshmallow.converter.resolve_nested_schema(schema)  # type: ignore[union-attr]
    for name, definition in _spec.components.schemas.items():
        if name not in ns.models:
            ns.schema_model(name, _without_null_defaults(definition) | _examples.get(name, {}))
    return ns.models[_name(schema)]


def _without(parameter: dict[str, Any], word: str) -> dict[str, Any]:
    """Swagger 2.0 allows an example in bodies only."""
    kept = {name: value for name, value in parameter.items() if name != word}
    return kept | {"items": _without(kept["items"], word)} if "items" in kept else kept


def _without_null_defaults(definition: dict[str, Any]) -> dict[str, Any]:
    """Swagger 2.0 knows no null, so no default is one."""
    properties = {
        name: {word: value for word, value in said.items() if (word, value) != ("default", None)}
        for name, said in definition.get("properties", {}).items()
    }
    return definition | {"properties": properties}


@cache
def _envelope(schema: type[Schema] | None, many: bool) -> type[Schema]:
    """The success envelope around a schema, as a schema of its own so that it is documented like any other."""
    name = "Empty" if schema is None else _name(schema) + ("List" if many else "")
    data: Any = fields.Dict(allow_none=True) if schema is None else fields.Nested(schema)
    if many and schema is not None:
        data = fields.List(fields.Nested(schema))
    envelope: Any = Schema.from_dict(
        {
            "status": fields.Str(required=True, validate=validate.OneOf(["success"])),
            "data": data,
            "message": fields.Str(required=True),
            "meta": fields.Dict(required=True),
        },
        name=f"{name}Answer",
    )
    return envelope  # type: ignore[no-any-return]
