"""Partitions of what chargers say (PostgreSQL): made ahead of time and when a clock leaps, dropped whole when they are old.

A row never fails for want of a partition: what fits in none lands in the rest, is told, and is moved to where it belongs.
"""

from __future__ import annotations

import asyncio
import logging

from borne.engine.clock import NowMs
from borne.store import partitions as store
from borne.store.db import Database, StoreError
from borne.store.partitions import Partition, Partitioned
from borne.store.schema import PARTITIONED

log = logging.getLogger(__name__)

AHEAD_MS = 4 * 7 * 86_400_000
AGAIN_MS = 10_000  # after a failure
TRIES = 3
PAUSE_S = 0.5


class Partitions:
    """Keeps the partitioned tables in order. On SQLite there is nothing to do, and nothing is done."""

    def __init__(self, db: Database, clock: NowMs) -> None:
        self._db = db
        self._clock = clock
        self._needed = db.dialect == "postgresql"
        self._from_ms, self._until_ms = 0, 0  # what has partitions in all tables
        self._failed_ms: int | None = None

    def lack(self, at_ms: int) -> bool:
        """Whether what is received now may have no partition. Costs next to nothing: every group of facts asks."""
        if not self._needed or self._from_ms <= at_ms < self._until_ms:
            return False
        return self._failed_ms is None or abs(at_ms - self._failed_ms) >= AGAIN_MS

    async def make(self, at_ms: int) -> None:
        """Make what is missing from an instant until `AHEAD_MS` later. Never fails: what fits nowhere lands in the rest."""
        if not self._needed or not store.nameable(at_ms):
            return
        try:
            starts_ms = [await self._make(table, at_ms) for table in PARTITIONED]
        except StoreError as error:
            self._failed_ms = at_ms
            log.warning("a partition is made later: %s", error)
            return
        self._failed_ms = None
        # Made anew long before the last one is needed.
        self._from_ms, self._until_ms = max(starts_ms), at_ms + AHEAD_MS // 2

    async def _make(self, table: Partitioned, at_ms: int) -> int:
        partitions = await store.of(self._db, table)
        for start_ms in store.missing(table, partitions, at_ms, at_ms + AHEAD_MS):
            await self._make_one(table, start_ms)
        return store.start_of(table, at_ms)

    async def _make_one(self, table: Partitioned, start_ms: int) -> None:
        async with self._db.transaction() as tx:
            moved = await store.make(tx, table, start_ms)
        if moved:
            log.warning("%d rows of %s had no partition; they have one now", moved, table.name)

    async def tidy(self) -> None:
        """Make partitions ahead of time, and move what has landed in the rest to partitions of its own."""
        if not self._needed:
            return
        await self.make(self._clock.now_ms())
        for table in PARTITIONED:
            at_ms = await store.landed(self._db, table, 0)
            while at_ms is not None and store.nameable(at_ms):
                start_ms = store.start_of(table, at_ms)
                await self._make_one(table, start_ms)
                at_ms = await store.landed(self._db, table, start_ms + store.SPANS_MS[table.name])

    async def drop(self, table: Partitioned, before_ms: int) -> None:
        """Drop the partitions of which everything was received before."""
        old = [one for one in await store.of(self._db, table) if one.until_ms is not None and one.until_ms <= before_ms]
        for one in old:
            if not await self._taken_off(table, one):
                break  # somebody reads them for long, a backup perhaps: each attempt costs those who write a moment
        for name in await store.taken_off(self._db, table):
            async with self._db.transaction() as tx:
                await store.drop(tx, name)

    async def sliced(self, table: Partitioned) -> list[Partition]:
        """Those whose rows go in slices: the rest, and what was there before there were partitions."""
        return [one for one in await store.of(self._db, table) if not one.is_whole]

    async def _taken_off(self, table: Partitioned, partition: Partition) -> bool:
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(PAUSE_S)
            try:
                async with self._db.transaction() as tx:
                    await store.take_off(tx, table, partition)
                return True
            except StoreError as error:
                reason = error
        log.info("an old partition is dropped later: %s", reason)
        return False
