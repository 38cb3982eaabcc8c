"""What the meter of a location says of the grid and of its own solar power, and what that makes of a session's cost."""

from __future__ import annotations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
