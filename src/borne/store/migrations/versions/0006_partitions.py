"""Readings in partitions by time on PostgreSQL, so that old ones are dropped, not deleted."""

from __future__ import annotations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
