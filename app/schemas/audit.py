"""What an audit tells."""

from marshmallow import Schema, fields

from app.schemas.fields import QueryWhole


class AuditQuery(Schema):
    after = QueryWhole(0, 10**18, load_default=0, metadata={"description": "meta.next_after of the last answer"})
    limit = QueryWhole(1, 10_000, load_default=1000, metadata={"description": "items to check in this call"})


class FindingView(Schema):
    rule = fields.Str()
    inventory_item_id = fields.Int(allow_none=True)
    facts = fields.Dict()


class AuditView(Schema):
    clean = fields.Bool()
    items = fields.Int(metadata={"description": "items checked"})
    findings = fields.List(fields.Nested(FindingView))
    next_after = fields.Int(allow_none=True, metadata={"description": "go on here; null when all were checked"})
