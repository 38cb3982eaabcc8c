"""Statistics inside a scope, on both databases: no location, charger or person of others is ever in a sum, and any period,
made of months and days, is the sum of its days."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from borne.core.scope import Role, Scope
from borne.core.statistics import EPOCH, NOT_COUNTED, SUMS, Changes, Counted, PricedSlot, first_day, local, month_of
from borne.store import metering, peaks, statistics
from borne.store.db import Database, Row
from borne.store.schema import access_group_chargers
from borne.store.statistics import Chosen

pytestmark = pytest.mark.anyio
MINE, THEIRS = 1, 2
LYON, NANTES, ELSEWHERE = 10, 11, 20
DAY_MS, SLOT_MS = 86_400_000, 900_000
FIRST = date(2025, 1, 1).toordinal() - EPOCH
YEAR = Chosen(from_day=100, until_day=200)
UTC_ZONE = ZoneInfo("UTC")


class Charged(msgspec.Struct, frozen=True):
    """What somebody charged in a slot."""

    organisation_id: int
    location_id: int
    charger_id: int
    person_id: int | None
    slot_ms: int
    energy_wh: int
    zone: ZoneInfo = UTC_ZONE

    @property
    def day(self) -> int:
        return local(self.slot_ms, self.zone).day


async def count(db: Database, charged: Sequence[Charged]) -> None:
    """Write the sums as measuring does, each with the peak of its day."""
    async with db.transaction() as tx:
        for one in charged:
            changes = Changes()
            slot = PricedSlot(one.slot_ms, one.energy_wh, 3_000, 5_000, 6_000, 250_000, solar_wh=one.energy_wh // 3)
            counted = Counted(one.person_id, (slot,), is_unknown=False)
            changes.take(NOT_COUNTED, counted, location_id=one.location_id, charger_id=one.charger_id, zone=one.zone)
            await metering.add_changes(tx, one.organisation_id, changes)
            await note_peak(tx, one)


async def note_peak(tx: object, one: Charged) -> None:
    starts = [
        round(datetime.combine(date.fromordinal(day + EPOCH), datetime.min.time(), one.zone).timestamp() * 1_000)
        for day in (one.day, one.day + 1)
    ]
    await peaks.find(tx, one.organisation_id, one.location_id, one.day, *starts)  # type: ignore[arg-type]


def scope(role: Role = "super-admin", **more: object) -> Scope:
    fields = {"person_id": 7, "person_name": "C", "organisation_id": MINE, "role": role, "plan": "business", **more}
    return Scope(**fields)  # type: ignore[arg-type]


@pytest.fixture
async def filled(database: Database) -> Database:
    await count(
        database,
        [
            Charged(owner, place, place * 10, person_id, day * DAY_MS, energy_wh)
            for owner, place, person_id, day, energy_wh in (
                (MINE, LYON, 7, 100, 300), (MINE, LYON, None, 100, 700), (MINE, LYON, 8, 101, 400),
                (MINE, LYON, None, 101, 100), (MINE, NANTES, None, 101, 200), (THEIRS, ELSEWHERE, 7, 101, 5_000),
                (THEIRS, ELSEWHERE, None, 101, 4_000),
            )
        ],
    )  # fmt: skip
    async with database.transaction() as tx:
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
        return Chosen(from_day=100, until_day=200, **more)

    assert await energy(filled, scope(), Chosen(from_day=101, until_day=102)) == 700
    assert await energy(filled, scope(), chosen(location_id=LYON)) == 1_500
    assert await energy(filled, scope(), chosen(location_id=ELSEWHERE)) == 0
    assert await energy(filled, scope("admin", location_ids=(NANTES,)), chosen(location_id=LYON)) == 0
    assert await energy(filled, scope(), chosen(charger_id=NANTES * 10)) == 200
    assert await energy(filled, scope(), chosen(access_group_id=3)) == 200
    assert await energy(filled, scope(), chosen(person_id=8)) == 400
    assert await energy(filled, scope(), chosen(person_id=8, location_id=NANTES)) == 0
    assert await energy(filled, scope("user"), chosen(person_id=8)) == 300


async def test_a_person_at_a_charger_is_not_answered_wrongly(filled: Database) -> None:
    at_one = Chosen(from_day=100, until_day=200, charger_id=NANTES * 10)
    for who, chosen in ((scope("user"), at_one), (scope(), msgspec.structs.replace(at_one, person_id=8))):
        with pytest.raises(ValueError, match="no sums of a person at a charger"):
            await statistics.sums(filled, who, chosen)
    with pytest.raises(ValueError, match="no sums of a person at a charger"):
        await statistics.by_charger(filled, scope("user"), YEAR)


async def test_groups_add_up_to_the_sums(filled: Database) -> None:
    who = scope()
    for rows in (
        await statistics.by_day(filled, who, YEAR),
        await statistics.by_month(filled, who, YEAR),
        await statistics.by_year(filled, who, YEAR),
        await statistics.by_location(filled, who, YEAR),
        await statistics.by_charger(filled, who, YEAR),
        await statistics.by_hour_of_week(filled, who, 0, 10),
        await statistics.by_slot(filled, who, 0, 10**12),
    ):
        assert sum(row.energy_wh for row in rows) == 1_700
    assert [row.key for row in await statistics.by_location(filled, who, YEAR)] == [LYON, NANTES]
    assert [(row.key, row.energy_wh) for row in await statistics.by_person(filled, who, YEAR)] == [(8, 400), (7, 300)]
    here = scope("operator", location_ids=(NANTES,))
    saturday = 5 * 24  # day 101: the 12th of April 1970 was a Sunday
    assert [row.hour for row in await statistics.by_hour_of_week(filled, here, 0, 10)] == [saturday + 24]
    assert [row.energy_wh for row in await statistics.by_slot(filled, here, 0, 10**12, location_id=LYON)] == []
    assert [row.energy_wh for row in await statistics.by_hour_of_week(filled, who, 0, 10)] == [1_000, 700]


async def test_only_the_most_are_named_and_none_without_anything(filled: Database) -> None:
    assert [row.key for row in await statistics.by_charger(filled, scope(), YEAR, most=1)] == [LYON * 10]
    before = Chosen(from_day=90, until_day=100)  # a month of which all that was charged lies outside
    for ask in (statistics.by_charger, statistics.by_person, statistics.by_location):
        assert await ask(filled, scope(), before) == []
    assert (await statistics.sums(filled, scope(), before)).energy_wh == 0
    assert await statistics.by_month(filled, scope(), before) == []


# ---- any period ----------------------------------------------------------------------------------------------------------


def some_year(chance: random.Random) -> list[Charged]:
    """Two years, in two zones, the chargers of one location used by people of both; with gaps."""
    zones = {LYON: ZoneInfo("Europe/Paris"), NANTES: ZoneInfo("Pacific/Auckland"), ELSEWHERE: UTC_ZONE}
    found = []
    for _ in range(400):
        place = chance.choice((LYON, NANTES, ELSEWHERE))
        slot_ms = (FIRST + chance.randrange(730)) * DAY_MS + chance.randrange(96) * SLOT_MS
        owner = THEIRS if place == ELSEWHERE else MINE
        who = chance.choice((None, 7, 8))
        found.append(
            Charged(owner, place, place * 10 + chance.randrange(3), who, slot_ms, chance.randrange(5_000), zones[place])
        )
    return found


def told(rows: Sequence[Row]) -> dict[int, tuple[int, ...]]:
    return {row.key: tuple(getattr(row, name) for name in SUMS) for row in rows}


def oracle(charged: Sequence[Charged], key: Callable[[Charged], int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, list[int]] = {}
    for one in charged:
        solar_wh = one.energy_wh // 3
        values = (one.energy_wh, 3_000, 5_000, (one.energy_wh - solar_wh) * 250_000, 0, 1, 0, solar_wh)
        sums = found.setdefault(key(one), [0] * len(values))
        sums[:] = [a + b for a, b in zip(sums, values, strict=True)]
    return {one: tuple(sums) for one, sums in found.items()}


def highest(charged: Sequence[Charged]) -> int | None:
    """The most energy of one slot of a location."""
    slots: dict[tuple[int, int], int] = {}
    for one in charged:
        slots[one.location_id, one.slot_ms] = slots.get((one.location_id, one.slot_ms), 0) + one.energy_wh
    return max(slots.values(), default=None)


def some_period(chance: random.Random) -> tuple[int, int]:
    """Days, often at the edges of months, from before the first until after the last that there is."""
    first = FIRST - 40 + chance.randrange(800)
    last = first + chance.choice((0, 1, 15, 29, 30, 31, 60, 365, chance.randrange(800)))
    for end in range(chance.randrange(3)):
        first, last = (first_day(month_of(first)), last) if end else (first, first_day(month_of(last)))
    return first, max(first, last)


async def test_any_period_is_the_sum_of_its_days(database: Database) -> None:
    chance = random.Random(4)
    everything = some_year(chance)
    await count(database, everything)
    async with database.transaction() as tx:
        columns = ("organisation_id", "access_group_id", "charger_id")
        await tx.insert_many(access_group_chargers, columns, [(MINE, 3, LYON * 10), (MINE, 3, NANTES * 10 + 1)])
    for _ in range(60):
        first, end = some_period(chance)
        inside = [one for one in everything if first <= one.day < end and one.organisation_id == MINE]
        await check(database, chance, Chosen(from_day=first, until_day=end), inside)


async def check(db: Database, chance: random.Random, chosen: Chosen, inside: list[Charged]) -> None:
    """Every question about a period, with one thing chosen."""
    kind = chance.choice(("", "location", "charger", "person", "access_group", "user"))
    who = scope("user" if kind == "user" else "super-admin", person_id=8)
    if chance.random() < 0.3:
        who = msgspec.structs.replace(who, location_ids=(LYON,))
        inside = [one for one in inside if one.location_id == LYON]
    values = {"location": NANTES, "charger": LYON * 10 + 1, "person": 7, "access_group": 3}
    if kind in values:
        chosen = msgspec.structs.replace(chosen, **{f"{kind}_id": values[kind]})
    match kind:
        case "location":
            inside = [one for one in inside if one.location_id == NANTES]
        case "charger":
            inside = [one for one in inside if one.charger_id == LYON * 10 + 1]
        case "access_group":
            inside = [one for one in inside if one.charger_id in (LYON * 10, NANTES * 10 + 1)]
        case "person" | "user":
            inside = [one for one in inside if one.person_id == (7 if kind == "person" else 8)]
    sums = await statistics.sums(db, who, chosen)
    everything = oracle(inside, lambda one: 0).get(0, (0,) * len(SUMS))
    assert tuple(getattr(sums, name) for name in SUMS) == everything, (kind, chosen)
    month = await statistics.by_month(db, who, chosen)
    assert told(month) == oracle(inside, lambda one: month_of(one.day)), (kind, chosen)
    assert [row.key for row in month] == sorted(row.key for row in month)
    years = await statistics.by_year(db, who, chosen)
    assert told(years) == oracle(inside, lambda one: 1970 + month_of(one.day) // 12), (kind, chosen)
    assert told(await statistics.by_day(db, who, chosen)) == oracle(inside, lambda one: one.day)
    assert told(await statistics.by_location(db, who, chosen)) == oracle(inside, lambda one: one.location_id)
    if kind in ("", "location", "charger", "access_group"):
        assert told(await statistics.by_charger(db, who, chosen)) == oracle(inside, lambda one: one.charger_id)
    if kind in ("", "location"):
        of_people = [one for one in inside if one.person_id is not None]
        assert told(await statistics.by_person(db, who, chosen)) == oracle(of_people, lambda one: one.person_id or 0)
        assert sums.peak_wh == highest(inside), (kind, chosen)
        assert max((row.peak_wh for row in month), default=None) == highest(inside)
    else:
        assert "peak_wh" not in sums._fields


async def test_the_highest_slot_of_a_month_falls_with_its_day(database: Database) -> None:
    two_days = [Charged(MINE, LYON, 1, None, (FIRST + n) * DAY_MS, 1_000 - 100 * n) for n in range(2)]
    await count(database, two_days)
    high = two_days[0]
    async with database.transaction() as tx:
        changes = Changes()
        before, after = (
            Counted(None, (PricedSlot(high.slot_ms, wh, 3_000, 5_000, 6_000, 250_000),), is_unknown=False)
            for wh in (1_000, 200)
        )
        changes.take(before, after, location_id=LYON, charger_id=1, zone=UTC_ZONE)
        await metering.add_changes(tx, MINE, changes)
        await note_peak(tx, high)
    month = Chosen(from_day=FIRST, until_day=first_day(month_of(FIRST) + 1))
    assert (await statistics.sums(database, scope(), month)).peak_wh == 900


def test_months_begin_where_the_calendar_says() -> None:
    day = date(1999, 11, 1)
    while day < date(2032, 1, 1):
        number = day.toordinal() - EPOCH
        at_ms = round(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1_000)
        assert month_of(number) == local(at_ms, UTC_ZONE).month
        assert (first_day(month_of(number)) == number) == (day.day == 1)
        day += timedelta(days=1)
