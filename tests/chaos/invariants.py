"""What must always be true of the rows, as plain SQL that knows only the tables: every question must find nothing.

Written apart from the service's own audit, so that a mistake in the one is not a mistake in the other.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

NUMBERS = {
    "I1 counters are the sum of the ledger": """
        SELECT i.id, i.product_id, i.quantity, i.reserved_quantity, i.version, l.quantity AS ledger_quantity,
               l.reserved AS ledger_reserved, l.rows_found, l.last_sequence
        FROM inventory_items i
        LEFT JOIN (SELECT inventory_item_id, SUM(quantity_change) AS quantity, SUM(reserved_change) AS reserved,
                          COUNT(*) AS rows_found, MAX(sequence) AS last_sequence
                   FROM stock_movements GROUP BY inventory_item_id) l ON l.inventory_item_id = i.id
        WHERE i.quantity <> COALESCE(l.quantity, 0) OR i.reserved_quantity <> COALESCE(l.reserved, 0)
           OR i.version <> COALESCE(l.rows_found, 0) OR i.version <> COALESCE(l.last_sequence, 0)""",
    "I1 each row follows from the one before": """
        SELECT m.id, m.inventory_item_id, m.sequence FROM stock_movements m
        LEFT JOIN stock_movements b ON b.inventory_item_id = m.inventory_item_id AND b.sequence = m.sequence - 1
        WHERE (m.sequence > 1 AND b.id IS NULL) OR m.sequence < 1
           OR m.quantity_after <> COALESCE(b.quantity_after, 0) + m.quantity_change
           OR m.reserved_after <> COALESCE(b.reserved_after, 0) + m.reserved_change""",
    "I2 reserved is the sum of active holds": """
        SELECT i.id, i.product_id, i.reserved_quantity, r.units FROM inventory_items i
        LEFT JOIN (SELECT inventory_item_id, SUM(quantity) AS units FROM reservations
                   WHERE status = 'active' GROUP BY inventory_item_id) r ON r.inventory_item_id = i.id
        WHERE i.reserved_quantity <> COALESCE(r.units, 0)""",
    "I3 never more promised than there is": """
        SELECT id, product_id, quantity, reserved_quantity FROM inventory_items
        WHERE reserved_quantity < 0 OR reserved_quantity > quantity
        UNION ALL
        SELECT id, 'in the ledger', quantity_after, reserved_after FROM stock_movements
        WHERE reserved_after < 0 OR reserved_after > quantity_after""",
    "I4 the ledger only grows": """
        SELECT m.id, m.inventory_item_id, m.sequence, b.id AS earlier_id FROM stock_movements m
        JOIN stock_movements b ON b.inventory_item_id = m.inventory_item_id AND b.sequence = m.sequence - 1
        WHERE b.id >= m.id""",
    "I5 a hold ends once and in time": """
        SELECT r.id, r.status, r.expires_at, r.confirmed_at, r.cancelled_at, r.expired_at FROM reservations r
        WHERE (CASE WHEN r.confirmed_at IS NULL THEN 0 ELSE 1 END + CASE WHEN r.cancelled_at IS NULL THEN 0 ELSE 1 END
               + CASE WHEN r.expired_at IS NULL THEN 0 ELSE 1 END)
              <> CASE WHEN r.status = 'active' THEN 0 ELSE 1 END
           OR (r.status = 'confirmed' AND (r.confirmed_at IS NULL OR r.confirmed_at >= r.expires_at))
           OR (r.status = 'cancelled' AND (r.cancelled_at IS NULL OR r.cancelled_at >= r.expires_at))
           OR (r.status = 'expired' AND (r.expired_at IS NULL OR r.expired_at < r.expires_at))""",
    "I7 the ledger tells how each hold ended": """
        SELECT r.id, r.status, r.quantity, m.taken, m.outs, m.releases, m.expiries, m.held FROM reservations r
        LEFT JOIN (SELECT reservation_id, SUM(reserved_change) AS held,
                          SUM(CASE WHEN movement_type = 'outbound' THEN 1 ELSE 0 END) AS outs,
                          SUM(CASE WHEN movement_type = 'outbound' THEN -quantity_change ELSE 0 END) AS taken,
                          SUM(CASE WHEN movement_type = 'release' THEN 1 ELSE 0 END) AS releases,
                          SUM(CASE WHEN movement_type = 'expiry' THEN 1 ELSE 0 END) AS expiries
                   FROM stock_movements GROUP BY reservation_id) m ON m.reservation_id = r.id
        WHERE m.held IS NULL
           OR m.held <> CASE WHEN r.status = 'active' THEN r.quantity ELSE 0 END
           OR m.outs <> CASE WHEN r.status = 'confirmed' THEN 1 ELSE 0 END
           OR m.releases <> CASE WHEN r.status = 'cancelled' THEN 1 ELSE 0 END
           OR m.expiries <> CASE WHEN r.status = 'expired' THEN 1 ELSE 0 END
           OR (r.status = 'confirmed' AND m.taken <> r.quantity)""",
    "I13 transfers neither make nor lose units": """
        SELECT m.request_id, SUM(m.quantity_change) AS difference FROM stock_movements m
        WHERE m.movement_type = 'transfer' GROUP BY m.request_id HAVING SUM(m.quantity_change) <> 0""",
}
STORY = {
    "I9 a key stands for one finished call": """
        SELECT idempotency_key, MIN(status) AS status, COUNT(*) AS times FROM idempotency_keys
        GROUP BY principal, idempotency_key, method, path, status
        HAVING COUNT(*) > 1 OR MIN(COALESCE(status, 0)) < 200 OR MAX(COALESCE(status, 0)) > 299""",
    "I14 nothing hangs in the air": """
        SELECT 'reservation' AS kind, r.id FROM reservations r
        LEFT JOIN inventory_items i ON i.id = r.inventory_item_id WHERE i.id IS NULL
        UNION ALL
        SELECT 'movement', m.id FROM stock_movements m
        LEFT JOIN inventory_items i ON i.id = m.inventory_item_id WHERE i.id IS NULL
        UNION ALL
        SELECT 'movement of no reservation', m.id FROM stock_movements m
        LEFT JOIN reservations r ON r.id = m.reservation_id WHERE m.reservation_id IS NOT NULL AND r.id IS NULL
        UNION ALL
        SELECT 'movement of another item', m.id FROM stock_movements m
        JOIN reservations r ON r.id = m.reservation_id WHERE r.inventory_item_id <> m.inventory_item_id
        UNION ALL
        SELECT 'item', i.id FROM inventory_items i
        LEFT JOIN locations l ON l.id = i.location_id WHERE l.id IS NULL""",
    "I18 every row says who and under which request": """
        SELECT id, actor, request_id FROM stock_movements
        WHERE actor IS NULL OR actor = '' OR request_id IS NULL OR request_id = ''""",
}
OVERDUE = "SELECT id, expires_at FROM reservations WHERE status = 'active' AND expires_at < {before}"
BEFORE = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-{seconds} seconds')",
    "mysql": "UTC_TIMESTAMP(6) - INTERVAL {seconds} SECOND",
}
SHOWN = 20


def broken(connection: Connection, *, sweep_seconds: float) -> dict[str, list[dict[str, Any]]]:
    """By invariant the first rows that break it. For a quiet database."""
    questions = NUMBERS | STORY
    lag = BEFORE[_dialect(connection)].format(seconds=round(sweep_seconds + 5))
    questions["I6 nothing overdue is left lying"] = OVERDUE.format(before=lag)
    found = {name: _rows(connection, question) for name, question in questions.items()}
    if _dialect(connection) == "sqlite":
        found["I14 the file is sound"] = _damage(connection)
    return {name: rows for name, rows in found.items() if rows}


def broken_now(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """The same for the numbers alone, while others write: all questions see one moment."""
    if _dialect(connection) == "mysql":
        connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    else:
        connection.exec_driver_sql("BEGIN")
    found = {name: _rows(connection, question) for name, question in NUMBERS.items()}
    return {name: rows for name, rows in found.items() if rows}


def _rows(connection: Connection, question: str) -> list[dict[str, Any]]:
    result = connection.execute(text(question))
    return [{name: _plain(value) for name, value in row._mapping.items()} for row in result.fetchmany(SHOWN)]


def _damage(connection: Connection) -> list[dict[str, Any]]:
    said = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check")]
    dangling = [tuple(row) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")]
    return [{"integrity_check": said, "foreign_key_check": dangling}] if said != ["ok"] or dangling else []


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | str | None) else str(value)


def _dialect(connection: Connection) -> str:
    return connection.dialect.name
