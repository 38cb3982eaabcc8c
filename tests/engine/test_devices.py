"""Devices that change: another one in the place, the archive and back, another organisation."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from borne.core.actor import Actor
from borne.core.charger import ChargerState
from borne.core.facts import LinkOpened, SessionStarted, StatusChanged
from borne.engine.audit import verify
from borne.engine.devices import BadCodeError, Devices, OwnChargerError, code_hash, new_code
from borne.engine.restarts import NewRestart
from borne.store import archived_chargers as archive
from borne.store import audit, handovers, organisations
from borne.store import chargers as store
from borne.store.chargers import Description
from borne.store.schema import archived_chargers, assignments, chargers, restarts, sessions
from borne.store.secrets import matches
from tests.support.house import Small, on_both

KEY = b"k" * 32
CAMILLE, EVE = Actor(1, "Camille", "192.0.2.1"), Actor(9, "Eve", "192.0.2.9")


class Yard:
    """A connected charger of Camille's organisation, and another organisation that might take it."""

    def __init__(self, small: Small) -> None:
        self.small = small
        self.house = small.house
        self.db = small.house.db
        self.charger_id = small.charger_id
        self.organisation_id = small.scope.organisation_id
        self.devices = Devices(self.house.engine, self.house.audit, KEY)
        self.other_id = self.there_id = 0

    async def fill(self) -> Yard:
        async with self.db.transaction() as tx:
            self.other_id = await organisations.create(tx, name="Other", plan="basic", now_ms=0)
            self.there_id = await organisations.create_location(tx, self.other_id, name="There", now_ms=0)
        return self

    async def row(self, charger_id: int | None = None) -> Any:
        return await self.db.first(select(chargers).where(chargers.c.id == (charger_id or self.charger_id)))

    async def what(self) -> Description:
        row = await store.by_id(self.db, self.organisation_id, self.charger_id)
        assert row is not None
        return Description(name=row.name, location_id=row.location_id, serial="NEW-1", model="copper")

    async def archived(self, charger_id: int | None = None) -> Any:
        wanted = charger_id or self.charger_id
        return await self.db.first(select(archived_chargers).where(archived_chargers.c.id == wanted))

    async def verdicts(self) -> list[tuple[str | None, str | None]]:
        rows = await self.db.all(select(restarts.c.verdict, restarts.c.reason).order_by(restarts.c.id))
        return [(row.verdict, row.reason) for row in rows]

    async def actions(self) -> list[tuple[str, int | None]]:
        return [(row.action, row.organisation_id) for row in await audit.following(self.db, 0)]

    def fact(self, kind: Any, **more: Any) -> Any:
        return kind(charger_id=self.charger_id, at_ms=self.house.clock.now_ms(), **more)

    async def start_session(self) -> None:
        epoch = (self.house.engine.room(self.charger_id) or self.fail()).state.epoch
        await self.house.engine.apply(
            self.fact(SessionStarted, epoch=epoch, evse=1, connector=1, tag="T", transaction=None, raw="{}")
        )

    def fail(self) -> Any:
        raise AssertionError("the charger has no room")


@pytest.fixture
async def yard(small: Small) -> Yard:
    return await Yard(small).fill()


# ---- replaced ------------------------------------------------------------------------------------------------------


@on_both
async def test_a_new_device_keeps_the_history_and_nothing_else(yard: Yard) -> None:
    before = await yard.row()
    await yard.start_session()
    when = yard.house.clock.now_ms() + 60_000
    await yard.house.restarts.request(yard.small.scope, yard.charger_id, NewRestart(when=when))
    added = await yard.devices.replace(CAMILLE, yard.organisation_id, yard.charger_id, await yard.what())
    assert added is not None
    row = await yard.row()
    assert (row.serial, row.model, row.identity) == ("NEW-1", "copper", added.identity)
    assert row.identity != before.identity
    assert matches(KEY, added.password, row.secret_hash)
    assert (row.status, row.online, row.last_seen_ms, row.restart_id) == ("never", 0, None, None)
    state = msgspec.json.decode(row.state, type=ChargerState)
    assert state == ChargerState(epoch=state.epoch, before_epoch=state.epoch)
    assert state.epoch > before.epoch
    assert await yard.verdicts() == [("not_sent", "replaced")]
    ended = await yard.db.first(select(sessions.c.ended_ms, sessions.c.end_reason))
    assert ended is not None
    assert ended.ended_ms is not None
    assert [action for action, _ in await yard.actions()][-1] == "charger.replaced"
    assert (await verify(yard.db, yard.house.audit)).broken_at is None


