"""The overview: what an organisation's staff want to see at a glance, now and of the last weeks.

Two fragments are fetched anew while it is looked at: what is going on, and the figures, which follow each measured session. What
was saved reads the sessions of a month, so it comes after the page.
"""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import msgspec
from litestar import Response, get

from borne.core import policy
from borne.core.statistics import day_start_ms
from borne.portal import dashboard_figures as figures
from borne.portal import dashboard_prices as prices
from borne.portal import plan_words
from borne.portal.charger_counts import Overview, overview
from borne.portal.chargers import summary
from borne.portal.dashboard_savings import last_saved, savings_tile
from borne.portal.frame import Page, PageView
from borne.portal.periods import number_of_day
from borne.portal.statistics_view import local_today
from borne.portal.statuses import Look, status_look
from borne.portal.verdicts import verdict_word
from borne.store import charger_list, dashboard
from borne.store.charger_list import Filter
from borne.store.db import Row

FEW = 3  # so many chargers are shown themselves, instead of counts of them
TROUBLES = 5
RESTART_DAYS = 7
WITHOUT_LINK = ("offline", "restarting", "never")
VERDICTS = ("succeeded", "failed", "unknown", "not_sent", None)


class Tile(msgspec.Struct, frozen=True):
    """A count that leads to the list of what it counts; `of` stands small behind it."""

    key: str
    word: str
    css: str
    value: str
    address: str
    of: str = ""
    note: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """How many restarts ended so; `x` and `width` of its part of the bar, whose whole is 1,000."""

    word: str
    css: str
    count: int
    address: str
    x: int
    width: int


class Charger(msgspec.Struct, frozen=True):
    """A charger in a line."""

    row: Row
    look: Look


# ---- what is going on ----------------------------------------------------------------------------------------------


async def _now(page: PageView, known: Overview) -> dict[str, Any]:
    db, scope, counts = page.services.db, page.scope, known.counts
    few = 0 < counts.total <= FEW
    running, shown = await asyncio.gather(
        dashboard.running(db, scope), _chargers(page, Filter(attention=not few), known) if counts.total else _none()
    )
    return {
        "known": known,
        "summary": summary(page, known),
        "few": few,
        "tiles": [] if few else _tiles(page, known, running),
        "running": running,
        "unheard": running.sessions - running.heard,
        "shown": shown,
        "troubles_more": max(0, counts.attention - len(shown)),
        "may_add": policy.permits(scope, "add_chargers"),
    }


async def _none() -> list[Charger]:
    return []


async def _chargers(page: PageView, chosen: Filter, known: Overview) -> list[Charger]:
    """The first few of those that a filter shows, by name."""
    found = await charger_list.page(
        page.services.db, page.scope, chosen, sort="name", descending=False, offset=0, known=known.counts,
        order=known.places, limit=TROUBLES,
    )  # fmt: skip
    return [Charger(row, status_look(row.status, page.language)) for row in found.rows]


def _tiles(page: PageView, known: Overview, running: Row) -> list[Tile]:
    _, number, counts = page._, page.formats.number, known.counts
    by = counts.by_status()
    online = counts.total - sum(by.get(status, 0) for status in WITHOUT_LINK)
    trouble = "fault" if counts.attention else "gone"
    unheard = running.sessions - running.heard
    note = (
        page.ngettext("%(n)s session out of contact left out", "%(n)s sessions out of contact left out", unheard)
        if unheard
        else ""
    )
    power, sessions = page.formats.power(running.power_w), "/sessions?kind=running"
    return [
        Tile("attention", _("Needs attention"), trouble, number(counts.attention), "/chargers?attention=1"),
        Tile("online", _("Online"), "ready", number(online), "/chargers", of=_("of %(n)s", n=number(counts.total))),
        _status_tile(page, "offline", by),
        _status_tile(page, "charging", by),
        Tile("running", _("Sessions that run"), "charging", number(running.sessions), sessions),
        Tile("power", _("Power now"), "charging", power, sessions, note=note),
    ]


def _status_tile(page: PageView, status: str, by: dict[str, int]) -> Tile:
    look = status_look(status, page.language)
    return Tile(status, look.word, look.css, page.formats.number(by.get(status, 0)), f"/chargers?status={status}")


# ---- restarts ------------------------------------------------------------------------------------------------------


def _outcomes(page: PageView, found: dict[str | None, int], since: date) -> list[Outcome]:
    total, x = sum(found.values()), 0
    made = []
    for verdict in VERDICTS:
        if not (count := found.get(verdict, 0)):
            continue
        word, css = verdict_word(verdict, page.language) if verdict else (page._("In progress"), "charging")
        address = f"/restarts?verdict={verdict or 'open'}&from={since.isoformat()}"
        width = round(1_000 * count / total)
        made.append(Outcome(word, css, count, address, x, width))
        x += width
    return made


async def _figures(page: PageView, known: Overview) -> dict[str, Any]:
    db, scope = page.services.db, page.scope
    zone, today = await local_today(page, None)
    since = today - timedelta(days=RESTART_DAYS - 1)
    may = policy.may(scope, "see_statistics")
    restarts, priced, measured = await asyncio.gather(
        dashboard.verdicts(db, scope, day_start_ms(number_of_day(since), zone)),
        prices.now(page, known.places, zone),
        figures.of(page, today, known) if may else _no_figures(),
    )
    return {
        "figures": measured,
        "needed": None if may else await plan_words.needed(page, "STATISTICS"),
        "restarts": _outcomes(page, restarts, since),
        "restart_count": sum(restarts.values()),
        "restart_days": RESTART_DAYS,
        "prices": priced,
        "may_save": may and policy.may(scope, "see_savings"),
        "saved": last_saved(page),
        "zone": zone.key,
        "today": today,
    }


async def _no_figures() -> None:
    return None


# ---- handlers ------------------------------------------------------------------------------------------------------


@get("/dashboard", may="see_dashboard")
async def index(page: Page) -> Response[str]:
    """The whole page."""
    known = await overview(page)
    now, some = await asyncio.gather(_now(page, known), _figures(page, known))
    return page.show("dashboard/index.html", **now, **some)


@get("/dashboard/now", may="see_dashboard")
async def now(page: Page) -> Response[str]:
    """What is going on, when a charger or a session changed."""
    return page.part("dashboard/now.html", **await _now(page, await overview(page, newest=True)), oob=True)


@get("/dashboard/figures", may="see_dashboard")
async def again(page: Page) -> Response[str]:
    """The figures, when a session was measured or a restart went on."""
    known = await overview(page)
    return page.part("dashboard/figures.html", known=known, **await _figures(page, known))


@get("/dashboard/savings", may="see_dashboard")
async def saved(page: Page) -> Response[str]:
    """What charging saved this month, for the tile that waits for it."""
    may = policy.may(page.scope, "see_savings")
    return page.part("dashboard/savings.html", tile=await savings_tile(page) if may else None)


ROUTES = [index, now, again, saved]
