"""Durable jobs: leased, run, completed or tried again later. A job may run twice after a crash; handlers make that harmless."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from borne.bus.port import Bus
from borne.engine.clock import NowMs
from borne.store import jobs as store
from borne.store.db import Database, Row, StoreError

log = logging.getLogger(__name__)

Handler = Callable[[str], Awaitable[None]]

LEASE_MS = 60_000
EXTEND_EVERY_S = 20.0
AT_ONCE = 4
LOOK_AGAIN_S = 5.0
SOON_S = 0.2  # after a hint that came before the commit it speaks of


class Jobs:
    """Runs what is due. `handlers` maps a kind to the coroutine that gets the payload; an exception means: again, later."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, handlers: Mapping[str, Handler]) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._handlers = handlers
        self._nudged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._stop_listening: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin. Needs a running loop."""
        self._stop_listening = self._bus.listen("job", lambda _: self._nudged.set())
        self._task = asyncio.get_running_loop().create_task(self._run(), name="jobs")

    async def stop(self) -> None:
        """End; what is under way is given up and will run again when its lease is over."""
        if self._stop_listening is not None:
            self._stop_listening()
        tasks = [task for task in (self._task, *self._running) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            nudged = self._nudged.is_set()
            self._nudged.clear()
            try:
                found = await self._lease()
            except StoreError as error:
                log.warning("jobs wait for the store: %s", error)
                found = 0
            if not found:
                await self._rest(SOON_S if nudged else LOOK_AGAIN_S)

    async def _lease(self) -> int:
        room = AT_ONCE - len(self._running)
        now_ms = self._clock.now_ms()
        due_ms = await store.next_due_ms(self._db) if room > 0 else None
        if due_ms is None or due_ms > now_ms:
            return 0
        async with self._db.transaction() as tx:
            jobs = await store.lease(tx, now_ms, LEASE_MS, room)
        for job in jobs:
            task = asyncio.get_running_loop().create_task(self._work(job), name=f"job-{job.kind}")
            self._running.add(task)
            task.add_done_callback(self._ended)
        return len(jobs)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._nudged.set()

    async def _rest(self, at_most_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):  # wait_for may swallow the cancellation that ends us
                await self._nudged.wait()

    async def _work(self, job: Row) -> None:
        extending = asyncio.get_running_loop().create_task(self._extend(job))
        try:
            handler = self._handlers.get(job.kind)
            if handler is None:
                raise LookupError(f"no handler for jobs of kind {job.kind}")
            await handler(job.payload)
        except Exception as error:
            log.warning("job %s (%s) failed: %s", job.id, job.kind, error)
            await self._settle(job, f"{type(error).__name__}: {error}"[:500])
        else:
            await self._settle(job, None)
        finally:
            extending.cancel()

    async def _settle(self, job: Row, error: str | None) -> None:
        try:
            async with self._db.transaction() as tx:
                if error is None:
                    await store.complete(tx, job, self._clock.now_ms())
                else:
                    await store.fail(tx, job, self._clock.now_ms(), error)
        except StoreError as trouble:
            log.warning("job %s stays leased until it runs again: %s", job.id, trouble)

    async def _extend(self, job: Row) -> None:
        while True:
            await asyncio.sleep(EXTEND_EVERY_S)
            try:
                async with self._db.transaction() as tx:
                    await store.extend(tx, job, self._clock.now_ms() + LEASE_MS)
            except StoreError as trouble:
                log.warning("the lease of job %s was not extended: %s", job.id, trouble)
