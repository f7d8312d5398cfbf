"""What is decided before a call is looked at: which hosts, proxies, origins and how many requests a minute."""

from __future__ import annotations

import hashlib

from flask import Flask, Response, request
from flask_cors import CORS
from flask_limiter import Limit, Limiter
from flask_limiter.util import get_remote_address
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Config

# One address may stand for many callers behind it, and for one who tries many keys.
KEYS_PER_ADDRESS = 10
# The containers' health checks ask under these names. No address is made from the name, so nothing is won by it.
THIS_MACHINE = ("127.0.0.1", "localhost")
EXEMPT = ("/api/v1/health/", "/metrics")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    # Kept nowhere unasked; a client that keeps it must ask whether it is still true.
    "Cache-Control": "private, no-cache",
}


def init_app(app: Flask, config: Config) -> None:
    if config.trusted_proxies:
        hops = config.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    if config.allowed_hosts:
        app.config["TRUSTED_HOSTS"] = [*config.allowed_hosts, *THIS_MACHINE]
    if config.cors_origins:
        CORS(app, origins=list(config.cors_origins), expose_headers=["ETag", "Location", "X-Request-ID", "X-Cache"])
    if config.rate_limit_requests_per_minute:
        _limit(app, config)
    app.after_request(_add_headers)


def _limit(app: Flask, config: Config) -> None:
    each = config.rate_limit_requests_per_minute
    quick = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}
    Limiter(
        caller_or_address,
        app=app,
        default_limits=[
            Limit(f"{each} per minute", key_function=caller_or_address),
            Limit(f"{each * KEYS_PER_ADDRESS} per minute", key_function=get_remote_address),
        ],
        default_limits_exempt_when=lambda: request.path.startswith(EXEMPT),
        headers_enabled=True,
        strategy="fixed-window",
        storage_uri=config.redis_url or "memory://",
        storage_options=quick if config.redis_url else {},  # type: ignore[arg-type]
        # Without Redis each process counts for itself: more gets through, and nobody is locked out.
        in_memory_fallback_enabled=bool(config.redis_url),
        key_prefix="inventory",
    )


def caller_or_address() -> str:
    """Who is counted: the credential that was sent, never in clear, else the address."""
    credential = request.headers.get("X-API-Key") or request.headers.get("Authorization")
    if credential is None:
        return get_remote_address()
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
