"""What was done under an idempotency key."""

from marshmallow import Schema, fields

from app.schemas.fields import Instant


class PastAnswer(Schema):
    idempotency_key = fields.Str()
    method = fields.Str()
    path = fields.Str()
    status = fields.Int()
    answer = fields.Dict(metadata={"description": "the body that was sent, or was meant to be"})
    created_at = Instant()
