"""What energy costs: fixed, by the time of use, or slot by slot from a day-ahead list. Exact integers throughout.

A price is in millionths of the location's currency a kWh. Wh times micros a kWh are billionths of the currency: costs are kept in
these nanos, without any rounding, and rounded once, where somebody reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import TypeAlias

import msgspec

MINUTES_A_DAY = 1_440
SLOT_MINUTES = 15
NANOS_A_CENT = 10_000_000


class Fixed(msgspec.Struct, frozen=True, tag="fixed"):
    """One price at all times."""

    micros: int


class Band(msgspec.Struct, frozen=True):
    """Some days, from one minute after midnight until another (over midnight where it is not later), local time.

    `days`: 0 is Monday; a band over midnight belongs to the day it begins on. Minutes are multiples of 15.
    """

    days: tuple[int, ...]
    from_minute: int
    until_minute: int
    micros: int


class TimeOfUse(msgspec.Struct, frozen=True, tag="time_of_use"):
    """Bands, the first that fits counts; `micros` at all other times."""

    bands: tuple[Band, ...]
    micros: int


class Dynamic(msgspec.Struct, frozen=True, tag="dynamic"):
    """The prices of a list (`list_id`), times `factor_permille`, plus `markup_micros`; `micros` where the list has a gap."""

    list_id: int
    factor_permille: int = 1_000
    markup_micros: int = 0
    micros: int | None = None


Tariff: TypeAlias = Fixed | TimeOfUse | Dynamic


class EnergyPrice(msgspec.Struct, frozen=True):
    """A tariff with the instant from which it counts, and what energy earns that is fed in (micros a kWh)."""

    from_ms: int
    tariff: Tariff
    feed_in_micros: int = 0


class SlotPrice(msgspec.Struct, frozen=True):
    """What a kWh of a slot costs (None: nothing says it), and what it would have earned.

    `is_provisional`: the slot's list has a gap there; a price that comes later takes its place.
    """

    micros: int | None
    feed_in_micros: int | None
    is_provisional: bool


def price_at(prices: Iterable[EnergyPrice], at_ms: int) -> EnergyPrice | None:
    """What counts at an instant: the last that began; None before the first."""
    return max((price for price in prices if price.from_ms <= at_ms), key=lambda price: price.from_ms, default=None)


def price_micros(tariff: Tariff, slot_ms: int, zone: tzinfo, listed: Mapping[int, int]) -> int | None:
    """The price of a slot; None where nothing says it. `listed`: prices of the tariff's list by slot."""
    if isinstance(tariff, Fixed):
        return tariff.micros
    if isinstance(tariff, TimeOfUse):
        return _band_micros(tariff, slot_ms, zone)
    found = listed.get(slot_ms)
    if found is None:
        return tariff.micros
    return rounded(found * tariff.factor_permille, 1_000) + tariff.markup_micros


def slot_price(price: EnergyPrice, slot_ms: int, zone: tzinfo, listed: Mapping[int, int]) -> SlotPrice:
    """The price of a slot by what counts at its time. `listed`: prices of the tariff's list by slot."""
    is_provisional = isinstance(price.tariff, Dynamic) and slot_ms not in listed
    return SlotPrice(price_micros(price.tariff, slot_ms, zone, listed), price.feed_in_micros, is_provisional)


def _band_micros(tariff: TimeOfUse, slot_ms: int, zone: tzinfo) -> int:
    local = datetime.fromtimestamp(slot_ms / 1_000, UTC).astimezone(zone)
    minute, day = local.hour * 60 + local.minute, local.weekday()
    for band in tariff.bands:
        if _falls_into(band, minute, day):
            return band.micros
    return tariff.micros


def _falls_into(band: Band, minute: int, day: int) -> bool:
    if band.from_minute < band.until_minute:
        return day in band.days and band.from_minute <= minute < band.until_minute
    if minute >= band.from_minute:
        return day in band.days
    return minute < band.until_minute and (day - 1) % 7 in band.days


def problem_of(tariff: Tariff) -> str | None:
    """A word for what is wrong with a tariff: band_minutes, band_days, band_empty; None when nothing is."""
    if not isinstance(tariff, TimeOfUse):
        return None
    for band in tariff.bands:
        minutes = (band.from_minute, band.until_minute)
        if any(not 0 <= minute <= MINUTES_A_DAY or minute % SLOT_MINUTES for minute in minutes):
            return "band_minutes"
        if not band.days or any(not 0 <= day <= 6 for day in band.days):
            return "band_days"
        if band.from_minute == band.until_minute:
            return "band_empty"
    return None


def rounded(amount: int, unit: int) -> int:
    """An integer in a larger unit, half away from nought: what a bill would say."""
    half = unit // 2
    return (abs(amount) + half) // unit * (1 if amount >= 0 else -1)
