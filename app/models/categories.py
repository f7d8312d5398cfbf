"""Categories: a tree kept by materialised path, where a path is made of ids so that a new name moves nothing."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import BigId, UTCDateTime, byte_string, words

MAX_DEPTH = 20
ROOT = 0


def name_key(name: str) -> str:
    """The name as siblings are compared: without case."""
    return name.casefold()


class Category(db.Model):  # type: ignore[name-defined]
    """`path` is `/` and the ids from the root down to this one, each followed by `/`; `depth` 1 is the top level.

    `level_key` names the siblings a name must be unique among: the parent's id, `ROOT` at the top, and nothing
    once deleted. `name_key` is the name as it is compared: without case and outer spaces.
    """

    __tablename__ = "categories"
    __table_args__ = (
        Index("uq_categories_level_key_name_key", "level_key", "name_key", unique=True),
        Index("ix_categories_path", "path"),
        Index("ix_categories_parent_id", "parent_id"),
        Index("uq_categories_external_id", "external_id", unique=True),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint(f"depth BETWEEN 1 AND {MAX_DEPTH}", name="depth"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("categories.id"))
    name: Mapped[str] = mapped_column(words(200))
    name_key: Mapped[str] = mapped_column(byte_string(600))
    level_key: Mapped[int | None] = mapped_column(BigId)
    path: Mapped[str] = mapped_column(byte_string(420))
    depth: Mapped[int] = mapped_column(Integer)
    external_id: Mapped[str | None] = mapped_column(byte_string(64))
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    version: Mapped[int] = mapped_column(default=1)
    archived_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)
