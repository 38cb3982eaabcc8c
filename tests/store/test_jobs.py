"""Jobs: leased once, tried again, never done twice by mistake; on both databases."""

import asyncio

import pytest

from borne.store import jobs
from borne.store.db import Database, Row

pytestmark = pytest.mark.anyio


async def put(
    database: Database, kind: str = "mail", run_at_ms: int = 100, key: str | None = None, most: int = 8
) -> bool:
    async with database.transaction() as tx:
        return await jobs.enqueue(tx, kind, '{"a":1}', run_at_ms, idempotency_key=key, max_attempts=most)


async def lease(database: Database, now_ms: int, lease_ms: int = 1000, limit: int = 10) -> list[Row]:
    async with database.transaction() as tx:
        return await jobs.lease(tx, now_ms, lease_ms, limit)


async def test_what_is_due_is_leased_oldest_first(database: Database) -> None:
    for run_at_ms in (300, 100, 200, 900):
        await put(database, run_at_ms=run_at_ms)
    assert await jobs.next_due_ms(database) == 100
    assert await lease(database, 99) == []
    taken = await lease(database, 300, limit=2)
    assert [(job.run_at_ms, job.kind, job.payload, job.attempt, job.max_attempts) for job in taken] == [
        (100, "mail", '{"a":1}', 1, 8),
        (200, "mail", '{"a":1}', 1, 8),
    ]
    assert [job.run_at_ms for job in await lease(database, 300)] == [300]
    assert await lease(database, 300) == []
    assert await jobs.next_due_ms(database) == 900


async def test_a_key_enqueues_once_even_after_it_is_done(database: Database) -> None:
    assert await put(database, key="k")
    assert not await put(database, key="k")
    assert await put(database, kind="batch", key="k")
    assert await put(database)
    assert await put(database)
    for job in await lease(database, 100):
        async with database.transaction() as tx:
            assert await jobs.complete(tx, job, 150)
    assert not await put(database, key="k")
    assert await jobs.next_due_ms(database) is None


async def test_a_job_is_kept_only_if_its_transaction_is(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.transaction() as tx:
            await jobs.enqueue(tx, "mail", "{}", 1)
            raise RuntimeError
    assert await lease(database, 100) == []


async def test_workers_at_once_never_share_a_job(database: Database) -> None:
    for _ in range(40):
        await put(database)
    taken = await asyncio.gather(*(lease(database, 100, limit=5) for _ in range(8)))
    ids = [job.id for jobs_of_one in taken for job in jobs_of_one]
    assert len(ids) == len(set(ids))
    ids += [job.id for job in await lease(database, 100, limit=100)]
    assert len(ids) == len(set(ids)) == 40


async def test_a_lease_that_ran_out_goes_to_another_and_the_late_one_is_refused(database: Database) -> None:
    await put(database)
    [first] = await lease(database, 100, lease_ms=50)
    assert await jobs.next_due_ms(database) == 150
    async with database.transaction() as tx:
        assert await jobs.extend(tx, first, 200)
    assert await lease(database, 199) == []
    [second] = await lease(database, 200)
    assert (second.id, second.attempt) == (first.id, 2)
    async with database.transaction() as tx:
        assert not await jobs.complete(tx, first, 201)
        assert not await jobs.fail(tx, first, 201, "late")
        assert not await jobs.extend(tx, first, 900)
        assert await jobs.complete(tx, second, 201)
        assert not await jobs.complete(tx, second, 202)


async def test_a_failed_job_comes_again_later_each_time_and_then_ends(database: Database) -> None:
    await put(database, most=3)
    now_ms, waits = 100, []
    for _ in range(3):
        [job] = await lease(database, now_ms)
        async with database.transaction() as tx:
            assert await jobs.fail(tx, job, now_ms, "no route " * 1000)
        due_ms = await jobs.next_due_ms(database)
        if due_ms is not None:
            assert await lease(database, due_ms - 1) == []
            waits.append(due_ms - now_ms)
            now_ms = due_ms
    assert waits == [5_000, 10_000]
    assert await lease(database, 10**12) == []


def test_the_back_off_has_a_bound() -> None:
    assert [jobs.back_off_ms(attempt) for attempt in (1, 2, 3, 30, 1000)] == [
        5_000,
        10_000,
        20_000,
        3_600_000,
        3_600_000,
    ]


async def test_only_what_is_done_is_pruned(database: Database) -> None:
    for _ in range(3):
        await put(database)
    [job] = await lease(database, 100, limit=1)
    async with database.transaction() as tx:
        await jobs.complete(tx, job, 200)
        assert await jobs.prune(tx, 200) == 0
        assert await jobs.prune(tx, 201) == 1
    assert len(await lease(database, 100)) == 2
