"""Lists of energy prices, slot by slot: from a file, or fetched each day from an address. Tariffs of locations name them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.bus.port import Hint
from borne.core.metering_slots import SLOT_MS
from borne.core.price_file import PriceFile, Problem, Word, read
from borne.engine.audit import About
from borne.engine.outgoing import FetchError, Outgoing, Why
from borne.engine.price_lists import PriceLists, keep
from borne.portal import location_form
from borne.portal.chart import Point, bars
from borne.portal.csv_file import uploaded
from borne.portal.formats import DAY_MS, instant
from borne.portal.forms import Form, text_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.price_words import per_kwh
from borne.store import energy_prices as store
from borne.store.db import Conflict, Row, Transaction

NAME_BOUND = 60
URL_BOUND = 500
FILE_BOUND_BYTES = 1_900_000  # a year of quarters of an hour
LISTS_MOST = 50
SHOWN_MS = 2 * DAY_MS
SAMPLE = "start,price\n2026-03-01T00:00+01:00,0.0812\n2026-03-01T01:00+01:00,0.0790"

PROBLEMS: dict[Word, str] = {
    "header": N_("The first line must name the columns: start,price."),
    "empty": N_("There is no price in it."),
    "large": N_("It has more lines than a year of quarters of an hour."),
    "json": N_("It is no JSON list of objects with start and price."),
    "cells": N_("It has more cells than columns."),
    "start": N_("The start is no instant like 2026-03-01T00:00+01:00."),
    "offset": N_("The instant has no offset, like +01:00 or Z."),
    "quarter": N_("The instant is not on a quarter of an hour."),
    "end": N_("The end is no instant within a day after the start."),
    "price": N_("The price is no number like 0.0812 with six decimals at most."),
    "twice": N_("The same quarter of an hour has another price elsewhere in the file."),
}
FETCHED: dict[Why, str] = {
    "address": N_("This is no address that can be asked."),
    "plain": N_("The address must begin with https://."),
    "private": N_("The address leads into a private network."),
    "name": N_("The name is not known to the internet."),
    "unreachable": N_("Nobody answers there."),
    "tls": N_("The certificate is not trusted."),
    "slow": N_("The answer takes too long."),
    "redirect": N_("The address sends us on to another: write that one."),
    "status": N_("The answer is an error."),
    "large": N_("The answer is too large."),
    "json": N_("The answer is packed; it must be plain text."),
}


def problem_words(page: PageView, problem: Problem) -> str:
    """What is wrong, and where."""
    said = page._(PROBLEMS[problem.word])
    if problem.text:
        said += f" « {problem.text} »" if page.language == "fr" else f" “{problem.text}”"
    return said if not problem.line else page._("Line %(line)s: %(problem)s", line=problem.line, problem=said)


def error_words(page: PageView, error: str) -> str:
    """What the last fetch met, of the words that the engine keeps."""
    first, _, rest = error.partition(" ")
    if first == "line":
        line, _, word = rest.partition(" ")
        known: Any = word
        return problem_words(page, Problem(int(line), known)) if known in PROBLEMS else error
    why: Any = first
    said = page._(FETCHED[why]) if why in FETCHED else error
    return f"{said} ({rest})" if rest else said


def _outgoing(page: PageView) -> Outgoing:
    return Outgoing(page.services.settings.private_providers)


# ---- all of them -------------------------------------------------------------------------------------------------


@get("/price-lists", may="change_prices")
async def price_lists(page: Page) -> Response[str]:
    """The lists, and the form of a new one."""
    return await _index(page, {}, {})


async def _index(
    page: PageView, form: dict[str, str], problems: dict[str, str], status_code: int = 200
) -> Response[str]:
    rows = await store.lists(page.services.db, page.scope.organisation_id)
    return page.show(
        "price_lists/index.html",
        status_code,
        rows=[(row, error_words(page, row.error) if row.error else "") for row in rows],
        form=form,
        problems=problems,
        currencies=location_form.currency_choices(page.formats.locale),
        may_change=page.person.may("manage_price_lists"),
    )


@post("/price-lists", may="manage_price_lists", status_code=200)
async def add(page: Page, data: Form) -> Response[str]:
    """Add a list; its prices come next."""
    form = _entered(data)
    problems = _problems(page, form)
    known = await store.lists(page.services.db, page.scope.organisation_id)
    if form["currency"] not in location_form.currencies():
        problems["currency"] = page._("Choose a currency of the list.")
    if len(known) >= LISTS_MOST:
        problems["name"] = page._("%(n)s lists at most.", n=LISTS_MOST)
    if problems:
        return await _index(page, form, problems, 422)
    try:
        async with page.services.db.transaction() as tx:
            list_id = await store.add_list(
                tx, page.scope.organisation_id, name=form["name"], currency=form["currency"], url=form["url"] or None,
                now_ms=page.services.clock.now_ms(),
            )  # fmt: skip
            about = About(kind="price_list", id=list_id, name=form["name"])
            await page.audit(tx, "price_list.added", about, after={"currency": form["currency"]})
    except Conflict:
        return await _index(page, form, {"name": page._("Another list has this name.")}, 422)
    return page.go(f"/price-lists/{list_id}", toast=page._("Saved."))


def _entered(data: dict[str, Any]) -> dict[str, str]:
    return {
        "name": text_of(data, "name", NAME_BOUND + 1),
        "currency": text_of(data, "currency", 3).upper(),
        "url": text_of(data, "url", URL_BOUND + 1),
    }


def _problems(page: PageView, form: dict[str, str]) -> dict[str, str]:
    found = {}
    if not form["name"] or len(form["name"]) > NAME_BOUND:
        said = page._("%(bound)s characters at most.", bound=NAME_BOUND)
        found["name"] = said if form["name"] else page._("Please fill this in.")
    if len(form["url"]) > URL_BOUND:
        found["url"] = page._("%(bound)s characters at most.", bound=URL_BOUND)
    elif form["url"]:
        try:
            _outgoing(page).check(form["url"])
        except FetchError as error:
            found["url"] = page._(FETCHED[error.why])
    return found


# ---- one of them -------------------------------------------------------------------------------------------------


async def _row(page: PageView, price_list_id: int, db: Transaction | None = None) -> Row:
    row = await store.list_row(db or page.services.db, page.scope.organisation_id, price_list_id)
    if row is None:
        raise NotFoundException
    return row


@get("/price-lists/{price_list_id:int}", may="change_prices")
async def price_list(page: Page, price_list_id: FromPath[int]) -> Response[str]:
    """What it holds, and the ways to give it more."""
    row = await _row(page, price_list_id)
    return await _show(page, row, {"name": row.name, "url": row.url or ""}, {})


async def _show(
    page: PageView,
    row: Row,
    form: dict[str, str],
    problems: dict[str, str],
    status_code: int = 200,
    wrong: list[str] | None = None,
) -> Response[str]:
    db, organisation_id = page.services.db, page.scope.organisation_id
    count, first_ms, last_ms = await store.span(db, organisation_id, row.id)
    since_ms = page.services.clock.now_ms() // DAY_MS * DAY_MS
    listed = await store.listed_between(db, organisation_id, row.id, since_ms, since_ms + SHOWN_MS)
    micros = {one.slot_ms: one.micros for one in listed}
    points = [
        Point(
            f"{instant(slot_ms):%H:%M}",
            max(micros.get(slot_ms, 0), 0),
            per_kwh(page, micros[slot_ms], row.currency) if slot_ms in micros else "–",
        )
        for slot_ms in (range(min(micros), max(micros) + SLOT_MS, SLOT_MS) if micros else ())
    ]
    top = per_kwh(page, max((one.micros for one in listed), default=0), row.currency)
    return page.show(
        "price_lists/list.html",
        status_code,
        row=row,
        error=error_words(page, row.error) if row.error else "",
        form=form,
        problems=problems,
        wrong=wrong or [],
        sample=SAMPLE,
        count=count,
        first_ms=first_ms,
        until_ms=None if last_ms is None else last_ms + SLOT_MS,
        days=(since_ms, since_ms + SHOWN_MS - int(timedelta(minutes=1).total_seconds() * 1_000)),
        chart=bars(points, top) if points else None,
        may_change=page.person.may("manage_price_lists"),
    )


@post("/price-lists/{price_list_id:int}", may="manage_price_lists", status_code=200)
async def change(page: Page, price_list_id: FromPath[int], data: Form) -> Response[str]:
    """Its name and its address."""
    row, form = await _row(page, price_list_id), _entered(data)
    problems = _problems(page, form)
    if problems:
        return await _show(page, row, form, problems, 422)
    try:
        async with page.services.db.transaction() as tx:
            row = await _row(page, price_list_id, tx)
            await store.change_list(tx, page.scope.organisation_id, row.id, form["name"], form["url"] or None)
            about = About(kind="price_list", id=row.id, name=form["name"])
            before, after = {"name": row.name, "url": row.url or ""}, {"name": form["name"], "url": form["url"]}
            await page.audit(tx, "price_list.changed", about, before=before, after=after)
    except Conflict:
        return await _show(page, row, form, {"name": page._("Another list has this name.")}, 422)
    return page.go(f"/price-lists/{price_list_id}", toast=page._("Saved."))


@post("/price-lists/{price_list_id:int}/prices", may="manage_price_lists", status_code=200)
async def give(page: Page, price_list_id: FromPath[int]) -> Response[str]:
    """Take the prices of a file, all of them or none."""
    row, form = await _row(page, price_list_id), await page.request.form()
    text = await uploaded(form.get("file"), FILE_BOUND_BYTES)
    kept = {"name": row.name, "url": row.url or ""}
    if text is None:
        return await _show(page, row, kept, {}, 422, [page._("Choose a file of two megabytes at most.")])
    file: PriceFile = await asyncio.to_thread(read, text)
    if file.problems:
        return await _show(page, row, kept, {}, 422, [problem_words(page, one) for one in file.problems])
    async with page.services.db.transaction() as tx:
        row = await _row(page, price_list_id, tx)
        await keep(tx, page.scope.organisation_id, row.id, file, page.services.clock.now_ms())
        about = About(kind="price_list", id=row.id, name=row.name)
        await page.audit(tx, "price_list.filled", about, count=len(file.slots))
    page.services.bus.publish(Hint("job", 0))
    said = page.ngettext(
        "%(n)s quarter of an hour has its price.", "%(n)s quarters of an hour have their prices.", len(file.slots)
    )
    return page.go(f"/price-lists/{price_list_id}", toast=said)


@post("/price-lists/{price_list_id:int}/fetch", may="manage_price_lists", status_code=200)
async def fetch(page: Page, price_list_id: FromPath[int]) -> Response[str]:
    """Ask its address now."""
    row, services = await _row(page, price_list_id), page.services
    if row.url is None:
        return page.go(f"/price-lists/{price_list_id}", toast=page._("It has no address."))
    lists = PriceLists(services.db, services.bus, services.clock, _outgoing(page))
    done = await lists.fetch(row)
    said = page._("New prices were fetched.") if done == "kept" else page._("Nothing was fetched: see below.")
    return page.go(f"/price-lists/{price_list_id}", toast=said)


ROUTES = [price_lists, add, price_list, change, give, fetch]
