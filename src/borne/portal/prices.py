"""What energy costs at a location: today's prices, the history, and a new price from an instant on.

What was charged keeps its price.
"""

from __future__ import annotations

import msgspec
from babel.dates import format_datetime, get_day_names
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import policy
from borne.core.metering_slots import SLOT_MS
from borne.core.policy import Action
from borne.core.tariff import EnergyPrice
from borne.engine.audit import About
from borne.engine.prices import Prices
from borne.portal import price_form as forms
from borne.portal import price_words as words
from borne.portal.chart import Chart, Point, bars
from borne.portal.errors import PageError
from borne.portal.formats import instant
from borne.portal.forms import Form
from borne.portal.frame import Page, PageView
from borne.portal.price_form import KINDS, SAFE_MS, Entered
from borne.portal.sessions import zone_of
from borne.portal.site_meter import lately
from borne.store import energy_prices as store
from borne.store import locations
from borne.store.db import Conflict, Row


class Line(msgspec.Struct, frozen=True):
    """A price of the history. `state`: planned, now, past."""

    id: int
    since: str
    kind: str
    words: list[str]
    state: str
    who: str
    created_ms: int
    may_withdraw: bool


class Stretch(msgspec.Struct, frozen=True):
    """A part of the day that has one price."""

    since: str
    until: str
    price: str


async def _location(page: PageView, location_id: int, action: Action) -> Row:
    row = await locations.row(page.services.db, page.scope, location_id)
    if row is None or not policy.may(page.scope, action, location_id):
        raise NotFoundException
    return row


@get("/locations/{location_id:int}/prices", may="see_locations")
async def prices(page: Page, location_id: FromPath[int]) -> Response[str]:
    """Today's prices, and the history."""
    place = await _location(page, location_id, "see_locations")
    rows = await store.history(page.services.db, page.scope.organisation_id, location_id)
    names = {row.id: row.name for row in await store.lists(page.services.db, page.scope.organisation_id)}
    may_change = policy.may(page.scope, "change_prices", location_id)
    lines = _lines(page, place, rows, names, may_change)
    chart, stretches = await _today(page, place)
    return page.show(
        "prices/index.html",
        place=place,
        lines=lines,
        now=next((line for line in lines if line.state == "now"), None),
        chart=chart,
        stretches=stretches,
        may_change=may_change,
        meter=await lately(page, place),
    )


def _lines(page: PageView, place: Row, rows: list[Row], names: dict[int, str], may_change: bool) -> list[Line]:
    now_ms, zone = page.services.clock.now_ms(), zone_of(place.time_zone)
    counting = max((row.from_ms for row in rows if row.from_ms <= now_ms), default=None)
    found = []
    for row in rows:
        state = "now" if row.from_ms == counting else "planned" if row.from_ms > now_ms else "past"
        tariff = store.tariff_of(row)
        since = instant(row.from_ms).astimezone(zone)
        found.append(
            Line(
                row.id,
                str(format_datetime(since, "d MMM y, HH:mm", locale=page.formats.locale)),
                words.kind_words(page, tariff),
                [
                    *words.lines(page, tariff, row.currency, names),
                    *words.feed_in(page, row.feed_in_micros, row.currency),
                ],
                state,
                row.person_name,
                row.created_ms,
                may_change and row.from_ms > now_ms + SAFE_MS,
            )
        )
    return found


async def _today(page: PageView, place: Row) -> tuple[Chart | None, list[Stretch]]:
    """Today's prices as bars, and as the stretches that have one price."""
    now_ms, zone = page.services.clock.now_ms(), zone_of(place.time_zone)
    slots = forms.today_slots(now_ms, zone)
    prices = await Prices(page.services.db, page.services.clock).of_slots(place.id, slots, zone)
    found = {slot_ms: price.micros for slot_ms, price in prices.items() if price.micros is not None}
    if not found:
        return None, []
    texts = {micros: words.per_kwh(page, micros, place.currency) for micros in set(found.values())}
    points, stretches = [], []
    began, value = slots[0], found.get(slots[0])
    for slot_ms in slots:
        micros = found.get(slot_ms)
        points.append(
            Point(forms.clock_of(slot_ms, zone), max(micros or 0, 0), "–" if micros is None else texts[micros])
        )
        if micros != value:
            stretches.append((began, slot_ms, value))
            began, value = slot_ms, micros
    stretches.append((began, slots[-1] + SLOT_MS, value))
    told = [
        Stretch(forms.clock_of(since, zone), forms.clock_of(until, zone), "–" if one is None else texts[one])
        for since, until, one in stretches
    ]
    return bars(points, texts[max(found.values())]), told


