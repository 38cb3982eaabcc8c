"""The meter of a location: what it said lately, and files of its values. One is looked at first, then kept whole or not at all.

The file is not kept: what was looked at comes back with the confirmation, and is looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from babel.numbers import format_percent
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from markupsafe import Markup

from borne.core import policy
from borne.core.metering_slots import SLOT_MS
from borne.core.policy import Action
from borne.core.site_meter import LINES_MOST, Problem, SiteFile, SiteSlot, Word, read
from borne.engine.measure_again import ranges_of
from borne.engine.site_meter import GoneError, SiteMeter, compare
from borne.portal.csv_file import uploaded
from borne.portal.formats import DAY_MS
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.store import locations, measure_again
from borne.store import site_meter as store
from borne.store.db import Row

FILE_BOUND_BYTES = 1_900_000  # a year of quarters of an hour
SHOWN_MS = 30 * DAY_MS
SAMPLE = "start,import_wh,export_wh,solar_wh\n2026-03-01T12:00+01:00,150,0,2300\n2026-03-01T12:15+01:00,0,410,2450"
REQUEST = """POST {portal_url}/api/v1/locations/{location_id}/site-meter
Authorization: Bearer borne_…
Content-Type: application/json

{{"values": [{{"start": "2026-03-01T12:00+01:00",
  "import_wh": 150, "export_wh": 0, "solar_wh": 2300}}]}}"""

COLUMNS: dict[str, str] = {
    "start": N_("Start"),
    "minutes": N_("Minutes"),
    "import": N_("From the grid"),
    "export": N_("Fed in"),
    "solar": N_("From the roof"),
}
WHOLE = ("header", "empty", "large", "json")  # wrong with the whole file, not with one of its lines
PROBLEMS: dict[Word, str] = {
    "header": N_("The first line must name the columns: start,import_wh,export_wh,solar_wh."),
    "empty": N_("There is no value in it."),
    "large": N_("It has more lines than a year of quarters of an hour."),
    "json": N_("It is no JSON list of objects with start, import_wh and solar_wh."),
    "cells": N_("It has more cells than columns."),
    "start": N_("It is no instant like 2026-03-01T00:00+01:00."),
    "offset": N_("The instant has no offset, like +01:00 or Z."),
    "quarter": N_("It does not begin on a quarter of an hour, or on a multiple of its minutes."),
    "minutes": N_("A value is one of 1, 3, 5 or 15 minutes."),
    "number": N_("It is no number like 1250."),
    "negative": N_("Energy is never negative: what flows out is fed in."),
    "absurd": N_("That is more than 25 MWh in a quarter of an hour."),
    "twice": N_("The same time has other values elsewhere in the file."),
    "part": N_("The quarter of an hour is not whole: some of its minutes are missing."),
    "export": N_("More was fed in than the roof gave."),
    "future": N_("This time is not over yet."),
    "old": N_("This is before 2020."),
}


class Summed(msgspec.Struct, frozen=True):
    """What a meter said of some time. `share`: how much of what was used there was its own, in words."""

    import_wh: int
    export_wh: int
    solar_wh: int
    share: str


def summed(page: PageView, imported: int, exported: int, solar: int, own: int) -> Summed:
    """The own part of each slot is counted by itself: what is fed in at noon is no use at night."""
    share = str(format_percent(own / (own + imported), locale=page.formats.locale)) if own + imported else "–"
    return Summed(imported, exported, solar, share)


async def lately(page: PageView, place: Row) -> Summed | None:
    """The last 30 days for which the location's meter gave values; None: it never gave any."""
    if place.site_until_ms is None:
        return None
    from_ms = place.site_until_ms - SHOWN_MS
    row = await store.sums(page.services.db, place.organisation_id, place.id, from_ms, place.site_until_ms)
    return summed(page, row.import_wh, row.export_wh, row.solar_wh, row.own_wh)


async def _location(page: PageView, location_id: int, action: Action) -> Row:
    row = await locations.row(page.services.db, page.scope, location_id)
    if row is None or not policy.may(page.scope, action, location_id):
        raise NotFoundException
    return row


@get("/locations/{location_id:int}/site-meter", may="see_locations")
async def site_meter(page: Page, location_id: FromPath[int]) -> Response[str]:
    """What the meter said lately, and the ways to bring values."""
    return await _show(page, await _location(page, location_id, "see_locations"))


