"""How Alembic reaches the application's database. Instances that migrate at the same time take turns."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection, text

from app import models
from app.extensions import db

LOCK, LOCK_SECONDS = "inventory-migrations", 60


def run() -> None:
    with db.engine.connect() as connection, one_at_a_time(connection):
        context.configure(
            connection=connection,
            target_metadata=models.InventoryItem.metadata,
            # SQLite cannot alter a constraint in place; Alembic then copies the table.
            render_as_batch=connection.dialect.name == "sqlite",
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


@contextmanager
def one_at_a_time(connection: Connection) -> Iterator[None]:
    """A lock of the server's on MySQL and MariaDB, the write lock of the file on SQLite."""
    if connection.dialect.name == "sqlite":
        connection.execution_options(sqlite_begin="IMMEDIATE")
        connection.execute(text("SELECT 1"))
        yield
        return
    if (
        connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), {"name": LOCK, "seconds": LOCK_SECONDS}).scalar()
        != 1
    ):
        raise RuntimeError(f"another instance has been migrating for more than {LOCK_SECONDS} s")
    connection.commit()
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": LOCK})
        connection.commit()


run()