# ---- a new price -------------------------------------------------------------------------------------------------


async def _form(
    page: PageView, place: Row, form: Entered, problems: dict[str, str], status_code: int = 200
) -> Response[str]:
    names = get_day_names("abbreviated", locale=page.formats.locale)
    return page.show(
        "prices/form.html",
        status_code,
        place=place,
        form=form,
        problems=problems,
        kinds=KINDS,
        days=[(str(day), str(names[day])) for day in range(7)],
        lists=await store.lists(page.services.db, page.scope.organisation_id),
        may_lists=policy.permits(page.scope, "manage_price_lists"),
        rows_most=forms.ROWS_MOST,
    )


@get("/locations/{location_id:int}/prices/add", may="change_prices")
async def add_form(page: Page, location_id: FromPath[int]) -> Response[str]:
    """The form of a new price, of the kind that the address names."""
    place = await _location(page, location_id, "change_prices")
    kind = page.request.query_params.get("kind", "")
    return await _form(page, place, Entered(kind=kind if kind in KINDS else "fixed"), {})


@post("/locations/{location_id:int}/prices", may="change_prices", status_code=200)
async def add(page: Page, location_id: FromPath[int], data: Form) -> Response[str]:
    """Add it, or show the form again: with what is wrong, or with one more row."""
    place = await _location(page, location_id, "change_prices")
    form, organisation_id = forms.entered(data), page.scope.organisation_id
    if data.get("more"):
        return await _form(page, place, form, {})
    lists = await store.lists(page.services.db, organisation_id)
    tariff, problems = forms.tariff_of(page, form, lists, place.currency)
    feed_in_micros, wrong = forms.feed_in_of(page, form)
    from_ms, wrong_time = forms.from_ms(page, form, zone_of(place.time_zone))
    problems |= wrong | wrong_time
    if problems or tariff is None:
        return await _form(page, place, form, problems, 422)
    names = {row.id: row.name for row in lists}
    try:
        async with page.services.db.transaction() as tx:
            held = await locations.hold(tx, organisation_id, location_id)
            if held is None or held.currency != place.currency:
                raise PageError(409, page._("The location changed meanwhile. Look at it again."))
            await store.add(
                tx, organisation_id, location_id, EnergyPrice(from_ms, tariff, feed_in_micros), currency=place.currency,
                person_name=page.person.name, now_ms=page.services.clock.now_ms(),
            )  # fmt: skip
            about = About(kind="location", id=location_id, name=place.name)
            lines = [
                *words.lines(page, tariff, place.currency, names),
                *words.feed_in(page, feed_in_micros, place.currency),
            ]
            told = {"price": lines, "from_ms": from_ms}
            await page.audit(tx, "location.price_added", about, after=told)
    except Conflict:
        said = page._("There is a price from this very moment already. Choose another moment.")
        return await _form(page, place, form, {"when": said}, 422)
    return page.go(f"/locations/{location_id}/prices", toast=page._("Saved."))


@post("/locations/{location_id:int}/prices/{price_id:int}/withdraw", may="change_prices", status_code=200)
async def withdraw(page: Page, location_id: FromPath[int], price_id: FromPath[int]) -> Response[str]:
    """Take back a price that does not count yet."""
    place = await _location(page, location_id, "change_prices")
    organisation_id, after_ms = page.scope.organisation_id, page.services.clock.now_ms() + SAFE_MS
    async with page.services.db.transaction() as tx:
        if not await store.withdraw(tx, organisation_id, location_id, price_id, after_ms):
            raise NotFoundException
        await page.audit(tx, "location.price_withdrawn", About(kind="location", id=location_id, name=place.name))
    return page.go(f"/locations/{location_id}/prices", toast=page._("Taken back."))


ROUTES = [prices, add_form, add, withdraw]
