"""The home of users, made for a phone: their chargers with what they may do there and why not, and what they consumed."""

from __future__ import annotations

from typing import Any

import msgspec
from babel.dates import format_date
from litestar import Response, get

from borne.core import consumption, tags
from borne.core.consumption import Consumption
from borne.core.driver import CHANCES, Chance, Seen, chance
from borne.portal.charger_row import model_name, state_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.sessions import lines, zone_of
from borne.portal.statuses import Look, status_look
from borne.store import charger_list, session_list, tag_list
from borne.store import organisations as organisation_store
from borne.store import tags as tag_store
from borne.store.charger_list import Filter as ChargerFilter
from borne.store.db import Row
from borne.store.session_list import Filter

SHOWN = 60
SEARCH_FROM = 9  # chargers; fewer need no search
SESSIONS_SHOWN = 5
QUERY_BOUND = 100
LONGEST_MONTHS_MS = 64 * 86_400_000  # this month and the last one, in every zone
BEST_FIRST: tuple[Chance, ...] = ("yours", "free", "plugged", "reserved", "taken")
WORDS: dict[Chance, tuple[str, str]] = {  # what is so, what to do
    "yours": (N_("You are charging here"), N_("Hold your badge to the charger again to stop.")),
    "free": (N_("You can charge here"), N_("Plug in, then hold your badge to the charger.")),
    "plugged": (N_("A car is plugged in"), N_("If it is yours, hold your badge to the charger.")),
    "reserved": (N_("Reserved"), N_("It is kept free for somebody.")),
    "taken": (N_("In use by somebody else"), N_("It is free again when their session ends.")),
    "no_tag": (N_("You have no badge for it"), N_("Ask an admin to give you one.")),
    "disabled": (N_("Locked"), N_("An admin has taken it out of use.")),
    "never": (N_("Not set up yet"), N_("It has never connected.")),
    "offline": (
        N_("Out of reach"),
        N_("It has no connection now. Whether it takes your badge is up to the charger itself."),
    ),
    "fault": (N_("Out of order"), N_("It reports a fault. Tell an admin.")),
    "updating": (N_("Updating"), N_("It installs new software. Try again later.")),
    "restarting": (N_("Restarting"), N_("It is back within minutes.")),
    "unavailable": (N_("Out of service"), N_("It takes no cars at the moment.")),
}
TONES: dict[Chance, str] = {
    "yours": "charging",
    "free": "ready",
    "plugged": "waiting",
    "no_tag": "locked",
    "disabled": "locked",
}


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A charger. `free`, `of`: connectors, where there are several."""

    row: Row
    model: str
    look: Look
    chance: Chance
    title: str
    hint: str
    tone: str
    free: int
    of: int
    since_ms: int | None


@get("/home", may="see_chargers")
async def home(page: Page) -> Response[str]:
    """The page; whoever is no user has the list of chargers."""
    if page.scope.role != "user":
        return page.go("/chargers")
    context = await _cards(page)
    recent = await session_list.page(page.services.db, page.scope, Filter(), limit=SESSIONS_SHOWN)
    return page.show(
        "home/index.html",
        **context,
        recent=await lines(page, recent.rows),
        months=await _months(page),
    )


@get("/home/chargers", may="see_chargers")
async def cards(page: Page) -> Response[str]:
    """The chargers, when one of them changed or something was searched."""
    return page.part("home/chargers.html", **await _cards(page))


ROUTES = [home, cards]


# ---- chargers ----------------------------------------------------------------------------------------------------


async def _cards(page: PageView) -> dict[str, Any]:
    db, scope, now_ms = page.services.db, page.scope, page.services.clock.now_ms()
    query = " ".join(page.request.query_params.get("q", "").replace("\0", "").split())[:QUERY_BOUND]
    wanted = ChargerFilter(words=charger_list.words_of(query))
    ids = await charger_list.matching_ids(db, scope, wanted, SHOWN + 1) if scope.role == "user" else []
    rows = await charger_list.rows(db, scope, ids[:SHOWN])
    own = await tag_list.own(db, scope)
    accepted = [one for one in own if _is_accepted(one, now_ms)]
    running = {row.charger_id: row.started_ms for row in await session_list.running(db, scope)}
    takes_any = await tag_store.places_taking_any(db, scope.organisation_id, {row.location_id for row in rows})
    found = [_card(page, row, running.get(row.id), bool(accepted) or row.location_id in takes_any) for row in rows]
    found.sort(key=lambda card: _place(card.chance))
    return {
        "cards": found,
        "more": len(ids) > SHOWN,
        "q": query,
        "searches": bool(query) or len(scope.charger_ids or ()) >= SEARCH_FROM,
        "tags": own,
        "accepted": accepted,
    }


def _is_accepted(row: Row, now_ms: int) -> bool:
    person_id = 1  # its owner asks
    word = tags.state(blocked=bool(row.blocked), expires_ms=row.expires_ms, person_id=person_id, now_ms=now_ms)
    return word == "accepted"


def _place(word: Chance) -> int:
    return BEST_FIRST.index(word) if word in BEST_FIRST else len(BEST_FIRST)


def _card(page: PageView, row: Row, since_ms: int | None, has_tag: bool) -> Card:
    state = state_of(row)
    connectors = tuple(one.status for one in state.connectors if one.evse or one.connector)
    word = chance(
        Seen(
            status=row.status,
            disabled=bool(row.disabled),
            connectors=connectors,
            runs_mine=since_ms is not None,
            has_tag=has_tag,
        )
    )
    look = status_look(row.status, page.language)
    title, hint = WORDS[word]
    return Card(
        row=row,
        model=model_name(row),
        look=look,
        chance=word,
        title=page._(title),
        hint=page._(hint),
        tone=TONES.get(word, look.css),
        free=connectors.count("available"),
        of=len(connectors),
        since_ms=since_ms,
    )


# ---- consumption -------------------------------------------------------------------------------------------------


class Month(msgspec.Struct, frozen=True):
    """A month's sum, and its name."""

    name: str
    sum: Consumption


async def _months(page: PageView) -> list[Month]:
    """This month and the one before, as they are at the locations."""
    db, now_ms = page.services.db, page.services.clock.now_ms()
    rows = await session_list.since(db, page.scope, now_ms - LONGEST_MONTHS_MS)
    sums = consumption.by_month(
        (row.started_ms, row.energy_wh, zone_of(row.time_zone)) for row in rows if row.ended_ms is not None
    )
    zone = zone_of(await organisation_store.zone_of_scope(db, page.scope, None))
    this = consumption.month_of(now_ms, zone)
    return [
        Month(str(format_date(month, "LLLL y", locale=page.formats.locale)), sums.get(month, Consumption()))
        for month in (this, consumption.month_before(this))
    ]


assert set(WORDS) == set(CHANCES)
