"""Price lists: prices that came in a file or from an address are kept, and what waited for them is priced.

Lists with an address are fetched once a day, when the prices of tomorrow are out; one that failed, or says nothing of tomorrow
yet, is asked again some times that day.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Literal, TypeAlias

from borne.bus.port import Bus, Hint
from borne.core.price_file import PriceFile, read
from borne.engine import measure_again
from borne.engine.clock import NowMs
from borne.engine.outgoing import FetchError, Outgoing
from borne.store import energy_prices as store
from borne.store import jobs
from borne.store.db import Database, Row, StoreError, Transaction

log = logging.getLogger(__name__)

KIND = "fetch_price_lists"  # {"day": days since 1970-01-01, "attempt": from 0, "ids": lists, or null for all}
DAY_MS = 86_400_000
AT_MS = 13 * 3_600_000  # of a day, UTC: tomorrow's prices of the European markets are published by then
AGAIN_MS = (900_000, 3_600_000, 7_200_000, 14_400_000)  # after each attempt of a day that left something out
ENOUGH_MS = DAY_MS + DAY_MS // 2  # a list that knows prices until tomorrow noon has those of tomorrow
AT_ONCE = 8
TRIES = 1_000_000
ERROR_BOUND = 200
SLICE = 500  # slots of a statement: some milliseconds

Fetched: TypeAlias = Literal["kept", "failed", "gone"]


async def keep(tx: Transaction, organisation_id: int, price_list_id: int, file: PriceFile, now_ms: int) -> None:
    """Keep a file's prices. What was charged in slots that the list did not know is measured again: say Hint("job", 0) after
    the commit."""
    fresh: list[int] = []
    for start in range(0, len(file.slots), SLICE):
        some = file.slots[start : start + SLICE]
        rows = await store.listed_between(tx, organisation_id, price_list_id, some[0][0], some[-1][0] + 1)
        known = {row.slot_ms for row in rows}
        fresh += [slot_ms for slot_ms, _ in some if slot_ms not in known]
        await store.put_listed(tx, organisation_id, price_list_id, some)
        await asyncio.sleep(0)
    if fresh:
        location_ids = await store.locations_using(tx, organisation_id, price_list_id)
        await measure_again.enqueue(tx, organisation_id, location_ids, fresh, now_ms)


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
        """The job of a day, or one more attempt of it with the lists that it left out."""
        said = json.loads(payload)
        day, attempt, ids = int(said["day"]), int(said.get("attempt", 0)), said.get("ids")
        rows = [row for row in await store.to_fetch(self._db) if ids is None or row.id in ids]
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(row: Row) -> bool:
            async with turn:
                return await self._brought(row, day)

        brought = await asyncio.gather(*(one(row) for row in rows))
        missing = [row.id for row, has in zip(rows, brought, strict=True) if not has]
        if missing and attempt < len(AGAIN_MS):
            await self._enqueue(day, attempt + 1, missing)
        if ids is None:
            await self._enqueue(max(day, self._clock.now_ms() // DAY_MS) + 1)

    async def _brought(self, row: Row, day: int) -> bool:
        """Fetch a list; whether it knows the prices of the day after. One that cannot be read holds up no other."""
        try:
            if await self.fetch(row) == "failed":
                return False
            _, _, last_ms = await store.span(self._db, row.organisation_id, row.id)
        except StoreError:
            raise  # the job itself is tried again
        except Exception:
            log.exception("the price list %s could not be fetched", row.id)
            return False
        return last_ms is not None and last_ms >= day * DAY_MS + ENOUGH_MS

    async def _enqueue(self, day: int, attempt: int = 0, ids: list[int] | None = None) -> None:
        at_ms, key = day * DAY_MS + AT_MS, str(day)
        if attempt:
            at_ms, key = self._clock.now_ms() + AGAIN_MS[attempt - 1], f"{day}-{attempt}"
        async with self._db.transaction() as tx:
            payload = json.dumps({"day": day, "attempt": attempt, "ids": ids})
            await jobs.enqueue(tx, KIND, payload, at_ms, idempotency_key=key, max_attempts=TRIES)
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
        now_ms = self._clock.now_ms()
        async with self._db.transaction() as tx:
            if not await store.set_fetched(tx, row, fetched_ms=now_ms, error=None):
                return "gone"  # it has another address meanwhile: these are not its prices
            await keep(tx, row.organisation_id, row.id, file, now_ms)
        self._bus.publish(Hint("job", 0))
        return "kept"

    async def _failed(self, row: Row, why: str) -> Fetched:
        log.info("the price list %s was not fetched: %s", row.id, why)
        async with self._db.transaction() as tx:
            noted = await store.set_fetched(tx, row, fetched_ms=row.fetched_ms, error=why[:ERROR_BOUND])
        return "failed" if noted else "gone"
