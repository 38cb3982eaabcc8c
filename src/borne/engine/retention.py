"""Retention: readings, messages, curves, quarters of an hour, days and months are thrown away by age, each at its own.

Old partitions go whole; all else a slice a transaction, with a pause after each: whoever stores what chargers say waits
some milliseconds at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from borne.engine.clock import NowMs
from borne.engine.partitions import Partitions
from borne.store import partitions as partition_store
from borne.store import retention as store
from borne.store.db import Database
from borne.store.retention import Rows
from borne.store.schema import readings, session_curves, session_messages, session_slots

DAY_MS = 86_400_000
SLICE = 500  # rows, or sessions of which each has a few
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Kept:
    """How many days each is kept; 0: for ever. Sums are kept at least as long as what they are changed by: the curves."""

    readings_days: int = 90
    messages_days: int = 400
    curves_days: int = 400
    slots_days: int = 1096
    day_sums_days: int = 0
    month_sums_days: int = 0


class Retention:
    """Throws away what is old enough."""

    def __init__(self, db: Database, clock: NowMs, kept: Kept, partitions: Partitions | None = None) -> None:
        self._db = db
        self._clock = clock
        self._kept = kept
        self._partitions = partitions or Partitions(db, clock)
        self._sums_day = 0  # sums are looked through once a day

    async def once(self) -> None:
        """All that is due now, then partitions for what comes."""
        kept, now_ms = self._kept, self._clock.now_ms()
        for table, days in ((readings, kept.readings_days), (session_messages, kept.messages_days)):
            if days:
                await self._prune_received(table, now_ms - days * DAY_MS)
        # Slots before curves: what is closed now keeps its slots until the next look, for whoever measures it just now.
        for table, days in ((session_slots, kept.slots_days), (session_curves, kept.curves_days)):
            if days:
                await self._prune_sessions(table, now_ms - days * DAY_MS)
        if self._sums_day != now_ms // DAY_MS:
            await self._prune_sums(now_ms)
            self._sums_day = now_ms // DAY_MS
        await self._partitions.tidy()

    async def _prune_received(self, table: Rows, before_ms: int) -> None:
        if self._db.dialect == "sqlite":
            gone = 1
            while gone:
                async with self._db.transaction() as tx:
                    gone = await store.prune_received(tx, table, before_ms, SLICE)
                await asyncio.sleep(PAUSE_S)
            return
        await self._partitions.drop(table, before_ms)
        for one in await self._partitions.sliced(table):
            gone = 1
            while gone:
                async with self._db.transaction() as tx:
                    gone = await partition_store.prune(tx, one, before_ms, SLICE)
                await asyncio.sleep(PAUSE_S)

    async def _prune_sessions(self, table: Rows, before_ms: int) -> None:
        after_id, until_id = 0, await store.first_since(self._db, before_ms)
        while ids := await store.sessions_having(self._db, table, after_id, until_id, SLICE):
            after_id = ids[-1]
            async with self._db.transaction() as tx:
                await store.prune_sessions(tx, table, ids, before_ms)
            await asyncio.sleep(PAUSE_S)

    async def _prune_sums(self, now_ms: int) -> None:
        kept = self._kept
        rules: tuple[tuple[int, Mapping[Rows, str]], ...] = (
            (kept.slots_days, store.SLOTS),
            (kept.day_sums_days, store.DAYS),
            (kept.month_sums_days, store.MONTHS),
        )
        for days, tables in rules:
            if days:
                edge_ms = now_ms - days * DAY_MS
                for table, column in tables.items():
                    await self._prune_sums_of(table, column, edge_of(column, edge_ms))

    async def _prune_sums_of(self, table: Rows, column: str, before: int) -> None:
        for organisation_id in await store.organisation_ids(self._db):
            while keys := await store.old_sums(self._db, table, column, organisation_id, before, SLICE):
                async with self._db.transaction() as tx:
                    await store.drop_sums(tx, table, keys)
                await asyncio.sleep(PAUSE_S)


def edge_of(column: str, at_ms: int) -> int:
    """An instant in the unit of a column; what it is the end of is over everywhere on Earth before it is thrown away."""
    if column == "slot_ms":
        return at_ms
    if column == "day":
        return at_ms // DAY_MS - 1
    when = datetime.fromtimestamp((at_ms - DAY_MS) / 1_000, UTC)
    return (when.year - 1970) * 12 + when.month - 1
