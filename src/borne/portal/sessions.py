"""The list of charging sessions: those that run on top. Users see their own, staff those of their locations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_datetime
from litestar import Response, get

from borne.core import policy
from borne.core.consumption import energy_wh
from borne.core.session import NO_STOP_RECEIVED
from borne.portal.charger_counts import overview
from borne.portal.forms import number_of
from borne.portal.frame import Page, PageView
from borne.store import charger_list, organisations, session_list
from borne.store.charger_list import Filter as ChargerFilter
from borne.store.db import Row
from borne.store.session_list import Filter

QUERY_BOUND = 100
CHARGERS_MOST = 50  # that a search looks at


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A session in words. `energy_wh` None: not known; `duration_ms` None: it runs."""

    id: int
    charger_id: int
    charger: str | None
    location: str | None
    started: str
    started_ms: int
    zone: str
    duration_ms: int | None
    energy_wh: int | None
    runs: bool
    no_stop: bool
    tag: str
    tag_name: str
    person: str | None


@lru_cache(maxsize=512)
def zone_of(name: str | None) -> ZoneInfo:
    """A location's time zone; UTC for one that is not known (any more)."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


async def lines(page: PageView, rows: list[Row]) -> list[Line]:
    """Sessions as the list shows them, times in their location's zone."""
    names = await session_list.tag_names(page.services.db, page.scope, rows)
    return [_line(page, row, names) for row in rows]


def _line(page: PageView, row: Row, names: dict[tuple[str, int | None], str]) -> Line:
    zone = zone_of(row.time_zone)
    started = datetime.fromtimestamp(row.started_ms / 1000, UTC).astimezone(zone)
    runs = row.ended_ms is None
    return Line(
        id=row.id,
        charger_id=row.charger_id,
        charger=row.charger_name,
        location=row.location_name,
        started=str(format_datetime(started, "d MMM y, HH:mm", locale=page.formats.locale)),
        started_ms=row.started_ms,
        zone=zone.key,
        duration_ms=None if runs else max(0, row.ended_ms - row.started_ms),
        energy_wh=None if runs else energy_wh(row.meter_start_wh, row.meter_stop_wh),
        runs=runs,
        no_stop=row.end_reason == NO_STOP_RECEIVED,
        tag=(row.tag or "").upper(),
        tag_name=names.get(((row.tag or "").casefold(), row.person_id), ""),
        person=row.person_name,
    )


@get("/sessions", may="see_sessions")
async def sessions(page: Page) -> Response[str]:
    """The page, or for htmx its list."""
    asked = page.request.query_params
    wanted = await _wanted(page)
    found = await session_list.page(page.services.db, page.scope, wanted, asked.get("older", ""))
    context: dict[str, Any] = {
        "lines": await lines(page, found.rows),
        "older": _address(page, older=found.older) if found.older else "",
        "newest": _address(page) if asked.get("older") else "",
        "is_filtered": wanted != Filter(),
        "is_own": page.scope.role == "user",
        "asked": asked,
        "filter": wanted,
    }
    if page.is_part:
        return page.part("sessions/list.html", **context)
    places = (await overview(page)).places if page.scope.role != "user" else []
    return page.show("sessions/index.html", **context, places=places)


ROUTES = [sessions]


async def _wanted(page: PageView) -> Filter:
    """The filter that the address names. What makes no sense in it is left aside."""
    asked = page.request.query_params
    location_id, charger_id = number_of(asked.get("location", "")), number_of(asked.get("charger", ""))
    person_id = number_of(asked.get("person", "")) if policy.permits(page.scope, "see_people") else None
    words = charger_list.words_of(asked.get("q", "")[:QUERY_BOUND])
    charger_ids: tuple[int, ...] | None = None if charger_id is None else (charger_id,)
    if words:
        wanted = ChargerFilter(words=words)
        found = await charger_list.matching_ids(page.services.db, page.scope, wanted, CHARGERS_MOST)
        charger_ids = tuple(one for one in found if charger_ids is None or one in charger_ids)
    zone = ZoneInfo(await organisations.zone_of_scope(page.services.db, page.scope, location_id))
    return Filter(
        charger_ids=charger_ids,
        location_id=location_id,
        person_id=person_id,
        from_ms=_midnight_ms(asked.get("from", ""), 0, zone),
        to_ms=_midnight_ms(asked.get("to", ""), 1, zone),
    )


def _midnight_ms(text: str, days: int, zone: ZoneInfo) -> int | None:
    """The start of a day there, `days` later. Nothing for what is no day."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    if not 1970 < day.year < 9000:
        return None
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def _address(page: PageView, **change: str) -> str:
    """This list with another page."""
    kept = {name: value for name, value in page.request.query_params.items() if name != "older" and value}
    query = urlencode(kept | change)
    return f"/sessions?{query}" if query else "/sessions"
