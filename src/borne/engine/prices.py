"""Prices of slots: a location's tariffs are kept in memory for a moment, because every measured session asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from borne.core.metering_slots import SLOT_MS, Slot
from borne.core.pricing import priced, to_ask
from borne.core.site_meter import SiteSlot
from borne.core.statistics import PricedSlot
from borne.core.tariff import Dynamic, EnergyPrice, SlotPrice, price_at, slot_price
from borne.engine.clock import NowMs
from borne.store import energy_prices as store
from borne.store import site_meter
from borne.store.db import Database

KEPT_MS = 10_000
LOCATIONS_MOST = 5_000


class Place(msgspec.Struct, frozen=True):
    """Where a session is. `site_until_ms`: until when the location's meter gave values; None: it has none."""

    organisation_id: int
    location_id: int
    zone: ZoneInfo
    site_until_ms: int | None


class Prices:
    """Asks the store what energy cost."""

    def __init__(self, db: Database, clock: NowMs) -> None:
        self._db = db
        self._clock = clock
        self._known: dict[int, tuple[int, list[EnergyPrice]]] = {}

    async def of_slots(self, location_id: int, slots: Sequence[int], zone: ZoneInfo) -> dict[int, SlotPrice]:
        """What counts in each slot for which the location has a tariff."""
        prices = await self.of_location(location_id)
        chosen = {slot_ms: price for slot_ms in slots if (price := price_at(prices, slot_ms)) is not None}
        lists = {price.tariff.list_id for price in chosen.values() if isinstance(price.tariff, Dynamic)}
        listed = {list_id: await store.listed(self._db, list_id, slots) for list_id in sorted(lists)}
        return {
            slot_ms: slot_price(
                price, slot_ms, zone, listed[price.tariff.list_id] if isinstance(price.tariff, Dynamic) else {}
            )
            for slot_ms, price in chosen.items()
        }

    async def priced(
        self, place: Place, slots: Sequence[Slot], before: Sequence[PricedSlot]
    ) -> tuple[tuple[PricedSlot, ...], dict[int, SiteSlot]]:
        """A session's slots with prices and solar share, and what its location's meter says of them. `before`: as they were."""
        known, site = {slot.slot_ms: slot for slot in before}, await self._site(place, slots)
        asked = to_ask(slots, known, site)
        prices = await self.of_slots(place.location_id, asked, place.zone) if asked else {}
        return priced(slots, known, prices, site), site

    async def _site(self, place: Place, slots: Sequence[Slot]) -> dict[int, SiteSlot]:
        if place.site_until_ms is None or not slots or slots[0].slot_ms >= place.site_until_ms:
            return {}  # as almost everywhere: no question to the database
        until_ms = slots[-1].slot_ms + SLOT_MS
        rows = await site_meter.between(self._db, place.organisation_id, place.location_id, slots[0].slot_ms, until_ms)
        return {row.slot_ms: row for row in rows}

    async def of_location(self, location_id: int) -> list[EnergyPrice]:
        """All tariffs of a location; the same object as long as they are the same."""
        now_ms = self._clock.now_ms()
        known = self._known.get(location_id)
        if known is not None and known[0] >= now_ms:
            return known[1]
        if len(self._known) >= LOCATIONS_MOST:
            self._known.clear()
        found = await store.of_location(self._db, location_id)
        if known is not None and known[1] == found:
            found = known[1]
        self._known[location_id] = (now_ms + KEPT_MS, found)
        return found
