"""Access groups, assignments, badges and the list of sessions, on both databases: what each scope sees and changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from borne.core.scope import Role, Scope
from borne.core.session import SessionRow
from borne.store import (
    access_groups,
    assignments,
    choice,
    organisations,
    people,
    session_list,
    sessions,
    tag_list,
    tags,
)
from borne.store import chargers as charger_store
from borne.store.access_groups import Counts
from borne.store.chargers import NewCharger
from borne.store.choice import Holder, Wanted
from borne.store.db import Conflict, Database
from borne.store.session_list import Filter
from borne.store.tag_list import NewTag

pytestmark = pytest.mark.anyio
NOW_MS = 1_790_000_000_000


class Estate:
    """Two organisations, two locations in the first, two chargers in each."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.here = self.lyon = self.nantes = self.there = self.away = 0
        self.chargers: dict[str, int] = {}
        self.people: dict[str, int] = {}

    async def fill(self) -> Estate:
        async with self.db.transaction() as tx:
            self.here = await organisations.create(tx, name="Here", plan="business", now_ms=1)
            self.there = await organisations.create(tx, name="There", plan="business", now_ms=1)
            self.lyon = await organisations.create_location(tx, self.here, name="Lyon", now_ms=1)
            self.nantes = await organisations.create_location(tx, self.here, name="Nantes", now_ms=1)
            self.away = await organisations.create_location(tx, self.there, name="Away", now_ms=1)
            for place, organisation_id, location_id in (
                ("Lyon", self.here, self.lyon), ("Nantes", self.here, self.nantes), ("Away", self.there, self.away),
            ):  # fmt: skip
                for number in (1, 2):
                    name = f"{place} {number}"
                    new = NewCharger(
                        organisation_id=organisation_id, location_id=location_id, name=name, identity=name, model="other"
                    )  # fmt: skip
                    self.chargers[name] = await charger_store.create(tx, new, 1)
            for name, role in (
                ("boss", "super-admin"),
                ("ali", "admin"),
                ("zoe", "user"),
                ("bo", "user"),
                ("eve", "user"),
            ):
                organisation_id = self.there if name == "eve" else self.here
                self.people[name] = await people.add_person(
                    tx, email=f"{name}@a.test", name=name.title(), password_hash=None, language=None,
                    operates_installation=False, now_ms=1,
                )  # fmt: skip
                await people.add_membership(tx, person_id=self.people[name], organisation_id=organisation_id, role=role)
        return self

    def scope(self, who: str, role: Role, *locations: int) -> Scope:
        return Scope(
            person_id=self.people[who], person_name=who, organisation_id=self.here, role=role, plan="business",
            location_ids=locations if role in ("admin", "operator") else None,
        )  # fmt: skip

    @property
    def boss(self) -> Scope:
        return self.scope("boss", "super-admin")

    @property
    def ali(self) -> Scope:
        return self.scope("ali", "admin", self.lyon)

    def ids(self, *names: str) -> list[int]:
        return [self.chargers[name] for name in names]

    async def group(self, name: str, chargers: Iterable[str] = (), persons: Iterable[str] = ()) -> int:
        async with self.db.transaction() as tx:
            group_id = await access_groups.add(tx, self.here, name, 1)
            await access_groups.add_chargers(tx, self.here, group_id, self.ids(*chargers))
            await access_groups.add_people(tx, self.here, group_id, [self.people[one] for one in persons])
        return group_id


@pytest.fixture
async def estate(database: Database) -> Estate:
    return await Estate(database).fill()


# ---- groups -------------------------------------------------------------------------------------------------------


