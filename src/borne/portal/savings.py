"""What charging saves: against petrol, and against charging at once. A loss is shown as a loss.

Every figure opens to its formula and its inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_date
from litestar import Response, get, post

from borne.core.money import MICROS, micros_of
from borne.core.savings import KIND, KINDS, USUAL, Assumption, Inputs, Petrol, against_petrol, counting
from borne.core.statistics import day_start_ms
from borne.engine.audit import About
from borne.portal import location_form
from borne.portal.forms import Form, number_of, text_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.periods import PERIODS, Period, day_of, number_of_day, period_of
from borne.portal.sessions import zone_of
from borne.store import charger_list, organisations, statistics
from borne.store import savings as store
from borne.store.db import Row

# The sources of core.savings.USUAL, to be translated.
SOURCES = (
    N_("Borne: a round figure for the EU; set your own"),
    N_("Borne: a round figure for a family car; set your own"),
    N_("Borne: a round figure for charging on alternating current"),
    N_("Ember, 2024, EU, location-based"),
)
PUMP_CURRENCY = "EUR"  # of the usual pump price
SOURCE_BOUND = 120
VEHICLES_SHOWN = 100
# kind: (name, unit, millionths of what is typed in one of what is kept, least, most)
FIELDS: dict[str, tuple[str, str, int, int, int]] = {
    "pump_price": (N_("Pump price"), N_("a litre"), 1, 1, 1_000 * MICROS),
    "petrol_use": (N_("Petrol of a car replaced"), N_("litres/100 km"), 1_000, 1, 200_000),
    "electric_use": (N_("Use of an electric car"), N_("kWh/100 km"), 1_000, 1, 200_000),
    "efficiency": (N_("Energy that reaches the battery"), "%", 100_000, 10, 1_000),
    "grid_co2": (N_("CO₂ of a kWh"), "g", MICROS, 0, 5_000),
}


class Line(msgspec.Struct, frozen=True):
    """A vehicle in a stretch of time with the same inputs: what its figures are made of. `money`: of the priced energy alone."""

    since: date
    vehicle_id: int
    sessions: int
    energy_wh: int
    cost_nanos: int
    inputs: Inputs
    petrol: Petrol
    money: Petrol | None
    at_once_nanos: int | None
    compared: int


class Total(msgspec.Struct):
    """Sums of lines. `saved_nanos`, `at_once_nanos` None: nothing could be compared."""

    sessions: int = 0
    energy_wh: int = 0
    cost_nanos: int = 0
    metres: int = 0
    millilitres: int = 0
    petrol_nanos: int = 0
    saved_nanos: int | None = None
    petrol_g: int = 0
    grid_g: int = 0
    at_once_nanos: int | None = None
    compared: int = 0

    @property
    def saved_g(self) -> int:
        return self.petrol_g - self.grid_g

    def take(self, line: Line) -> None:
        self.sessions += line.sessions
        self.energy_wh += line.energy_wh
        self.cost_nanos += line.cost_nanos
        self.metres += line.petrol.metres
        self.millilitres += line.petrol.millilitres
        self.petrol_g += line.petrol.petrol_g
        self.grid_g += line.petrol.grid_g
        self.compared += line.compared
        if line.money is not None and line.money.saved_nanos is not None:
            self.petrol_nanos += line.money.petrol_nanos
            self.saved_nanos = (self.saved_nanos or 0) + line.money.saved_nanos
        if line.at_once_nanos is not None:
            self.at_once_nanos = (self.at_once_nanos or 0) + line.at_once_nanos


def total_of(lines: Sequence[Line]) -> Total:
    total = Total()
    for line in lines:
        total.take(line)
    return total


# ---- the page ----------------------------------------------------------------------------------------------------


@get("/savings", may="see_savings")
async def index(page: Page) -> Response[str]:
    """Sums, months, vehicles, and what all of it rests on."""
    asked, db, scope = page.request.query_params, page.services.db, page.scope
    places = await charger_list.places(db, scope)
    location_id = number_of(asked.get("location", ""))
    location_id = location_id if location_id in {place.id for place in places} else None
    zone = zone_of(await organisations.zone_of_scope(db, scope, location_id))
    today = datetime.fromtimestamp(page.services.clock.now_ms() / 1_000, UTC).astimezone(zone).date()
    period = period_of(asked.get("period", "12"), asked.get("since", ""), asked.get("until", ""), today)
    currencies = await statistics.currencies(db, scope.organisation_id)
    currency = currencies[0] if currencies else PUMP_CURRENCY
    assumed = await store.assumed(db, scope.organisation_id)
    lines, vehicles, others = await lines_of(page, period, zone, assumed, currency, location_id)
    months, by_vehicle = _by_month(page, lines), _by_vehicle(page, lines, vehicles)
    return page.show(
        "savings/index.html",
        total=total_of(lines),
        months=months,
        by_vehicle=by_vehicle[:VEHICLES_SHOWN],
        period=period,
        periods=PERIODS,
        last_day=period.end - timedelta(days=1),
        places=places,
        location_id=location_id,
        currency=currency,
        others_wh=others,
        pump_currency=pump_currency(assumed, number_of_day(today)),
        inputs=inputs_shown(page, assumed, number_of_day(today)),
        month_of=lambda day: _month(page, day),
    )


def _edges(period: Period, assumed: Sequence[Assumption]) -> list[date]:
    """Where months begin and where something else is assumed: in between all inputs stay the same."""
    edges = {period.first, period.end}
    month = period.first
    while month < period.end:
        edges.add(month)
        month = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    first, end = number_of_day(period.first), number_of_day(period.end)
    edges |= {day_of(one.from_day) for one in assumed if first < one.from_day < end}
    return sorted(edges)


async def lines_of(
    page: PageView, period: Period, zone: ZoneInfo, rows: list[Row], currency: str, location_id: int | None
) -> tuple[list[Line], dict[int, Row], int]:
    """The lines, the vehicles in them, and the energy that was paid in other currencies."""
    db, scope, assumed = page.services.db, page.scope, store.as_assumptions(rows)
    edges = _edges(period, assumed)
    found: list[tuple[date, Row]] = []
    for since, until in pairwise(edges):
        from_ms, until_ms = (day_start_ms(number_of_day(day), zone) for day in (since, until))
        found += [(since, row) for row in await store.sums(db, scope, from_ms, until_ms, location_id)]
    ids = sorted({row.vehicle_id for _, row in found if row.vehicle_id})
    vehicles = await store.vehicles_of(db, scope.organisation_id, ids)
    lines = []
    for since, row in found:
        day = number_of_day(since)
        has_pump = pump_currency(rows, day) == currency
        lines.append(_line(since, row, assumed, vehicles.get(row.vehicle_id), currency, has_pump))
    return lines, vehicles, sum(row.priced_wh for _, row in found if row.currency != currency)


def _line(
    since: date, row: Row, assumed: Sequence[Assumption], vehicle: Row | None, currency: str, has_pump: bool
) -> Line:
    inputs = inputs_of(assumed, number_of_day(since), vehicle)
    here = row.currency == currency
    money = against_petrol(row.priced_wh, row.cost_nanos, inputs) if here and has_pump and row.priced_wh else None
    return Line(
        since=since,
        vehicle_id=row.vehicle_id or 0 if vehicle is not None else 0,
        sessions=row.sessions,
        energy_wh=row.energy_wh,
        cost_nanos=row.cost_nanos if here else 0,
        inputs=inputs,
        petrol=against_petrol(row.energy_wh, None, inputs),
        money=money,
        at_once_nanos=row.at_once_nanos - row.compared_nanos if here and row.compared else None,
        compared=row.compared if here else 0,
    )


def inputs_of(assumed: Sequence[Assumption], day: int, vehicle: Row | None) -> Inputs:
    """What is assumed on a day; a vehicle's own figures come first."""
    said = {kind: counting(assumed, kind, day).value for kind in KINDS}
    if vehicle is not None:
        said |= own_figures(vehicle)
    return Inputs(**said)


