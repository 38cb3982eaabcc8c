"""Locations: the list, one location, adding, changing and deleting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import policy
from borne.core.policy import Action
from borne.engine.locations import CurrencyInUseError, Locations, NameTakenError
from borne.portal import location_form as forms
from borne.portal.charger_counts import overview
from borne.portal.forms import Form, number_of
from borne.portal.frame import Page
from borne.portal.location_form import Entered
from borne.portal.price_words import now_words
from borne.portal.statuses import Look, status_look
from borne.store import charger_list, energy_prices
from borne.store import locations as store
from borne.store.charger_list import STATUS_ORDER, Counts
from borne.store.db import Row
from borne.store.energy_prices import Counting

PAGE_ROWS = 50
QUERY_BOUND = 100
STAFF_SHOWN = 50
SHOWN = ("fault", "offline", "charging", "ready")  # states that a row of the list counts; the others are one number


class State(msgspec.Struct, frozen=True):
    """How many of a location's chargers are in a state."""

    look: Look
    count: int
    status: str = ""  # empty: the other states together


class Line(msgspec.Struct, frozen=True):
    """A location in the list."""

    row: Row
    chargers: int
    states: Sequence[State]
    price: str
    supply: str


def engine_of(page: Page) -> Locations:
    """What changes locations."""
    services = page.services
    return Locations(services.db, services.bus, services.clock, services.audit)


# ---- the list ----------------------------------------------------------------------------------------------------


@get("/locations", may="see_locations")
async def locations(page: Page) -> Response[str]:
    """The page, or for htmx its list."""
    context = await _list(page)
    if not page.is_part:
        return page.show("locations/index.html", **context)
    answer = page.part("locations/list.html", **context)
    if not _is_told(page):
        answer.headers["hx-push-url"] = f"/locations?{urlencode({'q': context['q']})}" if context["q"] else "/locations"
    return answer


def _is_told(page: Page) -> bool:
    """Whether a page asks because it was told of a change, and not somebody who types."""
    return page.request.query_params.get("live") == "1"


