"""The form of a new energy price: what was typed, and the tariff and the instant that it means."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from borne.core.metering_slots import SLOT_MS
from borne.core.money import MICROS, micros_of
from borne.core.statistics import day_start_ms, local
from borne.core.tariff import MINUTES_A_DAY, Band, Dynamic, Fixed, Tariff, TimeOfUse, problem_of
from borne.portal.forms import number_of, text_of, values_of
from borne.portal.frame import PageView
from borne.portal.language import N_
from borne.portal.periods import number_of_day
from borne.store.db import Row

KINDS = {"fixed": N_("Fixed"), "time_of_use": N_("Time of use"), "dynamic": N_("Price list")}
PRICE_MOST = 1_000 * MICROS
FACTOR_MOST = 10_000  # permille
ROWS, ROWS_MOST = 2, 12
AHEAD_MOST_DAYS = 366 * 3
SAFE_MS = 60_000  # a tariff may be kept in memory for some seconds: none begins sooner
BAND_WORDS = {
    "band_minutes": N_("Times are quarters of an hour, like 22:15."),
    "band_days": N_("Choose at least one day."),
    "band_empty": N_("It ends when it begins."),
}


class BandEntered(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a tariff by time of use, as it was typed."""

    days: tuple[str, ...] = ("0", "1", "2", "3", "4", "5", "6")
    since: str = ""
    until: str = ""
    price: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.since or self.until or self.price)


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """The whole form, as it was typed."""

    kind: str = "fixed"
    price: str = ""
    bands: tuple[BandEntered, ...] = (BandEntered(),) * ROWS
    list_id: str = ""
    factor: str = "1"
    markup: str = ""
    feed_in: str = ""
    when: str = "now"
    day: str = ""


def entered(form: dict[str, Any]) -> Entered:
    """Read the form; `more` adds a row."""
    kind = text_of(form, "kind", 20)
    count = min(max(number_of(text_of(form, "rows", 3)) or ROWS, 1), ROWS_MOST)
    rows = tuple(
        BandEntered(
            days=tuple(day for day in values_of(form, f"days_{number}", 7) if day in tuple("0123456")),
            since=text_of(form, f"since_{number}", 5),
            until=text_of(form, f"until_{number}", 5),
            price=text_of(form, f"price_{number}", 20),
        )
        for number in range(count)
    )
    more = (BandEntered(),) if text_of(form, "more", 1) and count < ROWS_MOST else ()
    return Entered(
        kind=kind if kind in KINDS else "fixed",
        price=text_of(form, "price", 20),
        bands=rows + more,
        list_id=text_of(form, "list_id", 18),
        factor=text_of(form, "factor", 10),
        markup=text_of(form, "markup", 20),
        feed_in=text_of(form, "feed_in", 20),
        when="day" if text_of(form, "when", 4) == "day" else "now",
        day=text_of(form, "day", 10),
    )


def tariff_of(page: PageView, form: Entered, lists: list[Row], currency: str) -> tuple[Tariff | None, dict[str, str]]:
    """The tariff that the form means, and what is wrong with it, by field."""
    found: dict[str, str] = {}
    micros = _micros(form.price)
    if micros is None and (form.price or form.kind != "dynamic"):
        found["price"] = page._("A price like 0.25, with six decimals at most.")
    if form.kind == "fixed":
        return None if micros is None else Fixed(micros), found
    if form.kind == "time_of_use":
        bands = _bands(page, form, found)
        return None if found or micros is None else TimeOfUse(bands, micros), found
    return _dynamic(page, form, lists, currency, micros, found), found


def _bands(page: PageView, form: Entered, found: dict[str, str]) -> tuple[Band, ...]:
    bands: list[Band] = []
    for number, row in enumerate(form.bands):
        if row.is_empty:
            continue
        since, until, micros = _minute(row.since), _minute(row.until), _micros(row.price)
        if since is None or until is None:
            found[f"band_{number}"] = page._("Say from when until when, like 22:00.")
        elif micros is None:
            found[f"band_{number}"] = page._("A price like 0.25, with six decimals at most.")
        else:
            whole = since == until == 0  # midnight to midnight
            band = Band(tuple(map(int, row.days)), since, MINUTES_A_DAY if whole else until, micros)
            word = problem_of(TimeOfUse((band,), 0))
            if word is not None:
                found[f"band_{number}"] = page._(BAND_WORDS[word])
            bands.append(band)
    if not bands and not found:
        found["band_0"] = page._("Say at least one time with its price.")
    return tuple(bands)


def _dynamic(
    page: PageView, form: Entered, lists: list[Row], currency: str, micros: int | None, found: dict[str, str]
) -> Dynamic | None:
    chosen = next((row for row in lists if str(row.id) == form.list_id), None)
    factor, markup = _micros(form.factor or "1"), _micros(form.markup or "0")
    if chosen is None:
        found["list_id"] = page._("Choose a list.")
    elif chosen.currency != currency:
        found["list_id"] = page._("Its prices are in %(currency)s.", currency=chosen.currency)
    if factor is None or factor % 1_000 or factor // 1_000 > FACTOR_MOST:
        found["factor"] = page._("A number like 1.2, with three decimals at most, up to 10.")
    if markup is None:
        found["markup"] = page._("A price like 0.25, with six decimals at most.")
    if found or chosen is None or factor is None or markup is None:
        return None
    return Dynamic(chosen.id, factor // 1_000, markup, micros)


def feed_in_of(page: PageView, form: Entered) -> tuple[int, dict[str, str]]:
    """What a kWh that is fed in earns; nothing where nothing is said."""
    micros = _micros(form.feed_in or "0")
    if micros is None:
        return 0, {"feed_in": page._("A price like 0.25, with six decimals at most.")}
    return micros, {}


def from_ms(page: PageView, form: Entered, zone: ZoneInfo) -> tuple[int, dict[str, str]]:
    """The instant from which it counts: the next quarter of an hour, or the beginning of a later day there."""
    now_ms = page.services.clock.now_ms()
    if form.when == "now":
        return (now_ms + SAFE_MS) // SLOT_MS * SLOT_MS + SLOT_MS, {}
    today = local(now_ms, zone).day
    try:
        day = number_of_day(date.fromisoformat(form.day))
    except ValueError:
        day = 0
    if not today < day <= today + AHEAD_MOST_DAYS:
        return 0, {"day": page._("Choose a day after today: what was charged keeps its price.")}
    start_ms = day_start_ms(day, zone)
    if start_ms <= now_ms + SAFE_MS:
        return 0, {"day": page._("This day begins in a moment: choose the next quarter of an hour instead.")}
    return start_ms, {}


def today_slots(now_ms: int, zone: ZoneInfo) -> list[int]:
    """The slots of today there: 92 or 100 of them where the clocks change."""
    day = local(now_ms, zone).day
    return list(range(day_start_ms(day, zone), day_start_ms(day + 1, zone), SLOT_MS))


def clock_of(slot_ms: int, zone: ZoneInfo) -> str:
    """`14:15` there."""
    return datetime.fromtimestamp(slot_ms / 1_000, UTC).astimezone(zone).strftime("%H:%M")


def _minute(text: str) -> int | None:
    hours, colon, minutes = text.partition(":")
    hour, minute = number_of(hours, 2), number_of(minutes, 2)
    if not colon or hour is None or minute is None or hour > 23 or minute > 59:
        return MINUTES_A_DAY if text == "24:00" else None
    return hour * 60 + minute


def _micros(text: str) -> int | None:
    try:
        micros = micros_of(text)
    except ValueError:
        return None
    return micros if micros <= PRICE_MOST else None
