"""People, their logins and reset links, mails."""

import pytest

from borne.store import logins, mails, organisations, people
from borne.store.db import Conflict, Database

pytestmark = pytest.mark.anyio
NOW_MS = 1_780_000_000_000
TOKEN, OTHER = b"\x00" * 32, b"\xff" * 32


async def add_person(db: Database, email: str = "a@b.test") -> int:
    async with db.transaction() as tx:
        return await people.add_person(
            tx, email=email, name="A", password_hash="h", language=None, operates_installation=True, now_ms=NOW_MS
        )


async def start(db: Database, person_id: int, token: bytes, *, organisation_id: int | None = None) -> None:
    async with db.transaction() as tx:
        await logins.start(
            tx,
            token_hash=token,
            person_id=person_id,
            organisation_id=organisation_id,
            now_ms=NOW_MS,
            expires_ms=NOW_MS + 1_000,
            address="192.0.2.1",
            agent="Browser",
        )


async def test_people_are_found_by_their_address(database: Database) -> None:
    assert not await people.exist(database)
    person_id = await add_person(database)
    assert await people.exist(database)
    found = await people.by_email(database, "a@b.test")
    assert found is not None
    assert (found.id, found.password_hash, found.disabled, found.language) == (person_id, "h", 0, None)
    assert await people.by_email(database, "A@b.test") is None
    async with database.transaction() as tx:
        await people.set_password(tx, person_id, "new")
        await people.set_language(tx, person_id, "fr")
        await people.set_name(tx, person_id, "B")
    found = await people.by_id(database, person_id)
    assert found is not None
    assert (found.password_hash, found.language, found.name) == ("new", "fr", "B")


async def test_one_address_is_one_account_and_one_setup_wins(database: Database) -> None:
    await add_person(database)
    with pytest.raises(Conflict):
        await add_person(database)
    async with database.transaction() as tx:
        await people.mark_installed(tx, NOW_MS)
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await people.mark_installed(tx, NOW_MS)


async def test_a_login_is_found_until_it_expires_or_ends(database: Database) -> None:
    person_id = await add_person(database)
    await start(database, person_id, TOKEN)
    found = await logins.by_token(database, TOKEN, NOW_MS + 999)
    assert found is not None
    assert (found.person_id, found.email, found.operates_installation) == (person_id, "a@b.test", 1)
    assert await logins.by_token(database, TOKEN, NOW_MS + 1_000) is None
    assert await logins.by_token(database, OTHER, NOW_MS) is None
    async with database.transaction() as tx:
        await logins.seen(tx, TOKEN, NOW_MS + 500, NOW_MS + 5_000)
    assert await logins.by_token(database, TOKEN, NOW_MS + 4_999) is not None
    async with database.transaction() as tx:
        await logins.end(tx, TOKEN)
    assert await logins.by_token(database, TOKEN, NOW_MS) is None


async def test_ends_reach_only_ones_own_logins(database: Database) -> None:
    mine, theirs = await add_person(database), await add_person(database, "c@d.test")
    for person_id, token in ((mine, b"1"), (mine, b"2"), (mine, b"3"), (theirs, b"4")):
        await start(database, person_id, token)
    async with database.transaction() as tx:
        assert await logins.end_one_of(tx, mine, b"4") == 0
        assert await logins.end_one_of(tx, mine, b"3") == 1
        await logins.end_others(tx, mine, b"1")
    assert [row.token_hash for row in await logins.of_person(database, mine, NOW_MS)] == [b"1"]
    assert len(await logins.of_person(database, theirs, NOW_MS)) == 1
    async with database.transaction() as tx:
        await logins.end_others(tx, mine, b"")
    assert await logins.of_person(database, mine, NOW_MS) == []


async def test_memberships_come_with_name_and_plan_by_name(database: Database) -> None:
    person_id = await add_person(database)
    async with database.transaction() as tx:
        for name, plan, role in (("Zoo", "basic", "user"), ("Ark", "business", "admin")):
            organisation_id = await organisations.create(tx, name=name, plan=plan, now_ms=NOW_MS)
            await people.add_membership(tx, person_id=person_id, organisation_id=organisation_id, role=role)
    rows = await logins.memberships_of(database, person_id, NOW_MS)
    assert [(row.name, row.plan, row.role) for row in rows] == [("Ark", "business", "admin"), ("Zoo", "basic", "user")]
    assert await logins.locations_of(database, person_id, rows[0].organisation_id) == ()
    assert await logins.chargers_of(database, person_id, rows[0].organisation_id) == ()


async def test_a_reset_link_works_once_and_the_newest_only(database: Database) -> None:
    person_id = await add_person(database)
    async with database.transaction() as tx:
        await logins.offer_reset(tx, TOKEN, person_id, NOW_MS, NOW_MS + 1_000)
        await logins.offer_reset(tx, OTHER, person_id, NOW_MS, NOW_MS + 1_000)
    assert await logins.reset_person(database, TOKEN, NOW_MS) is None
    assert await logins.reset_person(database, OTHER, NOW_MS) == person_id
    assert await logins.reset_person(database, OTHER, NOW_MS + 1_000) is None
    async with database.transaction() as tx:
        assert not await logins.use_reset(tx, TOKEN, NOW_MS)
        assert await logins.use_reset(tx, OTHER, NOW_MS)
        assert not await logins.use_reset(tx, OTHER, NOW_MS)


async def test_a_mail_loses_its_text_once_it_is_sent(database: Database) -> None:
    async with database.transaction() as tx:
        first = await mails.add(tx, recipient="a@b.test", subject="s", body="secret", now_ms=NOW_MS)
        second = await mails.add(tx, recipient="a@b.test", subject="s", body="kept", now_ms=NOW_MS + 1)
        await mails.mark_failed(tx, first, "no route")
        await mails.mark_sent(tx, first, NOW_MS + 2)
    rows = await mails.newest(database, 10)
    assert [(row.id, row.body, row.sent_ms, row.error) for row in rows] == [
        (second, "kept", None, None),
        (first, "", NOW_MS + 2, None),
    ]
