"""The stock core: locations, inventory items, reservations, the ledger, denied demand, and views to look at

Revision ID: 0001
Revises:
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.models.types import BigId, UTCDateTime, byte_string

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Bytes are compared as bytes on every engine; SQLite does so anyway.
TABLE: Any = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
MAX_QUANTITY = 1_000_000_000


def upgrade() -> None:
    create_locations()
    create_inventory_items()
    create_reservations()
    create_stock_movements()
    create_denied_demand()
    forbid_changes_to_the_ledger()
    create_views()


def create_locations() -> None:
    table = op.create_table(
        "locations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("code", byte_string(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("address", sa.JSON, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("archived_at", UTCDateTime),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.CheckConstraint("version > 0", name="ck_locations_version"),
        **TABLE,
    )
    op.create_index("uq_locations_code", "locations", ["code"], unique=True)
    # The migration has no clock of its own: the place has been there since the beginning.
    beginning = sa.text("'2026-01-01 00:00:00.000000'")
    op.execute(
        table.insert().values(
            code="default", name="Default location", priority=100, address={}, attributes={}, version=1,
            created_at=beginning, updated_at=beginning,
        )
    )  # fmt: skip


def create_inventory_items() -> None:
    op.create_table(
        "inventory_items",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("product_id", byte_string(64), nullable=False),
        sa.Column(
            "location_id",
            sa.Integer,
            sa.ForeignKey("locations.id", name="fk_inventory_items_location_id"),
            nullable=False,
        ),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("reserved_quantity", sa.BigInteger, nullable=False),
        sa.Column("minimum_stock_level", sa.BigInteger, nullable=False),
        sa.Column("maximum_stock_level", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("archived_at", UTCDateTime),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.CheckConstraint(
            "reserved_quantity >= 0 AND reserved_quantity <= quantity",
            name="ck_inventory_items_reserved_within_quantity",
        ),
        sa.CheckConstraint(f"quantity <= {MAX_QUANTITY}", name="ck_inventory_items_quantity_limit"),
        **TABLE,
    )
    op.create_index(
        "uq_inventory_items_product_id_location_id",
        "inventory_items",
        ["product_id", "location_id"],
        unique=True,
    )
    op.create_index("ix_inventory_items_location_id_product_id", "inventory_items", ["location_id", "product_id"])


def create_reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", byte_string(36), primary_key=True),
        sa.Column(
            "inventory_item_id", BigId,
            sa.ForeignKey("inventory_items.id", name="fk_reservations_inventory_item_id"), nullable=False,
        ),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("order_id", byte_string(64), nullable=False),
        sa.Column("customer_id", byte_string(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("expires_at", UTCDateTime, nullable=False),
        sa.Column("confirmed_at", UTCDateTime),
        sa.Column("cancelled_at", UTCDateTime),
        sa.Column("expired_at", UTCDateTime),
        sa.Column("reacquired_at", UTCDateTime),
        sa.Column("notes", sa.String(500)),
        sa.Column("cart_id", byte_string(36)),
        sa.Column("extended_seconds", sa.BigInteger, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.CheckConstraint("quantity > 0", name="ck_reservations_quantity_positive"),
        sa.CheckConstraint("status IN ('active', 'confirmed', 'cancelled', 'expired')", name="ck_reservations_status"),
        **TABLE,
    )  # fmt: skip
    op.create_index("ix_reservations_status_expires_at_id", "reservations", ["status", "expires_at", "id"])
    op.create_index(
        "ix_reservations_item_status_expires_at",
        "reservations",
        ["inventory_item_id", "status", "expires_at"],
    )
    op.create_index("ix_reservations_order_id", "reservations", ["order_id"])
    op.create_index("ix_reservations_customer_id", "reservations", ["customer_id"])


def create_stock_movements() -> None:
    op.create_table(
        "stock_movements",
        sa.Column("id", BigId, primary_key=True),
        sa.Column(
            "inventory_item_id", BigId,
            sa.ForeignKey("inventory_items.id", name="fk_stock_movements_inventory_item_id"), nullable=False,
        ),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("movement_type", sa.String(16), nullable=False),
        sa.Column("quantity_change", sa.BigInteger, nullable=False),
        sa.Column("reserved_change", sa.BigInteger, nullable=False),
        sa.Column("quantity_after", sa.BigInteger, nullable=False),
        sa.Column("reserved_after", sa.BigInteger, nullable=False),
        sa.Column(
            "reservation_id",
            byte_string(36),
            sa.ForeignKey("reservations.id", name="fk_stock_movements_reservation_id"),
        ),
        sa.Column("reference_id", byte_string(64)),
        sa.Column("reason", sa.String(255)),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64)),
        sa.Column("created_at", UTCDateTime, nullable=False),
        # An id once given out never comes back, so that a reader of the feed can trust the last one it saw.
        sqlite_autoincrement=True,
        **TABLE,
    )  # fmt: skip
    op.create_index(
        "uq_stock_movements_inventory_item_id_sequence",
        "stock_movements",
        ["inventory_item_id", "sequence"],
        unique=True,
    )
    op.create_index("ix_stock_movements_reservation_id", "stock_movements", ["reservation_id"])
    op.create_index("ix_stock_movements_reference_id", "stock_movements", ["reference_id"])
    op.create_index("ix_stock_movements_created_at", "stock_movements", ["created_at"])


def create_denied_demand() -> None:
    op.create_table(
        "denied_demand",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("product_id", byte_string(64), nullable=False),
        sa.Column("location", byte_string(64), nullable=False),
        sa.Column("hour", UTCDateTime, nullable=False),
        sa.Column("refusals", sa.BigInteger, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
        **TABLE,
    )
    op.create_index(
        "uq_denied_demand_product_id_location_hour",
        "denied_demand",
        ["product_id", "location", "hour"],
        unique=True,
    )


def forbid_changes_to_the_ledger() -> None:
    refuse = {
        "sqlite": "BEGIN SELECT RAISE(ABORT, 'stock_movements is append-only'); END",
    }.get(dialect(), "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'stock_movements is append-only'")
    for verb in ("update", "delete"):
        op.execute(f"CREATE TRIGGER stock_movements_no_{verb} BEFORE {verb.upper()} ON stock_movements {refuse}")


def create_views() -> None:
    now, day = (
        ("strftime('%Y-%m-%d %H:%M:%f', 'now')", "strftime('%Y-%m-%d 00:00:00', 'now')")
        if dialect() == "sqlite"
        else ("UTC_TIMESTAMP(6)", "UTC_DATE()")
    )
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {select.format(now=now, day=day)}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    for table in ("denied_demand", "stock_movements", "reservations", "inventory_items", "locations"):
        op.drop_table(table)


def dialect() -> str:
    return op.get_bind().dialect.name


# For people who look into the database with Adminer: the numbers the API gives, in words.
VIEWS = {
    "overdue_units": """
        SELECT inventory_item_id, SUM(quantity) AS units FROM reservations
        WHERE status = 'active' AND expires_at <= {now} GROUP BY inventory_item_id
    """,
    "inventory_overview": """
        SELECT i.product_id, l.code AS location, i.quantity AS on_hand,
               i.reserved_quantity - COALESCE(o.units, 0) AS reserved,
               i.quantity - i.reserved_quantity + COALESCE(o.units, 0) AS available,
               i.minimum_stock_level AS minimum, i.maximum_stock_level AS maximum,
               CASE WHEN i.archived_at IS NOT NULL THEN 'archived'
                    WHEN i.quantity - i.reserved_quantity + COALESCE(o.units, 0) = 0 THEN 'out of stock'
                    WHEN i.quantity - i.reserved_quantity + COALESCE(o.units, 0) <= i.minimum_stock_level THEN 'low'
                    ELSE 'in stock' END AS stock_status,
               i.version, i.updated_at
        FROM inventory_items i
        JOIN locations l ON l.id = i.location_id
        LEFT JOIN overdue_units o ON o.inventory_item_id = i.id
    """,
    "active_reservations_summary": """
        SELECT i.product_id, l.code AS location, COUNT(*) AS reservations, SUM(r.quantity) AS units,
               MIN(r.expires_at) AS next_release_at, MAX(r.expires_at) AS last_release_at
        FROM reservations r
        JOIN inventory_items i ON i.id = r.inventory_item_id
        JOIN locations l ON l.id = i.location_id
        WHERE r.status = 'active' AND r.expires_at > {now}
        GROUP BY i.product_id, l.code
    """,
    "movement_log": """
        SELECT m.id, i.product_id, l.code AS location, m.sequence, m.movement_type,
               m.quantity_change, m.reserved_change, m.quantity_after, m.reserved_after,
               m.reservation_id, m.reference_id, m.reason, m.actor, m.request_id, m.created_at
        FROM stock_movements m
        JOIN inventory_items i ON i.id = m.inventory_item_id
        JOIN locations l ON l.id = i.location_id
    """,
    "denied_demand_today": """
        SELECT product_id, location, SUM(refusals) AS refusals, SUM(units) AS units
        FROM denied_demand WHERE hour >= {day} GROUP BY product_id, location
    """,
}
