"""Statistics of a period beside the one before: energy, sessions, hours, costs, use; by time, place, charger and person."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
from litestar import Response, get

from borne.core.scope import Scope
from borne.portal import statistics_utilisation
from borne.portal.charger_counts import overview
from borne.portal.frame import Page, PageView
from borne.portal.periods import PERIODS, SHORT_PERIODS
from borne.portal.statistics_charts import heat, hours_text, over_time
from borne.portal.statistics_utilisation import Utilisation
from borne.portal.statistics_view import GRAIN_WORDS, MEASURES, View, view_of
from borne.store import charger_list, energy_prices, people_list, statistics, statistics_groups
from borne.store.db import Reader, Row
from borne.store.statistics import RANKED, Chosen

T = TypeVar("T")
FOUND_MOST = 8
AT_ONCE_MOST = 2_000  # chargers whose utilisation and rankings the page waits for; of more they come after the page
MANY_TIMES = 10


class Tile(msgspec.Struct, frozen=True):
    """A figure, and how it changed: "+12 %", "" where there is nothing to compare with."""

    label: str
    value: str
    change: str
    is_more: bool | None
    note: str = ""


class Ranking(msgspec.Struct, frozen=True):
    """A table of sums, the most energy first."""

    title: str
    field: str  # of the address, that a row chooses
    gone: str  # what a row without a name is called
    kind: str  # of its file
    ask: Any  # the question to store.statistics
    rows: list[Row] = []


class Choice(msgspec.Struct, frozen=True):
    """What the statistics are narrowed to, and the address without it; or what a search found, and the address with it."""

    word: str
    name: str
    address: str


# ---- the page ------------------------------------------------------------------------------------------------------


@get("/statistics", may="see_statistics")
async def index(page: Page) -> Response[str]:
    """Everything about the view that the address names."""
    view = await view_of(page)
    db, scope = page.services.db, page.scope
    chosen, before = view.chosen(view.period), view.chosen(view.period.before())
    currency, is_mixed = await currency_of(page, view)
    is_later = await _is_large(page, view)
    now, then, chart, rankings, used = await asyncio.gather(
        statistics.sums(db, scope, chosen),
        statistics.sums(db, scope, before),
        over_time(page, view, currency),
        _later(rankings_wanted(page, view)) if is_later else rankings_of(page, view),
        _later(None) if is_later or not view.has_utilisation else statistics_utilisation.of(page, view),
    )
    context: dict[str, Any] = {
        "view": view,
        "periods": SHORT_PERIODS | PERIODS,
        "currency": currency,
        "many_currencies": is_mixed,
        "tiles": _tiles(page, now, then, None if is_mixed else currency),
        "utilisation": None if used is None else _utilisation(page, used),
        "is_later": is_later,
        "used": used,
        "now": now,
        "chart": chart,
        "measures": [(name, page._(MEASURES[name])) for name in view.measures],
        "grains": [(grain, page._(GRAIN_WORDS[grain])) for grain in view.grains],
        "measure_word": page._(MEASURES[view.measure]),
        "grain_word": page._(GRAIN_WORDS[view.grain]),
        "heat": await heat(page, view) if view.is_whole and now.energy_wh else None,
        "rankings": [one for one in rankings if one.rows or is_later],
        "narrowed": await _narrowed(page, view, rankings),
        "found": await _found(page, view),
        "hours_text": lambda duration_ms: hours_text(page, duration_ms),
    }
    return page.show("statistics/index.html", **context)


async def _is_large(page: PageView, view: View) -> bool:
    """Whether what reads sums of every charger or person comes after the page."""
    is_narrow = view.is_own or view.charger_id is not None or view.person_id is not None
    return not is_narrow and (await overview(page)).counts.total > AT_ONCE_MOST


async def _later(instead: T) -> T:
    return instead


@get("/statistics/rankings", may="see_statistics")
async def later_rankings(page: Page) -> Response[str]:
    """The tables by place, charger, user and group, for a page that did not wait for them."""
    view = await view_of(page)
    currency, is_mixed = await currency_of(page, view)
    return page.part(
        "statistics/rankings.html",
        view=view,
        rankings=[one for one in await rankings_of(page, view) if one.rows],
        currency=currency,
        many_currencies=is_mixed,
        hours_text=lambda duration_ms: hours_text(page, duration_ms),
    )


@get("/statistics/utilisation", may="see_statistics")
async def later_utilisation(page: Page) -> Response[str]:
    """The tile of the utilisation and what it is made of, for a page that did not wait for it."""
    used = await statistics_utilisation.of(page, await view_of(page))
    return page.part(
        "statistics/utilisation.html",
        utilisation=None if used is None else _utilisation(page, used),
        used=used,
        hours_text=lambda duration_ms: hours_text(page, duration_ms),
        is_part=True,
    )


async def currency_of(page: PageView, view: View) -> tuple[str, bool]:
    """The currency of the costs, and whether there are others among them, so that their sum means nothing."""
    db, organisation_id, now_ms = page.services.db, page.scope.organisation_id, page.services.clock.now_ms()
    if view.location_id is not None:
        here = (await energy_prices.current(db, organisation_id, [view.location_id], now_ms)).get(view.location_id)
        if here is not None:
            return here.currency, False
    currencies = await statistics.currencies(db, organisation_id)
    return (currencies[0] if currencies else "EUR"), len(currencies) > 1 and view.location_id is None


# ---- tiles ---------------------------------------------------------------------------------------------------------


def tile(page: PageView, label: str, value: str, now: int, then: int, note: str = "") -> Tile:
    """A figure beside the one before: by how much it changed, or how many times as much it is."""
    if then <= 0:
        return Tile(label, value, "", None, note)
    if now >= MANY_TIMES * then:
        return Tile(label, value, f"×{page.formats.number(now / then)}", True, note)
    percent = round((now - then) * 100 / then)
    sign = "+" if percent > 0 else "−" if percent < 0 else "±"
    return Tile(label, value, f"{sign}{page.formats.number(abs(percent))}\u202f%", percent > 0, note)


def _tiles(page: PageView, now: Row, then: Row, currency: str | None) -> list[Tile]:
    """`currency` None: there are several, and a sum would mean nothing."""
    _, formats = page._, page.formats
    idle, idle_then = now.plugged_ms - now.charging_ms, then.plugged_ms - then.charging_ms
    unknown = (
        page.ngettext("%(n)s without a known energy", "%(n)s without a known energy", now.unknown)
        if now.unknown
        else ""
    )
    tiles = [
        tile(page, _("Energy"), formats.energy(now.energy_wh, 1), now.energy_wh, then.energy_wh),
        tile(page, _("Sessions"), formats.number(now.sessions), now.sessions, then.sessions, unknown),
        _cost(page, now, then, currency),
        tile(page, _("Charging"), hours_text(page, now.charging_ms), now.charging_ms, then.charging_ms),
        tile(page, _("Plugged in, not charging"), hours_text(page, idle), idle, idle_then),
    ]
    if "peak_wh" in now._fields:
        note, peak, peak_then = (
            _("average of a quarter of an hour, of one location"), now.peak_wh or 0, then.peak_wh or 0
        )  # fmt: skip
        tiles.append(tile(page, _("Highest power"), formats.power(peak * 4), peak, peak_then, note))
    if now.solar_wh > 0:
        share, share_then = _permille(now), _permille(then)
        value = f"{formats.number(share / 10, 1)}\u202f%"
        note = _("%(energy)s from the own roof", energy=formats.energy(now.solar_wh, 1))
        tiles.append(tile(page, _("Solar share"), value, share, share_then, note))
    return tiles


def _permille(row: Row) -> int:
    return round(1_000 * row.solar_wh / row.energy_wh) if row.energy_wh > 0 else 0


def _cost(page: PageView, now: Row, then: Row, currency: str | None) -> Tile:
    label = page._("Cost of energy")
    if currency is None:
        return Tile(label, "–", "", None, page._("in different currencies: choose a location"))
    energy = page.formats.energy(now.unpriced_wh, 1)
    note = page._("%(energy)s has no price", energy=energy) if now.unpriced_wh else ""
    return tile(page, label, page.formats.money(now.cost_nanos, currency), now.cost_nanos, then.cost_nanos, note)


def _utilisation(page: PageView, used: Utilisation) -> Tile:
    label = page._("Utilisation")
    if used.permille is None:
        return Tile(label, "–", "", None, page._("what these chargers could deliver is not known"))
    if used.permille > 1_000:
        return Tile(label, "–", "", None, page._("some of the energy is from before these chargers were added"))
    value = f"{page.formats.number(used.permille / 10, 1)}\u202f%"
    return Tile(label, value, "", None, page._("of what they could deliver"))


# ---- rankings ------------------------------------------------------------------------------------------------------


def rankings_wanted(page: PageView, view: View, most: int = RANKED) -> list[Ranking]:
    """By location, charger, user and group, as far as the view leaves something to rank; without rows."""
    _ = page._
    wanted: list[Ranking] = []
    if len(view.places) > 1:
        wanted.append(Ranking(_("By location"), "location", _("gone"), "location", statistics.by_location))
    if not view.is_own and view.person_id is None:
        gone = _("a charger that is gone")
        wanted.append(Ranking(_("By charger"), "charger", gone, "charger", statistics.by_charger))
    if not view.is_own and view.charger_id is None and view.group_id is None:
        wanted.append(Ranking(_("By user"), "person", _("erased person"), "user", statistics.by_person))
    if view.is_whole and view.groups:
        by_group = statistics_groups.by_access_group if most > RANKED else statistics_groups.shown_by_access_group
        wanted.append(Ranking(_("By access group"), "group", _("gone"), "group", by_group))
    return wanted


async def rankings_of(page: PageView, view: View, most: int = RANKED, kind: str | None = None) -> list[Ranking]:
    """Those that are wanted, or the one of a kind; the first rows of each."""
    db, scope, chosen = page.services.db, page.scope, view.chosen(view.period)
    wanted = [one for one in rankings_wanted(page, view, most) if kind in (None, one.kind)]
    rows = await asyncio.gather(*(_rows(one.ask, db, scope, chosen, most) for one in wanted))
    return [msgspec.structs.replace(one, rows=found) for one, found in zip(wanted, rows, strict=True)]


async def _rows(ask: Any, db: Reader, scope: Scope, chosen: Chosen, most: int) -> list[Row]:
    found: list[Row] = await ask(db, scope, chosen, most)
    return found


# ---- what the view is narrowed to ----------------------------------------------------------------------------------


async def _narrowed(page: PageView, view: View, rankings: list[Ranking]) -> list[Choice]:
    """The charger or person that is chosen, with the way back to all."""
    known = {one.field: one.rows for one in rankings}
    if view.charger_id is not None:
        rows: list[Row] = known.get("charger", [])
        if not rows:
            rows = await charger_list.rows(page.services.db, page.scope, [view.charger_id])
        name = (rows[0].name if rows else None) or page._("a charger that is gone")
        return [Choice(page._("Charger"), name, view.address(charger=None))]
    if view.person_id is not None:
        rows = known.get("person", [])
        name = (rows[0].name if rows else None) or page._("a user without sessions here")
        return [Choice(page._("User"), name, view.address(person=None))]
    return []


async def _found(page: PageView, view: View) -> list[Choice] | None:
    """Chargers and people that are called what was typed; None: nothing was."""
    words = charger_list.words_of(view.find)
    if view.is_own or not words:
        return None
    db, scope = page.services.db, page.scope
    ids = await charger_list.matching_ids(db, scope, charger_list.Filter(words=words), FOUND_MOST)
    chargers = await charger_list.rows(db, scope, ids)
    found = [
        Choice(page._("Charger"), row.name, view.address(charger=row.id, person=None, group=None)) for row in chargers
    ]
    if page.person.may("see_people"):
        now_ms = page.services.clock.now_ms()
        entries = (await people_list.page(db, scope, people_list.Filter(words=words), now_ms)).entries
        people = [entry.row for entry in entries if not entry.is_invitation][:FOUND_MOST]
        found += [
            Choice(page._("User"), row.name, view.address(person=row.id, charger=None, group=None)) for row in people
        ]
    return found


ROUTES = [index, later_rankings, later_utilisation]
