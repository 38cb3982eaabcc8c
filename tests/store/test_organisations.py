"""Organisations, locations, people and their logins, on both databases."""

import asyncio

import pytest

from borne.store import chargers, logins, organisations, people
from borne.store.chargers import NewCharger
from borne.store.db import Conflict, Database

pytestmark = pytest.mark.anyio


async def person(database: Database, email: str = "zoe@demo.test") -> int:
    async with database.transaction() as tx:
        return await people.add_person(
            tx, email=email, name="Zoé", password_hash="h", language=None, operates_installation=False, now_ms=1
        )


async def login(database: Database, person_id: int, token: bytes, expires_ms: int = 1000) -> None:
    async with database.transaction() as tx:
        await logins.start(
            tx, token_hash=token, person_id=person_id, organisation_id=None, now_ms=10, expires_ms=expires_ms,
            address="127.0.0.1", agent="x",
        )  # fmt: skip


async def test_the_first_organisation_is_the_oldest(database: Database) -> None:
    assert await organisations.first(database) is None
    async with database.transaction() as tx:
        first = await organisations.create(tx, name="Zebra", plan="business", now_ms=5)
        await organisations.create(tx, name="Acme", plan="basic", now_ms=1)
    row = await organisations.first(database)
    assert row is not None
    assert (row.id, row.name, row.plan, row.created_ms) == (first, "Zebra", "business", 5)
    named = await organisations.by_name(database, "Acme")
    assert named is not None
    assert named.plan == "basic"
    assert await organisations.by_name(database, "zebra") is None


async def test_locations_are_their_organisations_alone(database: Database) -> None:
    async with database.transaction() as tx:
        place = await organisations.create_location(
            tx, 1, name="Quai", address="1 rue", time_zone="Europe/Paris", now_ms=5
        )
        await organisations.create_location(tx, 2, name="Dock", now_ms=5)
        assert not await organisations.accept_unknown_tags(tx, 2, place, True)
    [row] = await organisations.locations_of(database, 1)
    assert (row.id, row.address, row.time_zone, row.accepts_unknown_tags) == (place, "1 rue", "Europe/Paris", 0)
    async with database.transaction() as tx:
        assert await organisations.accept_unknown_tags(tx, 1, place, True)
    [row] = await organisations.locations_of(database, 1)
    assert row.accepts_unknown_tags == 1


async def test_an_address_has_one_account(database: Database) -> None:
    number = await person(database)
    with pytest.raises(Conflict):
        await person(database)
    async with database.transaction() as tx:
        await people.set_password(tx, number, "new")
    row = await people.by_email(database, "zoe@demo.test")
    assert row is not None
    assert (row.id, row.password_hash, row.disabled) == (number, "new", 0)


async def test_a_login_finds_its_person_until_it_expires_or_ends(database: Database) -> None:
    number = await person(database)
    await login(database, number, b"one")
    await login(database, number, b"two")
    found = await logins.by_token(database, b"one", 999)
    assert found is not None
    assert found.person_id == number
    assert await logins.by_token(database, b"one", 1000) is None
    assert await logins.by_token(database, b"none", 10) is None
    async with database.transaction() as tx:
        await logins.end_others(tx, number, b"two")
    assert await logins.by_token(database, b"one", 10) is None
    assert await logins.by_token(database, b"two", 10) is not None


async def test_a_reset_link_works_once_even_at_once(database: Database) -> None:
    number = await person(database)

    async def use() -> bool:
        async with database.transaction() as tx:
            return await logins.use_reset(tx, b"link", 20)

    async with database.transaction() as tx:
        await logins.offer_reset(tx, b"link", number, 10, 1000)
    assert await logins.reset_person(database, b"link", 20) == number
    assert sorted(await asyncio.gather(*(use() for _ in range(5)))) == [False] * 4 + [True]
    assert await logins.reset_person(database, b"link", 20) is None


async def test_a_persons_roles_places_and_chargers(database: Database) -> None:
    number = await person(database)
    async with database.transaction() as tx:
        mine = await organisations.create(tx, name="Acme", plan="basic", now_ms=1)
        await people.add_membership(tx, person_id=number, organisation_id=mine, role="admin")
        await people.set_locations(tx, person_id=number, organisation_id=mine, location_ids=[4, 5, 4])
        here = await organisations.create_location(tx, mine, name="Here", now_ms=1)
        ids = [
            await chargers.create(tx, NewCharger(organisation_id=mine, location_id=here, name=name, identity=name), 1)
            for name in "ABC"
        ]
        await people.assign(tx, person_id=number, charger_ids=ids[:2])
        await people.assign(tx, person_id=number, charger_ids=ids[1:])
    (row,) = await logins.memberships_of(database, number, 1)
    assert (row.organisation_id, row.role, row.name, row.plan) == (mine, "admin", "Acme", "basic")
    assert sorted(await logins.locations_of(database, number, mine)) == [4, 5]
    assert sorted(await logins.chargers_of(database, number, mine)) == ids
    assert await logins.chargers_of(database, number, mine + 1) == ()
    async with database.transaction() as tx:
        await people.set_locations(tx, person_id=number, organisation_id=mine, location_ids=[])
    assert await logins.locations_of(database, number, mine) == ()
