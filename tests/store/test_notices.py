"""Notices in both databases: who may read which, what waits, what is forgotten."""

from __future__ import annotations

import pytest

from borne.core.scope import Scope
from borne.store import notices as store
from borne.store import troubles
from borne.store.db import Database
from borne.store.notices import PAGE_ROWS

pytestmark = pytest.mark.anyio

NOW_MS = 1_790_000_000_000


def scope(person_id: int = 1, organisation_id: int = 1, **more: object) -> Scope:
    fields = {
        "person_id": person_id,
        "person_name": "",
        "organisation_id": organisation_id,
        "role": "admin",
        "plan": "",
    }
    return Scope(**(fields | more))  # type: ignore[arg-type]


async def add(
    database: Database,
    *keys: str,
    person_id: int = 1,
    organisation_id: int = 1,
    location_id: int = 4,
    charger_id: int | None = 9,
    event: str = "charger_offline",
    in_portal: int = 1,
    mail_ms: int | None = None,
    at_ms: int = NOW_MS,
) -> None:
    rows = [
        (person_id, key, organisation_id, event, at_ms, charger_id, location_id, "{}", in_portal, mail_ms)
        for key in keys
    ]
    async with database.transaction() as tx:
        await store.add(tx, rows)


async def listed(database: Database, who: Scope, *, also_read: bool = True, event: str | None = None) -> list[str]:
    page = await store.page(database, who, also_read=also_read, event=event, skip=0)
    return [row.key for row in page.rows]


async def test_the_unread_come_first_then_the_newest(database: Database) -> None:
    await add(database, "a", "b", "c", "d")
    await add(database, "mailed only", in_portal=0)
    first = (await store.page(database, scope(), also_read=True, event=None, skip=2)).rows[0]
    async with database.transaction() as tx:
        await store.mark_read(tx, scope(), first.id, NOW_MS)
    assert await listed(database, scope()) == ["d", "c", "a", "b"]
    assert await listed(database, scope(), also_read=False) == ["d", "c", "a"]
    assert await store.unread(database, scope()) == 3
    async with database.transaction() as tx:
        await store.mark_all_read(tx, scope(), first.id + 1, NOW_MS + 5)
    assert await listed(database, scope(), also_read=False) == ["d"], "what came since was not seen"
    kept = await store.one(database, scope(), first.id)
    assert kept is not None
    assert kept.read_ms == NOW_MS, "the first time counts"


async def test_a_key_is_told_once(database: Database) -> None:
    await add(database, "a", "b")
    await add(database, "b", "c", at_ms=NOW_MS + 5)
    await add(database, "a", person_id=2)
    assert await listed(database, scope()) == ["c", "b", "a"]
    assert await listed(database, scope(2)) == ["a"]


async def test_nobody_reads_what_they_do_not_reach_today(database: Database) -> None:
    await add(database, "here")
    await add(database, "there", location_id=5, charger_id=8)
    await add(database, "many", charger_id=None)
    await add(database, "elsewhere", organisation_id=2)
    assert await listed(database, scope()) == ["many", "there", "here"]
    assert await listed(database, scope(location_ids=(4,))) == ["many", "here"]
    assert await listed(database, scope(location_ids=())) == []
    assert await listed(database, scope(charger_ids=(8,))) == ["there"]
    assert await listed(database, scope(charger_ids=())) == []
    assert await listed(database, scope(1, 2)) == ["elsewhere"]
    assert await listed(database, scope(2)) == []
    assert await store.unread(database, scope(location_ids=(4,))) == 2
    page = await store.page(database, scope(), also_read=True, event=None, skip=0)
    there = next(row.id for row in page.rows if row.key == "there")
    assert await store.one(database, scope(), there) is not None
    assert await store.one(database, scope(location_ids=(4,)), there) is None
    assert await store.one(database, scope(2), there) is None


async def test_pages_and_events(database: Database) -> None:
    await add(database, *(f"k{n}" for n in range(PAGE_ROWS + 3)))
    await add(database, "failed", event="restart_failed")
    first = await store.page(database, scope(), also_read=True, event=None, skip=0)
    assert (len(first.rows), first.has_more, first.rows[0].key) == (PAGE_ROWS, True, "failed")
    second = await store.page(database, scope(), also_read=True, event=None, skip=PAGE_ROWS)
    assert ([row.key for row in second.rows], second.has_more) == (["k3", "k2", "k1", "k0"], False)
    assert await listed(database, scope(), event="restart_failed") == ["failed"]


async def test_what_waits_for_mail(database: Database) -> None:
    await add(database, "now", mail_ms=NOW_MS)
    await add(database, "later", mail_ms=NOW_MS + 50_000)
    await add(database, "never")
    await add(database, "other", person_id=2, mail_ms=NOW_MS + 50_000)
    assert await store.due_people(database, NOW_MS, 9) == [(1, 1)]
    due = await store.due_of(database, 1, 1, NOW_MS + 60_000)
    assert [row.key for row in due] == ["now", "later"]
    async with database.transaction() as tx:
        await store.hold_mail(tx, 1, 1, [due[0].id], NOW_MS + 99_000)
        await store.hold_mail(tx, 1, 1, [due[1].id], None)
        await store.hold_mail(tx, 2, 1, [due[0].id], None)  # not hers
    assert [row.mail_after_ms for row in await store.due_of(database, 1, 1, NOW_MS + 100_000)] == [NOW_MS + 99_000]


async def test_rules_replace_each_other_also_at_once(database: Database) -> None:
    async with database.transaction() as tx:
        await store.set_rules(tx, 1, 1, [("restart_failed", 1, 0, None), ("charger_offline", 1, 1, 5)])
        await store.set_rules(tx, 1, 2, [("restart_failed", 0, 0, None)])
    async with database.transaction() as tx:
        await store.set_rules(tx, 1, 1, [("restart_failed", 0, 1, None)])
    rows = [(row.event, row.in_portal, row.by_mail, row.minutes) for row in await store.rules(database, 1, 1)]
    assert rows == [("restart_failed", 0, 1, None)]
    async with database.transaction() as tx:
        await store.forget(tx, 1, 1)
    assert (await store.rules(database, 1), len(await store.rules(database, 2))) == ([], 1)


async def test_what_is_old_is_forgotten(database: Database) -> None:
    await add(database, "old", at_ms=NOW_MS - 1)
    await add(database, "new")
    row = (9, 1, "offline", 4, 1, NOW_MS - 1, NOW_MS - 1, 0, "", None, None, None)
    async with database.transaction() as tx:
        await troubles.put(tx, [row, (8, *row[1:5], NOW_MS, NOW_MS, *row[7:])])
    async with database.transaction() as tx:
        assert await store.prune(tx, NOW_MS, 10) == 1
        assert await troubles.prune(tx, NOW_MS, 10) == 1
    assert await listed(database, scope()) == ["new"]
    assert [row.charger_id for row in await troubles.of_chargers(database, [8, 9])] == [8]
