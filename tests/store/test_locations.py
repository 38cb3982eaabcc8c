"""Locations and their chargers, on both databases: each organisation's alone, and found by the name they have now."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from borne.core.scope import Scope
from borne.engine.clock import Clock
from borne.store import charger_changes, charger_imports, charger_places, chargers, organisations, people
from borne.store import locations as store
from borne.store.chargers import NewCharger, UnknownLocationError
from borne.store.db import Conflict, Database
from borne.store.locations import Details, Needs
from borne.store.schema import chargers as table
from borne.store.schema import invitation_locations, invitations

pytestmark = pytest.mark.anyio
NOW_MS = Clock().now_ms()


def scope(organisation_id: int, *location_ids: int) -> Scope:
    return Scope(
        person_id=1, person_name="C", organisation_id=organisation_id, role="admin" if location_ids else "super-admin",
        plan="business", location_ids=location_ids or None,
    )  # fmt: skip


async def place(database: Database, organisation_id: int, name: str = "Quai", **more: object) -> int:
    async with database.transaction() as tx:
        return await store.create(tx, organisation_id, Details(name=name, **more), NOW_MS)  # type: ignore[arg-type]


async def charger(database: Database, organisation_id: int, location_id: int, name: str, **more: object) -> int:
    new = NewCharger(organisation_id=organisation_id, location_id=location_id, name=name, identity=f"id-{name}", **more)  # type: ignore[arg-type]
    async with database.transaction() as tx:
        return await chargers.create(tx, new, NOW_MS)


async def test_details_come_back_as_they_were(database: Database) -> None:
    details = Details(
        name="Dépôt", address="1 rue", time_zone="Europe/Paris", currency="CHF", supply_a=63,
        supply_phases=3, accepts_unknown_tags=True,
    )  # fmt: skip
    async with database.transaction() as tx:
        location_id = await store.create(tx, 1, details, NOW_MS)
    row = await store.row(database, scope(1), location_id)
    assert row is not None
    assert store.details_of(row) == details
    bare = Details(name="Bare", currency="EUR")
    async with database.transaction() as tx:
        await store.describe(tx, 2, location_id, bare)
        kept = await store.hold(tx, 1, location_id)
        assert kept is not None
        assert store.details_of(kept) == details, "another organisation changes nothing"
        await store.describe(tx, 1, location_id, bare)
        assert await store.hold(tx, 2, location_id) is None
    row = await store.row(database, scope(1), location_id)
    assert row is not None
    assert store.details_of(row) == bare


async def test_a_scope_reaches_its_own(database: Database) -> None:
    mine, other, foreign = await place(database, 1), await place(database, 1), await place(database, 2)
    assert {row.id for row in await store.listed(database, scope(1))} == {mine, other}
    assert [row.id for row in await store.listed(database, scope(1, mine))] == [mine]
    assert [row.id for row in await store.rows(database, scope(1), [foreign, other, mine])] == [other, mine]
    assert await store.row(database, scope(1, mine), other) is None
    assert await store.row(database, scope(1), foreign) is None
    assert set(await store.names(database, 2)) == {foreign}


async def test_what_needs_a_location(database: Database) -> None:
    location_id, elsewhere = await place(database, 1), await place(database, 1)
    assert await store.needs(database, 1, location_id, NOW_MS) == Needs()
    await charger(database, 1, location_id, "A")
    async with database.transaction() as tx:
        person_id = await people.add_person(
            tx,
            email="a@b.test",
            name="A",
            password_hash=None,
            language=None,
            operates_installation=False,
            now_ms=NOW_MS,
        )
        await people.add_membership(tx, person_id=person_id, organisation_id=1, role="operator")
        await people.set_locations(tx, person_id=person_id, organisation_id=1, location_ids=[location_id])
        for number, expires_ms in enumerate((NOW_MS + 1000, NOW_MS - 1000)):
            row = {"organisation_id": 1, "email": f"{number}@b.test", "role": "admin", "token_hash": bytes([number]),
                   "person_name": "C", "created_ms": 1, "expires_ms": expires_ms}  # fmt: skip
            invitation_id = await tx.insert(invitations, row)
            columns = ("invitation_id", "organisation_id", "location_id")
            await tx.insert_many(invitation_locations, columns, [(invitation_id, 1, location_id)])
    assert await store.needs(database, 1, location_id, NOW_MS) == Needs(chargers=1, people=1, invitations=1)
    assert await store.needs(database, 2, location_id, NOW_MS) == Needs()
    assert await store.needs(database, 1, elsewhere, NOW_MS) == Needs()
    [one] = await store.staff(database, 1, location_id, NOW_MS, 10)
    assert (one.name, one.role) == ("A", "operator")


async def test_search_follows_the_name_in_slices(database: Database) -> None:
    location_id, other = await place(database, 1, "Lyon"), await place(database, 2, "Lyon")
    ids = [await charger(database, 1, location_id, f"Q{n}", serial="S", model="copper") for n in range(5)]
    foreign = await charger(database, 2, other, "F")
    async with database.transaction() as tx:
        first = await charger_places.name_again(tx, 1, location_id, "Été", most=3)
        rest = await charger_places.name_again(tx, 1, location_id, "Été", after_id=first[-1], most=3)
        assert await charger_places.name_again(tx, 2, location_id, "Été", most=3) == []
    assert first + rest == ids
    for one in ids:
        search = await database.value(select(table.c.search).where(table.c.id == one))
        assert search.endswith(f"s copper ete id-q{ids.index(one)}")
    assert "lyon" in await database.value(select(table.c.search).where(table.c.id == foreign))
    assert set(await charger_places.looks(database, 1, [*ids, foreign])) == set(ids)


async def test_no_charger_is_made_where_its_location_went(database: Database) -> None:
    location_id = await place(database, 1)
    async with database.transaction() as tx:
        await store.remove(tx, 2, location_id)
    await charger(database, 1, location_id, "A")
    gone = await place(database, 1)
    async with database.transaction() as tx:
        await store.remove(tx, 1, gone)
    with pytest.raises(UnknownLocationError):
        await charger(database, 1, gone, "B")


async def test_an_import_is_kept_once(database: Database) -> None:
    location_id = await place(database, 1)

    async def add(*names: str, key: bytes = b"k") -> list[int]:
        new = [
            NewCharger(organisation_id=1, location_id=location_id, name=name, identity=name, serial=name)
            for name in names
        ]
        async with database.transaction() as tx:
            return await charger_imports.add(tx, 1, new, person_id=1, key_hash=key, now_ms=NOW_MS)

    ids = await add("A", "B")
    with pytest.raises(Conflict):
        await add("C")
    with pytest.raises(Conflict):
        await add("D", "A", key=b"other")
    assert await charger_imports.taken_identities(database, ["A", "C", "D"]) == {"A"}
    assert await charger_imports.known_serials(database, 1, ["B", "C"]) == {"B"}
    assert await charger_imports.known_serials(database, 2, ["B"]) == set()
    assert [row.name for row in await charger_imports.added(database, 1, ids[::-1])] == ["B", "A"]
    assert await charger_imports.added(database, 2, ids) == []
    kept = await charger_imports.by_key(database, 1, b"k")
    assert kept is not None
    assert kept.charger_ids == str(ids).replace(" ", "")
    assert await charger_imports.by_key(database, 2, b"k") is None


async def test_a_change_advances_once(database: Database) -> None:
    values = {"person_id": 1, "person_name": "C", "change": "{}", "charger_ids": "[1,2]", "total": 2, "idempotency_key": "k",
              "created_ms": 1}  # fmt: skip
    async with database.transaction() as tx:
        change_id = await charger_changes.create(tx, 1, values)
        row = await charger_changes.hold(tx, 1, change_id)
        assert row is not None
        await charger_changes.advance(tx, row, position=1, changed=1, left_out="[]", ended_ms=None)
        await charger_changes.advance(tx, row, position=2, changed=2, left_out="[]", ended_ms=9)  # from where it was
        assert await charger_changes.hold(tx, 2, change_id) is None
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await charger_changes.create(tx, 1, values)
    assert await charger_changes.by_key(database, 1, "k") == change_id
    assert await charger_changes.by_key(database, 2, "k") is None
    seen = await charger_changes.seen(database, scope(1), change_id)
    assert seen is not None
    assert (seen.position, seen.changed, seen.ended_ms) == (1, 1, None)
    assert await charger_changes.seen(database, scope(2), change_id) is None


async def test_an_organisation_is_described(database: Database) -> None:
    async with database.transaction() as tx:
        mine = await organisations.create(tx, name="A", plan="basic", now_ms=1)
        other = await organisations.create(tx, name="B", plan="basic", now_ms=1)
        await organisations.describe(tx, mine, name="C", requires_second_factor=True)
    rows = [await organisations.by_id(database, one) for one in (mine, other)]
    assert [(row.name, row.requires_second_factor) for row in rows if row] == [("C", 1), ("B", 0)]
