"""What only PostgreSQL does: connections that break, and a server that may have other defaults."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, text

from borne.store import postgres
from borne.store.db import Broken, Busy, Database, InDoubt, create_database
from borne.store.migrate import migrate
from borne.store.postgres import PostgresTransaction
from borne.store.schema import readings

pytestmark = pytest.mark.anyio

READING = ("received_ms", "charger_id", "idx", "evse", "connector", "quantity", "value")
COUNT = select(func.count()).select_from(readings)
CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
)


@pytest.fixture
async def database(postgres_database: str) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, postgres_database)
    database = create_database(postgres_database)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def outsider(postgres_database: str) -> AsyncIterator[Database]:
    """Somebody else on the same database."""
    other = create_database(postgres_database)
    await other.open()
    yield other
    await other.close()


async def write(database: Database, number: int) -> None:
    async with database.transaction() as tx:
        await tx.insert_many(readings, READING, [(1000, number, 0, 1, 1, "x", number)])


async def cut(outsider: Database) -> None:
    """Break all connections but the one that asks."""
    await outsider.all(CUT)


async def test_a_connection_lost_in_a_transaction_is_broken_and_the_next_one_works(
    database: Database, outsider: Database
) -> None:
    with pytest.raises(Broken) as lost:
        async with database.transaction() as tx:
            await tx.insert_many(readings, READING, [(1000, 1, 0, 1, 1, "x", 1)])
            await cut(outsider)
            await asyncio.sleep(0.1)
            await tx.insert_many(readings, READING, [(1000, 2, 0, 1, 1, "x", 1)])
    assert not isinstance(lost.value, InDoubt)
    await write(database, 3)
    assert await database.value(COUNT) == 1


SLOW_COMMIT = (
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END'",
    "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON readings DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION slow()",
)


async def test_a_connection_lost_during_commit_is_in_doubt(database: Database, outsider: Database) -> None:
    async with outsider.transaction() as tx:
        for statement in SLOW_COMMIT:
            await tx.run(text(statement))
    writing = asyncio.create_task(write(database, 1))
    await asyncio.sleep(0.3)
    await cut(outsider)
    with pytest.raises(InDoubt):
        await writing


async def test_a_connection_lost_before_commit_is_not(database: Database, outsider: Database) -> None:
    with pytest.raises(Broken, match="before the commit") as lost:
        async with database.transaction() as tx:
            await tx.insert_many(readings, READING, [(1000, 1, 0, 1, 1, "x", 1)])
            await cut(outsider)
            await asyncio.sleep(0.1)
    assert not isinstance(lost.value, InDoubt)
    await write(database, 2)
    assert await database.value(COUNT) == 1


async def test_readers_survive_a_lost_connection(database: Database, outsider: Database) -> None:
    assert await database.value(COUNT) == 0
    await cut(outsider)
    await asyncio.sleep(0.1)
    assert await database.value(COUNT) == 0


async def test_a_row_that_somebody_holds_is_busy_after_a_while(database: Database, outsider: Database) -> None:
    await write(database, 1)
    change = text("UPDATE readings SET value = 5")
    with pytest.raises(Busy):
        async with outsider.transaction() as holder, database.transaction() as tx:
            await holder.run(change)
            await tx.run(text("SET LOCAL lock_timeout = '100ms'"))
            await tx.run(change)


async def test_what_is_acknowledged_is_on_the_disk_whatever_the_servers_default(
    postgres_database: str, outsider: Database
) -> None:
    name = postgres_database.rpartition("/")[2]
    async with outsider.transaction() as tx:
        await tx.run(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    database = create_database(postgres_database)
    await database.open()
    async with database.transaction() as tx:
        assert await tx.value(text("SHOW synchronous_commit")) == "on"
    await database.close()


async def test_a_cancelled_transaction_gives_its_connection_back(database: Database) -> None:
    async def hang() -> None:
        async with database.transaction() as tx:
            await tx.all(text("SELECT pg_sleep(60)"))

    hanging = [asyncio.create_task(hang()) for _ in range(8)]
    await asyncio.sleep(0.2)
    for task in hanging:
        task.cancel()
    results = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    await asyncio.wait_for(asyncio.gather(*(write(database, number) for number in range(8))), 10)
    assert await database.value(COUNT) == 8


async def test_an_unreachable_server_is_said_in_a_sentence() -> None:
    with pytest.raises(Broken, match="PostgreSQL cannot be reached"):
        await create_database("postgresql://borne@127.0.0.1:1/none").open()


async def test_batches_of_lists_share_one_plan(database: Database) -> None:
    assert isinstance(database.transaction(), PostgresTransaction)
    async with database.transaction() as tx:
        for size in (1, 5, 19):
            await tx.insert_many(readings, READING, [(size, n, 0, 1, 1, "x", n) for n in range(size)])
        prepared = await tx.value(
            text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT%readings%'")
        )
    assert prepared == 1


async def test_when_all_connections_are_taken_it_says_so_after_a_while(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "CONNECT_TIMEOUT_S", 0.2)
    async with database.transaction(), database.transaction(), database.transaction(), database.transaction():
        with pytest.raises(Busy, match="no connection"):
            await write(database, 1)
        assert await database.value(COUNT) == 0
    await write(database, 1)
