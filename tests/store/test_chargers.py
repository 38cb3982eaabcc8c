"""Chargers as people decide about them, on both databases."""

import time

import pytest
from sqlalchemy import func, select

from borne.store import chargers as store
from borne.store import organisations
from borne.store.chargers import Description, NewCharger, UnknownLocationError
from borne.store.db import Conflict, Database
from borne.store.schema import assignments, chargers

pytestmark = pytest.mark.anyio


class Place:
    """Two organisations with a location each."""

    mine: int
    other: int
    location: int
    others_location: int


@pytest.fixture
async def place(database: Database) -> Place:
    place = Place()
    async with database.transaction() as tx:
        place.mine = await organisations.create(tx, name="Mine", plan="business", now_ms=1)
        place.other = await organisations.create(tx, name="Other", plan="basic", now_ms=1)
        place.location = await organisations.create_location(tx, place.mine, name="Entrepôt", now_ms=1)
        place.others_location = await organisations.create_location(tx, place.other, name="Quai", now_ms=1)
    return place


def new(place: Place, identity: str = "cp-1", **others: object) -> NewCharger:
    values = {"organisation_id": place.mine, "location_id": place.location, "name": "Borne 1", "identity": identity}
    return NewCharger(**{**values, **others})  # type: ignore[arg-type]


async def created(database: Database, charger: NewCharger, now_ms: int = 10) -> int:
    async with database.transaction() as tx:
        return await store.create(tx, charger, now_ms)


async def test_a_charger_is_made_with_what_a_search_finds(database: Database, place: Place) -> None:
    number = await created(database, new(place, serial="SN42", model="copper-sb", secret_hash=b"\x00h", ping_s=30))
    row = await store.by_id(database, place.mine, number)
    assert row is not None
    assert (row.name, row.serial, row.secret_hash, row.ping_s, row.settle_s) == ("Borne 1", "SN42", b"\x00h", 30, None)
    assert (row.status, row.version, row.online, row.disabled, row.changed_ms) == ("never", 0, 0, 0, 10)
    for word in ("sn42", "copper sb", "entrepot", "cp-1", "borne 1"):
        assert word in row.search


async def test_an_identity_is_taken_once_in_the_installation(database: Database, place: Place) -> None:
    await created(database, new(place))
    with pytest.raises(Conflict):
        await created(database, new(place, organisation_id=place.other, location_id=place.others_location))


async def test_a_location_of_another_organisation_is_unknown(database: Database, place: Place) -> None:
    with pytest.raises(UnknownLocationError):
        await created(database, new(place, location_id=place.others_location))
    number = await created(database, new(place))
    with pytest.raises(UnknownLocationError):
        async with database.transaction() as tx:
            await store.describe(tx, place.mine, number, Description(name="x", location_id=place.others_location), 20)


async def test_the_directory_follows_what_people_change(database: Database, place: Place) -> None:
    numbers = [await created(database, new(place, f"cp-{n}", settle_s=n)) for n in range(3)]
    assert [row.id for row in await store.directory(database)] == numbers
    assert await store.directory(database, 11) == []
    async with database.transaction() as tx:
        assert await store.set_secret(tx, place.mine, numbers[0], b"new", 20)
        assert await store.set_disabled(tx, place.mine, numbers[1], True, 21)
    changed = await store.directory(database, 20)
    assert [(row.identity, row.secret_hash, row.disabled) for row in changed] == [
        ("cp-0", b"new", 0),
        ("cp-1", None, 1),
    ]
    assert [row.id for row in await store.directory(database, after_id=numbers[0], limit=1)] == [numbers[1]]
    entry = await store.directory_entry(database, numbers[2])
    assert entry == await store.by_identity(database, "cp-2")
    assert entry is not None
    assert (entry.organisation_id, entry.location_id, entry.settle_s, entry.ping_s, entry.model) == (
        place.mine, place.location, 2, None, "other",
    )  # fmt: skip
    assert await store.by_identity(database, "cp-9") is None


async def test_nobody_changes_anothers_charger(database: Database, place: Place) -> None:
    number = await created(database, new(place))
    async with database.transaction() as tx:
        assert not await store.set_secret(tx, place.other, number, b"stolen", 20)
        assert not await store.set_disabled(tx, place.other, number, True, 20)
        what = Description(name="x", location_id=place.others_location)
        assert not await store.describe(tx, place.other, number, what, 20)
        assert not await store.remove(tx, place.other, number)
    assert await store.by_id(database, place.other, number) is None
    row = await store.by_id(database, place.mine, number)
    assert row is not None
    assert (row.name, row.secret_hash, row.disabled, row.changed_ms) == ("Borne 1", None, 0, 10)


async def test_a_description_changes_what_is_found(database: Database, place: Place) -> None:
    number = await created(database, new(place))
    what = Description(
        name="Été", location_id=place.location, serial="S9", model="other", vendor="Acme", model_name="X1"
    )
    async with database.transaction() as tx:
        assert await store.describe(tx, place.mine, number, what, 30)
    row = await store.by_id(database, place.mine, number)
    assert row is not None
    assert (row.name, row.serial, row.vendor, row.model_name, row.changed_ms) == ("Été", "S9", "Acme", "X1", 30)
    assert "acme x1" in row.search
    assert "borne 1" not in row.search


async def test_a_removed_charger_leaves_nothing_to_the_next(database: Database, place: Place) -> None:
    number = await created(database, new(place))
    async with database.transaction() as tx:
        await tx.insert_many(assignments, ("person_id", "charger_id"), [(1, number), (2, number)])
    async with database.transaction() as tx:
        assert await store.remove(tx, place.mine, number)
        assert not await store.remove(tx, place.mine, number)
    assert await database.value(select(func.count()).select_from(assignments)) == 0
    assert await created(database, new(place)) > number


async def test_last_seen_only_goes_forward(database: Database, place: Place) -> None:
    first, second = [await created(database, new(place, f"cp-{n}")) for n in range(2)]
    for rows in ([(first, 50), (second, 60)], [(first, 40), (second, 70)], []):
        async with database.transaction() as tx:
            await store.flush_last_seen(tx, rows)
    found = await database.all(select(chargers.c.last_seen_ms).order_by(chargers.c.id))
    assert [row[0] for row in found] == [50, 70]


@pytest.mark.slow
async def test_a_hundred_thousand_chargers_take_seconds(database: Database, place: Place) -> None:
    many = (new(place, f"cp-{number}", name=f"Borne {number}") for number in range(100_000))
    start = time.perf_counter()
    async with database.transaction() as tx:
        assert await store.create_many(tx, many, 10) == 100_000
    assert time.perf_counter() - start < 60
    assert await database.value(select(func.count()).select_from(chargers)) == 100_000
