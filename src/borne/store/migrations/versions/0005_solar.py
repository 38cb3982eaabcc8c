"""What the meter of a location says of the grid and of its own solar power.

A frozen copy of what `borne.store.schema` gained.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEX = "sessions_organisation_id_location_id_ended_ms"


def _int(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def upgrade() -> None:
    """Make the new table, the new column, and an index that finds what was charged at a place at a time."""
    op.create_table(
        "site_slots",
        _int("location_id"),
        _int("slot_ms"),
        _int("organisation_id"),
        _int("import_wh"),
        _int("export_wh"),
        _int("solar_wh"),
        PrimaryKeyConstraint("organisation_id", "location_id", "slot_ms", name="site_slots_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("site_slots_organisation_id_slot_ms", "site_slots", ["organisation_id", "slot_ms"])
    op.add_column("locations", _int("site_until_ms", null=True))
    op.create_index(INDEX, "sessions", ["organisation_id", "location_id", "ended_ms"])
