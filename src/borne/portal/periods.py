"""Stretches of days that statistics count, and how they are cut: into hours, days, months or years.

Days are those of a location's calendar; an hour is an instant, so that a day of 23 or 25 hours has as many.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from borne.core.metering_slots import HOUR_MS
from borne.core.statistics import EPOCH, day_start_ms
from borne.portal.language import N_

LONGEST_DAYS = 1_830
PERIODS = {
    "30": N_("30 days"),
    "month": N_("This month"),
    "last": N_("Last month"),
    "12": N_("12 months"),
    "year": N_("This year"),
}
SHORT_PERIODS = {"today": N_("Today"), "7": N_("7 days")}

Grain = Literal["hour", "day", "month", "year"]
GRAINS: tuple[Grain, ...] = get_args(Grain)
# From how many days on a period can be cut so, and up to how many.
_DAYS: dict[Grain, tuple[int, int]] = {
    "hour": (1, 7),
    "day": (1, 400),
    "month": (32, LONGEST_DAYS),
    "year": (367, LONGEST_DAYS),
}
_USUAL_UNTIL: dict[Grain, int] = {"hour": 2, "day": 92, "month": LONGEST_DAYS}


class Period(msgspec.Struct, frozen=True):
    """Days from `first` until before `end`; `key` is a word of PERIODS, or "" for days that were typed."""

    key: str
    first: date
    end: date

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    @property
    def last(self) -> date:
        return self.end - timedelta(days=1)

    def before(self) -> Period:
        """The period of the same length before; for whole months or years the month or year before."""
        if self.key in ("year", "12"):
            return Period("", year_before(self.first), year_before(self.end))
        if self.key in ("month", "last"):
            first = (self.first - timedelta(days=1)).replace(day=1)
            return Period("", first, min(first + timedelta(days=self.days), self.first))
        return Period("", self.first - timedelta(days=self.days), self.first)


def year_before(day: date) -> date:
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def number_of_day(day: date) -> int:
    return day.toordinal() - EPOCH


def day_of(number: int) -> date:
    return date.fromordinal(number + EPOCH)


def month_number(day: date) -> int:
    """Months since January 1970."""
    return (day.year - 1970) * 12 + day.month - 1


def today_in(zone: ZoneInfo, now_ms: int) -> date:
    return datetime.fromtimestamp(now_ms / 1_000, UTC).astimezone(zone).date()


def period_of(key: str, since: str, until: str, today: date) -> Period:
    """The period that an address asks for; 30 days for one that makes no sense."""
    tomorrow = today + timedelta(days=1)
    match key:
        case "today":
            return Period(key, today, tomorrow)
        case "7":
            return Period(key, today - timedelta(days=6), tomorrow)
        case "month":
            return Period(key, today.replace(day=1), tomorrow)
        case "last":
            end = today.replace(day=1)
            return Period(key, (end - timedelta(days=1)).replace(day=1), end)
        case "12":
            return Period(key, month_after(year_before(today.replace(day=1))), tomorrow)
        case "year":
            return Period(key, today.replace(month=1, day=1), tomorrow)
    typed = _day(since), _day(until)
    if key == "" and typed[0] and typed[1]:
        last = min(typed[1], tomorrow)
        if typed[0] <= last:
            return Period("", max(typed[0], last - timedelta(days=LONGEST_DAYS)), last + timedelta(days=1))
    return Period("30", today - timedelta(days=29), tomorrow)


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year < 2200 else None


# ---- how a period is cut -------------------------------------------------------------------------------------------


def grains_of(period: Period, *, has_hours: bool) -> tuple[Grain, ...]:
    """How a period can be cut. `has_hours`: whether hours of what is chosen are known."""
    fitting = tuple(grain for grain in GRAINS if _DAYS[grain][0] <= period.days <= _DAYS[grain][1])
    return fitting if has_hours else tuple(grain for grain in fitting if grain != "hour")


def grain_of(asked: str, period: Period, *, has_hours: bool) -> Grain:
    """The grain that an address asks for, else the one that suits the period."""
    known = grains_of(period, has_hours=has_hours)
    for grain in known:
        if grain == asked:
            return grain
    usual = next(grain for grain, most in _USUAL_UNTIL.items() if period.days <= most)
    return usual if usual in known else "day"


def month_after(day: date) -> date:
    """The first of the next month."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def starts(period: Period, grain: Literal["day", "month", "year"]) -> list[date]:
    """The first days of the pieces, the first piece cut at the period's beginning."""
    return list(_starts(period, grain))


def _starts(period: Period, grain: Literal["day", "month", "year"]) -> Iterator[date]:
    at = period.first
    while at < period.end:
        yield at
        if grain == "day":
            at += timedelta(days=1)
        else:
            at = month_after(at) if grain == "month" else at.replace(year=at.year + 1, month=1, day=1)


def hours(period: Period, zone: ZoneInfo) -> list[int]:
    """The instants at which the hours of a period begin there, by the clock on the wall."""
    from_ms, until_ms = (day_start_ms(number_of_day(day), zone) for day in (period.first, period.end))
    return list(range(from_ms, until_ms, HOUR_MS))
