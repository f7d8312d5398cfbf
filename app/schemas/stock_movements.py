"""Ledger rows as clients read them, and how they ask for them."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.models.stock_movements import MovementType
from app.schemas.fields import Code, Instant, QueryWhole, Reference
from app.schemas.pages import PageQuery


class MovementView(Schema):
    id = fields.Int()
    product_id = fields.Str()
    location = fields.Str()
    sequence = fields.Int()
    movement_type = fields.Str(validate=validate.OneOf([*MovementType]))
    quantity_change = fields.Int()
    reserved_change = fields.Int()
    quantity_after = fields.Int()
    reserved_after = fields.Int()
    reservation_id = fields.Str(allow_none=True)
    reference_id = fields.Str(allow_none=True)
    reason = fields.Str(allow_none=True)
    actor = fields.Str()
    request_id = fields.Str(allow_none=True)
    created_at = Instant()


class MovementQuery(PageQuery):
    """With `after` the answer is the change feed: rows after that id, oldest first. Without it, newest first."""

    location = Code()
    movement_type = fields.Str(validate=validate.OneOf([*MovementType]))
    reference_id = Reference()
    since = Instant(data_key="from")
    until = Instant(data_key="to")
    after = QueryWhole(0, 10**18, metadata={"description": "the id of the last row seen; 0 begins"})

    @validates_schema
    def in_order(self, data: dict[str, Any], **kwargs: Any) -> None:
        if "since" in data and "until" in data and data["since"] > data["until"]:
            raise ValidationError("Must not be before from.", "to")
        if "after" in data and ("page" in data or "cursor" in data):
            raise ValidationError("after is a cursor of its own; send it without page or cursor.", "after")

    @post_load
    def keep_after(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {"after": None} | data


class AllMovementsQuery(MovementQuery):
    product_id = Code()
