"""The form that describes a location: what was typed, what is wrong with it, and how its figures are said."""

from __future__ import annotations

import zoneinfo
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
from babel import Locale
from babel.core import get_global
from babel.numbers import format_currency

from borne.core.money import MICROS, micros_of
from borne.portal.forms import number_of, text_of
from borne.portal.frame import Page
from borne.store.locations import Details

NAME_BOUND = 100
ADDRESS_BOUND = 200
COST_MOST = 1_000_000 * MICROS
SUPPLY_MOST_A = 10_000
PHASES = (1, 3)


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """What a person typed, as text; longer than allowed where it was."""

    name: str = ""
    address: str = ""
    time_zone: str = "UTC"
    currency: str = "EUR"
    energy_cost: str = ""
    supply_a: str = ""
    supply_phases: str = ""
    accepts_unknown_tags: bool = False


def entered(form: dict[str, Any]) -> Entered:
    """Read the form."""
    return Entered(
        name=text_of(form, "name", NAME_BOUND + 1),
        address=text_of(form, "address", ADDRESS_BOUND + 1),
        time_zone=text_of(form, "time_zone", 60),
        currency=text_of(form, "currency", 10).upper(),
        energy_cost=text_of(form, "energy_cost", 40),
        supply_a=text_of(form, "supply_a", 20),
        supply_phases=text_of(form, "supply_phases", 2),
        accepts_unknown_tags=text_of(form, "accepts_unknown_tags") == "1",
    )


def typed(details: Details) -> Entered:
    """What a form shows of a location that is there."""
    return Entered(
        name=details.name,
        address=details.address,
        time_zone=details.time_zone,
        currency=details.currency,
        supply_a="" if details.supply_a is None else str(details.supply_a),
        supply_phases="" if details.supply_phases is None else str(details.supply_phases),
        accepts_unknown_tags=details.accepts_unknown_tags,
    )


def first_price(form: Entered) -> int | None:
    """What a kWh costs from the beginning on, in millionths; None where the field is empty."""
    return _cost(form.energy_cost)


def checked(page: Page, form: Entered) -> tuple[Details, dict[str, str]]:
    """The location that the form describes, and what is wrong with the form, by field, in words that say what to do."""
    found: dict[str, str] = {}
    zone = zones().get(form.time_zone.casefold().replace(" ", "_"), "")
    cost, supply_a = _cost(form.energy_cost), number_of(form.supply_a, 6)
    phases = number_of(form.supply_phases, 2)
    if not form.name:
        found["name"] = page._("Give the location a name.")
    for field, value, bound in (("name", form.name, NAME_BOUND), ("address", form.address, ADDRESS_BOUND)):
        if len(value) > bound:
            found[field] = page._("%(bound)s characters at most.", bound=bound)
    if not zone:
        found["time_zone"] = page._("There is no such time zone. Choose one of the list, like Europe/Paris.")
    if form.currency not in currencies():
        found["currency"] = page._("Choose a currency of the list.")
    if form.energy_cost and cost is None:
        found["energy_cost"] = page._("A price like 0.25, with six decimals at most; or leave it empty.")
    if form.supply_a and not (supply_a and supply_a <= SUPPLY_MOST_A):
        found["supply_a"] = page._(
            "A whole number of amperes, from 1 to %(most)s; or leave it empty.", most=SUPPLY_MOST_A
        )
    if form.supply_phases and phases not in PHASES:
        found["supply_phases"] = page._("Choose one phase or three.")
    elif form.supply_a and not form.supply_phases:
        found["supply_phases"] = page._("Say also whether the supply has one phase or three.")
    details = Details(
        name=form.name,
        address=form.address,
        time_zone=zone,
        currency=form.currency,
        supply_a=supply_a,
        supply_phases=phases if supply_a else None,
        accepts_unknown_tags=form.accepts_unknown_tags,
    )
    return details, found


def _cost(text: str) -> int | None:
    try:
        micros = micros_of(text)
    except ValueError:
        return None
    return micros if micros <= COST_MOST else None


@cache
def zones() -> dict[str, str]:
    """Every time zone of the IANA database, by its casefolded name. The first call reads many small files: not on the loop."""
    return {name.casefold(): name for name in sorted(zoneinfo.available_timezones())}


@cache
def currencies() -> frozenset[str]:
    """The codes of ISO 4217 that are legal tender somewhere today, as Babel's territories say."""
    known = get_global("territory_currencies")
    return frozenset(code for used in known.values() for code, _, until, tender in used if tender and until is None)


def currency_choices(locale: Locale) -> list[tuple[str, str]]:
    """Each currency's code and name, the usual ones first."""
    usual = ("EUR", "USD", "GBP", "CHF")
    rest = sorted(currencies() - set(usual))
    return [(code, str(locale.currencies.get(code, code))) for code in (*usual, *rest)]


def price(page: Page, micros: int | None, currency: str) -> str:
    """A price for a kWh with all its decimals: `€0.2516`. A dash for none."""
    if micros is None:
        return "–"
    amount = Decimal(micros) / MICROS
    return str(format_currency(amount, currency, locale=page.formats.locale, decimal_quantization=False))


def supply(page: Page, supply_a: int | None, phases: int | None) -> str:
    """`3 × 63 A`: phases, and amperes of the main breaker. A dash where it is not known."""
    if supply_a is None:
        return "–"
    return f"{phases} × {page.formats.number(supply_a)} A" if phases else f"{page.formats.number(supply_a)} A"
