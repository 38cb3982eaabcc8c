"""Solar energy in slots and sums, and sums by month, so that a year is read quickly: made from the days that are there.

A frozen copy of what `borne.store.schema` gained.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SUMS_TABLES = ("location_slots", "location_days", "location_hours", "charger_days", "person_days")


def _int(name: str, *, null: bool = False, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=null, server_default=default)


def upgrade() -> None:
    """Make the new columns."""
    for table in SUMS_TABLES:
        op.add_column(table, _int("solar_wh", default="0"))
    op.add_column("session_slots", _int("solar_wh", default="0"))
    op.add_column("session_slots", _int("feed_in_micros", null=True))
    op.add_column("session_slots", _int("provisional", default="0"))
