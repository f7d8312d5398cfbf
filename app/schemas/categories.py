"""Categories as clients write and read them."""

from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields

from app.models.categories import ROOT
from app.schemas.fields import NUMBER, Document, Instant, QueryFlag, Reference, Text, Whole
from app.schemas.pages import PageQuery

ROW = {"least": 1, "most": 10**18}


class CategoryChange(Schema):
    """What may change. Another `parent_id` moves everything below as well; null moves it to the top."""

    EXAMPLE: ClassVar = {"name": "Laptops", "version": 1}

    name = Text(200)
    parent_id = Whole(**ROW, allow_none=True)
    external_id = Reference(allow_none=True)
    attributes = Document()
    version = Whole(1)


class CategoryNew(Schema):
    EXAMPLE: ClassVar = {"name": "Notebooks"}

    name = Text(200, required=True)
    parent_id = Whole(**ROW, allow_none=True, load_default=None, metadata={"description": "null: at the top"})
    external_id = Reference(allow_none=True, load_default=None)
    attributes = Document(load_default=dict)


class CategoryMove(Schema):
    EXAMPLE: ClassVar = {"parent_id": None, "version": 1}

    parent_id = Whole(**ROW, allow_none=True, required=True, metadata={"description": "null: to the top"})
    version = Whole(1)


class Crumb(Schema):
    id = fields.Int()
    name = fields.Str()


class CategoryView(Schema):
    id = fields.Int()
    parent_id = fields.Int(allow_none=True)
    name = fields.Str()
    path = fields.Str(metadata={"description": "the ids from the top down to it", "example": "/1/5/"})
    depth = fields.Int(metadata={"description": "1 at the top"})
    external_id = fields.Str(allow_none=True)
    attributes = fields.Dict()
    version = fields.Int()
    archived_at = Instant(allow_none=True)
    created_at = Instant()
    updated_at = Instant()


class CategoryWithCrumbs(CategoryView):
    breadcrumbs = fields.List(fields.Nested(Crumb), metadata={"description": "from the top down to itself"})


class CategoryNode(Schema):
    """A category with those below it, each of the same shape."""

    id = fields.Int()
    name = fields.Str()
    children = fields.List(fields.Dict())


class ParentId(fields.Field[int]):
    """A category's id in a query, or `root`."""

    def __init__(self, **kwargs: Any) -> None:
        described = {"type": "string", "description": "a category's id, or root for the top level; all without it"}
        super().__init__(metadata=described | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if value == "root":
            return ROOT
        if not isinstance(value, str) or not NUMBER.fullmatch(value) or int(value) == 0:
            raise ValidationError("Must be a category's id or root.")
        return int(value)


class SubtreeQuery(PageQuery):
    include_deleted = QueryFlag(load_default=False)


class CategoryQuery(SubtreeQuery):
    parent_id = ParentId()


class RemovalQuery(Schema):
    force = QueryFlag(load_default=False, metadata={"description": "true: for good, if nothing hangs on it"})
