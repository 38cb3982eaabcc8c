"""A world with a roof and a market: while chargers charge and the server is killed, the meter of their location and a list of
prices say something, late, again and corrected."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from borne.core.actor import BORNE
from borne.core.metering_slots import SLOT_MS
from borne.core.price_file import PriceFile
from borne.core.site_meter import SiteSlot
from borne.core.tariff import Dynamic, EnergyPrice
from borne.engine import price_lists
from borne.engine.site_meter import SiteMeter
from borne.sim.founding import EPOCH_MS
from borne.store import energy_prices

if TYPE_CHECKING:
    from borne.sim.world import World

GAPS_MICROS, FEED_IN_MICROS = 300_000, 80_000
_SHARES = (
    "SELECT l.session_id, l.slot_ms, l.energy_wh, l.solar_wh, m.import_wh, m.export_wh, m.solar_wh FROM session_slots l"
    " JOIN sessions s ON s.id = l.session_id"
    " LEFT JOIN site_slots m ON m.location_id = s.location_id AND m.slot_ms = l.slot_ms"
)
_PROVISIONAL = (
    "SELECT l.session_id, l.slot_ms FROM session_slots l JOIN listed_prices p ON p.slot_ms = l.slot_ms"
    " WHERE l.provisional = 1"
)
_FINAL = (
    "SELECT session_id, slot_ms, price_micros FROM session_slots WHERE price_micros IS NOT NULL AND provisional = 0"
)


class Sun:
    """What is said of one world's location, and what was final meanwhile."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"sun {world.seed}")
        self.list_id = 0
        self.said = 0
        self.final: dict[tuple[int, int], int] = {}

    async def shine(self) -> None:
        """Go on beside the world until its scenario is over."""
        world = self.world
        until_s = max([world.scenario.until_s, *(step.at_s for step in world.scenario.steps)])
        while not self.list_id and world.now_s < until_s:
            await asyncio.sleep(1.0)
            if world.is_up and world.server is not None:
                await self._done(world.server.run(self._follow_a_list()))
        while world.now_s < until_s:
            await asyncio.sleep(self.rng.uniform(3.0, 40.0))
            work = self._meter_says if self.rng.random() < 0.7 else self._list_says
            if world.is_up and world.server is not None:
                await self._done(world.server.run(work()))
                self._remember()

    async def _done(self, task: asyncio.Task[None]) -> None:
        """Wait for what the server's process does; it may die meanwhile."""
        while not task.done() and self.world.is_up:
            await asyncio.sleep(0.05)

    async def _follow_a_list(self) -> None:
        world, server = self.world, self.world.server
        assert server is not None
        async with server.db.transaction() as tx:
            list_id = await energy_prices.add_list(
                tx, world.organisation_id, name="Market", currency="EUR", url=None, now_ms=EPOCH_MS
            )
            price = EnergyPrice(EPOCH_MS, Dynamic(list_id, micros=GAPS_MICROS), FEED_IN_MICROS)
            await energy_prices.add(
                tx, world.organisation_id, world.locations[0], price, currency="EUR", person_name="", now_ms=EPOCH_MS
            )
        self.list_id = list_id

    def _slot(self) -> int:
        """Some quarter of an hour of this world, perhaps one to come."""
        count = int(self.world.now_s * 1_000) // SLOT_MS + 2
        return (EPOCH_MS // SLOT_MS + self.rng.randrange(-1, count)) * SLOT_MS

    async def _meter_says(self) -> None:
        world, server, rng = self.world, self.world.server, self.rng
        assert server is not None
        slot = SiteSlot(self._slot(), rng.randrange(5_000), rng.randrange(3_000), rng.randrange(9_000))
        meter = SiteMeter(server.db, server.bus, server.clock, server.audit)
        await meter.take(world.organisation_id, world.locations[0], BORNE, [slot], by_file=False)
        self.said += 1

    async def _list_says(self) -> None:
        world, server = self.world, self.world.server
        assert server is not None
        file = PriceFile(((self._slot(), self.rng.randrange(-50_000, 400_000)),))
        async with server.db.transaction() as tx:
            await price_lists.keep(tx, world.organisation_id, self.list_id, file, server.clock.now_ms())
        self.said += 1

    def _remember(self) -> None:
        for session_id, slot_ms, micros in self.world.rows(_FINAL):
            self.final.setdefault((session_id, slot_ms), micros)

    def wrong(self) -> Iterator[str]:
        """At the end: shares that are not the meter’s, slots that lack a price which the list has, final prices that changed."""
        for session_id, slot_ms, energy_wh, solar_wh, imported, exported, solar in self.world.rows(_SHARES):
            own = max(0, (solar or 0) - (exported or 0))
            share = energy_wh * own // (own + imported) if own else 0
            if solar_wh != share:
                yield f"slot {slot_ms} of session {session_id} has {solar_wh} Wh of the sun, its share is {share}"
        for session_id, slot_ms in self.world.rows(_PROVISIONAL):
            yield f"slot {slot_ms} of session {session_id} is provisional, and the list has its price"
        now = {(session_id, slot_ms): micros for session_id, slot_ms, micros in self.world.rows(_FINAL)}
        for key, micros in self.final.items():
            if now.get(key, micros) != micros:
                yield f"slot {key[1]} of session {key[0]} cost {micros}, and costs {now[key]} now"
