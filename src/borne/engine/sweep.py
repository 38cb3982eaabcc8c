"""Forgets what nobody needs any more: old lines of timelines, done jobs, delivered mails, old notices, ended logins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from borne.engine.beside import Beside
from borne.engine.clock import NowMs
from borne.store import events, jobs, logins, mails, notices, troubles
from borne.store.db import Database, StoreError

log = logging.getLogger(__name__)

EVERY_S = 600.0
PAUSE_S = 0.05
SLICE = 500  # rows a transaction: some milliseconds
DAY_MS = 86_400_000
EVENTS_DAYS, JOBS_DAYS, MAILS_DAYS, NOTICES_DAYS = 90, 7, 30, 90


class Sweep(Beside):
    """Runs beside everything else and never holds it up."""

    task_name = "sweep"

    def __init__(self, db: Database, clock: NowMs, also: Sequence[Callable[[], Awaitable[object]]] = ()) -> None:
        self._db = db
        self._clock = clock
        self._also = also  # what else is over by time

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.once()
                for one in self._also:
                    await one()
            except StoreError as error:
                log.warning("old rows stay for now: %s", error)
            except Exception:
                log.exception("old rows stay for now")

    async def once(self) -> None:
        """Delete all that is due, in slices."""
        now_ms = self._clock.now_ms()
        rules = (
            (events.prune, now_ms - EVENTS_DAYS * DAY_MS),
            (jobs.prune, now_ms - JOBS_DAYS * DAY_MS),
            (mails.prune, now_ms - MAILS_DAYS * DAY_MS),
            (notices.prune, now_ms - NOTICES_DAYS * DAY_MS),
            (troubles.prune, now_ms - NOTICES_DAYS * DAY_MS),
            (logins.prune, now_ms),
        )
        for prune, before_ms in rules:
            while True:
                async with self._db.transaction() as tx:
                    gone = await prune(tx, before_ms, SLICE)
                if gone < SLICE:
                    break
                await asyncio.sleep(PAUSE_S)
