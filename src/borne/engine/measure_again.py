"""Sessions are measured anew when more is known of their time: a list got a price, a location's meter was heard.

A job of its own, in the transaction that brings the news: whatever number of sessions it concerns, they are marked in small
slices, and a crash leaves none out. Marking one twice is harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from borne.core.metering_slots import SLOT_MS
from borne.store import jobs
from borne.store import measure_again as store
from borne.store.db import Database, Transaction

KIND = "measure_again"
RANGES_MOST = 50  # of a job; more are taken as one
SLICE = 200
PAUSE_S = 0.02
TRIES = 20


class Wanted(msgspec.Struct, frozen=True):
    """The sessions of these locations that touch one of these stretches of time."""

    organisation_id: int
    location_ids: list[int]
    ranges: list[tuple[int, int]]


async def enqueue(
    tx: Transaction, organisation_id: int, location_ids: Sequence[int], slots: Iterable[int], now_ms: int
) -> None:
    """Have what was charged in these slots measured anew; say Hint("job", 0) after the commit."""
    ranges = ranges_of(slots)
    if ranges and location_ids:
        payload = msgspec.json.encode(Wanted(organisation_id, list(location_ids), ranges)).decode()
        await jobs.enqueue(tx, KIND, payload, now_ms, max_attempts=TRIES)


def ranges_of(slots: Iterable[int]) -> list[tuple[int, int]]:
    """Slots as stretches of time, in order."""
    ordered = sorted(set(slots))
    if not ordered:
        return []
    breaks = [(one + SLOT_MS, other) for one, other in pairwise(ordered) if other > one + SLOT_MS]
    if len(breaks) >= RANGES_MOST:
        breaks = []
    edges = [ordered[0], *(edge for one in breaks for edge in one), ordered[-1] + SLOT_MS]
    return list(zip(edges[::2], edges[1::2], strict=True))


class MeasureAgain:
    """Carries it out."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def carry_out(self, payload: str) -> None:
        """The job."""
        wanted = msgspec.json.decode(payload, type=Wanted)
        ids: set[int] = set()
        for from_ms, until_ms in wanted.ranges:
            ids |= set(await store.touching(self._db, wanted.organisation_id, wanted.location_ids, from_ms, until_ms))
        ordered = sorted(ids)
        for start in range(0, len(ordered), SLICE):
            async with self._db.transaction() as tx:
                await store.mark(tx, wanted.organisation_id, ordered[start : start + SLICE])
            await asyncio.sleep(PAUSE_S)