async def _show(page: PageView, place: Row, error: str = "") -> Response[str]:
    return page.show(
        "site_meter/index.html",
        422 if error else 200,
        place=place,
        sums=await lately(page, place),
        may_change=policy.may(page.scope, "change_prices", place.id),
        error=error,
        sample=SAMPLE,
        lines_most=LINES_MOST,
        request=REQUEST.format(portal_url=page.services.settings.public_url, location_id=place.id),
    )


@post("/locations/{location_id:int}/site-meter", may="change_prices", status_code=200)
async def look(page: Page, location_id: FromPath[int]) -> Response[str]:
    """Look at a file and say what it would change. Nothing is kept by it."""
    place, form = await _location(page, location_id, "change_prices"), await page.request.form()
    text = await uploaded(form.get("file"), FILE_BOUND_BYTES)
    if text is None:
        return await _show(page, place, page._("Choose a file of two megabytes at most."))
    return await _look(page, place, text)


async def _read(page: PageView, text: str) -> SiteFile:
    return await asyncio.to_thread(read, text, page.services.clock.now_ms())


async def _look(page: PageView, place: Row, text: str) -> Response[str]:
    file = await _read(page, text)
    if file.problems and file.problems[0].word in WHOLE:
        return await _show(page, place, page._(PROBLEMS[file.problems[0].word]))
    if file.problems:
        wrong = [(one.line, _column(page, one), _said(page, one)) for one in file.problems]
        return page.show("site_meter/look.html", 422, place=place, wrong=wrong, file=file)
    db, organisation_id = page.services.db, place.organisation_id
    kept, changed = await compare(db, organisation_id, place.id, file.slots)
    touched: set[int] = set()
    for from_ms, until_ms in ranges_of(slot.slot_ms for slot in changed):
        touched |= set(await measure_again.touching(db, organisation_id, [place.id], from_ms, until_ms))
    return page.show(
        "site_meter/look.html",
        place=place,
        wrong=[],
        file=file,
        kept=kept,
        sums=_summed_of(page, file.slots),
        from_ms=file.slots[0].slot_ms,
        until_ms=file.slots[-1].slot_ms + SLOT_MS,
        sessions=len(touched),
        text=Markup("\n") + text,  # browsers leave out the first line break of a text area
    )


def _summed_of(page: PageView, slots: Sequence[SiteSlot]) -> Summed:
    sums = (
        sum(values) for values in zip(*((s.import_wh, s.export_wh, s.solar_wh, s.own_wh) for s in slots), strict=True)
    )
    return summed(page, *sums)


def _column(page: PageView, problem: Problem) -> str:
    return page._(COLUMNS[problem.column]) if problem.column else ""


def _said(page: PageView, problem: Problem) -> str:
    said = page._(PROBLEMS[problem.word])
    if problem.text and problem.word != "part":
        said += f" « {problem.text} »" if page.language == "fr" else f" “{problem.text}”"
    return said


@post("/locations/{location_id:int}/site-meter/keep", may="change_prices", status_code=200)
async def keep(page: Page, location_id: FromPath[int]) -> Response[str]:
    """Keep what was looked at."""
    place, form = await _location(page, location_id, "change_prices"), await page.request.form()
    text = _text(form)
    if text is None:
        return await _show(page, place, page._("Choose a file of two megabytes at most."))
    file = await _read(page, text)
    if file.problems:
        return await _look(page, place, text)
    services = page.services
    meter = SiteMeter(services.db, services.bus, services.clock, services.audit)
    try:
        kept = await meter.take(page.scope.organisation_id, place.id, page.actor, file.slots, by_file=True)
    except GoneError:
        raise NotFoundException from None
    said = page.ngettext("%(n)s quarter of an hour was kept.", "%(n)s quarters of an hour were kept.", kept.changed)
    return page.go(f"/locations/{place.id}/site-meter", toast=said if kept.changed else page._("All of it was known."))


def _text(form: Any) -> str | None:
    text = form.get("text")
    if not isinstance(text, str) or not text.strip() or len(text) > FILE_BOUND_BYTES:
        return None
    return text.encode("utf-8", "ignore").decode()


ROUTES = [site_meter, look, keep]
