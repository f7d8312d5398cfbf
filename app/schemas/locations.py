"""Locations as clients write and read them."""

from typing import ClassVar

from marshmallow import Schema, fields

from app.schemas.fields import Code, Document, Instant, QueryFlag, Text, Whole
from app.schemas.pages import PageQuery


class LocationChange(Schema):
    """What may change; `version` is the one the change was decided on, unless If-Match names it."""

    EXAMPLE: ClassVar = {"name": "Richfield South", "version": 1}

    name = Text(200)
    priority = Whole(0, 1_000_000, metadata={"description": "lower is served first"})
    address = Document()
    attributes = Document()
    version = Whole(1)


class LocationNew(Schema):
    EXAMPLE: ClassVar = {"code": "store-281", "name": "Richfield", "priority": 50}

    code = Code(required=True, metadata={"example": "store-281"})
    name = Text(200, required=True)
    priority = Whole(0, 1_000_000, load_default=100, metadata={"description": "lower is served first"})
    address = Document(load_default=dict)
    attributes = Document(load_default=dict)


class LocationView(Schema):
    code = fields.Str()
    name = fields.Str()
    priority = fields.Int()
    address = fields.Dict()
    attributes = fields.Dict()
    version = fields.Int()
    archived_at = Instant(allow_none=True)
    created_at = Instant()
    updated_at = Instant()


class LocationQuery(PageQuery):
    include_deleted = QueryFlag(load_default=False)
