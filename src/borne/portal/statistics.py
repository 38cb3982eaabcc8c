"""Statistics of a period beside the one before: energy, sessions, hours, costs; by day, hour of the week, place and person."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from babel.dates import format_date, get_day_names
from litestar import Response, get

from borne.core.statistics import EPOCH
from borne.portal.chart import Chart, Point, bars, shade
from borne.portal.forms import number_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.sessions import zone_of
from borne.store import access_groups, charger_list, organisations, statistics
from borne.store.db import Row
from borne.store.statistics import Chosen

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
DAYS_SHOWN = 92  # longer periods are drawn by month
LONGEST_DAYS = 1_830
PERIODS = {
    "30": N_("30 days"),
    "month": N_("This month"),
    "last": N_("Last month"),
    "12": N_("12 months"),
    "year": N_("This year"),
}


class Period(msgspec.Struct, frozen=True):
    """Days from `first` until before `end`; `key` is a word of PERIODS, or "" for days that were typed."""

    key: str
    first: date
    end: date

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    def before(self) -> Period:
        """The period of the same length before; for whole months or years the month or year before."""
        if self.key == "year":
            return Period("", _year_before(self.first), _year_before(self.end))
        if self.key in ("month", "last"):
            first = (self.first - timedelta(days=1)).replace(day=1)
            return Period("", first, min(first + timedelta(days=self.days), self.first))
        return Period("", self.first - timedelta(days=self.days), self.first)


def _year_before(day: date) -> date:
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def number_of_day(day: date) -> int:
    return day.toordinal() - EPOCH


def day_of(number: int) -> date:
    return date.fromordinal(number + EPOCH)


def period_of(key: str, since: str, until: str, today: date) -> Period:
    """The period that an address asks for; 30 days for one that makes no sense."""
    tomorrow = today + timedelta(days=1)
    match key:
        case "month":
            return Period(key, today.replace(day=1), tomorrow)
        case "last":
            end = today.replace(day=1)
            return Period(key, (end - timedelta(days=1)).replace(day=1), end)
        case "12":
            first = _year_before(today.replace(day=1))
            return Period(key, first.replace(day=1), tomorrow)
        case "year":
            return Period(key, today.replace(month=1, day=1), tomorrow)
    typed = _day(since), _day(until)
    if key == "" and typed[0] and typed[1] and typed[0] <= typed[1]:
        first = max(typed[0], typed[1] - timedelta(days=LONGEST_DAYS))
        return Period("", first, min(typed[1], tomorrow) + timedelta(days=1))
    return Period("30", today - timedelta(days=29), tomorrow)


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year < 2200 else None


# ---- the page --------------------------------------------------------------------------------------------------------------


class Tile(msgspec.Struct, frozen=True):
    """A figure, and how it changed: "+12 %", "" where there is nothing to compare with."""

    label: str
    value: str
    change: str
    is_more: bool | None
    note: str = ""


@get("/statistics", may="see_statistics")
async def index(page: Page) -> Response[str]:
    asked, db, scope = page.request.query_params, page.services.db, page.scope
    places = await charger_list.places(db, scope)
    location_id = number_of(asked.get("location", ""))
    location_id = location_id if location_id in {place.id for place in places} else None
    zone = zone_of(await organisations.zone_of_scope(db, scope, location_id))
    today = datetime.fromtimestamp(page.services.clock.now_ms() / 1_000, UTC).astimezone(zone).date()
    period = period_of(asked.get("period", "30"), asked.get("since", ""), asked.get("until", ""), today)
    group_id = number_of(asked.get("group", "")) if scope.role != "user" else None
    chosen = _chosen(period, location_id, group_id)
    before = _chosen(period.before(), location_id, group_id)
    currencies = await statistics.currencies(db, scope.organisation_id)
    currency = currencies[0] if currencies else "EUR"
    context: dict[str, Any] = {
        "period": period,
        "periods": PERIODS,
        "places": places,
        "location_id": location_id,
        "group_id": group_id,
        "groups": await _groups(page),
        "currency": currency,
        "many_currencies": len(currencies) > 1 and location_id is None,
        "zone": zone.key,
        "last_day": period.end - timedelta(days=1),
    }
    context |= await _figures(page, chosen, before, period, currency)
    return page.show("statistics/index.html", **context)


def _chosen(period: Period, location_id: int | None, group_id: int | None) -> Chosen:
    return Chosen(
        from_day=number_of_day(period.first),
        until_day=number_of_day(period.end),
        location_id=location_id,
        access_group_id=group_id,
    )


async def _groups(page: PageView) -> list[Row]:
    if page.scope.role == "user":
        return []
    return await access_groups.listed(page.services.db, page.scope)


async def _figures(page: PageView, chosen: Chosen, before: Chosen, period: Period, currency: str) -> dict[str, Any]:
    db, scope = page.services.db, page.scope
    is_staff = scope.role != "user"
    now, then = await statistics.sums(db, scope, chosen), await statistics.sums(db, scope, before)
    days, days_before = await statistics.by_day(db, scope, chosen), await statistics.by_day(db, scope, before)
    found: dict[str, Any] = {
        "tiles": _tiles(page, now, then, currency),
        "now": now,
        "chart": _chart(page, period, days, days_before),
        "by_location": await statistics.by_location(db, scope, chosen),
        "by_charger": [],
        "by_person": [],
        "heat": None,
    }
    if is_staff:
        found["by_charger"] = await statistics.by_charger(db, scope, chosen)
        if chosen.access_group_id is None:
            found["by_person"] = await statistics.by_person(db, scope, chosen)
            found["heat"] = await _heat(page, period, chosen.location_id)
    return found


def _tiles(page: PageView, now: Row, then: Row, currency: str) -> list[Tile]:
    _, formats = page._, page.formats
    idle, idle_then = now.plugged_ms - now.charging_ms, then.plugged_ms - then.charging_ms
    peak, peak_then = getattr(now, "peak_wh", None), getattr(then, "peak_wh", None)
    unpriced = _("%(energy)s has no price", energy=formats.energy(now.unpriced_wh, 1)) if now.unpriced_wh else ""
    unknown = (
        page.ngettext("%(n)s without a known energy", "%(n)s without a known energy", now.unknown)
        if now.unknown
        else ""
    )
    tiles = [
        _tile(page, _("Energy"), formats.energy(now.energy_wh, 1), now.energy_wh, then.energy_wh),
        _tile(page, _("Sessions"), formats.number(now.sessions), now.sessions, then.sessions, unknown),
        _tile(
            page,
            _("Cost of energy"),
            formats.money(now.cost_nanos, currency),
            now.cost_nanos,
            then.cost_nanos,
            unpriced,
        ),
        _tile(page, _("Charging"), _hours(page, now.charging_ms), now.charging_ms, then.charging_ms),
        _tile(page, _("Plugged in, not charging"), _hours(page, idle), idle, idle_then),
    ]
    if "peak_wh" in now._fields:
        note = _("average of a quarter of an hour, of one location")
        tiles.append(_tile(page, _("Highest power"), formats.power((peak or 0) * 4), peak or 0, peak_then or 0, note))
    return tiles


def _tile(page: PageView, label: str, value: str, now: int, then: int, note: str = "") -> Tile:
    if not then:
        return Tile(label, value, "", None, note)
    percent = round((now - then) * 100 / then)
    sign = "+" if percent > 0 else "−" if percent < 0 else "±"
    return Tile(label, value, f"{sign}{page.formats.number(abs(percent))}\u202f%", percent > 0, note)


def _hours(page: PageView, duration_ms: int) -> str:
    return page._("%(n)s h", n=page.formats.number(duration_ms / HOUR_MS, 0 if duration_ms >= 100 * HOUR_MS else 1))


def _chart(page: PageView, period: Period, days: list[Row], before: list[Row]) -> Chart:
    """By day, or for long periods by month; each beside the same day or month before."""
    if period.days > DAYS_SHOWN:
        return _months(page, period, days)
    known = {row.key: row.energy_wh for row in days}
    then = {row.key: row.energy_wh for row in before}
    first, shift = number_of_day(period.first), number_of_day(period.before().first)
    points = []
    for offset in range(period.days):
        value, old = known.get(first + offset, 0), then.get(shift + offset, 0)
        points.append(
            Point(
                str(format_date(day_of(first + offset), "d MMM", locale=page.formats.locale)),
                value,
                page.formats.energy(value, 1),
                old,
                page.formats.energy(old, 1),
            )
        )
    return bars(points, page.formats.energy(max([0, *(p.value for p in points), *(p.before or 0 for p in points)]), 0))


def _months(page: PageView, period: Period, days: list[Row]) -> Chart:
    sums: dict[date, int] = {}
    month = period.first.replace(day=1)
    while month < period.end:
        sums[month] = 0
        month = (month + timedelta(days=32)).replace(day=1)
    for row in days:
        sums[day_of(row.key).replace(day=1)] += row.energy_wh
    points = [
        Point(str(format_date(one, "MMM yy", locale=page.formats.locale)), value, page.formats.energy(value, 0))
        for one, value in sums.items()
    ]
    return bars(points, page.formats.energy(max(sums.values(), default=0), 0))


class Heat(msgspec.Struct, frozen=True):
    """A week by hours: (name of the day, [(shade, value in words)] of 24 hours)."""

    days: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]


async def _heat(page: PageView, period: Period, location_id: int | None) -> Heat:
    """Of the months that the period touches: hours are kept by month."""
    last = period.end - timedelta(days=1)
    rows = await statistics.by_hour_of_week(
        page.services.db,
        page.scope,
        (period.first.year - 1970) * 12 + period.first.month - 1,
        (last.year - 1970) * 12 + last.month,
        location_id,
    )
    values = {row.hour: row.energy_wh for row in rows}
    highest = max(values.values(), default=0)
    names = get_day_names("abbreviated", locale=page.formats.locale)
    return Heat(
        tuple(
            (
                str(names[day]),
                tuple(
                    (
                        shade(values.get(day * 24 + hour, 0), highest),
                        page.formats.energy(values.get(day * 24 + hour, 0), 1),
                    )
                    for hour in range(24)
                ),
            )
            for day in range(7)
        )
    )


ROUTES = [index]
