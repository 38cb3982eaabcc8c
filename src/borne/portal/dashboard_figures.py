"""The figures of the overview: this month beside the same days of the month before, today, thirty days, places.

All of it but the places comes from one question: the sums of the days since the beginning of the month before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import msgspec

from borne.portal.charger_counts import Overview
from borne.portal.chart import Chart
from borne.portal.frame import PageView
from borne.portal.periods import Period, number_of_day
from borne.portal.statistics import Tile, tile
from borne.portal.statistics_charts import day_chart
from borne.store import statistics
from borne.store.charger_list import Filter
from borne.store.db import Row
from borne.store.statistics import Chosen

DAYS = 30
PLACES = 6
AHEAD_DAYS = 1  # in a zone east of the one whose today counts it is tomorrow already


class Sum(NamedTuple):
    energy_wh: int
    sessions: int
    cost_nanos: int
    unpriced_wh: int


class PlaceLine(msgspec.Struct, frozen=True):
    """A place by its energy; `width` of 1,000 is its part of the highest."""

    id: int
    name: str
    energy_wh: int
    sessions: int
    width: int
    chargers: int
    attention: int


class Figures(msgspec.Struct, frozen=True):
    """`tiles`: of this month; None in `chart`: nothing was charged for two months."""

    tiles: tuple[Tile, ...]
    month: date
    chart: Chart | None
    places: tuple[PlaceLine, ...]
    places_more: int


def months_of(today: date) -> tuple[Period, Period]:
    """This month until today, and the same days of the month before."""
    month = Period("month", today.replace(day=1), today + timedelta(days=1))
    return month, month.before()


async def of(page: PageView, today: date, known: Overview) -> Figures:
    """The figures of the visitor's scope."""
    db, scope = page.services.db, page.scope
    month, before = months_of(today)
    first = min(before.first, today - timedelta(days=DAYS - 1))
    until = number_of_day(today) + AHEAD_DAYS + 1
    ranked = Chosen(from_day=number_of_day(today) - DAYS + 1, until_day=until)
    days, places, currencies = await asyncio.gather(
        statistics.by_day(db, scope, Chosen(from_day=number_of_day(first), until_day=until)),
        statistics.by_location(db, scope, ranked),
        statistics.currencies(db, scope.organisation_id),
    )
    return Figures(
        tiles=tuple(_tiles(page, days, today, month, before, currencies)),
        month=month.first,
        chart=_chart(page, days, today) if any(row.energy_wh for row in days) else None,
        places=_places(places, known),
        places_more=max(0, len(known.places) - PLACES),
    )


def _sum(days: Iterable[Row], first: date, until: date | None) -> Sum:
    """Of the days from `first` until before `until`; None: all that follow."""
    start, end = number_of_day(first), None if until is None else number_of_day(until)
    some = [row for row in days if row.key >= start and (end is None or row.key < end)]
    return Sum(*(sum(getattr(row, name) for row in some) for name in Sum._fields))


def _tiles(
    page: PageView, days: list[Row], today: date, month: Period, before: Period, currencies: list[str]
) -> list[Tile]:
    _, formats = page._, page.formats
    now, then, of_today = _sum(days, month.first, None), _sum(days, before.first, before.end), _sum(days, today, None)
    currency = currencies[0] if currencies else "EUR"

    def today_is(value: str) -> str:
        return _("today %(value)s", value=value)

    found = [
        tile(page, _("Energy"), formats.energy(now.energy_wh, 1), now.energy_wh, then.energy_wh,
             today_is(formats.energy(of_today.energy_wh, 1))),
        tile(page, _("Sessions"), formats.number(now.sessions), now.sessions, then.sessions,
             today_is(formats.number(of_today.sessions))),
    ]  # fmt: skip
    if len(currencies) > 1:
        return [*found, Tile(_("Cost of energy"), "–", "", None, _("in different currencies: see each location"))]
    if currencies:
        money = today_is(formats.money(of_today.cost_nanos, currency))
        found.append(
            tile(page, _("Cost of energy"), formats.money(now.cost_nanos, currency), now.cost_nanos, then.cost_nanos, money)
        )  # fmt: skip
    return found


def _chart(page: PageView, days: list[Row], today: date) -> Chart:
    """Thirty days; what a zone ahead calls tomorrow is drawn at today."""
    values: dict[int, int] = {}
    last = number_of_day(today)
    for row in days:
        values[min(row.key, last)] = values.get(min(row.key, last), 0) + row.energy_wh
    return day_chart(page, today - timedelta(days=DAYS - 1), DAYS, values)


def _places(rows: list[Row], known: Overview) -> tuple[PlaceLine, ...]:
    """Where the most was charged, with what is wrong there; none where there is one place alone."""
    if len(known.places) < 2:
        return ()
    counts, trouble = known.counts.by_location(), known.counts.by_location(Filter(attention=True))
    highest = max((row.energy_wh for row in rows), default=0)
    return tuple(
        PlaceLine(
            id=row.key,
            name=row.name or "–",
            energy_wh=row.energy_wh,
            sessions=row.sessions,
            width=round(1_000 * row.energy_wh / highest),
            chargers=counts.get(row.key, 0),
            attention=trouble.get(row.key, 0),
        )
        for row in rows[:PLACES]
        if row.energy_wh > 0
    )
