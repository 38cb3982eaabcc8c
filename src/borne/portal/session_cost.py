"""What a session cost by quarters of an hour: of the grid at its price, of the roof at what feeding it in would have earned."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
from babel.numbers import format_currency

from borne.core import tariff
from borne.core.statistics import PricedSlot
from borne.portal import instants
from borne.portal.frame import PageView

CENTS_A_UNIT = Decimal(100)


class Quarter(msgspec.Struct, frozen=True):
    """A slot in words. The costs of all of them, as they stand here, add up to the total that is shown.

    `solar_wh` of its energy came from the roof, at `feed_in`; "": nothing would have been earned for it.
    """

    time: str
    energy_wh: int
    solar_wh: int
    peak_w: int
    price: str
    feed_in: str
    cost: str
    is_provisional: bool


class Costs(msgspec.Struct, frozen=True):
    """All quarters of a session, and what of them is worth saying."""

    quarters: list[Quarter]
    solar_wh: int
    is_provisional: bool


def costs(page: PageView, slots: Sequence[PricedSlot], currency: str, zone: ZoneInfo) -> Costs:
    """The slots with their costs. Each is rounded so that those until it add up to what they cost together, to the cent."""
    made: list[Quarter] = []
    sum_nanos = shown_cents = 0
    days = {instants.at(page, slot.slot_ms, zone, "y-MM-dd") for slot in slots}
    for slot in slots:
        cost = ""
        if not slot.unpriced_wh and (slot.energy_wh or slot.price_micros is not None):
            sum_nanos += slot.cost_nanos
            cents = tariff.rounded(sum_nanos, tariff.NANOS_A_CENT)
            cost = _amount(page, Decimal(cents - shown_cents) / CENTS_A_UNIT, currency)
            shown_cents = cents
        made.append(
            Quarter(
                time=instants.at(page, slot.slot_ms, zone, "HH:mm" if len(days) == 1 else "d MMM, HH:mm"),
                energy_wh=slot.energy_wh,
                solar_wh=slot.solar_wh,
                peak_w=slot.peak_w,
                price=price_text(page, slot.price_micros, currency),
                feed_in=price_text(page, slot.feed_in_micros, currency) if slot.solar_wh else "",
                cost=cost,
                is_provisional=bool(slot.is_provisional),
            )
        )
    provisional = any(slot.is_provisional for slot in slots)
    return Costs(made, sum(slot.solar_wh for slot in slots), provisional)


def _amount(page: PageView, amount: Decimal, currency: str) -> str:
    return str(format_currency(amount, currency, locale=page.formats.locale))


def price_text(page: PageView, micros: int | None, currency: str) -> str:
    """A price of a kWh, with all digits that it has; "" for none."""
    if micros is None:
        return ""
    amount, locale = Decimal(micros).scaleb(-6), page.formats.locale
    pattern = locale.currency_formats["standard"].pattern.partition(";")[0].replace("0.00", "0.00####")
    return str(format_currency(amount, currency, format=pattern, locale=locale, currency_digits=False))
