"""Reservations as clients write and read them."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.models.reservations import Status
from app.schemas.fields import Code, Flag, Instant, Reference, Text, Whole
from app.schemas.inventory_items import ItemLine
from app.schemas.pages import PageQuery

LONGEST_TTL = 31_536_000


class ReservationView(Schema):
    id = fields.Str()
    product_id = fields.Str()
    location = fields.Str()
    quantity = fields.Int()
    order_id = fields.Str()
    customer_id = fields.Str()
    status = fields.Str(validate=validate.OneOf([*Status]))
    expires_at = Instant()
    notes = fields.Str(allow_none=True)
    extended_seconds = fields.Int()
    confirmed_at = Instant(allow_none=True)
    cancelled_at = Instant(allow_none=True)
    expired_at = Instant(allow_none=True)
    reacquired_at = Instant(allow_none=True, metadata={"description": "when it was confirmed after running out"})
    created_at = Instant()
    updated_at = Instant()


class ReservationNew(ItemLine):
    EXAMPLE: ClassVar = {
        "product_id": "KEYBOARD-1",
        "quantity": 5,
        "order_id": "o-1",
        "customer_id": "ada",
        "ttl_seconds": 600,
    }

    order_id = Reference(required=True)
    customer_id = Reference(required=True)
    ttl_seconds = Whole(1, LONGEST_TTL, allow_none=True, load_default=None)
    notes = Text(500, allow_none=True, load_default=None)


class BatchNew(Schema):
    EXAMPLE: ClassVar = {
        "order_id": "o-1",
        "customer_id": "ada",
        "items": [{"product_id": "KEYBOARD-1", "quantity": 1}, {"product_id": "MOUSE-1", "quantity": 2}],
    }

    order_id = Reference(required=True)
    customer_id = Reference(required=True)
    ttl_seconds = Whole(1, LONGEST_TTL, allow_none=True, load_default=None)
    notes = Text(500, allow_none=True, load_default=None)
    items = fields.List(fields.Nested(ItemLine), required=True, validate=validate.Length(1, 100))
    split = Flag(load_default=False)
    allow_partial = Flag(load_default=False)


class BatchView(Schema):
    reservations = fields.List(fields.Nested(ReservationView))
    shortages = fields.List(fields.Dict(), metadata={"description": "with allow_partial: what was not to be had"})


class ReservationChange(Schema):
    EXAMPLE: ClassVar = {"ttl_seconds": 600}

    ttl_seconds = Whole(1, LONGEST_TTL)
    quantity = Whole(1)

    @validates_schema
    def something(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data:
            raise ValidationError("Send ttl_seconds or quantity.")


class OnExpired(Schema):
    on_expired = fields.Str(load_default="reject", validate=validate.OneOf(["reject", "reacquire"]))


class Confirm(OnExpired):
    EXAMPLE: ClassVar = {"on_expired": "reject"}

    quantity = Whole(1, allow_none=True, load_default=None)


class Ids(Schema):
    reservation_ids = fields.List(Reference(), required=True, validate=validate.Length(1, 100))


class ConfirmMany(Ids, OnExpired):
    EXAMPLE: ClassVar = {"reservation_ids": ["01a1f98d-52fc-7431-959a-57d5d4b193e2"], "order_id": "o-1"}

    order_id = Reference(allow_none=True, load_default=None)


class HandOver(Ids):
    EXAMPLE: ClassVar = {"reservation_ids": ["01a1f98d-52fc-7431-959a-57d5d4b193e2"], "customer_id": "bob"}

    customer_id = Reference()
    order_id = Reference()

    @validates_schema
    def someone(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data.keys() & {"customer_id", "order_id"}:
            raise ValidationError("Send customer_id or order_id.")


class ReservationQuery(PageQuery):
    product_id = Code()
    location = Code()
    customer_id = Reference()
    order_id = Reference()
    status = fields.Str(validate=validate.OneOf([*Status]))
