"""A whole Borne server as one process that can be killed at any line: the real store, engine and gateway on a database file.

Only the outside differs: virtual time, sockets in memory, commits without waiting for a disk. A new server on the same file
starts as the real one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from borne.bus.memory import MemoryBus
from borne.core.tags import TagAnswer
from borne.engine import batches as batches_module
from borne.engine import house, measure_again
from borne.engine.apply import Engine
from borne.engine.audit import Audit
from borne.engine.batches import Batches
from borne.engine.clock import Clock
from borne.engine.jobs import Jobs
from borne.engine.measure_again import MeasureAgain
from borne.engine.metering import Meter
from borne.engine.outcome import Due
from borne.engine.prices import Prices
from borne.engine.restarts import Restarts, RestartSettings
from borne.engine.sessions import Sessions
from borne.engine.timers import Timers
from borne.gateway.attempts import Attempts
from borne.gateway.directory import Directory, Follower
from borne.gateway.links import Links
from borne.gateway.schema_files import load_dialects
from borne.gateway.server import Gateway
from borne.gateway.settings import GatewaySettings
from borne.gateway.signs import flush_signs
from borne.ocpp.dialects import Dialects
from borne.sim.dialling import DialRefused
from borne.sim.lossy_net import Wire
from borne.sim.virtual_loop import Process, VirtualLoop
from borne.store import chargers as charger_store
from borne.store.sqlite import SqliteDatabase

KEY = bytes(range(32))
SWITCHING_PROTOCOLS = 101


class Watch(Protocol):
    """Who looks on, and may end the server by raising Killed."""

    def before_commit(self) -> None: ...
    def after_commit(self) -> None: ...
    def on_taken(self, charger_id: int, due: Due) -> None: ...
    def on_restart_changed(self, restart_id: int) -> None: ...
    def on_begun(self) -> None: ...


class WatchedDatabase(SqliteDatabase):
    """The embedded database, seen at each commit."""

    def __init__(self, path: Path, watch: Watch) -> None:
        super().__init__(str(path), threads=False, durable=False)
        self._watch = watch

    def commit(self) -> asyncio.Future[None]:
        writes = self.writer.in_transaction and self.writer.total_changes != self._changes_committed
        if writes:
            self._watch.before_commit()
        done = super().commit()
        if writes and done.exception() is None:
            self._watch.after_commit()
        return done

    def pull_the_plug(self) -> None:
        """What was not committed is lost."""
        for connection in (self._writer, self._near):
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()


class Headers(dict[str, str]):
    """Headers of a handshake, by lower-case name."""

    def getall(self, name: str, default: list[str]) -> list[str]:
        return [self[name]] if name in self else default


class Knock:
    """A charger's handshake, as the gateway's door reads it; it plays the request and the socket in one."""

    def __init__(self, url: str, subprotocols: Sequence[str], headers: Mapping[str, str], address: str) -> None:
        parts = urlsplit(url)
        self.path = parts.path.encode()
        self.headers = Headers({name.lower(): value for name, value in headers.items()})
        self.headers |= {"host": parts.netloc, "connection": "Upgrade", "upgrade": "websocket"}
        if subprotocols:
            self.headers["sec-websocket-protocol"] = ", ".join(subprotocols)
        self._address = address

    def is_secure(self, *_: object) -> bool:
        return False

    def certificate_name(self, *_: object) -> None:
        return None

    def address(self, *_: object) -> str:
        return self._address


class CrashingServer:
    """One run of the server. Not to be started again after its end: make another on the same file."""

    def __init__(
        self,
        loop: VirtualLoop,
        path: Path,
        *,
        name: str,
        wall_ns: Callable[[], int],
        rng: random.Random,
        gateway: GatewaySettings,
        restarts: RestartSettings,
        watch: Watch,
    ) -> None:
        self.process = Process(loop, name)
        self.listening = False
        self._loop = loop
        self._watch = watch
        self._gateway_settings = gateway
        self._rng = rng
        self.db = WatchedDatabase(path, watch)
        self.bus = MemoryBus()
        self.clock = Clock(wall_ns, lambda: int(loop.time() * 1_000_000_000))
        self.sessions = Sessions(self.clock, lambda: rng.randrange(1, 2**31 - 1))
        self.audit = Audit(KEY, self.clock, salt=bytes)  # without chance: a seed tells the same story each time
        self.engine = Engine(self.db, self.bus, self.clock, preparers=self.sessions.preparers())
        self.restarts = Restarts(self.engine, restarts, self.audit)
        self.batches = Batches(self.engine, self.restarts, restarts)
        self.engine.after = self.batches.follow
        handlers = {batches_module.JOB_KIND: self.batches.fill, measure_again.KIND: MeasureAgain(self.db).carry_out}
        self.jobs = Jobs(self.db, self.bus, self.clock, handlers)
        self.meter = self.new_meter()
        self.engine.metered = self.meter.take
        self.links: Links | None = None
        self.gateway: Gateway | None = None
        self.timers = Timers(self.engine, self.clock, self._heard_ms)
        self._beside: list[asyncio.Task[None]] = []

    @property
    def alive(self) -> bool:
        return not self.process.dead

    def new_meter(self) -> Meter:
        """One that knows nothing but the database."""
        return Meter(self.db, self.bus, self.clock, Prices(self.db, self.clock))

    # ---- life

    def start(self) -> asyncio.Task[None]:
        """Begin as a process of its own; it listens when the task is done."""
        return self.process.spawn(self._start())

    async def _start(self) -> None:
        await self.db.open()
        self.bus.listen("restart", lambda hint: self._watch.on_restart_changed(hint.id))
        self.engine.start()
        await house.begin(self.engine)
        self._watch.on_begun()
        self.timers.start()
        self.jobs.start()
        self.meter.start()
        await self._start_gateway()
        self.listening = True

    async def _start_gateway(self) -> None:
        settings = self._gateway_settings
        links = self.links = Links(
            self.engine,
            self._take,
            self._authorise,
            settings,
            incarnation=self.engine.incarnation,
            rng=self._rng,
            loop=self._loop,
            tick_s=1.0,
        )
        directory = Directory(KEY, links.remove)
        follower = Follower(directory, self.db, self.bus, self.clock, settings.directory_poll_s)
        await follower.load()
        self.gateway = Gateway(links, directory, Attempts(), the_dialects(), settings)
        links.listen(self.bus)
        self._beside = [
            self._loop.create_task(follower.follow()),
            self._loop.create_task(flush_signs(links, self._save_signs)),
        ]

    async def _save_signs(self, rows: Sequence[tuple[int, int]]) -> None:
        async with self.db.transaction() as tx:
            await charger_store.flush_last_seen(tx, rows)

    async def stop(self) -> None:
        """End in good order, as on a signal. Must run inside the process."""
        self.listening = False
        assert self.gateway is not None
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self.gateway.stop()
        await self.meter.stop()
        await self.jobs.stop()
        await self.timers.stop()
        await house.end(self.engine)
        await self.engine.stop()
        await self.db.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something inside the process: a person's click."""
        return self.process.spawn(work)

    def kill(self) -> None:
        """End at this very instant."""
        self.listening = False
        self.process.kill()
        self.db.pull_the_plug()

    # ---- what the gateway asks

    async def _take(self, charger_id: int, epoch: int) -> Due | None:
        due = await self.restarts.take(charger_id, epoch)
        if due is not None:
            self._watch.on_taken(charger_id, due)
        return due

    async def _authorise(self, charger_id: int, tag: str) -> TagAnswer:
        return await self.sessions.authorise(self.db, self.engine.room(charger_id), tag)

    def _heard_ms(self, charger_id: int) -> int | None:
        return None if self.links is None else self.links.heard_ms(charger_id)

    # ---- what chargers do

    def open_door(self, knock: Knock, wire: Wire) -> None:
        """Answer a handshake; afterwards the wire belongs to a link. Raises DialRefused. Must run inside the process."""
        assert self.gateway is not None
        assert self.links is not None
        upgrade = self.gateway.admit(knock, knock)  # type: ignore[arg-type]
        if upgrade.listener is None:
            raise DialRefused(int(upgrade.response.status))
        link = upgrade.listener.link
        link.transport = wire.server
        wire.server.link = link
        self.links.admit(link)


@lru_cache
def the_dialects() -> Dialects:
    """The schemas, compiled once a process."""
    return load_dialects()
