"""What energy costs, in words: a tariff as lines that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from babel.dates import get_day_names

from borne.core.tariff import MINUTES_A_DAY, Band, Dynamic, Fixed, Tariff
from borne.portal.frame import PageView
from borne.portal.location_form import price
from borne.store.energy_prices import Counting

WEEK = tuple(range(7))


def per_kwh(page: PageView, micros: int, currency: str) -> str:
    """`€0.2516/kWh`."""
    return f"{price(page, micros, currency)}/kWh"


def now_words(page: PageView, counting: Counting | None) -> str:
    """What counts now, in a word or two; "" where no price is known."""
    if counting is None:
        return ""
    if isinstance(counting.tariff, Fixed):
        return per_kwh(page, counting.tariff.micros, counting.currency)
    return page._("by a price list") if isinstance(counting.tariff, Dynamic) else page._("by time of use")


def kind_words(page: PageView, tariff: Tariff) -> str:
    """The name of a kind of tariff."""
    if isinstance(tariff, Fixed):
        return page._("Fixed")
    return page._("Price list") if isinstance(tariff, Dynamic) else page._("Time of use")


def lines(page: PageView, tariff: Tariff, currency: str, lists: Mapping[int, str]) -> list[str]:
    """All that a tariff says. `lists`: names of price lists."""
    if isinstance(tariff, Fixed):
        return [per_kwh(page, tariff.micros, currency)]
    if isinstance(tariff, Dynamic):
        return _dynamic(page, tariff, currency, lists)
    found = [_band(page, band, currency) for band in tariff.bands]
    rest = per_kwh(page, tariff.micros, currency)
    return [*found, page._("else %(price)s", price=rest)]


def feed_in(page: PageView, micros: int, currency: str) -> list[str]:
    """What feeding in earns; nothing is said of nothing."""
    return [page._("feeding in earns %(price)s", price=per_kwh(page, micros, currency))] if micros else []


def _dynamic(page: PageView, tariff: Dynamic, currency: str, lists: Mapping[int, str]) -> list[str]:
    text = page._("prices of %(list)s", list=lists.get(tariff.list_id, "–"))
    if tariff.factor_permille != 1_000:
        text += f" × {page.formats.number(float(Decimal(tariff.factor_permille) / 1_000), 3)}"
    if tariff.markup_micros:
        text += f" + {per_kwh(page, tariff.markup_micros, currency)}"
    if tariff.micros is None:
        return [text, page._("without a price where the list has none")]
    return [text, page._("%(price)s where the list has none", price=per_kwh(page, tariff.micros, currency))]


def _band(page: PageView, band: Band, currency: str) -> str:
    times = f"{clock(band.from_minute)}–{clock(band.until_minute % MINUTES_A_DAY)}"
    if band.from_minute == 0 and band.until_minute == MINUTES_A_DAY:
        times = page._("all day")
    return f"{days(page, band.days)}, {times}: {per_kwh(page, band.micros, currency)}"


def clock(minute: int) -> str:
    """`22:00`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def days(page: PageView, chosen: Sequence[int]) -> str:
    """`Mon–Fri`, `Sat, Sun`; `every day` for all."""
    if tuple(sorted(chosen)) == WEEK:
        return page._("every day")
    names = get_day_names("abbreviated", locale=page.formats.locale)
    runs: list[list[int]] = []
    for day in sorted(chosen):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    words = [
        f"{names[run[0]]}–{names[run[-1]]}" if len(run) > 2 else ", ".join(str(names[day]) for day in run)
        for run in runs
    ]
    return ", ".join(words)
