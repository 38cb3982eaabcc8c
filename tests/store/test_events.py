"""The timeline, dead letters, and runs of the server, on both databases."""

import pytest

from borne.store import chargers, events, incarnations, organisations
from borne.store.chargers import NewCharger
from borne.store.db import Database

pytestmark = pytest.mark.anyio


async def charger_of(database: Database, name: str) -> tuple[int, int]:
    async with database.transaction() as tx:
        mine = await organisations.create(tx, name=name, plan="basic", now_ms=1)
        place = await organisations.create_location(tx, mine, name="here", now_ms=1)
        new = NewCharger(organisation_id=mine, location_id=place, name=name, identity=name)
        return mine, await chargers.create(tx, new, 1)


async def test_a_timeline_is_read_newest_first_and_page_by_page(database: Database) -> None:
    mine, charger = await charger_of(database, "a")
    other, others_charger = await charger_of(database, "b")
    async with database.transaction() as tx:
        await events.add_many(tx, [(charger, 1000 + n, "status", f'{{"n":{n}}}') for n in range(30)])
        await events.add_many(tx, [(others_charger, 5000, "booted", "{}")])
    first = await events.of_charger(database, mine, charger, limit=20)
    assert [row.at_ms for row in first] == list(range(1029, 1009, -1))
    assert (first[0].kind, first[0].details) == ("status", '{"n":29}')
    rest = await events.of_charger(database, mine, charger, before_id=first[-1].id)
    assert [row.at_ms for row in rest] == list(range(1009, 999, -1))
    assert await events.of_charger(database, other, charger) == []


async def test_old_lines_are_pruned_a_few_at_a_time(database: Database) -> None:
    mine, charger = await charger_of(database, "a")
    async with database.transaction() as tx:
        await events.add_many(tx, [(charger, n, "status", "{}") for n in range(10)])
        assert await events.prune(tx, 8, limit=5) == 5
        assert await events.prune(tx, 8, limit=5) == 3
        assert await events.prune(tx, 8, limit=5) == 0
    assert [row.at_ms for row in await events.of_charger(database, mine, charger)] == [9, 8]


async def test_what_could_not_be_applied_is_kept(database: Database) -> None:
    async with database.transaction() as tx:
        await events.add_dead_letter(tx, 7, 100, '{"type":"Booted"}', "ValueError: no")
        await events.add_dead_letter(tx, 8, 101, "{}", "later")
    newest = await events.newest_dead_letters(database, 1)
    assert [(row.charger_id, row.at_ms, row.fact, row.error) for row in newest] == [(8, 101, "{}", "later")]


async def test_a_run_knows_how_the_last_one_ended(database: Database) -> None:
    assert await incarnations.last(database) is None
    async with database.transaction() as tx:
        first = await incarnations.begin(tx, 100)
        await incarnations.alive(tx, first, 150)
    crashed = await incarnations.last(database)
    assert crashed is not None
    assert tuple(crashed) == (first, 100, 150, None)
    async with database.transaction() as tx:
        second = await incarnations.begin(tx, 200)
        await incarnations.end(tx, second, 250)
    stopped = await incarnations.last(database)
    assert stopped is not None
    assert tuple(stopped) == (second, 200, 250, 250)
    assert second > first
