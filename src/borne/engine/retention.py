"""Retention: readings, messages, curves and quarters of an hour are thrown away by age, each at its own; days and months stay.

A slice a transaction, with a pause after each: whoever stores what chargers say waits some milliseconds at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from borne.engine.clock import NowMs
from borne.store import retention as store
from borne.store.db import Database, Transaction

DAY_MS = 86_400_000
SLICE = 500  # rows, or sessions of which each has a few
PLACES = 100
PAUSE_S = 0.02

Prune = Callable[[Transaction, int, int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Kept:
    """How many days each is kept; 0: for ever."""

    readings_days: int = 90
    messages_days: int = 400
    curves_days: int = 400
    slots_days: int = 1096


class Retention:
    """Throws away what is old enough."""

    def __init__(self, db: Database, clock: NowMs, kept: Kept) -> None:
        self._db = db
        self._clock = clock
        self._kept = kept
        self._slots_day = 0  # the locations' quarters of an hour are looked through once a day

    async def once(self) -> None:
        """All that is due now."""
        kept, now_ms = self._kept, self._clock.now_ms()
        rules: tuple[tuple[Prune, int], ...] = (
            (store.prune_readings, kept.readings_days),
            (store.prune_messages, kept.messages_days),
            (store.prune_curves, kept.curves_days),
            (store.prune_session_slots, kept.slots_days),
        )
        for prune, days in rules:
            if days:
                await self._prune(prune, now_ms - days * DAY_MS)
        if kept.slots_days and self._slots_day != now_ms // DAY_MS:
            await self._prune_locations(now_ms - kept.slots_days * DAY_MS)
            self._slots_day = now_ms // DAY_MS

    async def _prune(self, prune: Prune, before_ms: int) -> None:
        gone = 1
        while gone:
            async with self._db.transaction() as tx:
                gone = await prune(tx, before_ms, SLICE)
            await asyncio.sleep(PAUSE_S)

    async def _prune_locations(self, before_ms: int) -> None:
        after_id = 0
        while places := await store.places(self._db, after_id, PLACES):
            after_id = places[-1][1]
            async with self._db.transaction() as tx:
                for organisation_id, location_id in places:
                    await store.prune_location_slots(tx, organisation_id, location_id, before_ms)
            await asyncio.sleep(PAUSE_S)