async def _list(page: Page) -> dict[str, Any]:
    asked = page.request.query_params
    query = " ".join(asked.get("q", "").replace("\0", "").split())[:QUERY_BOUND]
    known = await overview(page, newest=_is_told(page))
    found, words = [place.id for place in known.places], charger_list.words_of(query)
    if words:
        matching = {row.id for row in await store.listed(page.services.db, page.scope) if _matches(row, words)}
        found = [location_id for location_id in found if location_id in matching]
    pages = max(1, -(-len(found) // PAGE_ROWS))
    at = min(max(number_of(asked.get("page", ""), 6) or 1, 1), pages)
    first = (at - 1) * PAGE_ROWS
    rows = await store.rows(page.services.db, page.scope, found[first : first + PAGE_ROWS])
    by_location = _by_location(known.counts)
    prices = await energy_prices.current(
        page.services.db, page.scope.organisation_id, [row.id for row in rows], page.services.clock.now_ms()
    )
    return {
        "q": query,
        "lines": [_line(page, row, by_location.get(row.id, {}), prices.get(row.id)) for row in rows],
        "total": len(found),
        "known": len(known.places),
        "at": at,
        "pages": pages,
        "first": first + 1,
        "may_add": policy.permits(page.scope, "add_locations"),
    }


def _matches(row: Row, words: Sequence[str]) -> bool:
    text = charger_list.fold(f"{row.name} {row.address}")
    return all(word in text for word in words)


def _by_location(counts: Counts) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for (location_id, status, _), count in counts.by.items():
        states = found.setdefault(location_id, {})
        states[status] = states.get(status, 0) + count
    return found


def _line(page: Page, row: Row, counts: dict[str, int], price: Counting | None) -> Line:
    states = [State(status_look(one, page.language), counts[one], one) for one in SHOWN if counts.get(one)]
    total, others = sum(counts.values()), {one: count for one, count in counts.items() if one not in SHOWN and count}
    if len(others) > 1:
        states.append(State(Look(page._("Other"), "gone hollow"), sum(others.values())))
    else:
        states += [State(status_look(one, page.language), count, one) for one, count in others.items()]
    return Line(
        row,
        total,
        states,
        now_words(page, price),
        forms.supply(page, row.supply_a, row.supply_phases),
    )


# ---- one location ------------------------------------------------------------------------------------------------


async def _row(page: Page, location_id: int, action: Action = "see_locations") -> Row:
    """The row of a location where the visitor may do this. Raises NotFoundException."""
    row = await store.row(page.services.db, page.scope, location_id)
    if row is None or not policy.may(page.scope, action, location_id):
        raise NotFoundException
    return row


async def _tiles(page: Page, location_id: int) -> list[State]:
    counts = (await overview(page, newest=page.is_part)).counts
    here = _by_location(counts).get(location_id, {})
    return [
        State(status_look(one, page.language), here.get(one, 0), one)
        for one in STATUS_ORDER
        if here.get(one) or one in SHOWN
    ]


@get("/locations/{location_id:int}", may="see_locations")
async def location(page: Page, location_id: FromPath[int]) -> Response[str]:
    """Its facts, its chargers by state, and who runs it."""
    row, services = await _row(page, location_id), page.services
    staff = await store.staff(services.db, row.organisation_id, row.id, services.clock.now_ms(), STAFF_SHOWN + 1)
    tiles = await _tiles(page, location_id)
    prices = await energy_prices.current(services.db, row.organisation_id, [row.id], services.clock.now_ms())
    return page.show(
        "locations/location.html",
        row=row,
        tiles=tiles,
        chargers=sum(tile.count for tile in tiles),
        price=now_words(page, prices.get(row.id)),
        supply=forms.supply(page, row.supply_a, row.supply_phases),
        staff=staff[:STAFF_SHOWN],
        staff_more=len(staff) > STAFF_SHOWN,
        sees_people=policy.permits(page.scope, "see_people") and "/users" in page.frame.paths,
        may_change=policy.may(page.scope, "change_locations", location_id),
        may_delete=policy.may(page.scope, "add_locations", location_id),
        may_add_charger=policy.may(page.scope, "add_chargers", location_id),
    )


@get("/locations/{location_id:int}/tiles", may="see_locations")
async def location_tiles(page: Page, location_id: FromPath[int]) -> Response[str]:
    """Its chargers by state, when one of them changed."""
    row = await _row(page, location_id)
    return page.part("locations/tiles.html", row=row, tiles=await _tiles(page, location_id))


# ---- adding and changing -----------------------------------------------------------------------------------------


async def _form(
    page: Page, form: Entered, found: dict[str, str], row: Row | None = None, status_code: int = 200
) -> Response[str]:
    zones = await asyncio.to_thread(forms.zones)
    return page.show(
        "locations/form.html",
        status_code,
        form=form,
        problems=found,
        row=row,
        zones=zones.values(),
        currencies=forms.currency_choices(page.formats.locale),
    )


async def _usual(page: Page) -> Entered:
    """A new location begins with the time zone and currency of the newest one that is there."""
    known = await store.listed(page.services.db, page.scope)
    newest = await store.row(page.services.db, page.scope, max((row.id for row in known), default=0))
    if newest is None:
        return Entered()
    return Entered(time_zone=newest.time_zone, currency=newest.currency)


@get("/locations/add", may="add_locations")
async def add_form(page: Page) -> Response[str]:
    """The form of a new location."""
    return await _form(page, await _usual(page), {})


@post("/locations", may="add_locations", status_code=200)
async def add(page: Page, data: Form) -> Response[str]:
    """Add it, or show the form again with what is wrong."""
    await asyncio.to_thread(forms.zones)
    form = forms.entered(data)
    details, found = forms.checked(page, form)
    if found:
        return await _form(page, form, found, status_code=422)
    try:
        location_id = await engine_of(page).add(
            page.scope.organisation_id, page.actor, details, forms.first_price(form)
        )
    except NameTakenError:
        return await _form(page, form, {"name": _name_taken(page)}, status_code=422)
    return page.go(f"/locations/{location_id}", toast=page._("%(location)s was added.", location=details.name))


@get("/locations/{location_id:int}/edit", may="change_locations")
async def edit(page: Page, location_id: FromPath[int]) -> Response[str]:
    """The form of a location that is there."""
    row = await _row(page, location_id, "change_locations")
    return await _form(page, forms.typed(store.details_of(row)), {}, row)


@post("/locations/{location_id:int}/edit", may="change_locations", status_code=200)
async def save(page: Page, location_id: FromPath[int], data: Form) -> Response[str]:
    """Keep the changes, or show the form again with what is wrong."""
    row = await _row(page, location_id, "change_locations")
    await asyncio.to_thread(forms.zones)
    form = forms.entered(data)
    details, found = forms.checked(page, form)
    if found:
        return await _form(page, form, found, row, 422)
    try:
        kept = await engine_of(page).change(row.organisation_id, location_id, page.actor, details)
    except NameTakenError:
        return await _form(page, form, {"name": _name_taken(page)}, row, 422)
    except CurrencyInUseError:
        said = page._("Its energy prices are in %(currency)s: it keeps this currency.", currency=row.currency)
        return await _form(page, form, {"currency": said}, row, 422)
    if not kept:
        raise NotFoundException
    return page.go(f"/locations/{location_id}", toast=page._("Saved."))


def _name_taken(page: Page) -> str:
    return page._("Another location has this name already.")


# ---- deleting ----------------------------------------------------------------------------------------------------


@get("/locations/{location_id:int}/delete", may="add_locations")
async def ask_delete(page: Page, location_id: FromPath[int]) -> Response[str]:
    """The confirmation, or what stands in the way and where to go."""
    row = await _row(page, location_id, "add_locations")
    needs = await store.needs(page.services.db, row.organisation_id, row.id, page.services.clock.now_ms())
    return page.show("locations/delete.html", row=row, needs=needs, users="/users" in page.frame.paths)


@post("/locations/{location_id:int}/delete", may="add_locations", status_code=200)
async def delete(page: Page, location_id: FromPath[int]) -> Response[str]:
    """Delete it, unless something needs it by now."""
    row = await _row(page, location_id, "add_locations")
    needs = await engine_of(page).remove(row.organisation_id, row.id, page.actor)
    if needs is None:
        raise NotFoundException
    if needs.any:
        return page.show("locations/delete.html", 409, row=row, needs=needs, users="/users" in page.frame.paths)
    return page.go("/locations", toast=page._("%(location)s was deleted.", location=row.name))


ROUTES = [locations, location, location_tiles, add_form, add, edit, save, ask_delete, delete]
