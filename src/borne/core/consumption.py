"""What sessions consumed: sums of months as they are at each location. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, tzinfo

import msgspec


class Consumption(msgspec.Struct, frozen=True):
    """Of some sessions: how many, their energy where it is known, and of how many it is not."""

    sessions: int = 0
    energy_wh: int = 0
    unknown: int = 0

    def and_one(self, energy_wh: int | None) -> Consumption:
        if energy_wh is None:
            return Consumption(self.sessions + 1, self.energy_wh, self.unknown + 1)
        return Consumption(self.sessions + 1, self.energy_wh + energy_wh, self.unknown)


def month_of(at_ms: int, zone: tzinfo) -> date:
    """The first day of the month that an instant lies in, there."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date().replace(day=1)


def month_before(month: date) -> date:
    return month.replace(year=month.year - 1, month=12) if month.month == 1 else month.replace(month=month.month - 1)


def by_month(sessions: Iterable[tuple[int, int | None, tzinfo]]) -> dict[date, Consumption]:
    """Sums of (start, energy, zone of its location) by the month of the start there."""
    found: dict[date, Consumption] = {}
    for started_ms, energy, zone in sessions:
        month = month_of(started_ms, zone)
        found[month] = found.get(month, Consumption()).and_one(energy)
    return found
