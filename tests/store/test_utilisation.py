"""How long chargers existed, what they and groups of them delivered, and slots of one charger or person, on both databases."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from borne.core.scope import Role, Scope
from borne.core.statistics import NOT_COUNTED, Changes, Counted, PricedSlot, day_start_ms
from borne.store import metering, savings, statistics_groups, statistics_slots, utilisation
from borne.store.db import Database
from borne.store.schema import (
    access_group_chargers,
    access_groups,
    archived_chargers,
    chargers,
    locations,
    session_slots,
    sessions,
)
from borne.store.statistics import Chosen
from tests.support.measured import PARIS

pytestmark = pytest.mark.anyio
MINE, THEIRS = 1, 2
LYON, NANTES, ELSEWHERE = 10, 11, 20
DAY = 20_000
DAY_MS = 86_400_000
FROM_MS, UNTIL_MS = (day_start_ms(day, PARIS) for day in (DAY, DAY + 10))
CHOSEN = Chosen(from_day=DAY, until_day=DAY + 10)
SLOT_MS = 900_000


def scope(role: Role = "super-admin", **more: object) -> Scope:
    fields = {"person_id": 7, "person_name": "C", "organisation_id": MINE, "role": role, "plan": "business", **more}
    return Scope(**fields)  # type: ignore[arg-type]


CHARGERS = (
    (1, MINE, LYON, "supernova-60", FROM_MS - 1), (2, MINE, LYON, "supernova-60", UNTIL_MS - DAY_MS),
    (3, MINE, NANTES, "copper", 0), (4, THEIRS, ELSEWHERE, "supernova-60", 0), (5, MINE, NANTES, "copper", UNTIL_MS),
)  # fmt: skip
GONE = ((6, MINE, LYON, "supernova-60", 0, FROM_MS + DAY_MS), (7, MINE, LYON, "supernova-60", 0, FROM_MS - 1))
ENERGIES = ((1, MINE, LYON, 0, 1_000), (1, MINE, LYON, 9, 500), (3, MINE, NANTES, 3, 200), (6, MINE, LYON, 0, 30),
            (4, THEIRS, ELSEWHERE, 0, 7_000), (1, MINE, LYON, 10, 9_000), (1, MINE, LYON, -1, 9_000))  # fmt: skip


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.transaction() as tx:
        await tx.insert_many(
            locations, ("id", "organisation_id", "name", "created_ms", "supply_phases"),
            [(LYON, MINE, "L", 1, 3), (NANTES, MINE, "N", 1, None), (ELSEWHERE, THEIRS, "E", 1, 1)],
        )  # fmt: skip
        columns = ("id", "organisation_id", "location_id", "model", "created_ms", "name", "identity", "changed_ms")
        await tx.insert_many(chargers, columns, [(*row, "", str(row[0]), 1) for row in CHARGERS])
        columns = ("id", "organisation_id", "location_id", "model", "created_ms", "archived_ms", "name", "identity", "serial",
                   "vendor", "model_name", "person_name", "why")  # fmt: skip
        await tx.insert_many(archived_chargers, columns, [(*row, *("",) * 6, "archived") for row in GONE])
        await tx.insert_many(
            access_groups, ("id", "organisation_id", "name", "created_ms"),
            [(3, MINE, "Vans", 1), (4, MINE, "All", 1), (5, THEIRS, "X", 1)],
        )  # fmt: skip
        columns = ("organisation_id", "access_group_id", "charger_id")
        await tx.insert_many(
            access_group_chargers, columns, [(MINE, 3, 3), (MINE, 4, 3), (MINE, 4, 1), (THEIRS, 5, 4), (THEIRS, 5, 1)]
        )
        for charger_id, organisation_id, location_id, day, energy_wh in ENERGIES:
            changes = Changes()
            slot = PricedSlot(day_start_ms(DAY + day, PARIS), energy_wh, SLOT_MS, SLOT_MS, 0, 100)
            counted = Counted(None, (slot,), False)
            changes.take(NOT_COUNTED, counted, location_id=location_id, charger_id=charger_id, zone=PARIS)
            await metering.add_changes(tx, organisation_id, changes)
    return database


async def existed(db: Database, who: Scope, chosen: Chosen = CHOSEN) -> dict[tuple[str, int | None], tuple[int, int]]:
    """(model, phases): chargers and hours."""
    rows = await utilisation.existed(db, who, chosen, FROM_MS, UNTIL_MS)
    return {(row.model, row.phases): (row.chargers, row.existed_ms // 3_600_000) for row in rows}


async def test_chargers_count_for_the_days_they_existed(filled: Database) -> None:
    assert await existed(filled, scope()) == {("supernova-60", 3): (3, 240 + 24 + 24), ("copper", None): (1, 240)}
    assert await existed(filled, scope("admin", location_ids=(NANTES,))) == {("copper", None): (1, 240)}
    one = Chosen(from_day=DAY, until_day=DAY + 10, charger_id=2)
    assert await existed(filled, scope(), one) == {("supernova-60", 3): (1, 24)}
    group = Chosen(from_day=DAY, until_day=DAY + 10, access_group_id=3)
    assert await existed(filled, scope(), group) == {("copper", None): (1, 240)}


async def test_what_they_delivered(filled: Database) -> None:
    async def delivered(who: Scope, chosen: Chosen = CHOSEN) -> dict[str, int]:
        return {row.model: row.energy_wh for row in await utilisation.delivered(filled, who, chosen)}

    assert await delivered(scope()) == {"supernova-60": 1_530, "copper": 200}
    assert await delivered(scope("admin", location_ids=(NANTES,))) == {"copper": 200}
    assert await delivered(scope(), Chosen(from_day=DAY, until_day=DAY + 1, charger_id=1)) == {"supernova-60": 1_000}


async def test_groups_count_their_chargers(filled: Database) -> None:
    async def by_group(who: Scope) -> list[tuple[str, int]]:
        rows = await statistics_groups.by_access_group(filled, who, CHOSEN)
        return [(row.name, row.energy_wh) for row in rows]

    assert await by_group(scope()) == [("All", 1_700), ("Vans", 200)]
    assert await by_group(scope("admin", location_ids=(NANTES,))) == [("Vans", 200), ("All", 200)]
    assert len(await statistics_groups.by_access_group(filled, scope(), CHOSEN, 1)) == 1
    rows = await statistics_groups.by_access_group(filled, scope(), CHOSEN)
    shown = await statistics_groups.shown_by_access_group(filled, scope(), CHOSEN)
    assert [[getattr(row, name) for name in shown[0]._fields] for row in rows] == [list(row) for row in shown]
    assert set(statistics_groups.SHOWN) < set(shown[0]._fields)


async def test_slots_of_a_charger_a_person_and_ones_own(database: Database) -> None:
    told = (  # session, organisation, location, charger, person
        (1, MINE, LYON, 1, 7), (2, MINE, NANTES, 1, 8), (3, MINE, LYON, 2, 8), (4, THEIRS, ELSEWHERE, 1, 7),
    )  # fmt: skip
    async with database.transaction() as tx:
        await tx.insert_many(
            sessions,
            ("id", "organisation_id", "location_id", "charger_id", "person_id", "evse", "connector", "transaction", "start_key",
             "started_ms", "begun_ms", "over_ms"),
            [(*row, 1, 1, "", str(row[0]), SLOT_MS, SLOT_MS + 5, 4 * SLOT_MS) for row in told],
        )  # fmt: skip
        await tx.insert_many(
            session_slots,
            ("session_id", "slot_ms", "organisation_id", "energy_wh", "charging_ms", "plugged_ms", "peak_w", "price_micros",
             "solar_wh", "feed_in_micros"),
            [(one, n * SLOT_MS, owner, 100 * one, 60, 90, 0, None if n == 3 else 5, 40, 2)
             for one, owner, *_ in told for n in (1, 2, 3, 9)],
        )  # fmt: skip

    async def slots(who: Scope, **chosen: int) -> list[tuple[int, int, int]]:
        rows = await statistics_slots.by_slot(database, who, SLOT_MS, 4 * SLOT_MS, **chosen)
        return [(row.slot_ms // SLOT_MS, row.energy_wh, row.sessions) for row in rows]

    assert await slots(scope(), charger_id=1) == [(1, 300, 2), (2, 300, 0), (3, 300, 0)]
    assert await slots(scope(), person_id=8) == [(1, 500, 2), (2, 500, 0), (3, 500, 0)]
    assert await slots(scope(), person_id=8, location_id=LYON) == [(1, 300, 1), (2, 300, 0), (3, 300, 0)]
    assert await slots(scope("admin", location_ids=(NANTES,)), person_id=8) == [(1, 200, 1), (2, 200, 0), (3, 200, 0)]
    assert await slots(scope("user"), person_id=8) == [(1, 100, 1), (2, 100, 0), (3, 100, 0)], (
        "their own, whatever is asked"
    )
    (first, _, last) = await statistics_slots.by_slot(database, scope("user"), SLOT_MS, 4 * SLOT_MS)
    assert (first.cost_nanos, first.unpriced_wh, first.solar_wh) == (60 * 5 + 40 * 2, 0, 40)
    assert (last.cost_nanos, last.unpriced_wh) == (80, 60)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        (statistics_slots._slots(statistics_slots._Shape(True, False, True, True)), "(charger_id=?"),
        (statistics_slots._slots(statistics_slots._Shape(False, True, True, True)), "(organisation_id=? AND person_id=?"),
        (savings._sums(savings._Shape(own=True, limited=False, location=True)), "(organisation_id=? AND person_id=?"),
    ],
)  # fmt: skip
async def test_one_charger_or_person_is_not_looked_for_among_all(
    database: Database, statement: Any, columns: str
) -> None:
    """SQLite finds its sessions by these columns."""
    bound = re.sub(r"__\[POSTCOMPILE_\w+\]|\?", "1", str(statement.compile(dialect=sqlite.dialect())))
    plan = [row[-1] for row in await database.all(text(f"EXPLAIN QUERY PLAN {bound}"))]
    assert plan[0].startswith("SEARCH sessions")
    assert columns in plan[0]
