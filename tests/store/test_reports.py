"""Sessions of a month inside a scope, on both databases, and reports of one person alone."""

from __future__ import annotations

import pytest

from borne.core.scope import Role, Scope
from borne.store import reports as store
from borne.store.db import Database
from borne.store.schema import session_slots, sessions

pytestmark = pytest.mark.anyio
MINE, THEIRS = 1, 2
LYON, NANTES, ELSEWHERE = 10, 11, 20
ME, OTHER = 7, 8
FROM_MS, UNTIL_MS = 1_000_000_000, 2_000_000_000


def scope(role: Role = "super-admin", **more: object) -> Scope:
    fields = {"person_id": ME, "person_name": "C", "organisation_id": MINE, "role": role, "plan": "business", **more}
    return Scope(**fields)  # type: ignore[arg-type]


# id, organisation, location, person, begin, end
SESSIONS = (
    (1, MINE, LYON, ME, FROM_MS - 500, FROM_MS + 500),  # over the turn
    (2, MINE, LYON, OTHER, FROM_MS + 1, FROM_MS + 2),
    (3, MINE, NANTES, ME, UNTIL_MS - 1, UNTIL_MS + 1),
    (4, MINE, NANTES, ME, UNTIL_MS, UNTIL_MS + 1),  # after
    (5, MINE, NANTES, ME, FROM_MS - 5, FROM_MS - 1),  # before
    (6, THEIRS, ELSEWHERE, ME, FROM_MS + 1, FROM_MS + 2),
)


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.transaction() as tx:
        for session_id, organisation_id, location_id, person_id, begun_ms, over_ms in SESSIONS:
            row = {
                "id": session_id, "charger_id": 1, "organisation_id": organisation_id, "location_id": location_id,
                "evse": 1, "connector": 1, "transaction": str(session_id), "start_key": str(session_id),
                "person_id": person_id, "measured_person_id": person_id, "started_ms": begun_ms, "begun_ms": begun_ms,
                "over_ms": over_ms, "measured": 1, "energy_wh": 1,
            }  # fmt: skip
            await tx.insert(sessions, row)
        columns = ("session_id", "slot_ms", "organisation_id", "energy_wh", "charging_ms", "plugged_ms", "peak_w")
        rows = [
            (one[0], slot_ms, one[1], 5, 1, 1, 1) for one in SESSIONS for slot_ms in (FROM_MS - 1, FROM_MS, UNTIL_MS)
        ]
        await tx.insert_many(session_slots, columns, rows)
    return database


async def ids(db: Database, who: Scope, **asked: int) -> list[int]:
    return [row.id for row in await store.touching(db, who, FROM_MS, UNTIL_MS, **asked)]


async def test_the_sessions_that_touch_a_month_are_those_of_the_scope(filled: Database) -> None:
    assert await ids(filled, scope()) == [1, 2, 3]
    assert await ids(filled, scope("admin", location_ids=(NANTES,))) == [3]
    assert await ids(filled, scope("admin", location_ids=())) == []
    assert await ids(filled, scope("admin", location_ids=(NANTES,)), location_id=LYON) == []
    assert await ids(filled, scope("user", charger_ids=())) == [1, 3]
    assert await ids(filled, scope("user", charger_ids=()), person_id=OTHER) == [1, 3], (
        "their own, whoever is asked for"
    )
    assert await ids(filled, scope(), location_id=LYON, person_id=OTHER) == [2]
    assert await ids(filled, scope(), after_id=2) == [3]


async def test_slots_are_those_between_and_of_one_organisation(filled: Database) -> None:
    found = await store.slots(filled, MINE, [1, 6], FROM_MS, UNTIL_MS)
    assert [(slot.session_id, slot.slot_ms) for slot in found] == [(1, FROM_MS)]
    assert await store.slots(filled, MINE, [], FROM_MS, UNTIL_MS) == []


async def test_a_report_is_its_readers_alone(filled: Database) -> None:
    async with filled.transaction() as tx:
        for person_id in (ME, OTHER):
            await store.add(tx, MINE, person_id, about="organisation", about_id=None, kind="pdf", next_ms=5, now_ms=1)
    (mine,) = await store.of_person(filled, scope())
    theirs = mine.id + 1
    async with filled.transaction() as tx:
        assert not await store.remove(tx, scope(), theirs)
        assert not await store.remove(tx, scope(organisation_id=THEIRS), mine.id)
        assert await store.remove(tx, scope(), mine.id)
    assert [row.id for row in await store.all_after(filled, 0)] == [theirs]
    assert await store.rule(filled, THEIRS, theirs) is None
