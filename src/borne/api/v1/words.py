"""How the API writes values."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(at_ms: int | None) -> str | None:
    """Milliseconds since the epoch as RFC 3339: `2026-11-22T14:05:09.123Z`."""
    if at_ms is None:
        return None
    text = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