def own_figures(vehicle: Row) -> dict[KIND, int]:
    """What is known of a vehicle that is assumed of others."""
    known: dict[KIND, int | None] = {"electric_use": vehicle.wh_100km, "petrol_use": vehicle.replaced_ml_100km}
    return {kind: value for kind, value in known.items() if value}


def pump_currency(rows: Sequence[Row], day: int) -> str:
    """The currency of the pump price that counts on a day."""
    fitting = [row for row in rows if row.kind == "pump_price" and row.from_day <= day]
    newest = max(fitting, key=lambda row: (row.from_day, row.id), default=None)
    return PUMP_CURRENCY if newest is None else newest.currency or PUMP_CURRENCY


def _by_month(page: PageView, lines: Sequence[Line]) -> list[tuple[str, Total]]:
    months = sorted({line.since.replace(day=1) for line in lines})
    return [
        (_month(page, one), total_of([line for line in lines if line.since.replace(day=1) == one])) for one in months
    ]


def _month(page: PageView, day: date) -> str:
    return str(format_date(day, "LLLL y", locale=page.formats.locale))


def _by_vehicle(
    page: PageView, lines: Sequence[Line], vehicles: dict[int, Row]
) -> list[tuple[str, int, Total, list[Line]]]:
    """Name, id (0: sessions of no known vehicle), sums and lines, the most energy first."""
    found: dict[int, list[Line]] = {}
    for line in lines:
        found.setdefault(line.vehicle_id, []).append(line)
    named = [
        (vehicles[one].name if one in vehicles else page._("no vehicle known"), one, total_of(some), some)
        for one, some in found.items()
    ]
    return sorted(named, key=lambda one: (-one[2].energy_wh, one[0]))


# ---- what is assumed ---------------------------------------------------------------------------------------------


