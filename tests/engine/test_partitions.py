"""Partitions on a real PostgreSQL: made ahead, dropped while chargers go on, and no row fails for want of one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Table, text

from borne.core.facts import Metered
from borne.core.readings import Reading
from borne.engine.partitions import AHEAD_MS, Partitions
from borne.engine.retention import DAY_MS, Kept, Retention
from borne.store import metering
from borne.store import partitions as store
from borne.store.db import Busy, Database, create_database
from borne.store.schema import PARTITIONED, readings, session_messages
from tests.support.house import Small, TestClock

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

WEEK_MS = 7 * DAY_MS
COLUMNS = ("received_ms", "charger_id", "idx", "evse", "connector", "quantity", "value")
EVER = Kept(0, 0, 0, 0, 0, 0)


@pytest.fixture
async def outsider(database_url: str) -> AsyncIterator[Database]:
    """Somebody else on the same database."""
    other = create_database(database_url)
    await other.open()
    yield other
    await other.close()


async def names(db: Database, table: Table = readings) -> list[str]:
    return [one.name.removeprefix(f"{table.name}_") for one in await store.of(db, table)]


async def put(db: Database, *received_ms: int, charger_id: int = 1) -> None:
    async with db.transaction() as tx:
        await tx.insert_many(readings, COLUMNS, [(at_ms, charger_id, 0, 1, 1, "x", 1) for at_ms in received_ms])


async def where(db: Database) -> dict[str, list[int]]:
    """What is received when, by the name of the partition that holds it."""
    found: dict[str, list[int]] = {}
    query = "SELECT tableoid::regclass::text, received_ms FROM readings ORDER BY received_ms"
    for name, at_ms in await db.all(text(query)):
        found.setdefault(name.removeprefix("readings_"), []).append(at_ms)
    return found


def start_of(at_ms: int) -> int:
    return store.start_of(readings, at_ms)


async def test_partitions_are_made_ahead_and_once(db: Database) -> None:
    clock = TestClock()  # 21 September 2026, a Monday
    await Partitions(db, clock).make(clock.at_ms)
    assert {table.name for table in PARTITIONED} == set(store.SPANS_MS)
    expected = ["20260921", "20260928", "20261005", "20261012", "20261019", "rest"]
    assert await names(db) == expected
    assert (await names(db, session_messages))[0] == "20260831"
    again = Partitions(db, clock)
    assert again.lack(clock.at_ms)
    await asyncio.gather(*(again.make(clock.at_ms) for _ in range(2)))
    assert await names(db) == expected
    assert not again.lack(clock.at_ms)
    assert again.lack(clock.at_ms + AHEAD_MS), "made anew before the last one is full"


async def test_a_row_lands_on_its_side_of_a_boundary(db: Database) -> None:
    clock = TestClock()
    await Partitions(db, clock).make(clock.at_ms)
    edge_ms = start_of(clock.at_ms) + WEEK_MS
    await put(db, edge_ms - 1, edge_ms, edge_ms + WEEK_MS - 1)
    assert await where(db) == {"20260921": [edge_ms - 1], "20260928": [edge_ms, edge_ms + WEEK_MS - 1]}


async def test_what_fits_nowhere_is_kept_told_and_moved(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    clock = TestClock()
    partitions = Partitions(db, clock)
    await partitions.make(clock.at_ms)
    past_ms, future_ms, never_ms = clock.at_ms - 400 * DAY_MS, clock.at_ms + 400 * DAY_MS, 2**60
    await put(db, past_ms, past_ms + 1, clock.at_ms, future_ms, never_ms)
    assert (await where(db))["rest"] == [past_ms, past_ms + 1, future_ms, never_ms]
    with caplog.at_level(logging.WARNING):
        await partitions.tidy()
    assert "2 rows of readings had no partition" in caplog.text
    assert await where(db) == {
        "20250811": [past_ms, past_ms + 1], "20260921": [clock.at_ms], "20271025": [future_ms], "rest": [never_ms],
    }  # fmt: skip
    await partitions.tidy()
    assert len(await where(db)) == 4


async def said(small: Small) -> None:
    fact = small.house.fact(
        Metered, small.charger_id, epoch=small.epoch, evse=1, connector=1, transaction=None,
        readings=(Reading("energy_import_wh", 1, None),),
    )  # fmt: skip
    outcome = await small.house.engine.apply(fact)
    assert not outcome.dead


async def test_a_clock_that_leaps_finds_its_partition(small: Small) -> None:
    house = small.house
    house.engine.partitions = Partitions(house.db, house.clock)
    for days in (0, 400, -800, 30, 1):
        house.clock.at_ms += days * DAY_MS
        await said(small)
    found = await where(house.db)
    assert "rest" not in found
    assert len(found) == 4, found


async def test_ingest_goes_on_where_no_partition_can_be_made(small: Small, outsider: Database) -> None:
    """Somebody holds the rest, which every new partition has to look at."""
    house = small.house
    house.engine.partitions = Partitions(house.db, house.clock)
    await said(small)
    async with outsider.transaction() as tx:
        await tx.run(text("LOCK TABLE readings_rest IN SHARE MODE"))
        house.clock.at_ms += 2 * DAY_MS
        await said(small)
    house.clock.at_ms += 60 * DAY_MS
    async with outsider.transaction() as tx:
        await tx.all(text("SELECT * FROM readings_rest"))
        await said(small)
    assert len((await where(house.db))["rest"]) == 1
    await house.engine.partitions.tidy()
    assert "rest" not in await where(house.db)


async def test_old_partitions_go_whole_and_what_is_odd_in_slices(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("borne.engine.retention.SLICE", 2)
    clock = TestClock()
    partitions = Partitions(db, clock)
    weeks = [start_of(clock.at_ms) - n * WEEK_MS for n in range(6)]
    for week_ms in weeks:
        await partitions.make(week_ms)
    await put(db, *(week_ms + hour * 3_600_000 for week_ms in weeks for hour in range(3)))
    clock.at_ms = weeks[0] + 3_600_000
    await put(db, 2**60)
    await Retention(db, clock, Kept(readings_days=14), partitions).once()
    left = await where(db)
    assert list(left) == ["20260907", "20260914", "20260921", "rest"]
    assert len(left["20260907"]) == 3, "a week is dropped when all of it is old"
    assert await store.taken_off(db, readings) == []


async def test_what_was_taken_off_before_a_crash_is_dropped(db: Database) -> None:
    clock = TestClock()
    partitions = Partitions(db, clock)
    await partitions.make(clock.at_ms)
    async with db.transaction() as tx:
        await store.take_off(tx, readings, (await store.of(db, readings))[0])
    assert await store.taken_off(db, readings) == ["gone_readings_20260921"]
    await partitions.drop(readings, 0)
    assert await store.taken_off(db, readings) == []


async def test_nobody_who_writes_waits_while_partitions_come_and_go(db: Database, outsider: Database) -> None:
    """Also not while somebody reads for long, which keeps partitions from being taken off."""
    clock = TestClock()
    partitions = Partitions(db, clock)
    weeks = [start_of(clock.at_ms) - n * WEEK_MS for n in range(12)]
    for week_ms in weeks[::4]:
        await partitions.make(week_ms)
    for week_ms in weeks:
        await put(db, *(week_ms + n for n in range(2_000)))
    written: list[int] = []
    writer = asyncio.create_task(write_on(outsider, clock.at_ms, written))
    reader = create_database(str(db._url))  # type: ignore[attr-defined]
    await reader.open()
    retention = Retention(db, clock, Kept(readings_days=14), partitions)
    try:
        async with reader.transaction() as tx:
            await tx.all(text("SELECT count(*) FROM readings"))
            await retention.once()
            assert len(await names(db)) > 12, "somebody reads them"
        await retention.once()
        for n in range(20, 40):
            await partitions.make(clock.at_ms + n * WEEK_MS)
    finally:
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer  # an error of the writer fails the test
        await reader.close()
    assert (await names(db))[0] == "20260907"
    assert len(written) > 100


async def write_on(db: Database, at_ms: int, written: list[int]) -> None:
    """Ends with an error when a row has to wait for a lock for longer than a fifth of a second."""
    for number in range(1_000_000):
        async with db.transaction() as tx:
            await tx.run(text("SET LOCAL lock_timeout = 200"))
            await tx.insert_many(readings, COLUMNS, [(at_ms, number, 0, 1, 1, "x", 1)])
        written.append(number)
        await asyncio.sleep(0.001)


async def test_taking_off_gives_up_soon(db: Database, outsider: Database) -> None:
    clock = TestClock()
    await Partitions(db, clock).make(clock.at_ms)
    async with outsider.transaction() as other:
        await other.all(text("SELECT 1 FROM readings"))
        began_s = time.monotonic()
        with pytest.raises(Busy):
            async with db.transaction() as tx:
                await store.take_off(tx, readings, (await store.of(db, readings))[0])
        assert time.monotonic() - began_s < 1


async def test_a_long_history_is_answered_in_order(db: Database) -> None:
    """Who reads by time of receipt sees one table."""
    clock = TestClock()
    for n in range(4):
        await Partitions(db, clock).make(clock.at_ms - n * AHEAD_MS)
    times = [clock.at_ms - n * DAY_MS for n in range(100)]
    await put(db, *times)
    rows = await metering.received_between(db, 0, 2**62, 50)
    assert [row.received_ms for row in rows] == sorted(times)[:50]