async def test_the_old_device_is_heard_no_more(yard: Yard) -> None:
    """Its link may live a moment longer: what it says belongs to an epoch that is over."""
    epoch = (await yard.row()).epoch
    await yard.devices.replace(CAMILLE, yard.organisation_id, yard.charger_id, await yard.what())
    status = yard.fact(StatusChanged, epoch=epoch, evse=1, connector=1, status="faulted")
    assert (await yard.house.engine.apply(status)).ignored
    assert ("close_link", epoch) in [(hint.topic, hint.id) for hint in yard.house.hints]
    opened = yard.fact(LinkOpened, protocol="2.0.1", address="10.0.0.1", incarnation=1)
    assert ((await yard.house.engine.apply(opened)).epoch or 0) > epoch + 1
    row = await yard.row()
    assert (row.status, row.protocol) == ("ready", "2.0.1")


# ---- archived ------------------------------------------------------------------------------------------------------


@on_both
async def test_archived_and_back(yard: Yard) -> None:
    before = await yard.row()
    when = yard.house.clock.now_ms() + 60_000
    await yard.house.restarts.request(yard.small.scope, yard.charger_id, NewRestart(when=when))
    assert await yard.devices.archive(CAMILLE, yard.organisation_id, yard.charger_id)
    assert await yard.row() is None
    kept = await yard.archived()
    assert (kept.name, kept.identity, kept.why, kept.person_name) == (
        before.name,
        before.identity,
        "archived",
        "Camille",
    )
    assert await yard.verdicts() == [("not_sent", "archived")]
    newest, *_ = await archive.events_of(yard.db, yard.organisation_id, yard.charger_id)
    assert newest.kind == "archived"
    assert await archive.events_of(yard.db, yard.other_id, yard.charger_id) == []
    found = await archive.by_id(yard.db, yard.small.scope, yard.charger_id)
    assert found is not None
    added = await yard.devices.restore(CAMILLE, found, before.location_id)
    assert added is not None
    row = await yard.row()
    assert (row.id, row.name, row.identity, row.status) == (before.id, before.name, before.identity, "never")
    assert matches(KEY, added.password, row.secret_hash)
    opened = yard.fact(LinkOpened, protocol="1.6", address="10.0.0.1", incarnation=1)
    assert ((await yard.house.engine.apply(opened)).epoch or 0) > before.epoch
    assert await yard.archived() is None
    assert await yard.devices.restore(CAMILLE, found, before.location_id) is None
    assert (await verify(yard.db, yard.house.audit)).broken_at is None


async def test_an_identity_taken_meanwhile_is_not_taken_back(yard: Yard) -> None:
    before = await yard.row()
    await yard.devices.archive(CAMILLE, yard.organisation_id, yard.charger_id)
    async with yard.db.transaction() as tx:
        new = store.NewCharger(
            organisation_id=yard.other_id, location_id=yard.there_id, name="N", identity=before.identity
        )
        await store.create(tx, new, 0)
    found = await archive.by_id(yard.db, yard.small.scope, yard.charger_id)
    assert found is not None
    added = await yard.devices.restore(CAMILLE, found, before.location_id)
    assert added is not None
    assert added.identity != before.identity


async def test_another_organisations_charger_is_not_there(yard: Yard) -> None:
    assert not await yard.devices.archive(EVE, yard.other_id, yard.charger_id)
    assert await yard.devices.replace(EVE, yard.other_id, yard.charger_id, await yard.what()) is None
    assert await yard.devices.offer(EVE, yard.other_id, yard.charger_id) is None
    assert not await yard.devices.cancel(EVE, yard.other_id, yard.charger_id)
    assert await yard.row() is not None


async def test_a_deleted_charger_keeps_its_name_in_the_history(yard: Yard) -> None:
    await yard.devices.archive(CAMILLE, yard.organisation_id, yard.charger_id, "deleted")
    kept = await yard.archived()
    assert kept.why == "deleted"
    assert [action for action, _ in await yard.actions()] == ["charger.deleted"]
    assert await yard.devices.restore(CAMILLE, kept, 1) is None


# ---- handed over ---------------------------------------------------------------------------------------------------


