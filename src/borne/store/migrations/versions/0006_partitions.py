"""Readings and messages about sessions in partitions by time of receipt (PostgreSQL), so that old ones are dropped, not deleted.

What is there becomes the first partition as it stands, looked through once and not copied. On SQLite nothing changes.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Connection, text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DAY_MS = 86_400_000
MONDAY_MS = 4 * DAY_MS  # 5 January 1970
SPANS_MS = {"readings": 7 * DAY_MS, "session_messages": 28 * DAY_MS}
INDEX = "charger_id_transaction_received_ms"  # of session_messages


def upgrade() -> None:
    """Partition both tables."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for table, span_ms in SPANS_MS.items():
            _partition(connection, table, span_ms)


def _partition(connection: Connection, table: str, span_ms: int) -> None:
    before, rest = f"{table}_before", f"{table}_rest"
    has_index = table == "session_messages"
    for statement in (
        f"ALTER TABLE {table} RENAME TO {before}",
        f"ALTER TABLE {before} RENAME CONSTRAINT {table}_pk TO {before}_pk",
        *([f"ALTER INDEX {table}_{INDEX} RENAME TO {before}_{INDEX}"] if has_index else []),
        f"CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS,"
        f" CONSTRAINT {table}_pk PRIMARY KEY (received_ms, charger_id, idx)) PARTITION BY RANGE (received_ms)",
        *([f"CREATE INDEX {table}_{INDEX} ON {table} (charger_id, transaction, received_ms)"] if has_index else []),
        f"CREATE TABLE {rest} PARTITION OF {table} DEFAULT",
    ):
        connection.execute(text(statement))
    if connection.scalar(text(f"SELECT 1 FROM {before} LIMIT 1")) is None:
        connection.execute(text(f"DROP TABLE {before}"))
        return
    # It ends with the stretch of time that runs now; what some wrong clock dated after that goes to the rest.
    now_ms = connection.scalar(text("SELECT (extract(epoch FROM now()) * 1000)::bigint"))
    until_ms = (now_ms - MONDAY_MS) // span_ms * span_ms + span_ms + MONDAY_MS
    moved = f"DELETE FROM {before} WHERE received_ms >= {until_ms} RETURNING *"
    connection.execute(text(f"WITH moved AS ({moved}) INSERT INTO {rest} SELECT * FROM moved"))
    connection.execute(
        text(f"ALTER TABLE {table} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ({until_ms})")
    )
