"""The list of charging sessions: those that run on top. Users see their own, staff those of their locations."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_datetime
from litestar import Response, get

from borne.core.session import NO_STOP_RECEIVED
from borne.portal import session_filter
from borne.portal.charger_counts import overview
from borne.portal.forms import number_of
from borne.portal.frame import Page, PageView
from borne.portal.session_words import KIND_WORDS
from borne.store import saved_views, session_list
from borne.store.db import Row
from borne.store.session_list import PAGE_ROWS, Filter

VIEWS = "sessions"  # the name of this page among saved views


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A session in words. `energy_wh` None: not known (yet, when it is not `measured`); `duration_ms` None: it runs."""

    id: int
    charger_id: int
    charger: str | None
    location: str | None
    started: str
    started_ms: int
    zone: str
    duration_ms: int | None
    energy_wh: int | None
    power_w: int | None
    cost: str
    runs: bool
    no_stop: bool
    measured: bool
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
    runs = row.ended_ms is None
    begun_ms = row.started_ms if row.begun_ms is None else row.begun_ms
    over_ms = row.ended_ms if row.over_ms is None else row.over_ms
    started = datetime.fromtimestamp(begun_ms / 1000, UTC).astimezone(zone)
    return Line(
        id=row.id,
        charger_id=row.charger_id,
        charger=row.charger_name,
        location=row.location_name,
        started=str(format_datetime(started, "d MMM y, HH:mm", locale=page.formats.locale)),
        started_ms=begun_ms,
        zone=zone.key,
        duration_ms=None if runs else max(0, over_ms - begun_ms),
        energy_wh=row.energy_wh,
        power_w=row.power_w if runs else None,
        cost="" if row.cost_nanos is None else page.formats.money(row.cost_nanos, row.currency),
        runs=runs,
        no_stop=row.end_reason == NO_STOP_RECEIVED,
        measured=row.measured > 0,
        tag=(row.tag or "").upper(),
        tag_name=names.get(((row.tag or "").casefold(), row.person_id), ""),
        person=row.person_name,
    )


@get("/sessions", may="see_sessions")
async def sessions(page: Page) -> Response[str]:
    """The page, or for htmx its list."""
    context = await _context(page, await session_filter.wanted(page))
    if page.is_part:
        return page.part("sessions/list.html", **context, is_part=True)
    places = (await overview(page)).places if page.scope.role != "user" else []
    return page.show("sessions/index.html", **context, places=places, kinds=KIND_WORDS, is_part=False)


@get("/sessions/newer", may="see_sessions")
async def newer(page: Page) -> Response[str]:
    """The list anew where a session began since; else nothing."""
    wanted = await session_filter.wanted(page)
    after_id = number_of(page.request.query_params.get("after", "")) or 0
    if not await session_list.has_newer(page.services.db, page.scope, wanted, after_id):
        return Response("", status_code=204)
    return page.part("sessions/list.html", **await _context(page, wanted), is_part=True)


async def _context(page: Page, wanted: Filter) -> dict[str, Any]:
    asked, query = page.request.query_params, session_filter.kept(page)
    found = await session_list.page(page.services.db, page.scope, wanted, asked.get("older", ""))
    newest_id = max((row.id for row in found.rows), default=0)
    return {
        "lines": await lines(page, found.rows),
        "older": session_filter.address("/sessions", query, older=found.older) if found.older else "",
        "newer": "" if asked.get("older") else session_filter.address("/sessions/newer", query, after=str(newest_id)),
        "newest": session_filter.address("/sessions", query) if asked.get("older") else "",
        "is_filtered": wanted != Filter(),
        "is_own": page.scope.role == "user",
        "asked": asked,
        "filter": wanted,
        "query": query,
        "views": await saved_views.of_page(page.services.db, page.scope, VIEWS),
        "files": [
            (session_filter.address(path, query), words)
            for path, words in (
                ("/sessions.pdf", page._("PDF to read")),
                ("/sessions.xlsx", page._("Spreadsheet (XLSX)")),
                ("/sessions/tidy.csv", page._("CSV to compute with")),
                ("/sessions.csv", page._("CSV with 26 columns")),
            )
        ],
    }


@get("/sessions/rows", may="see_sessions")
async def rows(page: Page) -> Response[str]:
    """Rows that changed, each to be put into its place: those of the query's `ids`."""
    asked = page.request.query_params.get("ids", "").split(",")
    ids = [one for word in asked[:PAGE_ROWS] if (one := number_of(word)) is not None]
    found = await session_list.rows(page.services.db, page.scope, ids)
    is_own = page.scope.role == "user"
    return page.part("sessions/rows_again.html", lines=await lines(page, found), is_own=is_own, swap=True)


ROUTES = [sessions, newer, rows]
