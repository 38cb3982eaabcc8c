"""The port to the database: the same tests on SQLite and on PostgreSQL."""

import asyncio

import pytest
from sqlalchemy import bindparam, func, select, update

from borne.store.db import BadValue, Conflict, Database, StoreError
from borne.store.schema import chargers, organisations, readings, settings, tags

pytestmark = pytest.mark.anyio

READING = ("received_ms", "charger_id", "idx", "evse", "connector", "quantity", "value")
CHARGER = ("organisation_id", "location_id", "name", "identity", "created_ms", "changed_ms")

BY_ID = select(organisations.c.id, organisations.c.name).where(organisations.c.id == bindparam("id"))
COUNT = select(func.count()).select_from(readings)
SET_VALUE = (
    update(readings)
    .where(readings.c.charger_id == bindparam("charger"))
    .values(value=bindparam("new_value"), raw=bindparam("new_raw"))
)


def reading(number: int) -> tuple[object, ...]:
    return (1000, number, 0, 1, 1, "energy_import_wh", 2**40 + number)


async def add_organisation(database: Database, name: str = "Acme") -> int:
    async with database.transaction() as tx:
        return await tx.insert(organisations, {"name": name, "plan": "basic", "created_ms": 1})


async def test_a_committed_row_is_read_back_by_column_name(database: Database) -> None:
    number = await add_organisation(database)
    row = await database.first(BY_ID, {"id": number})
    assert row is not None
    assert (row.id, row.name) == (number, "Acme") == tuple(row)
    assert await database.value(BY_ID, {"id": number}, fast=True) == number
    assert await database.first(BY_ID, {"id": 99}) is None


async def test_an_exception_rolls_everything_back(database: Database) -> None:
    with pytest.raises(RuntimeError, match="enough"):
        async with database.transaction() as tx:
            await tx.insert_many(readings, READING, [reading(1)])
            raise RuntimeError("enough")
    assert await database.value(COUNT) == 0


@pytest.mark.parametrize("count", [0, 1, 50, 3000])
async def test_batches_of_any_size_arrive_whole(database: Database, count: int) -> None:
    async with database.transaction() as tx:
        await tx.insert_many(readings, READING, [reading(number) for number in range(count)])
        assert await tx.value(COUNT) == count
    total = await database.value(select(func.coalesce(func.sum(readings.c.value), 0)))
    assert total == sum(2**40 + number for number in range(count))
    assert type(total) is int


async def test_ids_come_in_the_order_of_the_rows(database: Database) -> None:
    async with database.transaction() as tx:
        rows = [(1, 1, f"charger {number}", f"id-{number}", 1, 1) for number in range(300)]
        ids = await tx.insert_ids(chargers, CHARGER, rows)
        assert await tx.insert_ids(chargers, CHARGER, []) == []
    named = {row.id: row.identity for row in await database.all(select(chargers.c.id, chargers.c.identity))}
    assert [named[number] for number in ids] == [f"id-{number}" for number in range(300)]


async def test_an_update_changes_only_rows_whose_keys_all_match(database: Database) -> None:
    async with database.transaction() as tx:
        ids = await tx.insert_ids(chargers, CHARGER, [(1, 1, str(n), str(n), 1, 1) for n in range(3)])
        assert await tx.update_many(chargers, ("id", "version"), ("version", "status"), []) == 0
    async with database.transaction() as tx:
        rows = [(ids[0], 0, 1, "ready"), (ids[1], 7, 8, "fault"), (ids[2], 0, 1, "waiting")]
        assert await tx.update_many(chargers, ("id", "version"), ("version", "status"), rows) == 2
    found = await database.all(select(chargers.c.version, chargers.c.status).order_by(chargers.c.id))
    assert [tuple(row) for row in found] == [(1, "ready"), (0, "never"), (1, "waiting")]


async def test_an_update_can_set_a_key_it_looks_for(database: Database) -> None:
    async with database.transaction() as tx:
        [number] = await tx.insert_ids(chargers, CHARGER, [(1, 1, "a", "a", 1, 1)])
        assert await tx.update_many(chargers, ("id",), ("secret_hash", "settle_s"), [(number, b"\x00\xff", None)]) == 1
    row = await database.first(select(chargers.c.secret_hash, chargers.c.settle_s))
    assert row is not None
    assert tuple(row) == (b"\x00\xff", None)


async def test_an_upsert_replaces_or_keeps_and_counts(database: Database) -> None:
    async with database.transaction() as tx:
        assert await tx.upsert_many(settings, ("name",), ("value",), [("a", "1"), ("b", "1")]) == 2
        assert await tx.upsert_many(settings, ("name",), ("value",), [("a", "2")]) == 1
        assert await tx.upsert_many(settings, ("name",), ("value",), [("b", "2"), ("c", "2")], keep=True) == 1
        assert await tx.upsert_many(tags, ("organisation_id", "tag"), (), [(1, "x")], keep=True) == 1
        assert await tx.upsert_many(tags, ("organisation_id", "tag"), (), [(1, "x")], keep=True) == 0
        assert await tx.upsert_many(tags, ("organisation_id", "tag"), (), [], keep=True) == 0
    found = await database.all(select(settings).order_by(settings.c.name))
    assert [tuple(row) for row in found] == [("a", "2"), ("b", "1"), ("c", "2")]


