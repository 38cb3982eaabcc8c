"""Identity providers and whom they know, on both databases; none reaches into another organisation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from borne.store import identity_providers as store
from borne.store import logins, organisations, people
from borne.store.db import Database
from borne.store.schema import identities
from borne.store.schema import logins as login_table

pytestmark = pytest.mark.anyio


class Two:
    """Two organisations with a provider each, and Zoé, who belongs to both."""

    def __init__(self, database: Database) -> None:
        self.db = database
        self.organisations: list[int] = []
        self.providers: list[int] = []
        self.zoe_id = 0

    async def fill(self) -> Two:
        async with self.db.transaction() as tx:
            self.zoe_id = await people.add_person(
                tx, email="zoe@x", name="Zoé", password_hash=None, language=None, operates_installation=False, now_ms=1
            )
            for name in ("One", "Two"):
                organisation_id = await organisations.create(tx, name=name, plan="basic", now_ms=1)
                await people.add_membership(
                    tx, person_id=self.zoe_id, organisation_id=organisation_id, role="user", now_ms=1, expires_ms=None
                )
                provider_id = await store.add(
                    tx, organisation_id, slug=name.lower(), name=f"{name} ID", issuer="https://id", client_id="c",
                    client_secret=None, covers_second_factor=False, now_ms=1,
                )  # fmt: skip
                self.organisations.append(organisation_id)
                self.providers.append(provider_id)
                await store.link(tx, provider_id, "zoe", self.zoe_id, 1)
                await logins.start(
                    tx, token_hash=name.encode(), person_id=self.zoe_id, organisation_id=None, now_ms=1, expires_ms=99,
                    address="", agent="", provider_id=provider_id,
                )  # fmt: skip
        return self

    async def left(self) -> tuple[list[int], list[int]]:
        """Providers of the links, and of the logins, that there are."""
        links = await self.db.all(select(identities.c.provider_id).order_by(identities.c.provider_id))
        rows = await self.db.all(select(login_table.c.provider_id).order_by(login_table.c.provider_id))
        return [row[0] for row in links], [row[0] for row in rows]


@pytest.fixture
async def two(database: Database) -> Two:
    return await Two(database).fill()


async def test_no_function_reaches_a_provider_of_another_organisation(two: Two) -> None:
    here, foreign = two.organisations[0], two.providers[1]
    described: dict[str, Any] = {
        "name": "x",
        "issuer": "x",
        "client_id": "x",
        "client_secret": None,
        "covers_second_factor": True,
    }
    before = await two.left()
    async with two.db.transaction() as tx:
        assert await store.by_id(tx, here, foreign) is None
        assert await store.by_subject(tx, here, foreign, "zoe") is None
        assert not await store.is_linked(tx, here, foreign, two.zoe_id)
        assert await store.linked_count(tx, here, foreign) == 0
        assert await store.forget(tx, here, foreign, "zoe@x") is None
        assert await store.forget_all(tx, here, foreign) == 0
        assert await store.end_logins(tx, here, foreign) == 0
        assert not await store.set_disabled(tx, here, foreign, False)
        assert not await store.describe(tx, here, foreign, **described)
        assert not await store.remove(tx, here, foreign)
    assert await two.left() == before


async def test_a_provider_is_removed_with_whom_it_knows_and_their_logins(two: Two) -> None:
    first, second = two.providers
    async with two.db.transaction() as tx:
        assert await store.remove(tx, two.organisations[0], first)
    assert await two.left() == ([second], [second])


async def test_somebody_is_forgotten_with_their_logins_by_it(two: Two) -> None:
    first, second = two.providers
    async with two.db.transaction() as tx:
        person = await store.forget(tx, two.organisations[0], first, "zoe@x")
    assert person is not None
    assert person.id == two.zoe_id
    assert await two.left() == ([second], [second])


async def test_pages_are_found_by_their_address_while_they_are_on(two: Two) -> None:
    assert await store.by_slug(two.db, "one") is None
    assert await store.offered_to(two.db, "zoe@x", 5) == []
    async with two.db.transaction() as tx:
        await store.set_disabled(tx, two.organisations[0], two.providers[0], False)
    row = await store.by_slug(two.db, "one")
    assert row is not None
    assert (row.id, row.organisation_name) == (two.providers[0], "One")
    assert [tuple(one) for one in await store.offered_to(two.db, "zoe@x", 5)] == [("one", "One ID", "One")]
    assert await store.offered_to(two.db, "nobody@x", 5) == []


async def test_a_login_knows_whether_its_provider_is_there(two: Two) -> None:
    async def found() -> Any:
        return await logins.by_token(two.db, b"One", 5)

    assert (await found()).provider_organisation_id is None
    async with two.db.transaction() as tx:
        await store.set_disabled(tx, two.organisations[0], two.providers[0], False)
    assert (await found()).provider_organisation_id == two.organisations[0]


async def test_one_word_is_one_person_even_at_once(two: Two) -> None:
    async def link(person_id: int) -> bool:
        async with two.db.transaction() as tx:
            return await store.link(tx, two.providers[0], "new", person_id, 1)

    assert sorted(await asyncio.gather(*(link(number) for number in range(5)))) == [False] * 4 + [True]
