"""Steps of a login, second factors, passkeys and tokens, on both databases."""

import asyncio

import pytest
from sqlalchemy import insert

from borne.store import login_steps, passkeys, second_factor, tokens
from borne.store.db import Conflict, Database
from borne.store.schema import identities, identity_providers, memberships, organisations, people

pytestmark = pytest.mark.anyio
NOW = 1_000_000


async def add_person(database: Database, email: str = "c@a.test", created_ms: int = 0) -> tuple[int, int]:
    """A super-admin, and their organisation."""
    async with database.transaction() as tx:
        person_id = await tx.insert(people, {"email": email, "name": "C", "created_ms": 0})
        organisation_id = await tx.insert(organisations, {"name": "A", "plan": "business", "created_ms": 0})
        row = {
            "person_id": person_id,
            "organisation_id": organisation_id,
            "role": "super-admin",
            "created_ms": created_ms,
        }
        await tx.run(insert(memberships).values(row))
    return person_id, organisation_id


async def test_a_step_is_taken_once_by_its_kind_in_its_time(database: Database) -> None:
    async with database.transaction() as tx:
        await login_steps.add(
            tx, b"one", "second", person_id=7, payload='{"next": "/"}', now_ms=NOW, expires_ms=NOW + 10
        )
        await login_steps.add(tx, b"two", "second", person_id=7, now_ms=NOW, expires_ms=NOW + 10)
    assert await login_steps.find(database, b"one", "passkey", NOW) is None
    assert await login_steps.find(database, b"one", "second", NOW + 10) is None
    found = await login_steps.find(database, b"one", "second", NOW)
    assert found is not None
    assert (found.person_id, found.payload) == (7, '{"next": "/"}')

    async def take() -> bool:
        async with database.transaction() as tx:
            return await login_steps.take(tx, b"one", "second", NOW) is not None

    assert sorted(await asyncio.gather(take(), take())) == [False, True]
    async with database.transaction() as tx:
        await login_steps.end_of(tx, 7)
    assert await login_steps.find(database, b"two", "second", NOW) is None


async def test_a_time_step_is_spent_once_and_never_an_earlier_one(database: Database) -> None:
    person_id, _ = await add_person(database)
    assert not await second_factor.has(database, person_id)
    async with database.transaction() as tx:
        assert not await second_factor.use_step(tx, person_id, 5), "there is no secret"
        assert await second_factor.set_totp(tx, person_id, b"closed", 5)
        assert not await second_factor.set_totp(tx, person_id, b"another", 6)
        assert [await second_factor.use_step(tx, person_id, step) for step in (5, 4, 7, 6, 7, 8)] == [
            False, False, True, False, False, True,
        ]  # fmt: skip
    assert await second_factor.has(database, person_id)
    async with database.transaction() as tx:
        assert await second_factor.remove_totp(tx, person_id)
        assert not await second_factor.remove_totp(tx, person_id)
    assert not await second_factor.has(database, person_id)


async def test_recovery_codes_are_spent_one_by_one(database: Database) -> None:
    person_id, _ = await add_person(database)
    async with database.transaction() as tx:
        await second_factor.set_codes(tx, person_id, [b"a", b"b"])
        assert await second_factor.use_code(tx, person_id, b"a", NOW)
        assert not await second_factor.use_code(tx, person_id, b"a", NOW)
        assert not await second_factor.use_code(tx, person_id + 1, b"b", NOW)
    assert await second_factor.codes_left(database, person_id) == 1
    async with database.transaction() as tx:
        await second_factor.set_codes(tx, person_id, [b"c"])
        assert not await second_factor.use_code(tx, person_id, b"b", NOW)


async def test_a_passkey_counts_up_from_what_was_verified_against(database: Database) -> None:
    person_id, _ = await add_person(database)
    new = {"credential_id": b"id", "public_key": b"key", "sign_count": 3, "name": "Phone", "now_ms": NOW}
    async with database.transaction() as tx:
        await passkeys.add(tx, person_id, **new)
    assert await second_factor.has(database, person_id)
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await passkeys.add(tx, person_id + 1, **new)
    async with database.transaction() as tx:
        assert await passkeys.used(tx, b"id", 3, 4, NOW + 1)
        assert not await passkeys.used(tx, b"id", 3, 5, NOW + 2), "somebody else was faster"
        assert not await passkeys.remove(tx, person_id + 1, b"id")
    (row,) = await passkeys.of_person(database, person_id)
    assert (row.name, row.created_ms, row.used_ms) == ("Phone", NOW, NOW + 1)
    async with database.transaction() as tx:
        await tx.run(people.update().where(people.c.id == person_id).values(disabled=1))
    assert await passkeys.by_id(database, b"id") is None
    async with database.transaction() as tx:
        await second_factor.remove_all(tx, person_id)
    assert not await second_factor.has(database, person_id)


async def test_a_token_lives_as_long_as_its_membership(database: Database) -> None:
    person_id, organisation_id = await add_person(database, created_ms=NOW - 1)
    new = {"person_id": person_id, "organisation_id": organisation_id, "kind": "token", "name": "T", "scopes": ["read"]}
    async with database.transaction() as tx:
        token_id = await tokens.add(tx, **new, token_hash=b"hash", now_ms=NOW, expires_ms=NOW + 100)  # type: ignore[arg-type]
        await tokens.add(tx, **new, token_hash=b"old", now_ms=NOW - 2, expires_ms=None)  # type: ignore[arg-type]
        await tokens.used(tx, organisation_id, token_id, NOW, "192.0.2.1")
    row = await tokens.by_hash(database, b"hash", "token", NOW + 99)
    assert row is not None
    assert (row.role, row.scopes, row.used_address, row.has_second_factor) == (
        "super-admin",
        '["read"]',
        "192.0.2.1",
        0,
    )
    assert await tokens.by_hash(database, b"hash", "token", NOW + 100) is None
    assert await tokens.by_hash(database, b"hash", "password", NOW) is None
    assert await tokens.by_hash(database, b"old", "token", NOW) is None, "of a membership before this one"
    assert [row.id for row in await tokens.of_person(database, person_id)] == [token_id]
    async with database.transaction() as tx:
        assert await tokens.revoke(tx, person_id + 1, token_id) is None
        assert await tokens.revoke(tx, person_id, token_id) is not None
    assert await tokens.by_hash(database, b"hash", "token", NOW) is None


async def test_a_trusted_provider_stands_for_a_second_factor(database: Database) -> None:
    person_id, organisation_id = await add_person(database)
    async with database.transaction() as tx:
        provider = {
            "organisation_id": organisation_id,
            "name": "P",
            "slug": "p",
            "issuer": "i",
            "client_id": "c",
            "created_ms": 0,
        }
        provider_id = await tx.insert(identity_providers, {**provider, "covers_second_factor": 1})
        row = {"provider_id": provider_id, "subject": "s", "person_id": person_id, "created_ms": 0}
        await tx.run(insert(identities).values(row))
        await tokens.add(
            tx, person_id=person_id, organisation_id=organisation_id, kind="token", name="T", token_hash=b"h",
            scopes=[], now_ms=NOW, expires_ms=None,
        )  # fmt: skip
    found = await tokens.by_hash(database, b"h", "token", NOW)
    assert found is not None
    assert found.has_second_factor == 1
    async with database.transaction() as tx:
        await tx.run(identity_providers.update().values(disabled=1))
    found = await tokens.by_hash(database, b"h", "token", NOW)
    assert found is not None
    assert found.has_second_factor == 0
