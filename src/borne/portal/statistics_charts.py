"""The charts of the statistics: bars over time, each beside the one of the period before, and a week by its hours."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_date, format_datetime, get_day_names

from borne.core.metering_slots import HOUR_MS
from borne.core.statistics import day_start_ms
from borne.portal.chart import Chart, Point, scaled, shade
from borne.portal.formats import Formats
from borne.portal.frame import PageView
from borne.portal.periods import Grain, Period, hours, month_number, number_of_day, starts
from borne.portal.statistics_view import Measure, View
from borne.store import statistics, statistics_slots
from borne.store.db import Row

Say = Callable[[int], str]
_BY: dict[str, tuple[Any, Callable[[date], int]]] = {
    "day": (statistics.by_day, number_of_day),
    "month": (statistics.by_month, month_number),
    "year": (statistics.by_year, lambda day: day.year),
}
HOURS_OF_A_DAY = 25  # at most
_PATTERNS = {"day": "d MMM", "month": "MMM yy", "year": "y"}


def value_of(row: Row, measure: Measure) -> int:
    """The number of a row of sums that a measure is about. Of power, the energy of the highest slot."""
    match measure:
        case "energy":
            value = row.energy_wh
        case "sessions":
            value = row.sessions
        case "cost":
            value = row.cost_nanos
        case "charging":
            value = row.charging_ms
        case "idle":
            value = row.plugged_ms - row.charging_ms
        case "peak":
            value = 4 * row.peak_wh
    return int(value)


def hours_text(page: PageView, duration_ms: int) -> str:
    """`12.5 h`."""
    return page._("%(n)s h", n=page.formats.number(duration_ms / HOUR_MS, 0 if duration_ms >= 100 * HOUR_MS else 1))


def words_of(page: PageView, measure: Measure, currency: str) -> tuple[int, Say]:
    """The unit in which an axis counts, and how a value is said."""
    formats: Formats = page.formats
    match measure:
        case "energy":
            return 1, lambda value: formats.energy(value, 1 if value >= 1_000 else 2)
        case "sessions":
            return 1, formats.number
        case "cost":
            return 10_000_000, lambda value: formats.money(value, currency)
        case "charging" | "idle":
            return HOUR_MS, lambda value: hours_text(page, value)
        case "peak":
            return 1, formats.power


# ---- bars over time ------------------------------------------------------------------------------------------------


class Series(msgspec.Struct, frozen=True):
    """Labels of the pieces of a period, and a value for each."""

    labels: list[str]
    values: list[int]
    marks: tuple[tuple[int, str], ...] = ()  # as chart.scaled takes them


async def over_time(page: PageView, view: View, currency: str) -> Chart:
    """The measure of the view by its grain, beside the same of the period before."""
    unit, say = words_of(page, view.measure, currency)
    series_of = _hours if view.grain == "hour" else _pieces
    now, then = await asyncio.gather(series_of(page, view, view.period), series_of(page, view, view.period.before()))
    is_alike = view.grain in ("hour", "day") or len(then.values) == len(now.values)
    return scaled(_points(now, then.values if is_alike else [], say), unit, say, now.marks)


def _points(now: Series, then: Sequence[int], say: Say) -> list[Point]:
    points = []
    for number, (label, value) in enumerate(zip(now.labels, now.values, strict=True)):
        old = then[number] if number < len(then) else None
        points.append(Point(label, value, say(value), old, "–" if old is None else say(old)))
    return points


async def _pieces(page: PageView, view: View, period: Period) -> Series:
    days, rows = await pieces_of(page, view, period)
    values = [0] * len(days)
    for at, row in rows:
        value = value_of(row, view.measure)
        values[at] = max(values[at], value) if view.measure == "peak" else values[at] + value
    return Series([day_label(page, day, view.grain) for day in days], values)


async def pieces_of(page: PageView, view: View, period: Period) -> tuple[list[date], list[tuple[int, Row]]]:
    """The first days of the pieces of a period, and rows of sums, each with the number of its piece."""
    grain = view.grain
    assert grain != "hour"
    ask, key_of = _BY[grain]
    days = starts(period, grain)
    keys = [key_of(day) for day in days]
    rows = await ask(page.services.db, page.scope, view.chosen(period))
    return days, [(bisect_right(keys, row.key) - 1, row) for row in rows]


def day_label(page: PageView, day: date, grain: Grain) -> str:
    return str(format_date(day, _PATTERNS[grain], locale=page.formats.locale))


def day_chart(page: PageView, first: date, days: int, energy_wh: dict[int, int]) -> Chart:
    """Energy by day, of days by their numbers."""
    unit, say = words_of(page, "energy", "")
    some = [first + timedelta(days=n) for n in range(days)]
    values = [energy_wh.get(number_of_day(day), 0) for day in some]
    return scaled(_points(Series([day_label(page, day, "day") for day in some], values), [], say), unit, say)


async def slots_of(page: PageView, view: View, from_ms: int, until_ms: int) -> list[Row]:
    """The sums of the quarters of an hour between two instants, of what the view chooses."""
    db, scope = page.services.db, page.scope
    if view.is_whole:
        return await statistics.by_slot(db, scope, from_ms, until_ms, view.location_id)
    return await statistics_slots.by_slot(
        db, scope, from_ms, until_ms, charger_id=view.charger_id, person_id=view.person_id,
        location_id=view.location_id,
    )  # fmt: skip


async def _hours(page: PageView, view: View, period: Period) -> Series:
    instants = hours(period, view.zone)
    from_ms, until_ms = instants[0], day_start_ms(number_of_day(period.end), view.zone)
    values = [0] * len(instants)
    for row in await slots_of(page, view, from_ms, until_ms):
        values[(row.slot_ms - from_ms) // HOUR_MS] += value_of(row, view.measure)
    return Series(hour_labels(page, instants, view.zone, period.days > 1), values, _marks(page, instants, view.zone))


def _marks(page: PageView, instants: Sequence[int], zone: ZoneInfo) -> tuple[tuple[int, str], ...]:
    """Below hours: each midnight's day; within one day every fourth hour."""
    there = list(enumerate(datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone) for at_ms in instants))
    if len(instants) > HOURS_OF_A_DAY:
        return tuple((number, day_label(page, at.date(), "day")) for number, at in there if at.hour == 0)
    return tuple((number, f"{at.hour:02}:00") for number, at in there if at.hour % 4 == 0)


