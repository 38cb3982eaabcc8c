"""Statistics inside a scope, on both databases: no location, charger or person of others is ever in a sum."""

from __future__ import annotations

import pytest

from borne.core.scope import Role, Scope
from borne.core.statistics import SUMS
from borne.store import statistics
from borne.store.db import Database
from borne.store.schema import (
    access_group_chargers,
    charger_days,
    location_days,
    location_hours,
    location_slots,
    person_days,
)
from borne.store.statistics import Chosen

pytestmark = pytest.mark.anyio
MINE, THEIRS = 1, 2
LYON, NANTES, ELSEWHERE = 10, 11, 20
YEAR = Chosen(from_day=100, until_day=200)


def scope(role: Role = "super-admin", **more: object) -> Scope:
    fields = {"person_id": 7, "person_name": "C", "organisation_id": MINE, "role": role, "plan": "business", **more}
    return Scope(**fields)  # type: ignore[arg-type]


def numbers(energy_wh: int) -> tuple[int, ...]:
    return (energy_wh, *range(1, len(SUMS)))


@pytest.fixture
async def filled(database: Database) -> Database:
    days = [(MINE, LYON, 100, 1_000), (MINE, LYON, 101, 500), (MINE, NANTES, 101, 200), (THEIRS, ELSEWHERE, 101, 9_000)]
    async with database.transaction() as tx:
        await tx.add_many(
            location_days,
            ("organisation_id", "location_id", "day"),
            SUMS,
            [(o, p, d, *numbers(e)) for o, p, d, e in days],
        )
        await tx.add_many(
            location_slots, ("organisation_id", "location_id", "slot_ms"), SUMS,
            [(o, p, d * 900_000, *numbers(e)) for o, p, d, e in days],
        )  # fmt: skip
        await tx.add_many(
            location_hours, ("organisation_id", "location_id", "month", "hour"), SUMS,
            [(o, p, 5, d, *numbers(e)) for o, p, d, e in days],
        )  # fmt: skip
        await tx.add_many(
            charger_days, ("organisation_id", "charger_id", "location_id", "day"), SUMS,
            [(o, p * 10, p, d, *numbers(e)) for o, p, d, e in days],
        )  # fmt: skip
        await tx.add_many(
            person_days, ("organisation_id", "person_id", "location_id", "day"), SUMS,
            [
                (MINE, 7, LYON, 100, *numbers(300)),
                (MINE, 8, LYON, 101, *numbers(400)),
                (THEIRS, 7, ELSEWHERE, 101, *numbers(5_000)),
            ],
        )  # fmt: skip
        columns = ("organisation_id", "access_group_id", "charger_id")
        await tx.insert_many(access_group_chargers, columns, [(MINE, 3, NANTES * 10), (THEIRS, 3, LYON * 10)])
    return database


async def energy(db: Database, who: Scope, chosen: Chosen = YEAR) -> int:
    return int((await statistics.sums(db, who, chosen)).energy_wh)


async def test_sums_are_those_of_the_scope(filled: Database) -> None:
    assert await energy(filled, scope()) == 1_700
    assert await energy(filled, scope("admin", location_ids=(NANTES,))) == 200
    assert await energy(filled, scope("admin", location_ids=())) == 0
    assert await energy(filled, scope("user")) == 300, "what they charged themselves, here"


async def test_choices_narrow_a_scope_and_never_widen_it(filled: Database) -> None:
    def chosen(**more: int) -> Chosen:
        return Chosen(from_day=100, until_day=200, **more)  # type: ignore[arg-type]

    assert await energy(filled, scope(), Chosen(from_day=101, until_day=102)) == 700
    assert await energy(filled, scope(), chosen(location_id=LYON)) == 1_500
    assert await energy(filled, scope(), chosen(location_id=ELSEWHERE)) == 0
    assert await energy(filled, scope("admin", location_ids=(NANTES,)), chosen(location_id=LYON)) == 0
    assert await energy(filled, scope(), chosen(charger_id=NANTES * 10)) == 200
    assert await energy(filled, scope(), chosen(access_group_id=3)) == 200
    assert await energy(filled, scope(), chosen(person_id=8)) == 400
    assert await energy(filled, scope("user"), chosen(person_id=8)) == 300


async def test_groups_add_up_to_the_sums(filled: Database) -> None:
    who = scope()
    for rows in (
        await statistics.by_day(filled, who, YEAR),
        await statistics.by_location(filled, who, YEAR),
        await statistics.by_charger(filled, who, YEAR),
        await statistics.by_hour_of_week(filled, who, 0, 10),
        await statistics.by_slot(filled, who, 0, 10**12),
    ):
        assert sum(row.energy_wh for row in rows) == 1_700
    assert [row.key for row in await statistics.by_location(filled, who, YEAR)] == [LYON, NANTES]
    assert [(row.key, row.energy_wh) for row in await statistics.by_person(filled, who, YEAR)] == [(8, 400), (7, 300)]
    here = scope("operator", location_ids=(NANTES,))
    assert [row.hour for row in await statistics.by_hour_of_week(filled, here, 0, 10)] == [101]
    assert [row.energy_wh for row in await statistics.by_slot(filled, here, 0, 10**12, location_id=LYON)] == []
