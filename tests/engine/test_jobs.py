"""Jobs: leased, done once, tried again, and taken over when their worker died."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from borne.bus.memory import MemoryBus
from borne.bus.port import Hint
from borne.engine import jobs as jobs_module
from borne.engine.jobs import LEASE_MS, Jobs
from borne.store import jobs as store
from borne.store.db import Database, DiskFull, Row
from borne.store.schema import jobs as table
from tests.support.faulty import FaultyDatabase
from tests.support.house import START_MS, TestClock, on_both, until

Handler = Callable[[str], Awaitable[None]]


class Worker:
    """A worker with one handler, of kind "work"."""

    def __init__(self, db: Database, handler: Handler, clock: TestClock | None = None) -> None:
        self.db = db
        self.clock = clock or TestClock()
        self.bus = MemoryBus()
        self.jobs = Jobs(db, self.bus, self.clock, {"work": handler})

    async def enqueue(self, payload: str, *, kind: str = "work", key: str | None = None, in_s: float = 0) -> bool:
        async with self.db.transaction() as tx:
            run_at_ms = self.clock.now_ms() + round(in_s * 1000)
            return await store.enqueue(tx, kind, payload, run_at_ms, idempotency_key=key)

    def nudge(self) -> None:
        self.bus.publish(Hint("job", 0))

    async def rows(self) -> list[Row]:
        return await self.db.all(select(table).order_by(table.c.id))

    async def all_done(self) -> bool:
        return all(row.done_ms is not None for row in await self.rows())


@on_both
async def test_what_is_due_is_done_once(db: Database) -> None:
    done: list[str] = []

    async def work(payload: str) -> None:
        done.append(payload)

    worker = Worker(db, work)
    for number in range(20):
        await worker.enqueue(str(number))
    worker.jobs.start()
    await until(worker.all_done)
    await worker.jobs.stop()
    assert sorted(done, key=int) == [str(number) for number in range(20)]


async def test_a_new_one_is_begun_at_once_when_told(db: Database) -> None:
    done: list[str] = []

    async def work(payload: str) -> None:
        done.append(payload)

    worker = Worker(db, work)
    worker.jobs.start()
    await asyncio.sleep(0.05)
    await worker.enqueue("now")
    worker.nudge()
    await until(lambda: done == ["now"], timeout_s=3)
    await worker.jobs.stop()


async def test_one_of_later_waits_for_its_time(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "LOOK_AGAIN_S", 0.02)
    done: list[str] = []

    async def work(payload: str) -> None:
        done.append(payload)

    worker = Worker(db, work)
    await worker.enqueue("later", in_s=60)
    worker.jobs.start()
    await asyncio.sleep(0.1)
    assert done == []
    worker.clock.pass_s(60)
    await until(lambda: done == ["later"])
    await worker.jobs.stop()


@on_both
async def test_the_same_key_is_the_same_job_even_when_it_is_done(db: Database) -> None:
    done: list[str] = []

    async def work(payload: str) -> None:
        done.append(payload)

    worker = Worker(db, work)
    assert await worker.enqueue("a", key="k")
    assert not await worker.enqueue("b", key="k")
    worker.jobs.start()
    await until(worker.all_done)
    assert not await worker.enqueue("c", key="k")
    await worker.jobs.stop()
    assert done == ["a"]


async def test_one_that_fails_is_tried_again_later_and_then_given_up(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "LOOK_AGAIN_S", 0.01)
    tries: list[int] = []

    async def work(payload: str) -> None:
        tries.append(worker.clock.at_ms)
        raise ValueError(f"cannot do {payload}")

    worker = Worker(db, work)
    await worker.enqueue("it")
    worker.jobs.start()
    for attempt in range(1, store.MAX_ATTEMPTS + 1):
        await until(lambda attempt=attempt: len(tries) == attempt)  # type: ignore[misc]

        async def settled(attempt: int = attempt) -> bool:
            (row,) = await worker.rows()
            return bool(row.error) and (row.done_ms is not None or row.run_at_ms > worker.clock.at_ms)

        await until(settled)
        await asyncio.sleep(0.03)
        assert len(tries) == attempt  # not before its time
        worker.clock.pass_s(store.back_off_ms(attempt) / 1000)
    await until(worker.all_done)
    await worker.jobs.stop()
    (row,) = await worker.rows()
    assert len(tries) == store.MAX_ATTEMPTS
    assert "ValueError: cannot do it" in row.error
    gaps = [after - before for before, after in itertools.pairwise(tries)]
    assert gaps == sorted(gaps)


async def test_a_kind_that_nobody_handles_is_kept_with_its_error(db: Database) -> None:
    async def work(_: str) -> None: ...

    worker = Worker(db, work)
    await worker.enqueue("x", kind="unheard-of")
    worker.jobs.start()

    async def failed() -> bool:
        return bool((await worker.rows())[0].error)

    await until(failed)
    await worker.jobs.stop()
    assert (await worker.rows())[0].done_ms is None


@on_both
async def test_killed_in_the_middle_it_is_done_by_another_when_the_lease_is_over(db: Database) -> None:
    begun, done = asyncio.Event(), []

    async def hangs(_: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def works(payload: str) -> None:
        done.append(payload)

    clock = TestClock()
    first = Worker(db, hangs, clock)
    await first.enqueue("it")
    first.jobs.start()
    await asyncio.wait_for(begun.wait(), 5)
    await first.jobs.stop()
    second = Worker(db, works, clock)
    second.jobs.start()
    await asyncio.sleep(0.05)
    assert done == []
    clock.pass_s(LEASE_MS / 1000 + 1)
    second.nudge()
    await until(lambda: done == ["it"])
    await until(second.all_done)
    await second.jobs.stop()


@on_both
async def test_two_workers_never_do_the_same_one(db: Database) -> None:
    done: list[str] = []

    async def work(payload: str) -> None:
        done.append(payload)
        await asyncio.sleep(0.001)

    clock = TestClock()
    workers = [Worker(db, work, clock), Worker(db, work, clock)]
    for number in range(30):
        await workers[0].enqueue(str(number))
    for worker in workers:
        worker.jobs.start()
    await until(workers[0].all_done)
    for worker in workers:
        await worker.jobs.stop()
    assert sorted(done, key=int) == [str(number) for number in range(30)]


async def test_a_late_result_of_a_lost_lease_is_refused(db: Database) -> None:
    worker = Worker(db, lambda _: asyncio.sleep(0))
    await worker.enqueue("it")
    async with db.transaction() as tx:
        (old,) = await store.lease(tx, START_MS, LEASE_MS)
    async with db.transaction() as tx:
        (new,) = await store.lease(tx, START_MS + LEASE_MS + 1, LEASE_MS)
    async with db.transaction() as tx:
        assert not await store.complete(tx, old, START_MS)
        assert not await store.fail(tx, old, START_MS, "late")
        assert await store.complete(tx, new, START_MS)


async def test_a_long_one_keeps_its_lease(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "EXTEND_EVERY_S", 0.02)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def long(_: str) -> None:
        begun.set()
        await go_on.wait()

    worker = Worker(db, long)
    await worker.enqueue("it")
    worker.jobs.start()
    await asyncio.wait_for(begun.wait(), 5)
    worker.clock.pass_s(50)
    await asyncio.sleep(0.1)
    assert (await worker.rows())[0].lease_until_ms == START_MS + 50_000 + LEASE_MS
    go_on.set()
    await until(worker.all_done)
    await worker.jobs.stop()
    assert (await worker.rows())[0].attempt == 1


async def test_a_store_that_cannot_write_costs_time_and_no_job(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "LOOK_AGAIN_S", 0.01)
    done: list[str] = []

    async def work(payload: str) -> None:
        done.append(payload)

    faulty = FaultyDatabase(db)
    worker = Worker(faulty, work)
    await worker.enqueue("it")
    faulty.error = DiskFull("no space")
    worker.jobs.start()
    await asyncio.sleep(0.05)
    assert done == []
    faulty.error = None
    await until(worker.all_done)
    await worker.jobs.stop()
    assert done == ["it"]


async def test_it_ends_even_when_a_job_ends_at_the_same_moment(db: Database) -> None:
    worker = Worker(db, lambda _: asyncio.sleep(0))
    worker.jobs.start()
    await asyncio.sleep(0.05)
    worker.jobs._nudged.set()
    async with asyncio.timeout(5):
        await worker.jobs.stop()


async def test_only_a_few_run_at_once(db: Database) -> None:
    running = most = 0

    async def work(_: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    worker = Worker(db, work)
    for number in range(20):
        await worker.enqueue(str(number))
    worker.jobs.start()
    await until(worker.all_done)
    await worker.jobs.stop()
    assert 1 < most <= jobs_module.AT_ONCE
