"""The directory follows the database, and secrets are compared in one way for all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from borne.bus.memory import MemoryBus
from borne.bus.port import Hint
from borne.engine.clock import Clock
from borne.gateway.directory import Directory, Follower
from borne.store import chargers, organisations
from borne.store.chargers import NewCharger
from borne.store.db import Database
from borne.store.secrets import hash_secret
from tests.gateway.fakes import KEY, SECRET, FakeRow

pytestmark = pytest.mark.anyio


class Followed:
    """A directory on a real database, with one charger in it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = Clock()
        self.bus = MemoryBus()
        self.removed: list[tuple[int, str]] = []
        self.directory = Directory(KEY, lambda charger_id, why: self.removed.append((charger_id, why)))
        self.follower = Follower(self.directory, db, self.bus, self.clock, 0.05)
        self.organisation_id = 0
        self.charger_id = 0

    async def fill(self) -> None:
        async with self.db.transaction() as tx:
            now_ms = self.clock.now_ms()
            self.organisation_id = await organisations.create(tx, name="A", plan="business", now_ms=now_ms)
            location_id = await organisations.create_location(tx, self.organisation_id, name="P", now_ms=now_ms)
            new = NewCharger(
                organisation_id=self.organisation_id,
                location_id=location_id,
                name="one",
                identity="CP1",
                secret_hash=hash_secret(KEY, SECRET),
            )
            self.charger_id = await chargers.create(tx, new, now_ms)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.fill()
        await self.follower.load()
        task = asyncio.create_task(self.follower.follow())
        await asyncio.sleep(0)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_removed(it: Followed) -> list[tuple[int, str]]:
    async with asyncio.timeout(1):
        while not it.removed:
            await asyncio.sleep(0.01)
    return it.removed


async def test_t16_disabling_without_a_hint_is_seen_within_a_second(db: Database) -> None:
    it = Followed(db)
    async with it.running():
        async with db.transaction() as tx:
            await chargers.set_disabled(tx, it.organisation_id, it.charger_id, True, it.clock.now_ms())
        assert await until_removed(it) == [(it.charger_id, "disabled")]
        entry = it.directory.find("CP1")
        assert entry is not None
        assert entry.disabled


async def test_t16_deleting_is_seen_by_its_hint(db: Database) -> None:
    it = Followed(db)
    async with it.running():
        async with db.transaction() as tx:
            await chargers.remove(tx, it.organisation_id, it.charger_id)
        it.bus.publish(Hint("directory", it.charger_id, charger_id=it.charger_id))
        assert await until_removed(it) == [(it.charger_id, "deleted")]
        assert it.directory.find("CP1") is None


async def test_deleting_without_a_hint_is_seen_when_everything_is_read_anew(db: Database) -> None:
    it = Followed(db)
    async with it.running():
        async with db.transaction() as tx:
            await chargers.remove(tx, it.organisation_id, it.charger_id)
        await it.follower.load()
        assert it.removed == [(it.charger_id, "deleted")]


async def test_a_charger_added_by_another_process_may_connect_within_a_moment(db: Database) -> None:
    it = Followed(db)
    async with it.running():
        async with db.transaction() as tx:
            location_id = it.directory.find("CP1").location_id  # type: ignore[union-attr]
            new = NewCharger(
                organisation_id=it.organisation_id,
                location_id=location_id,
                name="two",
                identity="CP2",
                secret_hash=None,
            )
            await chargers.create(tx, new, it.clock.now_ms())
        async with asyncio.timeout(1):
            while it.directory.find("CP2") is None:
                await asyncio.sleep(0.01)
        assert it.removed == []


def test_secrets_are_looked_at_in_the_same_way_for_everybody() -> None:
    directory = Directory(KEY, lambda *_: None)
    directory.take([FakeRow(1, "CP1"), FakeRow(2, "OPEN", secret_hash=None)])
    known = directory.find("CP1")
    assert directory.is_secret_of(known, SECRET)
    for wrong in (None, "", SECRET.upper(), SECRET + "x", "\ud800"):
        assert not directory.is_secret_of(known, wrong)
        assert not directory.is_secret_of(None, wrong)
    assert not directory.is_secret_of(None, SECRET)
    assert directory.is_secret_of(directory.find("OPEN"), None)
