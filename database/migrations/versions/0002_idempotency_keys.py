"""Idempotency keys, kept in the transaction of the effect they stand for

Revision ID: 0002
Revises: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.models.types import BigId, Bytes, UTCDateTime, byte_string

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLE: Any = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("principal", byte_string(64), nullable=False),
        sa.Column("idempotency_key", byte_string(255), nullable=False),
        sa.Column("method", sa.String(8), nullable=False),
        sa.Column("path", byte_string(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.BigInteger),
        sa.Column("headers", sa.JSON),
        sa.Column("body", Bytes),
        sa.Column("created_at", UTCDateTime, nullable=False),
        **TABLE,
    )
    op.create_index(
        "uq_idempotency_keys_scope",
        "idempotency_keys",
        ["principal", "idempotency_key", "method", "path"],
        unique=True,
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
