"""Deadlines: strikes what is due, and nothing else. The earliest deadline is a column; nobody polls chargers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from borne.core.facts import ClockStepped, Woke
from borne.engine.apply import Engine
from borne.engine.beside import Beside
from borne.engine.clock import Clock
from borne.store import incarnations
from borne.store import rooms as store
from borne.store.db import StoreError

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0  # how late a strike may be; the query is one step in an index
ALIVE_EVERY_S = 5.0
UPDATING_EVERY_S = 60.0

HeardMs = Callable[[int], int | None]


class Timers(Beside):
    """Wakes machines whose deadline is due, says that Borne is alive, and notices when the clock was moved.

    `heard_ms(charger_id)` says when the charger's own last message came on the link that is open now (from the
    gateway's memory).
    """

    task_name = "timers"

    def __init__(self, engine: Engine, clock: Clock, heard_ms: HeardMs) -> None:
        self._engine = engine
        self._clock = clock
        self._heard_ms = heard_ms

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        alive_at = updating_at = loop.time()
        while True:
            try:
                await self._check_clock()
                await self._strike()
                if loop.time() >= alive_at:
                    alive_at = loop.time() + ALIVE_EVERY_S
                    await self._say_alive()
                if loop.time() >= updating_at:
                    updating_at = loop.time() + UPDATING_EVERY_S
                    await self._wake(await store.updating_chargers(self._engine.db))
            except StoreError as error:
                log.warning("deadlines wait for the store: %s", error)
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _strike(self) -> None:
        while due := await store.due_chargers(self._engine.db, self._clock.now_ms()):
            await self._wake(due)
            if len(due) < 500 or self._engine.failing:
                return

    async def _wake(self, charger_ids: list[int]) -> None:
        now_ms = self._clock.now_ms()
        facts = [Woke(charger_id=c, at_ms=now_ms, heard_ms=self._heard_ms(c)) for c in dict.fromkeys(charger_ids)]
        await asyncio.gather(*(self._engine.apply(fact) for fact in facts), return_exceptions=True)

    async def _check_clock(self) -> None:
        by_ms = self._clock.check_step()
        if not by_ms:
            return
        log.warning("the system's clock was moved by %.1f s; deadlines move with it", by_ms / 1000)
        await step_clock(self._engine, by_ms)

    async def _say_alive(self) -> None:
        async with self._engine.db.transaction() as tx:
            await incarnations.alive(tx, self._engine.incarnation, self._clock.now_ms())


async def step_clock(engine: Engine, by_ms: int) -> None:
    """Move the deadlines with the clock: tell every machine that counts time."""
    after_id = 0
    while ids := await store.watched_chargers(engine.db, after_id):
        now_ms = engine.clock.now_ms()
        facts = [ClockStepped(charger_id=charger_id, at_ms=now_ms, by_ms=by_ms) for charger_id in ids]
        await asyncio.gather(*(engine.apply(fact) for fact in facts), return_exceptions=True)
        after_id = ids[-1]