async def test_what_a_scope_sees_of_groups(estate: Estate) -> None:
    db = estate.db
    empty, lyon = await estate.group("Empty"), await estate.group("Lyon", ["Lyon 1"], ["zoe"])
    both, nantes = (
        await estate.group("Both", ["Lyon 1", "Nantes 1", "Nantes 2"]),
        await estate.group("Nantes", ["Nantes 1"]),
    )
    assert [row.name for row in await access_groups.listed(db, estate.boss)] == ["Both", "Empty", "Lyon", "Nantes"]
    assert [row.name for row in await access_groups.listed(db, estate.ali)] == ["Both", "Empty", "Lyon"]
    nowhere = estate.scope("ali", "admin")
    assert [row.name for row in await access_groups.listed(db, nowhere)] == ["Empty"]
    assert await access_groups.one(db, estate.ali, nantes) is None
    counts = await access_groups.counts(db, estate.ali, [empty, lyon, both])
    assert counts == {empty: Counts(), lyon: Counts(1, 0, 1), both: Counts(1, 2, 0)}
    assert (await access_groups.counts(db, estate.boss, [both]))[both] == Counts(3, 0, 0)
    stranger = replace(estate.boss, organisation_id=estate.there)
    assert await access_groups.listed(db, stranger) == []
    assert await access_groups.one(db, stranger, both) is None
    assert (await access_groups.counts(db, stranger, [both]))[both] == Counts()


async def test_a_group_is_changed_in_its_organisation_alone(estate: Estate) -> None:
    db, group = estate.db, await estate.group("One", ["Lyon 1"], ["zoe"])
    async with db.transaction() as tx:
        assert await access_groups.hold(tx, estate.there, group) is None
        await access_groups.rename(tx, estate.there, group, "Stolen")
        assert await access_groups.take_chargers(tx, estate.there, group, estate.ids("Lyon 1")) == 0
        assert await access_groups.take_people(tx, estate.there, group, [estate.people["zoe"]]) == 0
        await access_groups.remove(tx, estate.there, group)
        row = await access_groups.hold(tx, estate.here, group)
        assert row is not None
        assert row.name == "One"
        assert await access_groups.add_people(tx, estate.here, group, [estate.people["zoe"], estate.people["bo"]]) == 1
    assert await access_groups.people_of(db, estate.here, group) == sorted([estate.people["zoe"], estate.people["bo"]])
    with pytest.raises(Conflict):
        await estate.group("One")
    async with db.transaction() as tx:
        await access_groups.remove(tx, estate.here, group)
    assert await access_groups.people_of(db, estate.here, group) == []


# ---- choosing -------------------------------------------------------------------------------------------------------


async def names(estate: Estate, scope: Scope, holder: Holder, held: bool, **wanted: Any) -> list[str]:
    asked = Wanted(held=held, **wanted)
    rows = await choice.charger_rows(estate.db, scope, holder, asked)
    assert await choice.charger_count(estate.db, scope, holder, asked) == len(rows)
    assert await choice.charger_ids(estate.db, scope, holder, asked) == [row.id for row in rows]
    return [row.name for row in rows]


async def test_what_is_held_and_what_could_be(estate: Estate) -> None:
    db, zoe = estate.db, Holder("person", estate.people["zoe"])
    group = Holder("group", await estate.group("G", ["Lyon 1", "Nantes 1"], ["zoe"]))
    async with db.transaction() as tx:
        wanted = estate.ids("Lyon 2", "Nantes 2", "Away 1")
        assert await assignments.add(tx, estate.here, zoe.id, wanted) == 2, "not that of another organisation"
        assert await assignments.hold(tx, estate.here, zoe.id) == "user"
        assert await assignments.hold(tx, estate.there, zoe.id) is None
    assert await names(estate, estate.boss, group, True) == ["Lyon 1", "Nantes 1"]
    assert await names(estate, estate.ali, group, True) == ["Lyon 1"]
    assert await names(estate, estate.ali, group, False) == ["Lyon 2"]
    assert await names(estate, estate.boss, zoe, True) == ["Lyon 2", "Nantes 2"]
    assert await names(estate, estate.boss, zoe, False, words=("nan",)) == ["Nantes 1"]
    assert await names(estate, estate.boss, zoe, False, location_id=estate.lyon) == ["Lyon 1"]
    assert await names(estate, estate.boss, zoe, False, words=("%",)) == []
    assert await choice.count_elsewhere(db, estate.ali, group) == 1
    assert await assignments.elsewhere(db, estate.ali, zoe.id) == 2
    assert await assignments.elsewhere(db, estate.boss, zoe.id) == 0
    everything = list(estate.chargers.values())
    assert set(await choice.chosen_chargers(db, estate.ali, everything)) == set(estate.ids("Lyon 1", "Lyon 2"))
    async with db.transaction() as tx:
        assert await assignments.take(tx, estate.there, zoe.id, everything) == 0
        assert await assignments.take(tx, estate.here, zoe.id, everything) == 2
    (row,) = await assignments.groups(db, estate.here, zoe.id)
    assert tuple(row) == (group.id, "G", 2)


