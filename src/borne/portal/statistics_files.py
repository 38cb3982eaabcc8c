"""What the statistics show, as CSV: over time as the chart is cut, or by location, charger, user or access group.

Plain numbers for programs: kWh, hours, and amounts of the currency with a decimal point.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from litestar import Response, get
from litestar.exceptions import NotFoundException

from borne.core.cells import neutral
from borne.core.metering_slots import HOUR_MS
from borne.core.statistics import SUMS, day_start_ms
from borne.portal.frame import Page, PageView
from borne.portal.periods import hours, number_of_day
from borne.portal.restarts import csv_lines
from borne.portal.statistics import currency_of, rankings_of
from borne.portal.statistics_charts import pieces_of, slots_of
from borne.portal.statistics_view import View, view_of
from borne.store.db import Row

SHAPES = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
COLUMNS = (
    "energy_kwh", "sessions", "charging_h", "idle_h", "energy_cost", "currency", "unpriced_kwh", "solar_kwh",
)  # fmt: skip
Numbers = list[int]
ROWS_MOST = 100_000


@get("/statistics.csv", may="see_statistics")
async def export(page: Page) -> Response[bytes]:
    """The view of the address; `of`: time, or one of the tables."""
    view, of = await view_of(page), page.request.query_params.get("of", "time")
    currency, is_mixed = await currency_of(page, view)
    said = "" if is_mixed else currency
    if of == "time":
        rows = [(label, _cells(numbers, said)) for label, numbers in await _over_time(page, view)]
    else:
        found = await rankings_of(page, view, most=ROWS_MOST, kind=of)
        if not found:
            raise NotFoundException
        rows = [(row.name or found[0].gone, _cells(_numbers(row), said)) for row in found[0].rows]
    lines = [[view.grain if of == "time" else of, *COLUMNS], *([neutral(name), *cells] for name, cells in rows)]
    headers = {"content-disposition": f'attachment; filename="statistics-{of}.csv"'}
    return Response(csv_lines(lines), media_type="text/csv; charset=utf-8", headers=headers)


def _numbers(row: Row) -> Numbers:
    return [getattr(row, name, 0) for name in SUMS]


def _cells(numbers: Numbers, currency: str) -> list[str]:
    of = dict(zip(SUMS, numbers, strict=True))
    idle_ms = of["plugged_ms"] - of["charging_ms"]
    return [
        _decimal(of["energy_wh"], 1_000, 3), str(of["sessions"]), _decimal(of["charging_ms"], HOUR_MS, 2),
        _decimal(idle_ms, HOUR_MS, 2), _decimal(of["cost_nanos"], 1_000_000_000, 4) if currency else "", currency,
        _decimal(of["unpriced_wh"], 1_000, 3), _decimal(of["solar_wh"], 1_000, 3),
    ]  # fmt: skip


def _decimal(value: int, per: int, digits: int) -> str:
    return f"{value / per:.{digits}f}"


async def _over_time(page: PageView, view: View) -> list[tuple[str, Numbers]]:
    """Each piece of the period, also those in which nothing was charged."""
    if view.grain == "hour":
        return await _hours(page, view)
    days, rows = await pieces_of(page, view, view.period)
    sums = _added(len(days), rows)
    return [(_day(day, view), one) for day, one in zip(days, sums, strict=True)]


def _day(day: date, view: View) -> str:
    return day.strftime(SHAPES[view.grain])


async def _hours(page: PageView, view: View) -> list[tuple[str, Numbers]]:
    instants = hours(view.period, view.zone)
    from_ms = instants[0]
    until_ms = day_start_ms(number_of_day(view.period.end), view.zone)
    rows = await slots_of(page, view, from_ms, until_ms)
    sums = _added(len(instants), (((row.slot_ms - from_ms) // HOUR_MS, row) for row in rows))
    said = [datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(view.zone).isoformat() for at_ms in instants]
    return list(zip(said, sums, strict=True))


def _added(pieces: int, rows: Iterable[tuple[int, Any]]) -> list[Numbers]:
    sums = [[0] * len(SUMS) for _ in range(pieces)]
    for at, row in rows:
        for index, value in enumerate(_numbers(row)):
            sums[at][index] += value
    return sums


ROUTES = [export]
