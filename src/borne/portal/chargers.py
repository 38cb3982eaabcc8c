"""The Chargers page: tiles that filter, a table that stays quick, rows that live. The state of the page is its address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.params import FromQuery

from borne.core import plans, policy
from borne.core.access import may_restart_many
from borne.core.charger import STATUSES
from borne.core.restart_state import BEFORE_SENDING
from borne.portal import restart_view
from borne.portal.charger_counts import Overview, overview
from borne.portal.charger_row import model_name, state_of
from borne.portal.forms import number_of
from borne.portal.frame import Page
from borne.portal.language import N_, Language, translations
from borne.portal.reasons import many_text
from borne.portal.statuses import Look, status_look
from borne.portal.verdicts import verdict_word
from borne.store import charger_list
from borne.store.charger_list import FEW, PAGE_ROWS, SORTS, STATUS_ORDER, Filter, Sort

CHANGE_MANY_TEXT = N_("Changing many chargers at once comes with the %(needed)s plan.")
QUERY_BOUND = 100
MAX_PAGE = 100_000
ROWS_AT_ONCE = 100
CHIPS = 4  # up to so many locations are chips, more are a list to choose from
# The tiles, in this order; those of a state that no charger is in are left out, but for the first ones.
TILES = (
    "charging",
    "ready",
    "waiting",
    "fault",
    "offline",
    "restarting",
    "updating",
    "unavailable",
    "reserved",
    "never",
)
ALWAYS = ("charging", "ready", "fault", "offline")
COLUMNS: tuple[tuple[Sort, str], ...] = (
    ("name", N_("Charger")),
    ("status", N_("Status")),
    ("location", N_("Location")),
    ("last_seen", N_("Connection")),
    ("restart", N_("Last restart")),
)
NEWEST_FIRST = ("last_seen", "restart")  # what the first click on these columns means


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows, as its address says it."""

    q: str = ""
    status: str | None = None
    attention: bool = False
    location_id: int | None = None
    sort: Sort = "name"
    descending: bool = False
    page: int = 1

    @property
    def filter(self) -> Filter:
        words = charger_list.words_of(self.q)
        return Filter(status=self.status, attention=self.attention, location_id=self.location_id, words=words)

    @property
    def is_filtered(self) -> bool:
        return bool(self.q or self.status or self.attention or self.location_id is not None)

    @property
    def sort_word(self) -> str:
        return ("-" if self.descending else "") + self.sort

    def query(self, **changes: Any) -> str:
        """The query of this view with changes; a changed filter or order begins at the first page."""
        changed = msgspec.structs.replace(self, **({"page": 1} | changes))
        fields: dict[str, str | int] = {}
        if changed.q:
            fields["q"] = changed.q
        if changed.status:
            fields["status"] = changed.status
        if changed.attention:
            fields["attention"] = 1
        if changed.location_id is not None:
            fields["location"] = changed.location_id
        if changed.sort_word != "name":
            fields["sort"] = changed.sort_word
        if changed.page > 1:
            fields["page"] = changed.page
        return urlencode(fields)

    def address(self, **changes: Any) -> str:
        query = self.query(**changes)
        return f"/chargers?{query}" if query else "/chargers"

    def sorted_by(self, column: Sort) -> str:
        """The address that a column's head leads to."""
        descending = not self.descending if column == self.sort else column in NEWEST_FIRST
        return self.address(sort=column, descending=descending)


class Tile(msgspec.Struct, frozen=True):
    """A count that filters."""

    word: str
    css: str
    count: int
    address: str
    chosen: bool
    key: str


class RowLook(msgspec.Struct, frozen=True):
    """What the table shows of a charger. `mark` changes when something worth a mark did."""

    row: Any
    model: str
    status: Look
    restart: Look | None
    restart_at_ms: int | None
    icon: restart_view.RestartIcon
    since_ms: int | None
    may_tick: bool
    mark: str


def view_of(page: Page) -> View:
    """Read the address. What makes no sense in it is left aside."""
    asked = page.request.query_params
    sort = asked.get("sort", "")
    location, number, status = asked.get("location", ""), asked.get("page", ""), asked.get("status", "")
    return View(
        q=" ".join(asked.get("q", "").replace("\0", "").split())[:QUERY_BOUND],
        status=status if status in STATUSES else None,
        attention=asked.get("attention") == "1",
        location_id=number_of(location),
        sort=cast(Sort, sort.lstrip("-")) if sort.lstrip("-") in SORTS else "name",
        descending=sort.startswith("-") and sort[1:] in SORTS,
        page=min(max(number_of(number) or 1, 1), MAX_PAGE),
    )


# ---- what templates get ------------------------------------------------------------------------------------------


def row_look(page: Page, row: Any) -> RowLook:
    language = page.language
    state = state_of(row)
    restart = restart_look(row, language)
    since_ms = state.link_opened_ms if row.online else row.last_seen_ms or state.link_lost_ms or None
    return RowLook(
        row=row,
        model=model_name(row),
        status=status_look(row.status, language),
        restart=restart,
        restart_at_ms=row.restart_ended_ms,
        icon=restart_view.restart_icon(page.scope, row, language),
        since_ms=since_ms,
        may_tick=policy.permits(page.scope, "change_chargers"),
        mark=f"{row.status} {row.online} {restart.word if restart else ''} {row.name}",
    )