async def test_who_is_in_a_group_and_who_could_be(estate: Estate) -> None:
    db, group = estate.db, await estate.group("G", [], ["zoe"])
    for held, found in ((True, ["Zoe"]), (False, ["Bo"])):
        asked = Wanted(held=held)
        rows = await choice.person_rows(db, estate.boss, group, asked, NOW_MS)
        assert [row.name for row in rows] == found
        assert await choice.person_count(db, estate.boss, group, asked, NOW_MS) == 1
        assert await choice.person_ids(db, estate.boss, group, asked, NOW_MS) == [rows[0].id]
    chosen = await choice.chosen_people(db, estate.boss, list(estate.people.values()), NOW_MS)
    assert set(chosen) == {estate.people["zoe"], estate.people["bo"]}


# ---- badges ---------------------------------------------------------------------------------------------------------


async def test_badges_by_state_words_and_scope(estate: Estate) -> None:
    db, zoe, bo = estate.db, estate.people["zoe"], estate.people["bo"]
    async with db.transaction() as tx:
        new = [
            NewTag(tag="a", person_id=zoe, name="Blue 100%"), NewTag(tag="b", person_id=bo, expires_ms=NOW_MS),
            NewTag(tag="c"), NewTag(tag="d", person_id=estate.people["boss"]), NewTag(tag="e", person_id=bo),
        ]  # fmt: skip
        assert await tag_list.add(tx, estate.here, new, NOW_MS) == 5
        assert await tag_list.add(tx, estate.here, [NewTag(tag="a"), NewTag(tag="f")], NOW_MS) == 1
        assert await tag_list.add(tx, estate.there, [NewTag(tag="a")], NOW_MS) == 1
        await tag_list.block(tx, estate.here, "e", True)
        await tag_list.block(tx, estate.there, "f", True)
        await assignments.add(tx, estate.here, bo, estate.ids("Lyon 1", "Nantes 1"))

    async def found(scope: Scope, **chosen: Any) -> str:
        rows = await tag_list.page(db, scope, tag_list.Filter(**chosen), NOW_MS)
        return "".join(row.tag for row in rows)

    assert await found(estate.boss) == "abcdef"
    assert [await found(estate.boss, state=one) for one in ("accepted", "blocked", "expired", "unassigned")] == [
        "ad", "e", "b", "cf",
    ]  # fmt: skip
    assert [await found(estate.boss, words=(one,)) for one in ("zoe", "100%", "blue", "_")] == ["a", "a", "a", ""]
    assert await found(estate.ali) == "bcef", "Zoe charges nowhere"
    assert [await tag_list.one(db, estate.ali, "a"), await tag_list.of_person(db, estate.ali, zoe)] == [None, []]
    async with db.transaction() as tx:
        await assignments.add(tx, estate.here, zoe, estate.ids("Lyon 1"))
    assert await found(estate.ali) == "abcef"
    rows = {tag: await tag_list.one(db, estate.ali, tag) for tag in "abcdef"}
    seen = {tag: bool(row.may_change) for tag, row in rows.items() if row is not None}
    assert seen == {"a": True, "b": False, "c": False, "e": False, "f": False}
    nantes = estate.scope("ali", "admin", estate.nantes, estate.lyon)
    row = await tag_list.one(db, nantes, "B")
    assert row is not None
    assert (row.owner, row.role, bool(row.may_change)) == ("Bo", "user", True)
    emails = [f"{name}@a.test" for name in estate.people]
    assert sorted(await tag_list.owners(db, estate.boss, emails, NOW_MS)) == sorted(emails[:4])
    assert sorted(await tag_list.owners(db, estate.ali, emails, NOW_MS)) == ["ali@a.test", "zoe@a.test"]
    assert await tag_list.owner(db, estate.ali, bo, NOW_MS) is None
    assert [row.name for row in await tag_list.named(db, estate.boss, ("z",), NOW_MS)] == ["Zoe"]
    assert [row.tag for row in await tag_list.of_person(db, estate.boss, bo)] == ["b", "e"]
    assert [row.tag for row in await tag_list.own(db, estate.scope("zoe", "user"))] == ["a"]


