"""Who may make a call. Every call names the permission it takes; without one the application does not start."""

from __future__ import annotations

from flask import Flask, request

from app.errors import AmbiguousCredentials, Forbidden, NotFound, Unauthenticated
from app.extensions import settings
from app.models.api_keys import Permission
from app.services import api_keys, user_tokens
from app.utils import context

PUBLIC = "public"
# As the API page offers them: either is enough.
SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "apiKey", "in": "header", "name": "Authorization"},
}
ANYBODY = frozenset({PUBLIC, *Permission})


def require(scope: str) -> None:
    """Let the request pass if its caller may do this; remember under whose name it is made.

    An API key speaks for a service, which may act for every user; a user's token for that user.

    Where no key is required (development on loopback) a request without credentials passes as `anonymous`.
    """
    if scope == PUBLIC:
        return
    secret = _presented()
    if secret is None:
        if settings().require_api_key:
            raise Unauthenticated("send an API key as Authorization: Bearer or X-API-Key, or a user token as Bearer")
        return
    if user_tokens.is_one(secret):
        _require_own(user_tokens.verify(secret), scope)
        return
    caller = api_keys.authenticate(secret)
    context.enter(actor=caller.name, request_id=context.request_id())
    if not caller.may(scope):
        raise Forbidden(f"this needs {scope}", required=scope, granted=sorted(caller.scopes))


def _require_own(user: user_tokens.User, scope: str) -> None:
    """Let a user pass to what is theirs. What is another's is not there, so that nobody learns who exists."""
    context.enter(actor=user.actor, request_id=context.request_id())
    owner = (request.view_args or {}).get("user_id")
    if owner is None or scope not in user_tokens.GRANTED:
        raise Forbidden(
            f"this needs {scope}, and a user token opens the user's own calls alone",
            required=scope,
            granted=sorted(user_tokens.GRANTED),
        )
    if owner != user.id:
        raise NotFound("there is nothing here")


def check_every_call_is_guarded(app: Flask, base: str) -> None:
    """Raises RuntimeError when a call below `base` does not say who may make it."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        resource = getattr(view, "view_class", None)
        if resource is None or not rule.rule.startswith(base) or resource.__module__.startswith("flask_restx"):
            continue
        for method in sorted(resource.methods or ()):
            if getattr(getattr(resource, method.lower(), None), "scope", None) not in ANYBODY:
                raise RuntimeError(f"{method} {rule.rule} does not say which permission it needs")


def _presented() -> str | None:
    """The secret in the request, from the one place it may stand in."""
    bearer, own = request.headers.getlist("Authorization"), request.headers.getlist("X-API-Key")
    given = bearer + own
    if len(given) > 1:
        raise AmbiguousCredentials("send one Authorization or one X-API-Key header")
    if not given:
        return None
    if own:
        secret = own[0]
    else:
        scheme, _, secret = bearer[0].partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated("Authorization must be: Bearer and the API key or token")
    # Servers hand over two headers of one name as one, with a comma in between.
    if "," in secret:
        raise AmbiguousCredentials("send one Authorization or one X-API-Key header")
    return secret.strip()