def hour_labels(page: PageView, instants: Sequence[int], zone: ZoneInfo, has_days: bool) -> list[str]:
    """`14:00`, or `3 Mar, 14:00`; an hour that comes twice, when clocks are put back, says by how much it is off UTC."""
    there = [datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone) for at_ms in instants]
    pattern = "d MMM, HH:mm" if has_days else "HH:mm"
    labels = [str(format_datetime(at, pattern, locale=page.formats.locale)) for at in there]
    twice = {label for label, count in Counter(labels).items() if count > 1}
    return [
        f"{label} ({format_datetime(at, 'ZZZZ', locale=page.formats.locale)})" if label in twice else label
        for label, at in zip(labels, there, strict=True)
    ]


# ---- a week by hours -----------------------------------------------------------------------------------------------


class Heat(msgspec.Struct, frozen=True):
    """A week by hours: (name of the day, [(shade, value in words)] of 24 hours)."""

    days: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]


async def heat(page: PageView, view: View) -> Heat:
    """Of the months that the period touches: hours are kept by month."""
    rows = await statistics.by_hour_of_week(
        page.services.db, page.scope, month_number(view.period.first), month_number(view.period.last) + 1,
        view.location_id,
    )  # fmt: skip
    values = {row.hour: row.energy_wh for row in rows}
    highest = max(values.values(), default=0)
    names = get_day_names("abbreviated", locale=page.formats.locale)
    return Heat(
        tuple(
            (str(names[day]), tuple(_cell(page, values.get(day * 24 + hour, 0), highest) for hour in range(24)))
            for day in range(7)
        )
    )


def _cell(page: PageView, energy_wh: int, highest: int) -> tuple[int, str]:
    return shade(energy_wh, highest), page.formats.energy(energy_wh, 1)