def restart_look(row: Any, language: Language) -> Look | None:
    """The verdict of the restart that a charger's row shows, or how far it is. None: it was never restarted."""
    say = translations(language).gettext
    if row.restart_verdict is not None:
        return Look(*verdict_word(row.restart_verdict, language))
    if row.restart_phase is None:
        return None
    if row.restart_phase in BEFORE_SENDING[:2]:
        return Look(say(N_("Waiting")), "waiting hollow")
    if row.restart_phase == "scheduled":
        return Look(say(N_("Scheduled")), "waiting hollow")
    return Look(say(N_("In progress")), "gone busy")


def tiles(page: Page, view: View, known: Overview) -> list[Tile]:
    """ "Needs attention" first, then the states."""
    here = _counts_here(view, known)
    found = [
        Tile(
            page._("Needs attention"), "fault" if here.attention else "gone", here.attention,
            view.address(attention=not view.attention, status=None), view.attention, "attention",
        )
    ]  # fmt: skip
    counts = here.by_status()
    for status in TILES:
        count, chosen = counts.get(status, 0), view.status == status
        if count or chosen or status in ALWAYS:
            look = status_look(status, page.language)
            address = view.address(status=None if chosen else status, attention=False)
            found.append(Tile(look.word, look.css, count, address, chosen, status))
    return found


def _counts_here(view: View, known: Overview) -> charger_list.Counts:
    """The counts of the chosen location; of all without one."""
    if view.location_id is None:
        return known.counts
    return charger_list.Counts({key: n for key, n in known.counts.by.items() if key[0] == view.location_id})


def summary(page: Page, known: Overview) -> str:
    """The line under the title."""
    total, places = known.counts.total, len(known.counts.by_location())
    chargers = page.ngettext("%(n)s charger", "%(n)s chargers", total)
    return page.ngettext("%(chargers)s in %(n)s location", "%(chargers)s in %(n)s locations", places, chargers=chargers)


async def list_context(page: Page, view: View) -> dict[str, Any]:
    """All that the list shows."""
    known = await overview(page)
    found = await _page(page, view, known)
    pages = max(1, -(-found.total // PAGE_ROWS))
    if view.page > pages:
        view = msgspec.structs.replace(view, page=pages)
        found = await _page(page, view, known)
    many = may_restart_many(page.scope)
    return {
        "view": view,
        "known": known,
        "tiles": tiles(page, view, known),
        "summary": summary(page, known),
        "looks": [row_look(page, row) for row in found.rows],
        "total": found.total,
        "capped": found.capped,
        "few": FEW,
        "pages": pages,
        "first": (view.page - 1) * PAGE_ROWS + 1,
        "columns": COLUMNS,
        "chips": len(known.places) <= CHIPS,
        "may_tick": policy.permits(page.scope, "change_chargers"),
        "may_restart_many": many,
        "many_refused": "" if many else many_text(page.scope.role, page.language),
        "may_change_many": policy.may(page.scope, "change_many_chargers"),
        "change_refused": page._(CHANGE_MANY_TEXT, needed=plans.cheapest_with("BULK_ACTIONS").name),
        "may_add": policy.permits(page.scope, "add_chargers"),
    }


async def _page(page: Page, view: View, known: Overview) -> charger_list.Page:
    return await charger_list.page(
        page.services.db,
        page.scope,
        view.filter,
        sort=view.sort,
        descending=view.descending,
        offset=(view.page - 1) * PAGE_ROWS,
        known=known.counts,
        order=known.places,
    )


# ---- handlers ----------------------------------------------------------------------------------------------------


@get("/chargers", may="see_chargers")
async def chargers(page: Page) -> Response[str]:
    """The page, or for htmx its list and tiles."""
    view = view_of(page)
    context = await list_context(page, view)
    if not page.is_part:
        return page.show("chargers/index.html", **context)
    answer = page.part("chargers/list_part.html", **context)
    answer.headers["hx-push-url"] = context["view"].address(page=context["view"].page)
    return answer


@get("/chargers/tiles", may="see_chargers")
async def live_tiles(page: Page) -> Response[str]:
    """The counts, when something in the list's scope changed."""
    view, known = view_of(page), await overview(page, newest=True)
    return page.part(
        "chargers/tiles.html", view=view, tiles=tiles(page, view, known), summary=summary(page, known), oob=True
    )


@get("/chargers/rows", may="see_chargers")
async def live_rows(page: Page, ids: FromQuery[str] = "") -> Response[str]:
    """The rows of chargers that changed, each to be put in its place. One that is gone, or out of reach, is left out."""
    wanted = [number for word in ids.split(",")[:ROWS_AT_ONCE] if (number := number_of(word)) is not None]
    found: Sequence[Any] = await charger_list.rows(page.services.db, page.scope, wanted)
    looks = [row_look(page, row) for row in found]
    gone = sorted(set(wanted) - {row.id for row in found})
    return page.part(
        "chargers/rows_part.html", looks=looks, gone=gone, may_tick=policy.permits(page.scope, "change_chargers")
    )


ROUTES = [chargers, live_tiles, live_rows]

assert set(TILES) == set(STATUSES) == set(STATUS_ORDER)
