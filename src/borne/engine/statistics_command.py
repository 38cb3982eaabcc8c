"""What `borne admin verify-statistics` says."""

from __future__ import annotations

from borne.engine.statistics_check import NEVER, TOLD_MOST, check, day_text
from borne.store import organisations
from borne.store.db import Reader

DAY_MS = 86_400_000


async def verified(
    db: Reader, organisation_id: int, slots_days: int, day_sums_days: int, now_ms: int
) -> tuple[list[str], bool]:
    """Lines about an organisation, and whether something differs. How many days slots and sums of days are kept; 0: for ever."""
    closed_until_ms = now_ms - (slots_days - 1) * DAY_MS if slots_days else NEVER
    days_since = now_ms // DAY_MS - day_sums_days + 1 if day_sums_days else NEVER
    found = await check(db, organisation_id, closed_until_ms, days_since)
    name = await organisations.name_of(db, organisation_id)
    much = f"{found.sessions} sessions, {found.slots} quarters of an hour"
    if not found.differences:
        since = (
            "" if found.closed_day is None else f"; of days until {day_text(found.closed_day)} only the sums are kept"
        )
        return [f"{name}: the statistics are those of its sessions ({much}{since})"], False
    count = f"{len(found.differences)} or more" if len(found.differences) == TOLD_MOST else str(len(found.differences))
    return [f"{name}: {count} sums differ ({much})", *(f"  {one}" for one in found.differences)], True
