"""An engine that commits in memory, and a gateway in front of it, for tests of the links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from borne.bus.memory import MemoryBus
from borne.core.facts import Fact, LinkOpened
from borne.core.tags import TagAnswer, TagStatus
from borne.engine.clock import Clock
from borne.engine.outcome import Due, Outcome
from borne.gateway.attempts import Attempts
from borne.gateway.directory import Directory
from borne.gateway.links import Links
from borne.gateway.schema_files import load_dialects
from borne.gateway.server import Gateway
from borne.gateway.settings import GatewaySettings
from borne.store.secrets import hash_secret

KEY = b"k" * 32
SECRET = "abcdefghjkmnpqrstuvw"
SETTINGS = GatewaySettings(port=0, ping_s=5, settle_s=5, answer_timeout_s=5, takeover_probe_s=0.3)
DIALECTS = load_dialects()

Done = Callable[[Outcome | BaseException], None]


class FakeEngine:
    """Gives epochs, keeps every fact in order, confirms on the next turn of the loop (or when `release` is called)."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.full = False
        self.facts: list[Fact] = []
        self.held: list[tuple[Fact, Done | None]] | None = None
        self.failing: Exception | None = None
        self.outcomes: dict[type[Fact], Outcome] = {}
        self.due: list[Due] = []
        self.taken: list[tuple[int, int]] = []
        self.tags: dict[str, TagStatus] = {}
        self.epochs: dict[int, int] = {}
        self._seen = asyncio.Event()

    def submit(self, fact: Fact, done: Done | None = None, urgent: bool = False) -> None:
        if self.held is not None:
            self.held.append((fact, done))
        else:
            asyncio.get_running_loop().call_soon(self._commit, fact, done)

    def hold(self) -> None:
        """Commit nothing until `release`."""
        self.held = []

    def release(self) -> None:
        held, self.held = self.held or [], None
        for fact, done in held:
            self._commit(fact, done)

    def _commit(self, fact: Fact, done: Done | None) -> None:
        if self.failing is not None:
            if done is not None:
                done(self.failing)
            return
        self.facts.append(fact)
        self._seen.set()
        outcome = self.outcomes.get(type(fact), Outcome())
        if isinstance(fact, LinkOpened):
            self.epochs[fact.charger_id] = self.epochs.get(fact.charger_id, 0) + 1
            outcome = msgspec.structs.replace(outcome, epoch=self.epochs[fact.charger_id])
        if done is not None:
            done(outcome)

    async def take_restart(self, charger_id: int, epoch: int) -> Due | None:
        self.taken.append((charger_id, epoch))
        await asyncio.sleep(0)
        return self.due.pop(0) if self.due else None

    async def authorise(self, _charger_id: int, tag: str) -> TagAnswer:
        await asyncio.sleep(0)
        return TagAnswer(self.tags.get(tag, "invalid"))

    def of(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def wait_for(self, kind: type[Any], count: int = 1, timeout_s: float = 5) -> list[Any]:
        """Until so many facts of a kind are committed."""
        async with asyncio.timeout(timeout_s):
            while len(self.of(kind)) < count:
                self._seen.clear()
                await self._seen.wait()
        return self.of(kind)


@dataclass
class FakeRow:
    """A row of the directory."""

    id: int
    identity: str
    secret_hash: bytes | None = field(default_factory=lambda: hash_secret(KEY, SECRET))
    organisation_id: int = 1
    location_id: int = 1
    settle_s: int | None = None
    ping_s: int | None = None
    disabled: int = 0
    changed_ms: int = 0


@dataclass
class House:
    """Everything that stands behind a listening gateway."""

    engine: FakeEngine
    links: Links
    directory: Directory
    attempts: Attempts
    gateway: Gateway
    bus: MemoryBus
    frames: list[tuple[int, int, str, str]]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway.port}/ocpp"


@asynccontextmanager
async def house(settings: GatewaySettings = SETTINGS, rows: list[FakeRow] | None = None) -> AsyncIterator[House]:
    """A gateway on a free port of the loopback, with chargers CP1 and CP2 (ids 1, 2)."""
    engine, bus = FakeEngine(), MemoryBus()
    frames: list[tuple[int, int, str, str]] = []
    links = Links(
        engine,
        engine.take_restart,
        engine.authorise,
        settings,
        incarnation=1,
        rng=Random(1),
        loop=asyncio.get_running_loop(),
        record=lambda *frame: frames.append(frame),
        tick_s=0.05,
    )
    directory = Directory(KEY, links.remove)
    directory.take(rows if rows is not None else [FakeRow(1, "CP1"), FakeRow(2, "CP2")])
    attempts = Attempts(bus)
    gateway = Gateway(links, directory, attempts, DIALECTS, settings)
    stop = links.listen(bus)
    await gateway.start()
    try:
        yield House(engine, links, directory, attempts, gateway, bus, frames)
    finally:
        stop()
        await gateway.stop()
