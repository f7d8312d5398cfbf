"""What the health pages tell."""

from marshmallow import Schema, fields, validate


class HealthView(Schema):
    status = fields.Str(validate=validate.OneOf(["healthy", "degraded"]))
    checks = fields.Dict(metadata={"description": "database, cache, queue, sweep and worker, each with its status"})


class LiveView(Schema):
    status = fields.Str(validate=validate.OneOf(["alive"]))


class ReadyView(Schema):
    status = fields.Str(validate=validate.OneOf(["ready"]))
