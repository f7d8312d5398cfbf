"""Refusals the business makes. A few kinds; each concrete error is one of them.

Nothing here knows HTTP: `app.utils.problems` gives each kind its status, the class name becomes the
problem's `code`, the docstring what the API page says about it, and the keyword arguments its facts.
"""

from typing import Any, ClassVar


class DomainError(Exception):
    """The request goes against a business rule."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


class NotFound(DomainError):
    """No such record."""


class Conflict(DomainError):
    """The record's present state does not allow this."""


class Expired(DomainError):
    """The time for this has passed."""


class Invalid(DomainError):
    """The values do not make sense together."""


class Stale(DomainError):
    """The record changed since the version that was named."""


class TokenRequired(DomainError):
    """An absolute change needs a compare-and-set token."""


class Malformed(DomainError):
    """The request cannot be read."""


class TooSoon(DomainError):
    """Too much of this was done lately; the facts say when to come back."""


class Unavailable(DomainError):
    """Something the service needs does not answer; nothing was changed. Try again."""

    retry_after: ClassVar[int] = 1


class LostRace(Exception):
    """Another transaction changed a row between our reading it and our guarded write. Run the unit of work again."""


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────


class InvalidQuery(Malformed):
    """A query parameter is unknown, repeated or not of the documented form."""


class PageTooDeep(Malformed):
    """Pages are numbered up to row 10,000; use the cursor to read further."""


class InvalidCursor(Malformed):
    """The cursor was not given out for this list with these filters."""


class InvalidIfMatch(Malformed):
    """If-Match must name a version, such as "7"."""


class ValidationFailed(Invalid):
    """A field of the body is missing, unknown or not acceptable."""


# ── Locations ────────────────────────────────────────────────────────────────────────────────────


class LocationNotFound(NotFound):
    """No location has this code."""


class UnknownLocation(Invalid):
    """The body names a location that does not exist."""


class LocationInUse(Conflict):
    """The location still holds stock or live reservations, or is the default one."""


class VersionRequired(TokenRequired):
    """Send If-Match, `version` or, for a count, `expected_quantity`, so that no change is overwritten unseen."""


class VersionConflict(Conflict):
    """The `version` in the body is not the record's version any more."""


class VersionMismatch(Stale):
    """If-Match or `expected_quantity` does not describe the record any more."""


class AlreadyExists(Conflict):
    """A record with this key exists."""


# ── Stock ────────────────────────────────────────────────────────────────────────────────────────


class InventoryItemNotFound(NotFound):
    """The product has no inventory here."""


class ItemArchived(Conflict):
    """The inventory item is archived: it can be read, not changed or reserved."""


class ItemNotEmpty(Conflict):
    """The item still has units on hand or live reservations."""


class InsufficientStock(Conflict):
    """Fewer units are available than were asked for; the facts say how many and when more may come back."""


class BelowReserved(Conflict):
    """The count would fall below what is promised to live reservations."""


class QuantityLimit(Conflict):
    """The item would hold more than 1,000,000,000 units."""


# ── Reservations ─────────────────────────────────────────────────────────────────────────────────


class ReservationNotFound(NotFound):
    """No reservation has this id."""


class ReservationExpired(Expired):
    """The hold ran out and its units are free again."""


class AlreadyConfirmed(Conflict):
    """The reservation is confirmed: its units are gone."""


class AlreadyCancelled(Conflict):
    """The reservation is cancelled: its units are free again."""


class HoldTimeExceeded(Invalid):
    """The hold would outlive the longest total hold time."""


class QuantityAboveHold(Invalid):
    """More units were to be confirmed than the reservation holds."""


# ── Catalogue ────────────────────────────────────────────────────────────────────────────────────


class CategoryNotFound(NotFound):
    """No category has this id."""


class UnknownCategory(Invalid):
    """The request names a category that does not exist."""


class CategoryInUse(Conflict):
    """Something still hangs on the category: products, or categories below it."""


class CategoryCircle(Conflict):
    """A category cannot be moved below itself."""


class CategoryTooDeep(Conflict):
    """The tree would get more levels than it may have."""


class ParentDeleted(Conflict):
    """What this belongs to is deleted; restore that first."""


class ProductNotFound(NotFound):
    """No product has this id."""


class UnknownProduct(Invalid):
    """The body names a product that does not exist."""


class SkuNotFound(NotFound):
    """No SKU has this code."""


class SkuInUse(Conflict):
    """The SKU still has stock or live reservations."""


class InvalidBarcode(Invalid):
    """This is no EAN-13, EAN-8, UPC-A or UPC-E with a right check digit."""


class BarcodeNotFound(NotFound):
    """No SKU has this barcode."""


class HoldBudgetExceeded(Conflict):
    """The customer would hold more units or reservations at once than one customer may."""


class HoldCoolDown(TooSoon):
    """The customer let too many reservations run out; for a while there are no new ones."""


# ── Dependencies ─────────────────────────────────────────────────────────────────────────────────


class DatabaseBusy(Unavailable):
    """The database asked to try again, and trying again did not help."""


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""


class OutcomeUnknown(Unavailable):
    """The connection broke while committing: the change may or may not have been made. Look before trying again."""


class StorageFull(Unavailable):
    """The database has no room left."""


# ── Idempotency ──────────────────────────────────────────────────────────────────────────────────


class InvalidIdempotencyKey(Malformed):
    """Idempotency-Key is one token or quoted string of 1-255 visible ASCII characters."""


class IdempotencyInProgress(Conflict):
    """The same request is being worked on; ask again in a moment."""

    retry_after: ClassVar[int] = 1


class IdempotencyKeyReused(Invalid):
    """The key stands for another request already."""


class IdempotencyKeyNotFound(NotFound):
    """Nothing was done under this key, or it is more than 72 hours ago."""


# ── Callers ──────────────────────────────────────────────────────────────────────────────────────


class Unauthenticated(DomainError):
    """Send a valid API key as `Authorization: Bearer` or `X-API-Key`, or a user's token as `Authorization: Bearer`."""


class Forbidden(DomainError):
    """The credential is valid but does not carry the permission this call needs."""


class AmbiguousCredentials(Malformed):
    """More than one credential was sent."""
