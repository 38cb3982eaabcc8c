"""Prices of slots: a location's tariffs are kept in memory for a moment, because every measured session asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from borne.core.tariff import Dynamic, EnergyPrice, price_at, price_micros
from borne.engine.clock import NowMs
from borne.store import energy_prices as store
from borne.store.db import Database

KEPT_MS = 10_000
LOCATIONS_MOST = 5_000


class Prices:
    """Asks the store what energy cost."""

    def __init__(self, db: Database, clock: NowMs) -> None:
        self._db = db
        self._clock = clock
        self._known: dict[int, tuple[int, list[EnergyPrice]]] = {}

    async def of_slots(self, location_id: int, slots: Sequence[int], zone: ZoneInfo) -> dict[int, int]:
        """Micros a kWh of each slot that has a price."""
        prices = await self._of_location(location_id)
        chosen = {slot_ms: price for slot_ms in slots if (price := price_at(prices, slot_ms)) is not None}
        lists = {price.tariff.list_id for price in chosen.values() if isinstance(price.tariff, Dynamic)}
        listed = {list_id: await store.listed(self._db, list_id, slots) for list_id in sorted(lists)}
        found: dict[int, int] = {}
        for slot_ms, price in chosen.items():
            tariff = price.tariff
            of_list = listed[tariff.list_id] if isinstance(tariff, Dynamic) else {}
            micros = price_micros(tariff, slot_ms, zone, of_list)
            if micros is not None:
                found[slot_ms] = micros
        return found

    async def _of_location(self, location_id: int) -> list[EnergyPrice]:
        now_ms = self._clock.now_ms()
        known = self._known.get(location_id)
        if known is None or known[0] < now_ms:
            if len(self._known) >= LOCATIONS_MOST:
                self._known.clear()
            known = self._known[location_id] = (now_ms + KEPT_MS, await store.of_location(self._db, location_id))
        return known[1]
