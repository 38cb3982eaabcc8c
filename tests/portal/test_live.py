"""Live pages: which hints reach whom, how often, and when a stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from litestar.exceptions import ClientException, TooManyRequestsException
from sqlalchemy import select

from borne.bus.memory import MemoryBus
from borne.bus.port import Hint
from borne.core.scope import Scope
from borne.portal import live
from borne.portal.live import Live, LiveStream
from borne.store.schema import sessions
from tests.support.portal import log_in
from tests.support.restart_site import Site, running_site


def scope(**others: Any) -> Scope:
    values = {
        "person_id": 1,
        "person_name": "P",
        "organisation_id": 1,
        "role": "super-admin",
        "plan": "business",
        **others,
    }
    return Scope(**values)


class Holds:
    """A login that lasts until the test says otherwise."""

    def __init__(self) -> None:
        self.lasts = True

    async def holds(self) -> bool:
        return self.lasts


class Listener:
    """A stream that is read in the background."""

    def __init__(self, hub: Live, stream: LiveStream, since_ms: int | None = None) -> None:
        self.login = Holds()
        self.said: list[str] = []
        self.generator = live.told(hub, stream, self.login, since_ms)  # type: ignore[arg-type]
        self.task = asyncio.ensure_future(self.read())

    async def read(self) -> None:
        async for part in self.generator:
            self.said.append(part.decode())

    @property
    def changes(self) -> list[str]:
        return [part.partition("data: ")[2].strip() for part in self.said if "event: changed" in part]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.generator.aclose()  # type: ignore[attr-defined]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "GATHER_S", 0.1)
    monkeypatch.setattr(live, "LOOK_S", 0.1)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.25)


@pytest.fixture
async def hub() -> tuple[Live, MemoryBus]:
    bus = MemoryBus()
    return Live(bus), bus


def stream_of(*topics: str, **others: Any) -> LiveStream:
    return LiveStream(scope(**others), frozenset(topics))


def changed(charger_id: int, organisation_id: int = 1, location_id: int = 1) -> Hint:
    return Hint("charger", charger_id, organisation_id, location_id, charger_id)


@pytest.mark.usefixtures("quick")
async def test_a_burst_is_told_once_a_gathering(hub: tuple[Live, MemoryBus]) -> None:
    streams, bus = hub
    listener = Listener(streams, stream_of("charger:1", "charger:2", "chargers"))
    await asyncio.sleep(0.02)
    for _ in range(50):
        bus.publish(changed(1))
        bus.publish(changed(3))
        await asyncio.sleep(0.002)
    bus.publish(changed(2))
    await asyncio.sleep(0.25)
    await listener.stop()
    assert listener.changes[0].split() == ["charger:1", "chargers"]
    assert 2 <= len(listener.changes) <= 5
    assert "charger:2" in " ".join(listener.changes)
    assert "charger:3" not in " ".join(listener.changes)


@pytest.mark.usefixtures("quick")
async def test_the_first_change_is_told_at_once(hub: tuple[Live, MemoryBus], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "GATHER_S", 5.0)
    streams, bus = hub
    listener = Listener(streams, stream_of("restart:7"))
    await asyncio.sleep(0.02)
    bus.publish(Hint("restart", 7, 1, 1, 1))
    await asyncio.sleep(0.05)
    await listener.stop()
    assert listener.changes == ["restart:7"]


@pytest.mark.usefixtures("quick")
async def test_the_list_hears_only_of_its_own_scope(hub: tuple[Live, MemoryBus]) -> None:
    streams, bus = hub
    every = Listener(streams, stream_of("chargers"))
    of_lyon = Listener(streams, stream_of("chargers", location_ids=(1,)))
    of_one = Listener(streams, stream_of("chargers", charger_ids=(5,)))
    other = Listener(streams, stream_of("chargers", organisation_id=2))
    await asyncio.sleep(0.02)
    bus.publish(changed(9, location_id=2))
    await asyncio.sleep(0.15)
    for listener in (every, of_lyon, of_one, other):
        await listener.stop()
    assert (every.changes, of_lyon.changes, of_one.changes, other.changes) == (["chargers"], [], [], [])


@pytest.mark.usefixtures("quick")
async def test_counts_of_sessions_hear_of_sessions_in_their_scope(hub: tuple[Live, MemoryBus]) -> None:
    streams, bus = hub
    every = Listener(streams, stream_of("sessions"))
    of_lyon = Listener(streams, stream_of("sessions", location_ids=(1,)))
    other = Listener(streams, stream_of("sessions", organisation_id=2))
    chargers = Listener(streams, stream_of("chargers"))
    await asyncio.sleep(0.02)
    bus.publish(Hint("session", 7, 1, location_id=2, charger_id=9))
    await asyncio.sleep(0.15)
    for listener in (every, of_lyon, other, chargers):
        await listener.stop()
    assert (every.changes, of_lyon.changes, other.changes, chargers.changes) == (["sessions"], [], [], [])
    assert "sessions" in await live.allowed(None, scope(), {"sessions": []})  # type: ignore[arg-type]
    mine = scope(role="user", charger_ids=(9,))
    assert "sessions" not in await live.allowed(None, mine, {"sessions": []}), "those of others at the same charger"  # type: ignore[arg-type]


@pytest.mark.usefixtures("quick")
async def test_what_happened_before_the_opening_is_told_too(hub: tuple[Live, MemoryBus]) -> None:
    streams, bus = hub
    made_ms = live._now_ms()
    bus.publish(changed(1))
    await asyncio.sleep(0.01)
    listener = Listener(streams, stream_of("charger:1", "charger:2"), since_ms=made_ms)
    await asyncio.sleep(0.05)
    await listener.stop()
    assert listener.changes == ["charger:1"]


@pytest.mark.usefixtures("quick")
async def test_a_page_older_than_the_memory_looks_at_everything(hub: tuple[Live, MemoryBus]) -> None:
    streams, _ = hub
    listener = Listener(streams, stream_of("charger:1", "charger:2"), since_ms=live._now_ms() - 60_000)
    await asyncio.sleep(0.05)
    await listener.stop()
    assert listener.changes == ["charger:1 charger:2"]


@pytest.mark.usefixtures("quick")
async def test_a_stream_ends_with_its_login(hub: tuple[Live, MemoryBus]) -> None:
    streams, _ = hub
    listener = Listener(streams, stream_of("charger:1"))
    await asyncio.sleep(0.02)
    listener.login.lasts = False
    await asyncio.wait_for(listener.task, 1)
    assert "event: bye" in listener.said[-1]
    assert streams.count == 0


async def test_a_login_that_changes_is_looked_at_before_anything_else_is_told(hub: tuple[Live, MemoryBus]) -> None:
    """A role, a membership or a consent that ends: not even the change of the same instant is told."""
    streams, bus = hub
    listener = Listener(streams, stream_of("charger:1", "chargers"))
    await asyncio.sleep(0.02)
    listener.login.lasts = False
    bus.publish(Hint("login", 2))  # of somebody else
    await asyncio.sleep(0.05)
    assert not listener.task.done()
    bus.publish(Hint("login", 1))
    bus.publish(Hint("charger", 1, organisation_id=1, location_id=1))
    await asyncio.wait_for(listener.task, 0.2)
    assert "event: bye" in listener.said[-1]
    assert listener.changes == []


@pytest.mark.usefixtures("quick")
async def test_a_stream_that_always_hears_something_is_looked_at_as_often(hub: tuple[Live, MemoryBus]) -> None:
    streams, bus = hub
    listener = Listener(streams, stream_of("charger:1"))
    listener.login.lasts = False
    for _ in range(15):  # ended by its own look, within a tenth of a second
        bus.publish(Hint("charger", 1, organisation_id=1, location_id=1))
        await asyncio.sleep(0.01)
    assert listener.task.done()
    assert len(listener.changes) == 1


@pytest.mark.usefixtures("quick")
async def test_a_silent_stream_beats(hub: tuple[Live, MemoryBus]) -> None:
    streams, _ = hub
    listener = Listener(streams, stream_of("charger:1"))
    await asyncio.sleep(0.7)
    await listener.stop()
    assert sum("event: beat" in part for part in listener.said) >= 1
    assert listener.changes == []


@pytest.mark.usefixtures("quick")
async def test_all_streams_end_when_the_server_stops(hub: tuple[Live, MemoryBus]) -> None:
    streams, _ = hub
    listeners = [Listener(streams, stream_of("charger:1")) for _ in range(3)]
    await asyncio.sleep(0.02)
    assert streams.count == 3
    streams.close()
    await asyncio.wait_for(asyncio.gather(*(listener.task for listener in listeners)), 1)
    assert streams.count == 0
    late = Listener(streams, stream_of("charger:1"))
    await asyncio.wait_for(late.task, 1)


@pytest.mark.usefixtures("quick")
async def test_a_browser_that_goes_leaves_nothing_behind(hub: tuple[Live, MemoryBus]) -> None:
    streams, _ = hub
    listener = Listener(streams, stream_of("charger:1", "chargers"))
    await asyncio.sleep(0.02)
    await listener.stop()
    assert streams.count == 0
    assert not streams._by_topic
    assert not streams._lists


async def test_streams_of_a_person_are_bounded(hub: tuple[Live, MemoryBus], monkeypatch: pytest.MonkeyPatch) -> None:
    streams, _ = hub
    for _ in range(live.MAX_STREAMS_A_PERSON):
        streams.check_room(1)
        streams.add(stream_of("charger:1"), None)
    with pytest.raises(TooManyRequestsException):
        streams.check_room(1)
    streams.check_room(2)


def test_topics_are_read_strictly() -> None:
    assert live.parsed("charger:1,charger:2,restart:5,batch:3,chargers") == {
        "charger": [1, 2], "restart": [5], "batch": [3], "chargers": [],
    }  # fmt: skip
    for wrong in ("charger:x", "person:1", "charger:-1", "charger:1;", "charger:" + "9" * 30):
        with pytest.raises(ClientException):
            live.parsed(wrong)
    with pytest.raises(ClientException):
        live.parsed(",".join(f"charger:{n}" for n in range(live.MAX_TOPICS + 1)))


# ---- with the portal ---------------------------------------------------------------------------------------------


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


async def test_topics_out_of_reach_are_left_out(site: Site) -> None:
    lyon, nantes = await site.online_charger("A"), await site.online_charger("B", location_id=site.nantes_id)
    restart_lyon, restart_nantes = await site.request(lyon), await site.request(nantes)
    asked = live.parsed(
        f"charger:{lyon},charger:{nantes},charger:999,restart:{restart_lyon},restart:{restart_nantes},chargers"
    )
    db = site.portal.db
    every = {f"charger:{lyon}", f"charger:{nantes}", f"restart:{restart_lyon}", f"restart:{restart_nantes}", "chargers"}
    assert await live.allowed(db, site.scope, asked) == every
    mine = scope(organisation_id=site.organisation_id, role="admin", location_ids=(site.lyon_id,))
    assert await live.allowed(db, mine, asked) == {f"charger:{lyon}", f"restart:{restart_lyon}", "chargers"}
    stranger = scope(organisation_id=site.organisation_id + 1)
    assert await live.allowed(db, stranger, asked) == {"chargers"}


async def test_sessions_out_of_reach_are_left_out(site: Site) -> None:
    for place in (site.lyon_id, site.nantes_id):
        await site.start_session(await site.online_charger(f"C{place}", location_id=place))
    lyon, nantes = [row.id for row in await site.portal.db.all(select(sessions.c.id).order_by(sessions.c.id))]
    asked = live.parsed(f"session:{lyon},session:{nantes},session:999")
    db, here = site.portal.db, site.organisation_id
    assert await live.allowed(db, site.scope, asked) == {f"session:{lyon}", f"session:{nantes}"}
    mine = scope(organisation_id=here, role="admin", location_ids=(site.lyon_id,))
    assert await live.allowed(db, mine, asked) == {f"session:{lyon}"}
    for nobody in (scope(organisation_id=here, role="user"), scope(organisation_id=here + 1)):
        assert await live.allowed(db, nobody, asked) == set()


async def test_strangers_get_no_stream(site: Site) -> None:
    async with site.portal.client() as client:
        answer = await client.get("/live?topics=chargers", follow_redirects=False)
        assert answer.status_code == 303
        await log_in(client, "camille@a.test")
        assert (await client.get("/live?topics=nonsense")).status_code == 400