async def test_run_tells_how_many_rows_and_run_many_takes_names(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.insert_many(readings, READING, [reading(number) for number in range(4)])
        assert await tx.run(SET_VALUE, {"charger": 1, "new_value": 5, "new_raw": None}) == 1
        assert await tx.run(SET_VALUE, {"charger": 99, "new_value": 5, "new_raw": None}) == 0
        await tx.run_many(SET_VALUE, [{"charger": n, "new_value": n, "new_raw": str(n)} for n in (2, 3)])
        await tx.run_many(SET_VALUE, [])
    found = await database.all(select(readings.c.value, readings.c.raw).order_by(readings.c.charger_id))
    assert [tuple(row) for row in found[1:]] == [(5, None), (2, "2"), (3, "3")]


async def test_an_in_list_of_any_length(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.insert_many(readings, READING, [reading(number) for number in range(10)])
    wanted = bindparam("wanted", expanding=True)
    chosen = select(readings.c.charger_id).where(
        readings.c.charger_id.in_(wanted), readings.c.evse == bindparam("evse")
    )
    for numbers in ([3], [1, 2, 5], [], list(range(700))):
        found = await database.all(chosen, {"wanted": numbers, "evse": 1})
        assert sorted(row.charger_id for row in found) == [number for number in numbers if number < 10]
    nearly_all = select(readings.c.charger_id).where(readings.c.charger_id.not_in(wanted))
    assert [row[0] for row in await database.all(nearly_all, {"wanted": [0, 1, 2, 3, 4, 6, 7, 8, 9]})] == [5]
    assert await database.all(chosen, {"wanted": list(range(20000, 40000)), "evse": 1}) == []
    literal = await database.all(select(readings.c.charger_id).where(readings.c.charger_id.in_([4, 5])))
    assert sorted(row[0] for row in literal) == [4, 5]


async def test_a_duplicate_key_is_a_conflict_and_ends_the_transaction(database: Database) -> None:
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await tx.insert_many(readings, READING, [reading(1)])
            await tx.insert_many(readings, READING, [reading(1)])
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await tx.insert_many(readings, READING, [reading(1)])
            with pytest.raises(Conflict):
                await tx.insert_many(readings, READING, [reading(1)])
            with pytest.raises(Conflict):
                await tx.insert_many(readings, READING, [reading(2)])
    assert await database.value(COUNT) == 0


POISON = [2**63, object(), "\ud800", None]


@pytest.mark.parametrize("poison", POISON, ids=["too large", "an object", "a surrogate", "null"])
@pytest.mark.parametrize("count", [1, 60])
async def test_a_poison_row_takes_its_batch_and_nothing_else(database: Database, poison: object, count: int) -> None:
    column = "quantity" if isinstance(poison, str) else "evse"
    good = dict(zip(READING, reading(500), strict=True))
    bad = tuple({**good, column: poison}.values())
    with pytest.raises(BadValue):
        async with database.transaction() as tx:
            await tx.insert_many(readings, READING, [*(reading(number) for number in range(count)), bad])
    async with database.transaction() as tx:
        await tx.insert_many(readings, READING, [reading(1)])
    assert await database.value(COUNT) == 1


async def test_a_missing_parameter_is_told_by_name(database: Database) -> None:
    with pytest.raises(BadValue, match="id"):
        await database.first(BY_ID, {"wrong": 1})


async def test_a_transaction_that_is_over_does_nothing_more(database: Database) -> None:
    async with database.transaction() as tx:
        pass
    with pytest.raises(StoreError, match="over"):
        await tx.insert_many(readings, READING, [reading(1)])


async def test_readers_see_only_what_is_committed(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.insert_many(readings, READING, [reading(1)])
        assert await database.value(COUNT) == 0
        assert await database.value(COUNT, fast=True) == 0
    assert await database.value(COUNT, fast=True) == 1


async def test_many_writers_at_once_lose_nothing(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.transaction(urgent=number % 3 == 0) as tx:
            await tx.insert_many(readings, READING, [reading(number)])

    await asyncio.gather(*(write(number) for number in range(60)))
    assert await database.value(COUNT) == 60


async def test_a_cancelled_writer_harms_nobody(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.transaction() as tx:
            await tx.insert_many(readings, READING, [reading(number)])

    for delay in range(12):
        task = asyncio.create_task(write(delay))
        waiting = asyncio.create_task(write(100 + delay))
        for _ in range(delay):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await waiting
    kept = {row[0] for row in await database.all(select(readings.c.charger_id))}
    assert {100 + delay for delay in range(12)} <= kept
