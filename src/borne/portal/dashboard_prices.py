"""Prices that change by the quarter of an hour, as the overview tells them: what counts now, and when it is cheapest next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_datetime

from borne.core.metering_slots import HOUR_MS, SLOT_MS
from borne.core.tariff import Dynamic, price_micros
from borne.portal.frame import PageView
from borne.portal.price_words import per_kwh
from borne.store import energy_prices
from borne.store.charger_list import Place

AHEAD_MS = 24 * HOUR_MS
SHOWN = 3


class PriceNow(msgspec.Struct, frozen=True):
    """`now` "": the list has no price of now. `cheapest` at `when`, among the known ones of the next day."""

    places: str
    more: int
    list_name: str
    now: str
    cheapest: str
    when: str


async def now(page: PageView, places: Sequence[Place], zone: ZoneInfo) -> list[PriceNow]:
    """The dynamic tariffs that count at these places, those of most places first; none where no price is dynamic."""
    db, organisation_id, now_ms = page.services.db, page.scope.organisation_id, page.services.clock.now_ms()
    lists = {row.id: row.name for row in await energy_prices.lists(db, organisation_id)}
    if not lists:
        return []
    counting = await energy_prices.current(db, organisation_id, [place.id for place in places], now_ms)
    found: dict[tuple[Dynamic, str], list[str]] = {}
    for place in places:
        here = counting.get(place.id)
        if here is not None and isinstance(here.tariff, Dynamic):
            found.setdefault((here.tariff, here.currency), []).append(place.name)
    ranked = sorted(found.items(), key=lambda one: -len(one[1]))[:SHOWN]
    return [
        await _price(page, tariff, currency, names, lists.get(tariff.list_id, "–"), zone)
        for (tariff, currency), names in ranked
    ]


async def _price(
    page: PageView, tariff: Dynamic, currency: str, names: list[str], list_name: str, zone: ZoneInfo
) -> PriceNow:
    slot_ms = page.services.clock.now_ms() // SLOT_MS * SLOT_MS
    rows = await energy_prices.listed_between(
        page.services.db, page.scope.organisation_id, tariff.list_id, slot_ms, slot_ms + AHEAD_MS
    )
    listed = {row.slot_ms: row.micros for row in rows}
    micros = price_micros(tariff, slot_ms, zone, listed)
    later = [(price, at_ms) for at_ms in listed if (price := price_micros(tariff, at_ms, zone, listed)) is not None]
    low, low_ms = min(later, default=(None, slot_ms))
    at = datetime.fromtimestamp(low_ms / 1_000, UTC).astimezone(zone)
    return PriceNow(
        places=names[0],
        more=len(names) - 1,
        list_name=list_name,
        now="" if micros is None else per_kwh(page, micros, currency),
        cheapest="" if low is None else per_kwh(page, low, currency),
        when=str(format_datetime(at, "EEE HH:mm", locale=page.formats.locale)),
    )
