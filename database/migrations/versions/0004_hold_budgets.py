"""Hold budgets: rows at which requests of one customer wait, and the index their holds are counted by

Revision ID: 0004
Revises: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE: Any = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
SLOTS = 1024
INDEX = "ix_reservations_customer_id_status_expires_at"


def upgrade() -> None:
    table = op.create_table(
        "hold_budget_locks",
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turns", sa.BigInteger, nullable=False),
        **TABLE,
    )
    op.bulk_insert(table, [{"slot": slot, "turns": 0} for slot in range(SLOTS)])
    op.create_index(INDEX, "reservations", ["customer_id", "status", "expires_at"])


def downgrade() -> None:
    op.drop_index(INDEX, "reservations")
    op.drop_table("hold_budget_locks")
