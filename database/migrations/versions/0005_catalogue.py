"""The catalogue: categories, products, SKUs, price changes, and what the database needs to search the words

Revision ID: 0005
Revises: 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.models.types import BigId, Money, UTCDateTime, byte_string, words

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# As app.models.search_words has them; a test compares the two.
PLAIN = {
    "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D",
    "ð": "d", "Ð": "D", "ł": "l", "Ł": "L", "ħ": "h", "Ħ": "H", "²": "2", "³": "3",
}  # fmt: skip
TABLE: Any = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    create_categories()
    create_products()
    create_skus()
    create_price_changes()
    if dialect() == "sqlite":
        create_sqlite_search()
    else:
        create_fulltext_search()
    price = "printf('%.2f', s.price / 100.0)" if dialect() == "sqlite" else "s.price"
    op.execute(f"CREATE VIEW catalogue_overview AS {OVERVIEW.format(price=price)}")


def create_categories() -> None:
    op.create_table(
        "categories",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("parent_id", BigId, sa.ForeignKey("categories.id", name="fk_categories_parent_id")),
        sa.Column("name", words(200), nullable=False),
        sa.Column("name_key", byte_string(600), nullable=False),
        sa.Column("level_key", BigId),
        sa.Column("path", byte_string(420), nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("external_id", byte_string(64)),
        *versioned(),
        sa.CheckConstraint("version > 0", name="ck_categories_version"),
        sa.CheckConstraint("depth BETWEEN 1 AND 20", name="ck_categories_depth"),
        **TABLE,
    )
    op.create_index("uq_categories_level_key_name_key", "categories", ["level_key", "name_key"], unique=True)
    op.create_index("ix_categories_path", "categories", ["path"])
    op.create_index("ix_categories_parent_id", "categories", ["parent_id"])
    op.create_index("uq_categories_external_id", "categories", ["external_id"], unique=True)


def create_products() -> None:
    op.create_table(
        "products",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("name", words(200), nullable=False),
        sa.Column("description", words(5000), nullable=False),
        sa.Column("category_id", BigId, sa.ForeignKey("categories.id", name="fk_products_category_id")),
        *versioned(),
        sa.CheckConstraint("version > 0", name="ck_products_version"),
        **TABLE,
    )
    op.create_index("ix_products_category_id", "products", ["category_id"])
    op.create_index("ix_products_name", "products", ["name"])


def create_skus() -> None:
    op.create_table(
        "skus",
        sa.Column("id", BigId, primary_key=True),
        sa.Column(
            "catalog_product_id", BigId,
            sa.ForeignKey("products.id", name="fk_skus_catalog_product_id"), nullable=False,
        ),
        sa.Column("sku_code", byte_string(64), nullable=False),
        sa.Column("price", Money, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("barcode", byte_string(14)),
        sa.Column("gtin", byte_string(14)),
        *versioned(),
        sa.CheckConstraint("version > 0", name="ck_skus_version"),
        sa.CheckConstraint("price >= 0", name="ck_skus_price"),
        **TABLE,
    )  # fmt: skip
    op.create_index("uq_skus_sku_code", "skus", ["sku_code"], unique=True)
    op.create_index("uq_skus_gtin", "skus", ["gtin"], unique=True)
    op.create_index("ix_skus_catalog_product_id", "skus", ["catalog_product_id"])
    op.create_index("ix_skus_price", "skus", ["price"])


def create_price_changes() -> None:
    op.create_table(
        "price_changes",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("sku_id", BigId, sa.ForeignKey("skus.id", name="fk_price_changes_sku_id"), nullable=False),
        sa.Column("old_price", Money),
        sa.Column("old_currency", sa.String(3)),
        sa.Column("new_price", Money, nullable=False),
        sa.Column("new_currency", sa.String(3), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64)),
        sa.Column("created_at", UTCDateTime, nullable=False),
        **TABLE,
    )
    op.create_index("ix_price_changes_sku_id_id", "price_changes", ["sku_id", "id"])


def versioned() -> list[sa.Column[Any]]:
    return [
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("archived_at", UTCDateTime),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
    ]


def create_fulltext_search() -> None:
    """A table of the words alone, kept by triggers.

    InnoDB indexes no words below innodb_ft_min_token_size (3) and none of its stop words, so each has "__" behind it.
    """
    op.create_table(
        "product_search",
        sa.Column("catalog_product_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("name", words(403), nullable=False),
        sa.Column("description", words(10_003), nullable=False),
        **TABLE,
    )
    # The name has an index of its own, because a word found in it counts for more.
    for index, indexed in {"name": ["name"], "words": ["name", "description"]}.items():
        op.create_index(
            f"ft_product_search_{index}", "product_search", indexed,
            mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT",
        )  # fmt: skip
    name, description = (
        rf"REGEXP_REPLACE(CONCAT(NEW.{column}, ' '), '[^\\p{{L}}\\p{{N}}\\p{{M}}]+', '__ ')"
        for column in ("name", "description")
    )
    columns = "catalog_product_id, name, description"
    keep = f"REPLACE INTO product_search ({columns}) VALUES (NEW.id, {name}, {description});"
    other = "NEW.{0} COLLATE utf8mb4_bin <> OLD.{0}"
    changed = f"{other.format('name')} OR {other.format('description')}"
    for event, statement in {
        "INSERT": keep,
        "UPDATE": f"IF {changed} THEN {keep} END IF;",
        "DELETE": "DELETE FROM product_search WHERE catalog_product_id = OLD.id;",
    }.items():
        op.execute(
            f"CREATE TRIGGER product_search_{event.lower()} AFTER {event} ON products FOR EACH ROW"
            f" BEGIN {statement} END"
        )


def create_sqlite_search() -> None:
    """An index that holds no text of its own and is kept by triggers.

    Whoever makes the table `products` anew, as a batch migration does, makes these triggers anew as well.
    """
    words = SPELLED.format(name=spelled("name"), description=spelled("description"))
    op.execute(f"CREATE VIEW product_words AS {words}")
    op.execute(
        "CREATE VIRTUAL TABLE product_search USING fts5(name, description, content='product_words', content_rowid='id',"
        " tokenize='unicode61 remove_diacritics 2', prefix='2 3')"
    )
    row = "rowid, name, description) SELECT {how} id, name, description FROM product_words WHERE id ="
    add = f"INSERT INTO product_search({row.format(how='')} new.id"
    # The index is told which words to forget, so they are read before they change.
    remove = f"""INSERT INTO product_search(product_search, {row.format(how="'delete',")} old.id"""
    for moment, statement in {
        "AFTER INSERT": add,
        "BEFORE DELETE": remove,
        "BEFORE UPDATE OF name, description": remove,
        "AFTER UPDATE OF name, description": add,
    }.items():
        name = "_".join(moment.lower().split()[:2])
        op.execute(f"CREATE TRIGGER product_search_{name} {moment} ON products BEGIN {statement}; END")


def spelled(column: str) -> str:
    """The column with letters that FTS5 knows no plain form of written as MySQL and MariaDB compare them."""
    expression = column
    for letter, plain in PLAIN.items():
        expression = f"replace({expression}, '{letter}', '{plain}')"
    return f"{expression} AS {column}"


def downgrade() -> None:
    op.execute("DROP VIEW catalogue_overview")
    if dialect() == "sqlite":
        op.execute("DROP VIEW product_words")
    for table in ("product_search", "price_changes", "skus", "products", "categories"):
        op.drop_table(table)


def dialect() -> str:
    return op.get_bind().dialect.name


SPELLED = "SELECT id, {name}, {description} FROM products"

# For people who look into the database with Adminer.
OVERVIEW = """
    SELECT s.sku_code, p.name, c.name AS category, s.barcode, s.unit, {price} AS price, s.currency,
           (SELECT COALESCE(SUM(i.quantity), 0) FROM inventory_items i WHERE i.product_id = s.sku_code) AS on_hand,
           s.archived_at, s.updated_at
    FROM skus s
    JOIN products p ON p.id = s.catalog_product_id
    LEFT JOIN categories c ON c.id = p.category_id
"""
