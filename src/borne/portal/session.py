"""The page of one session: who, where, when; power against the limit and energy over time; what happened; what each quarter of an
hour cost; what was saved; what is suspect."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.portal import instants, session_chart, session_cost, session_events, session_savings
from borne.portal.frame import Page, PageView
from borne.portal.session_words import SUSPECTS, is_doubtful, reason, suspects_of
from borne.portal.sessions import Line, lines, zone_of
from borne.portal.vehicles import of_session
from borne.store import session_detail
from borne.store.db import Row


@get("/sessions/{session_id:int}", may="see_sessions")
async def session(page: Page, session_id: FromPath[int]) -> Response[str]:
    """The page, or for htmx what changes of it while it runs."""
    db, scope = page.services.db, page.scope
    row = await session_detail.one(db, scope, session_id)
    if row is None:
        raise NotFoundException
    zone = zone_of(row.time_zone)
    slots = await session_detail.slots(db, scope, session_id)
    samples = await session_detail.samples(db, scope, session_id)
    (line,) = await lines(page, [row])
    until_ms = row.ended_ms if row.ended_ms is not None else page.services.clock.now_ms()
    suspects = suspects_of(row.suspects)
    clock = instants.clock(page, (row.over_ms or 0) - (row.begun_ms or 0), zone)
    context: dict[str, Any] = {
        "session": row,
        "line": line,
        "zone": zone.key,
        **_times(page, row, line, zone),
        "chart": await session_chart.of_session(page, row, samples, clock, zone.key),
        "costs": session_cost.costs(page, slots, row.currency or "EUR", zone),
        "is_priced": row.cost_nanos is not None,
        "story": await session_events.of_session(page, row, until_ms, zone),
        "savings": await session_savings.of_session(page, row, slots, zone),
        "reason": reason(page, row.end_reason),
        "doubtful": is_doubtful(suspects),
        "suspects": [page._(SUSPECTS[word]) for word in suspects],
        "conflicts": json.loads(row.conflicts),
        "is_own": scope.role == "user",
    }
    if page.is_part:
        return page.part("sessions/body.html", **context)
    return page.show("sessions/session.html", **context, vehicle=await of_session(page, row))


ROUTES = [session]


def _times(page: PageView, row: Row, line: Line, zone: ZoneInfo) -> dict[str, Any]:
    """Start and end, how long it charged, and how long a car stood there without charging."""
    end_ms = row.over_ms if row.over_ms is not None else row.ended_ms
    plugged_ms = max(0, (end_ms or line.started_ms) - line.started_ms)
    pattern = "d MMM y, HH:mm:ss"
    return {
        "began": instants.at(page, line.started_ms, zone, pattern),
        "ended": "" if row.ended_ms is None else instants.at(page, end_ms or row.ended_ms, zone, pattern),
        "measured_until": "" if row.over_ms is None else instants.at(page, row.over_ms, zone, "HH:mm:ss"),
        "charging_ms": min(row.charging_ms, plugged_ms),
        "idle_ms": max(0, plugged_ms - row.charging_ms) // 1_000 * 1_000,
    }
