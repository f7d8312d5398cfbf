"""What every list takes and tells: pages by number or by cursor."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from app.extensions import settings
from app.schemas.fields import QueryWhole
from app.utils.paging import PageRequest


class PageQuery(Schema):
    """`page` and `per_page`, or `cursor` from the last answer's `meta.next_cursor`."""

    page = QueryWhole(1, 10_000_000, metadata={"default": 1})
    per_page = QueryWhole(1, 100, metadata={"default": 20})
    cursor = fields.Str(metadata={"description": "continue after the last answer; instead of page"})

    @validates_schema
    def one_way(self, data: dict[str, Any], **kwargs: Any) -> None:
        if "cursor" in data and "page" in data:
            raise ValidationError("Send page or cursor, not both.", "cursor")
        if data.get("per_page", 1) > settings().max_page_size:
            raise ValidationError(f"Must be at most {settings().max_page_size}.", "per_page")

    @post_load
    def as_request(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        asked = PageRequest(
            data.pop("page", 1), data.pop("per_page", settings().default_page_size), data.pop("cursor", None)
        )
        return data | {"asked": asked}