async def test_places_that_take_any_tag(estate: Estate) -> None:
    async with estate.db.transaction() as tx:
        await organisations.accept_unknown_tags(tx, estate.here, estate.lyon, True)
        await organisations.accept_unknown_tags(tx, estate.there, estate.away, True)
    places = [estate.lyon, estate.nantes, estate.away]
    assert await tags.places_taking_any(estate.db, estate.here, places) == {estate.lyon}


# ---- sessions -------------------------------------------------------------------------------------------------------


async def add_session(
    estate: Estate, charger: str, started_ms: int, ended_ms: int | None, who: str | None = None
) -> int:
    here = estate.there if charger.startswith("Away") else estate.here
    place = {"L": estate.lyon, "N": estate.nantes, "A": estate.away}[charger[0]]
    async with estate.db.transaction() as tx:
        made = await sessions.create(
            tx, charger_id=estate.chargers[charger], organisation_id=here, location_id=place, evse=1, connector=1,
            transaction=str(started_ms), start_key=f"k{started_ms}", tag="CARD", person_id=estate.people[who] if who else None,
            started_ms=started_ms, device_started_ms=None, meter_start_wh=5,
        )  # fmt: skip
        if ended_ms is not None:
            row = SessionRow(made, 1, 1, str(started_ms), started_ms, "CARD", ended_ms=ended_ms, meter_stop_wh=9)
            await sessions.save(tx, row)
    return made


async def test_sessions_that_run_come_first_then_the_newest(estate: Estate) -> None:
    db = estate.db
    ids = [
        await add_session(estate, "Lyon 1", number * 10, None if number % 3 == 0 else number * 10 + 5, "zoe")
        for number in range(1, 11)
    ]
    running, over = [ids[n] for n in (8, 5, 2)], [ids[n] for n in (9, 7, 6, 4, 3, 1, 0)]
    for limit in (1, 2, 3, 4, 10, 11):
        found: list[int] = []
        older: str | None = ""
        while older is not None:
            page = await session_list.page(db, estate.boss, Filter(), older, limit)
            assert len(page.rows) <= limit
            found += [row.id for row in page.rows]
            older = page.older
        assert found == running + over, limit
    page = await session_list.page(db, estate.boss, Filter(from_ms=40, to_ms=70))
    assert [row.started_ms for row in page.rows] == [60, 50, 40]
    assert [row.id for row in (await session_list.page(db, estate.boss, Filter(), "nonsense")).rows] == running + over


async def test_whose_sessions_somebody_sees(estate: Estate) -> None:
    db = estate.db
    await add_session(estate, "Lyon 1", 1, 2, "zoe")
    await add_session(estate, "Lyon 1", 3, 4, "bo")
    await add_session(estate, "Nantes 1", 5, None, "zoe")
    await add_session(estate, "Lyon 2", 7, 8)
    await add_session(estate, "Away 1", 9, 10, "eve")

    async def seen(scope: Scope, **wanted: Any) -> list[int]:
        return [row.started_ms for row in (await session_list.page(db, scope, Filter(**wanted))).rows]

    zoe = estate.scope("zoe", "user")
    assert await seen(zoe) == [5, 1]
    assert await seen(zoe, person_id=estate.people["bo"]) == []
    assert await seen(zoe, charger_ids=tuple(estate.ids("Lyon 1"))) == [1]
    assert await seen(estate.boss) == [5, 7, 3, 1]
    assert await seen(estate.boss, person_id=estate.people["bo"]) == [3]
    assert await seen(estate.ali) == [7, 3, 1]
    assert await seen(estate.ali, location_id=estate.nantes) == []
    assert await seen(estate.scope("ali", "admin")) == []
    assert await seen(estate.boss, charger_ids=()) == []
    assert [row.started_ms for row in await session_list.running(db, zoe)] == [5]
    assert [row.started_ms for row in await session_list.since(db, zoe, 2)] == [5]
    async with db.transaction() as tx:
        await tags.put(tx, estate.here, "card", name="Blue", person_id=estate.people["bo"])
    rows = (await session_list.page(db, estate.boss, Filter())).rows
    assert await session_list.tag_names(db, estate.boss, rows) == {("card", estate.people["bo"]): "Blue"}
