"""Months as they are at each location."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from borne.core.consumption import Consumption, by_month, month_before, month_of

PARIS, TOKYO = ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Tokyo")


def at(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def test_a_session_belongs_to_the_month_that_it_was_at_its_location() -> None:
    last_minute = at(2026, 10, 31, 22, 59)  # 23:59 in Paris (winter time), November in Tokyo
    assert month_of(last_minute, PARIS) == date(2026, 10, 1)
    assert month_of(last_minute + 60_000, PARIS) == date(2026, 11, 1)
    sums = by_month([(last_minute, 4, PARIS), (last_minute, 7, TOKYO), (last_minute + 60_000, None, PARIS)])
    assert sums == {date(2026, 10, 1): Consumption(1, 4, 0), date(2026, 11, 1): Consumption(2, 7, 1)}


def test_the_month_before() -> None:
    assert month_before(date(2026, 1, 1)) == date(2025, 12, 1)
    assert month_before(date(2026, 3, 1)) == date(2026, 2, 1)
