"""A gateway node, whole: the listener, the directory that follows the database, the flush of signs of life."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from borne.bus.port import Bus
from borne.gateway.ports import Authorise, Engine, Recorder, TakeRestart
from borne.gateway.registry import Links
from borne.gateway.schema_files import load_dialects
from borne.gateway.security import Attempts, Directory, Follower
from borne.gateway.server import Gateway
from borne.gateway.settings import GatewaySettings
from borne.gateway.signs import flush_signs
from borne.store import chargers as store
from borne.store.db import Database


class Node:
    """Made by wiring, with a running loop. `key` is that of the links' secrets; `record` takes raw frames, secrets masked."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        engine: Engine,
        take_restart: TakeRestart,
        authorise: Authorise,
        db: Database,
        bus: Bus,
        key: bytes,
        incarnation: int,
        rng: Random,
        record: Recorder | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.links = Links(
            engine, take_restart, authorise, settings, incarnation=incarnation, rng=rng, loop=loop, record=record
        )
        self.directory = Directory(key, self.links.remove)
        self.attempts = Attempts(bus)
        self.gateway = Gateway(self.links, self.directory, self.attempts, load_dialects(), settings)
        self._follower = Follower(self.directory, db, bus, engine.clock, settings.directory_poll_s)
        self._db = db
        self._bus = bus
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_listening: Callable[[], None] | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.gateway.port

    async def start(self) -> None:
        """Load the directory and listen. Raises as `Gateway.start` does."""
        await self._follower.load()
        self._stop_listening = self.links.listen(self._bus)
        await self.gateway.start()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._follower.follow(), name="directory"),
            loop.create_task(flush_signs(self.links, self._save_signs), name="signs"),
        ]

    async def stop(self) -> None:
        """Listen no more and end every link; their facts are with the engine when this returns."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.gateway.stop()
        if self._stop_listening is not None:
            self._stop_listening()

    async def _save_signs(self, rows: Sequence[tuple[int, int]]) -> None:
        async with self._db.transaction() as tx:
            await store.flush_last_seen(tx, rows)