@on_both
async def test_the_new_owner_starts_clean_and_the_old_one_keeps_what_was(yard: Yard) -> None:
    before = await yard.row()
    async with yard.db.transaction() as tx:
        await tx.insert_many(assignments, ("person_id", "charger_id"), [(77, yard.charger_id)])
    await yard.start_session()
    when = yard.house.clock.now_ms() + 60_000
    await yard.house.restarts.request(yard.small.scope, yard.charger_id, NewRestart(when=when))
    code = await yard.devices.offer(CAMILLE, yard.organisation_id, yard.charger_id)
    assert code is not None
    new_id = await yard.devices.take(EVE, yard.other_id, yard.there_id, f"  {code.lower().replace('-', ' ')} ")
    assert new_id != yard.charger_id
    row, kept = await yard.row(new_id), await yard.archived()
    assert (row.organisation_id, row.location_id) == (yard.other_id, yard.there_id)
    assert (row.identity, row.secret_hash) == (before.identity, before.secret_hash)
    assert before.name not in (row.name, row.search)
    assert (row.status, row.restart_id) == ("never", None)
    assert (kept.why, kept.organisation_id, kept.name) == ("handed_over", yard.organisation_id, before.name)
    assert await yard.verdicts() == [("not_sent", "handed_over")]
    for table in (sessions, restarts):
        mine = select(func.count()).where(table.c.charger_id == new_id)
        assert await yard.db.value(mine) == 0
        owners = await yard.db.all(select(table.c.organisation_id))
        assert {owner[0] for owner in owners} == {yard.organisation_id}
    assert await yard.db.value(select(func.count()).select_from(assignments)) == 0
    old, new = yard.organisation_id, yard.other_id
    assert (await yard.actions())[-3:] == [
        ("charger.offered", old),
        ("charger.handed_over", old),
        ("charger.taken", new),
    ]
    assert (await verify(yard.db, yard.house.audit)).broken_at is None


@on_both
async def test_of_two_who_take_at_once_one_wins(yard: Yard) -> None:
    code = await yard.devices.offer(CAMILLE, yard.organisation_id, yard.charger_id)
    assert code is not None
    taking = [yard.devices.take(EVE, yard.other_id, yard.there_id, code) for _ in range(4)]
    found = await asyncio.gather(*taking, return_exceptions=True)
    assert [type(one) for one in found if not isinstance(one, int)] == [BadCodeError] * 3
    assert await yard.db.value(select(func.count()).select_from(chargers)) == 1
    assert await yard.db.value(select(func.count()).select_from(archived_chargers)) == 1


async def test_codes_that_do_not_work(yard: Yard) -> None:
    async def take(code: str | None, organisation_id: int | None = None) -> None:
        assert code is not None
        await yard.devices.take(EVE, organisation_id or yard.other_id, yard.there_id, code)

    with pytest.raises(BadCodeError):
        await take(new_code())
    first = await yard.devices.offer(CAMILLE, yard.organisation_id, yard.charger_id)
    second = await yard.devices.offer(CAMILLE, yard.organisation_id, yard.charger_id)
    with pytest.raises(BadCodeError):
        await take(first)
    with pytest.raises(OwnChargerError):
        await take(second, yard.organisation_id)
    assert await yard.devices.cancel(CAMILLE, yard.organisation_id, yard.charger_id)
    assert not await yard.devices.cancel(CAMILLE, yard.organisation_id, yard.charger_id)
    with pytest.raises(BadCodeError):
        await take(second)
    third = await yard.devices.offer(CAMILLE, yard.organisation_id, yard.charger_id)
    yard.house.clock.pass_s(7 * 86_400 + 1)
    assert await handovers.pending(yard.db, yard.organisation_id, yard.charger_id, yard.house.clock.now_ms()) is None
    with pytest.raises(BadCodeError):
        await take(third)
    fourth = await yard.devices.offer(CAMILLE, yard.organisation_id, yard.charger_id)
    await yard.devices.archive(CAMILLE, yard.organisation_id, yard.charger_id)
    with pytest.raises(BadCodeError):
        await take(fourth)


def test_a_code_is_known_however_it_is_typed() -> None:
    code = new_code()
    assert code_hash(code) == code_hash(code.lower().replace("-", "  "))
    assert code_hash(code) != code_hash(code[:-1])
    assert len({new_code() for _ in range(100)}) == 100
