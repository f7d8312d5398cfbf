"""Products: what people recognise and look for. What is sold and counted are a product's SKUs."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import BigId, UTCDateTime, words

FULLTEXT: Any = {"mysql_prefix": "FULLTEXT", "mariadb_prefix": "FULLTEXT"}
NAME_LENGTH, DESCRIPTION_LENGTH = 200, 5000
END_OF_WORD = "__"


class Product(db.Model):  # type: ignore[name-defined]
    """The database itself keeps an index of the words of name and description: see `ProductWords`."""

    __tablename__ = "products"
    __table_args__ = (
        Index("ix_products_category_id", "category_id"),
        Index("ix_products_name", "name"),
        CheckConstraint("version > 0", name="version"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(words(NAME_LENGTH))
    description: Mapped[str] = mapped_column(words(DESCRIPTION_LENGTH), default="")
    category_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("categories.id"))
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    version: Mapped[int] = mapped_column(default=1)
    archived_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ProductWords(db.Model):  # type: ignore[name-defined]
    """What MySQL and MariaDB search, written by triggers on `products` alone. On SQLite an FTS5 table has this name.

    Each word has `END_OF_WORD` behind it: InnoDB does not index words below three letters nor stop words as they are.
    """

    __tablename__ = "product_search"
    __table_args__ = (
        Index("ft_product_search_name", "name", **FULLTEXT),
        Index("ft_product_search_words", "name", "description", **FULLTEXT),
    )

    catalog_product_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    # So long they get when every other character is a word.
    name: Mapped[str] = mapped_column(words(2 * NAME_LENGTH + 3))
    description: Mapped[str] = mapped_column(words(2 * DESCRIPTION_LENGTH + 3))
