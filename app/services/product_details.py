"""What a product is called and looks like, from the product service, or without one from our own catalogue.

Never needed for a stock answer.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import quote

import pybreaker

from app.extensions import cache, settings
from app.repositories import skus
from app.utils.cache import Entry
from app.utils.remote import RemoteFailed, get_object, session

log = logging.getLogger(__name__)
# A product service that fails is asked again after this long, not by every request in between.
RETRY_SECONDS = 5.0
_breaker = pybreaker.CircuitBreaker(fail_max=3, reset_timeout=RETRY_SECONDS)
_session = session()


def find(product_id: str) -> tuple[dict[str, Any] | None, bool]:
    """The details, or None when there are none; and whether that answer may be kept.

    The answer may not be kept when the product service did not give one.
    """
    if settings().product_service_url is None:
        return skus.details(product_id), True
    tag = f"details:{product_id}"
    entry, _ = cache().lookup(tag, tag, lambda: _ask(product_id), seconds=settings().cache_default_timeout)
    return json.loads(entry.body), entry.settled


def _ask(product_id: str) -> Entry:
    try:
        details = _breaker.call(_fetch, product_id)
    except (RemoteFailed, pybreaker.CircuitBreakerError) as error:
        log.warning("the product service failed: %s", error)
        return Entry(b"null", settled=False, seconds=RETRY_SECONDS)
    return Entry(json.dumps(details).encode())


def _fetch(product_id: str) -> dict[str, Any] | None:
    """One GET; an envelope around the product is taken off."""
    url = f"{str(settings().product_service_url).rstrip('/')}/products/{quote(product_id, safe='')}"
    product = get_object(_session, url, seconds=settings().product_service_timeout_seconds)
    inner = None if product is None else product.get("data")
    return inner if isinstance(inner, dict) else product
