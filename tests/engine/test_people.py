"""Members and invitations, two at once on both databases: always a super-admin left, no link used twice, no place taken twice."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import func, select

from borne.bus.memory import MemoryBus
from borne.core.actor import Actor
from borne.core.scope import Role, Scope
from borne.engine import people
from borne.engine.audit import Audit, verify
from borne.engine.invitations import AccountExistsError, Invitations, NewAccount, OverError
from borne.engine.people import Place, RefusedError
from borne.engine.plans import NoRoomError
from borne.store import organisations
from borne.store import people as store
from borne.store.db import Database
from borne.store.invitations import NewInvitation
from borne.store.schema import invitations, memberships
from borne.store.schema import people as people_table
from tests.support.house import on_both

pytestmark = pytest.mark.anyio
NOW_MS = 1_780_000_000_000
ROUNDS = 6  # two requests meet in another order each time


class Still:
    def now_ms(self) -> int:
        return NOW_MS


@dataclass
class Mails:
    tokens: list[str] = field(default_factory=list)

    async def enqueue(self, transaction: Any, *, recipient: str, subject: str, body: str, key: str) -> None:
        self.tokens.append(body)


@dataclass
class Firm:
    """An organisation with two super-admins."""

    db: Database
    audit: Audit
    organisation_id: int = 0
    location_id: int = 0

    def scope(self, person_id: int, role: Role = "super-admin") -> Scope:
        return Scope(
            person_id=person_id, person_name="P", organisation_id=self.organisation_id, role=role, plan="business"
        )

    async def add(self, email: str, role: Role = "super-admin") -> int:
        async with self.db.transaction() as tx:
            person_id = await store.add_person(
                tx,
                email=email,
                name=email,
                password_hash=None,
                language=None,
                operates_installation=False,
                now_ms=NOW_MS,
            )
            await store.add_membership(tx, person_id=person_id, organisation_id=self.organisation_id, role=role)
        return person_id

    async def keepers(self) -> int:
        kept = (
            select(func.count())
            .select_from(memberships)
            .where(
                memberships.c.organisation_id == self.organisation_id,
                memberships.c.role == "super-admin",
                memberships.c.expires_ms.is_(None),
            )
        )
        return int(await self.db.value(kept))

    def act(self, way: str, mine: int, other: int) -> Awaitable[bool]:
        """What one super-admin does to another, or to themself."""
        actor, scope = Actor(mine, "P"), self.scope(mine)
        known = [self.location_id]
        match way:
            case "demote":
                return people.change(self.db, self.audit, actor, scope, other, Place(role="user"), known, NOW_MS)
            case "limit":
                place = Place(role="super-admin", expires_ms=NOW_MS + 1)
                return people.change(self.db, self.audit, actor, scope, other, place, known, NOW_MS)
            case "end":
                return people.end(self.db, self.audit, actor, scope, other, NOW_MS)
            case "remove":
                return people.remove(self.db, self.audit, actor, scope, other, NOW_MS)
        return people.remove(self.db, self.audit, actor, scope, mine, NOW_MS)


@pytest.fixture
async def firm(db: Database) -> Firm:
    found = Firm(db, Audit(b"key", Still()))
    async with db.transaction() as tx:
        found.organisation_id = await organisations.create(tx, name="Firm", plan="business", now_ms=NOW_MS)
        found.location_id = await organisations.create_location(tx, found.organisation_id, name="L", now_ms=NOW_MS)
    return found


@on_both
@pytest.mark.parametrize(
    "ways", [("demote", "demote"), ("leave", "leave"), ("limit", "remove"), ("end", "leave"), ("remove", "demote")]
)
async def test_two_at_once_never_leave_nobody(firm: Firm, ways: tuple[str, str]) -> None:
    for n in range(ROUNDS):
        one, two = await firm.add(f"one{n}@x.test"), await firm.add(f"two{n}@x.test")
        acts = [firm.act(ways[0], one, two), firm.act(ways[1], two, one)]
        done = await asyncio.gather(*(acts if n % 2 else acts[::-1]), return_exceptions=True)
        assert done.count(True) == 1, done
        assert all(isinstance(one, (bool, RefusedError)) for one in done), done
        assert await firm.keepers() == 1, "exactly one of the two is left"
        async with firm.db.transaction() as tx:
            for person_id in (one, two):
                await store.remove_membership(tx, firm.organisation_id, person_id)
    assert (await verify(firm.db, firm.audit)).broken_at is None


@on_both
async def test_whoever_erases_people_is_told_of_the_last(firm: Firm) -> None:
    one, two = await firm.add("one@x.test"), await firm.add("two@x.test")
    driver = await firm.add("driver@x.test", "user")

    async def leaves_nobody(person_id: int) -> bool:
        async with firm.db.transaction() as tx:
            return await people.leaves_nobody(tx, firm.organisation_id, person_id)

    assert not await leaves_nobody(one)
    await firm.act("remove", one, two)
    assert await leaves_nobody(one)
    assert not await leaves_nobody(driver)
    assert not await leaves_nobody(two), "no member any more"


@on_both
async def test_a_disabled_super_admin_keeps_no_house(firm: Firm) -> None:
    from sqlalchemy import update

    one, two = await firm.add("one@x.test"), await firm.add("two@x.test")
    async with firm.db.transaction() as tx:
        await tx.run(update(people_table).where(people_table.c.id == two).values(disabled=1))
    with pytest.raises(RefusedError, match="last"):
        await firm.act("leave", one, two)
    with pytest.raises(RefusedError, match="role"):
        await firm.act("demote", two, one)


@on_both
async def test_a_link_is_used_once(firm: Firm) -> None:
    boss = await firm.add("boss@x.test")
    mails = Mails()
    maker = Invitations(
        firm.db,
        MemoryBus(),
        Still(),
        mails,
        firm.audit,
        lambda row, token: ("", token),  # type: ignore[arg-type]
    )
    for n in range(ROUNDS):
        wanted = [
            NewInvitation(email=f"new{n}@x.test", role="operator", location_ids=(firm.location_id,), tags=("t1",))
        ]
        assert await maker.invite(Actor(boss, "B"), firm.scope(boss), wanted, [firm.location_id]) == {}
        token = mails.tokens[-1]
        who = NewAccount("New", "hash", None)
        done = await asyncio.gather(*(maker.accept(token, who, "") for _ in range(4)), return_exceptions=True)
        assert sorted(type(one).__name__ for one in done) == ["Accepted", "OverError", "OverError", "OverError"], done
        async with firm.db.transaction() as tx:  # the tag is free again, the room too
            made = await store.by_email(tx, f"new{n}@x.test")
            assert made is not None
            await store.remove_membership(tx, firm.organisation_id, made.id)
    with pytest.raises(OverError, match="unknown"):
        await maker.accept("x", NewAccount("N", "h", None), "")


@on_both
async def test_two_invite_the_same_person_at_once(firm: Firm) -> None:
    one, two = await firm.add("one@x.test"), await firm.add("two@x.test")
    maker = Invitations(
        firm.db,
        MemoryBus(),
        Still(),
        Mails(),
        firm.audit,
        lambda row, token: ("", token),  # type: ignore[arg-type]
    )
    wanted = [NewInvitation(email="new@x.test", role="user")]
    done = await asyncio.gather(*(maker.invite(Actor(me, "B"), firm.scope(me), wanted, []) for me in (one, two)))
    assert sorted(map(len, done)) == [0, 1]
    assert await firm.db.value(select(func.count()).select_from(invitations)) == 1


@on_both
async def test_the_last_place_of_a_plan_is_taken_once(firm: Firm) -> None:
    from sqlalchemy import update

    from borne.store.schema import organisations as table

    boss = await firm.add("boss@x.test")
    async with firm.db.transaction() as tx:
        await tx.run(update(table).values(plan="basic"))  # room for ten
    for n in range(8):
        await firm.add(f"p{n}@x.test", "user")
    maker = Invitations(
        firm.db,
        MemoryBus(),
        Still(),
        Mails(),
        firm.audit,
        lambda row, token: ("", token),  # type: ignore[arg-type]
    )
    asks = [
        maker.invite(Actor(boss, "B"), firm.scope(boss), [NewInvitation(email=f"new{n}@x.test", role="user")], [])
        for n in range(2)
    ]
    done = await asyncio.gather(*asks, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["NoRoomError", "dict"]
    assert any(isinstance(one, NoRoomError) for one in done)


@on_both
async def test_an_account_that_came_meanwhile_is_not_taken_over(firm: Firm) -> None:
    boss = await firm.add("boss@x.test")
    mails = Mails()
    maker = Invitations(
        firm.db,
        MemoryBus(),
        Still(),
        mails,
        firm.audit,
        lambda row, token: ("", token),  # type: ignore[arg-type]
    )
    await maker.invite(Actor(boss, "B"), firm.scope(boss), [NewInvitation(email="new@x.test", role="user")], [])
    async with firm.db.transaction() as tx:
        theirs = await store.add_person(
            tx,
            email="new@x.test",
            name="N",
            password_hash=None,
            language=None,
            operates_installation=False,
            now_ms=NOW_MS,
        )
    with pytest.raises(AccountExistsError):
        await maker.accept(mails.tokens[0], NewAccount("Mallory", "h", None), "")
    with pytest.raises(RefusedError):
        await maker.accept(mails.tokens[0], boss, "")
    assert (await maker.accept(mails.tokens[0], theirs, "")).person_id == theirs