class Shown(msgspec.Struct, frozen=True):
    """An assumption in words."""

    kind: str
    name: str
    value: str
    since: str
    source: str
    who: str = ""


def value_text(page: PageView, kind: str, value: int, currency: str) -> str:
    _, unit, per, _, _ = FIELDS[kind]
    if kind == "pump_price":
        return f"{location_form.price(page, value, currency)} {page._('a litre')}"
    return f"{page.formats.number(value * per / MICROS, 1)} {page._(unit) if len(unit) > 1 else unit}"


def inputs_shown(page: PageView, rows: list[Row], day: int, vehicle: Row | None = None) -> list[Shown]:
    """All that is assumed on a day, with what is known of a vehicle in its place."""
    assumed = store.as_assumptions(rows)
    own = own_figures(vehicle) if vehicle is not None else {}
    found = []
    for kind in KINDS:
        one, name = counting(assumed, kind, day), page._(FIELDS[kind][0])
        if vehicle is not None and kind in own:
            source = page._("Vehicle: %(name)s", name=vehicle.name)
            found.append(Shown(kind, name, value_text(page, kind, own[kind], ""), "", source))
            continue
        since = page.formats.day(day_of(one.from_day)) if one.from_day else ""
        source = page._(one.source) if one is USUAL[kind] else one.source
        value = value_text(page, kind, one.value, pump_currency(rows, day))
        found.append(Shown(kind, name, value, since, source))
    return found


async def _assumptions(
    page: PageView, form: dict[str, str], problems: dict[str, str], status: int = 200
) -> Response[str]:
    rows = await store.assumed(page.services.db, page.scope.organisation_id)
    today = page.services.clock.now_ms() // 86_400_000
    history = [
        Shown(
            row.kind,
            page._(FIELDS[row.kind][0]),
            value_text(page, row.kind, row.value, row.currency or PUMP_CURRENCY),
            page.formats.day(day_of(row.from_day)),
            row.source,
            row.person_name,
        )
        for row in rows
        if row.kind in FIELDS
    ]
    currencies = await statistics.currencies(page.services.db, page.scope.organisation_id)
    return page.show(
        "savings/assumptions.html",
        status,
        inputs=inputs_shown(page, rows, today),
        history=history,
        fields=[(kind, page._(name)) for kind, (name, *_) in FIELDS.items()],
        units={kind: page._(unit) if len(unit) > 1 else unit for kind, (_, unit, *_) in FIELDS.items()},
        form={"day": day_of(today).isoformat(), "currency": (currencies or [PUMP_CURRENCY])[0], **form},
        problems=problems,
        may_change=page.person.may("change_organisation"),
    )


@get("/savings/assumptions", may="see_savings")
async def assumptions(page: Page) -> Response[str]:
    """What is assumed, since when and by which source; and what was before."""
    return await _assumptions(page, {}, {})


@post("/savings/assumptions", may="change_organisation", status_code=200)
async def assume(page: Page, data: Form) -> Response[str]:
    """Assume something else from a day on."""
    form: dict[str, str] = {name: text_of(data, name, 40) for name in ("kind", "value", "day", "currency")}
    form["source"] = text_of(data, "source", SOURCE_BOUND + 1)
    problems: dict[str, str] = {}
    value, day = _typed_value(form), _typed_day(form["day"])
    if form["kind"] not in FIELDS:
        problems["kind"] = page._("Choose one of the list.")
    elif value is None:
        problems["value"] = page._("A number that makes sense there, like 6.5.")
    if day is None:
        problems["day"] = page._("Choose a day.")
    if not form["source"] or len(form["source"]) > SOURCE_BOUND:
        problems["source"] = page._("Say where the figure is from, in a line.")
    if form["kind"] == "pump_price" and form["currency"] not in location_form.currencies():
        problems["value"] = page._("Choose a currency of the list.")
    if problems or value is None or day is None:
        return await _assumptions(page, form, problems, 422)
    kind: Any = form["kind"]
    assumption = Assumption(kind, value, day, form["source"])
    async with page.services.db.transaction() as tx:
        currency = form["currency"] if kind == "pump_price" else None
        await store.assume(
            tx, page.scope.organisation_id, assumption, currency=currency, person_name=page.person.name,
            now_ms=page.services.clock.now_ms(),
        )  # fmt: skip
        after = {"kind": kind, "value": value, "source": form["source"]}
        await page.audit(tx, "assumption.added", About(kind="assumption", name=kind), after=after)
    return page.go("/savings/assumptions", toast=page._("Saved."))


def _typed_value(form: dict[str, str]) -> int | None:
    if form["kind"] not in FIELDS:
        return None
    _, _, per, least, most = FIELDS[form["kind"]]
    try:
        micros = micros_of(form["value"])
    except ValueError:
        return None
    value, rest = divmod(micros, per)
    return value if not rest and least <= value <= most else None


def _typed_day(text: str) -> int | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return number_of_day(day) if 2000 <= day.year < 2200 else None


ROUTES = [index, assumptions, assume]
