"""Price lists: prices that came in a file or from an address are kept, and what waited for them is priced."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Literal, TypeAlias

from borne.bus.port import Bus, Hint
from borne.core.price_file import PriceFile, read
from borne.engine.clock import NowMs
from borne.engine.outgoing import FetchError, Outgoing
from borne.store import energy_prices as store
from borne.store import jobs
from borne.store.db import Database, Row, Transaction

log = logging.getLogger(__name__)

KIND = "fetch_price_lists"  # {"day": days since 1970-01-01}
DAY_MS = 86_400_000
AT_MS = 13 * 3_600_000  # of a day, UTC: tomorrow's prices of the European markets are published by then
TRIES = 1_000_000
ERROR_BOUND = 200

Fetched: TypeAlias = Literal["kept", "failed"]


async def keep(tx: Transaction, organisation_id: int, price_list_id: int, file: PriceFile) -> int:
    """Keep a file's prices; sessions that waited for them are measured again. Returns how many sessions."""
    await store.put_listed(tx, organisation_id, price_list_id, file.slots)
    return await store.price_waiting(tx, organisation_id, price_list_id, file.slots)


class PriceLists:
    """Fetches the lists that have an address: once a day, and when somebody asks."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, outgoing: Outgoing) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._outgoing = outgoing

    async def begin(self) -> None:
        """At a start: make sure that the next day's fetch waits."""
        await self._enqueue(self._clock.now_ms() // DAY_MS)

    async def fetch_all(self, payload: str) -> None:
        """The job of a day. A list that fails says so, and is asked again tomorrow."""
        day = int(json.loads(payload)["day"])
        for row in await store.to_fetch(self._db):
            await self.fetch(row)
        await self._enqueue(max(day, self._clock.now_ms() // DAY_MS) + 1)

    async def _enqueue(self, day: int) -> None:
        async with self._db.transaction() as tx:
            payload = json.dumps({"day": day})
            at_ms = day * DAY_MS + AT_MS
            await jobs.enqueue(tx, KIND, payload, at_ms, idempotency_key=str(day), max_attempts=TRIES)
        self._bus.publish(Hint("job", 0))

    async def fetch(self, row: Row) -> Fetched:
        """Fetch a list (its row) now; what stood in the way is noted at it."""
        try:
            body = await self._outgoing.text(row.url)
            file = await asyncio.to_thread(read, body.decode("utf-8", "replace"))
        except FetchError as error:
            return await self._failed(row, f"{error.why} {error.detail}".strip())
        if file.problems:
            first = file.problems[0]
            return await self._failed(row, f"line {first.line} {first.word}")
        async with self._db.transaction() as tx:
            await keep(tx, row.organisation_id, row.id, file)
            now_ms = self._clock.now_ms()
            await store.set_fetched(tx, row.organisation_id, row.id, fetched_ms=now_ms, error=None)
        return "kept"

    async def _failed(self, row: Row, why: str) -> Fetched:
        log.info("the price list %s was not fetched: %s", row.id, why)
        async with self._db.transaction() as tx:
            await store.set_fetched(tx, row.organisation_id, row.id, fetched_ms=row.fetched_ms, error=why[:ERROR_BOUND])
        return "failed"
