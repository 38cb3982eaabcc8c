"""apply: the heart. The only writer of machine state.

Facts come in, in order; a group of them is stepped and saved in one transaction; after the commit their `done`
callbacks are called and hints go out. Nothing is confirmed before its commit. A group that fails is applied again one
by one: the culprit goes to the dead letters, its neighbours commit. While the store cannot write, nothing is
confirmed and everything is refused at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from borne.bus.port import Bus
from borne.core.facts import Fact
from borne.engine import room as rooms
from borne.engine.clock import NowMs
from borne.engine.metrics import Counts
from borne.engine.outcome import IGNORED, Outcome
from borne.engine.partitions import Partitions
from borne.engine.reactions import react
from borne.engine.room import Room
from borne.engine.writes import VersionConflictError, Writes
from borne.store import events as event_store
from borne.store.db import Broken, Busy, Corrupt, Database, DiskFull, StoreError, Transaction

log = logging.getLogger(__name__)

GROUP_MOST = 500
INBOX_MOST = 20_000
GATHER_S = 0.003  # telemetry waits this long for company; urgent facts do not wait
ROOMS_MOST = 150_000

Done = Callable[[Outcome | BaseException], None]
Prepare = Callable[[Transaction, Room, Writes], Awaitable[Outcome]]
House = Callable[[Transaction, Writes], Awaitable[Outcome]]
Preparer = Callable[[Transaction, Room, Writes, Any], Awaitable[Outcome]]


class InboxFullError(Exception):
    """More facts wait than may; nothing was kept, try again later."""


class StorageFailingError(Exception):
    """The store cannot write at the moment; nothing was kept."""


class Item:
    """Something on its way: a fact, or what is to be asked and done in a charger's turn (`prepare`) or in the
    house's (`house`)."""

    __slots__ = ("charger_id", "done", "fact", "house", "prepare")

    def __init__(
        self,
        charger_id: int,
        fact: Fact | None = None,
        prepare: Prepare | None = None,
        house: House | None = None,
        done: Done | None = None,
    ) -> None:
        self.charger_id = charger_id
        self.fact = fact
        self.prepare = prepare
        self.house = house
        self.done = done


class Engine:
    """Applies facts. `on_broken` is called once when the store broke for good: the process must end and start anew.

    `preparers` maps a kind of fact to what must ask the database before it is stepped (sessions); `after` sees each
    group before it is saved (batches). Wiring sets both, so that this file knows neither.
    """

    def __init__(
        self,
        db: Database,
        bus: Bus,
        clock: NowMs,
        *,
        preparers: dict[type[Fact], Preparer] | None = None,
        on_broken: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.db = db
        self.bus = bus
        self.clock = clock
        self.failing = False
        self.incarnation = 0
        self.counts = Counts(lambda: len(self._inbox))
        self._preparers = preparers or {}
        self.after: Callable[[Transaction, Writes], Awaitable[None]] | None = None
        self.metered: Callable[[list[tuple[Any, ...]]], None] | None = None  # gets readings that were committed
        self.partitions: Partitions | None = None  # made before what needs them
        self._on_broken = on_broken
        self._inbox: deque[Item] = deque()
        self._rooms: dict[int, Room] = {}
        self._stale: set[int] = set()
        self._awake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._index = 0
        self._stop_listening: Callable[[], None] | None = None

    # ---- coming in -----------------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """The inbox is filling up: links should stop reading."""
        return len(self._inbox) > INBOX_MOST // 2

    def submit(self, fact: Fact, done: Done | None = None, urgent: bool = False) -> None:
        """Apply a fact; `done` gets its outcome after the commit, or the error, on the loop. Never blocks, never raises."""
        self._put(Item(fact.charger_id, fact, done=done), urgent)

    async def apply(self, fact: Fact, urgent: bool = True) -> Outcome:
        """Apply a fact and wait for its commit."""
        return await self._wait(Item(fact.charger_id, fact), urgent)

    async def prepare(self, charger_id: int, prepare: Prepare, urgent: bool = True) -> Outcome:
        """Let `prepare` ask, write and react inside the charger's turn; its outcome is returned after the commit."""
        return await self._wait(Item(charger_id, prepare=prepare), urgent)

    async def in_turn(self, house: House) -> Outcome:
        """Let `house` ask and write between the facts, concerning no single charger (a batch)."""
        return await self._wait(Item(0, house=house), urgent=True)

    def room(self, charger_id: int) -> Room | None:
        """The charger's room, if it is in memory: for quick looks, never for decisions that are kept."""
        return None if charger_id in self._stale else self._rooms.get(charger_id)

    def forget(self, charger_id: int) -> None:
        """A person changed the charger's row: load it anew before the next fact."""
        if charger_id in self._rooms:
            self._stale.add(charger_id)

    async def _wait(self, item: Item, urgent: bool) -> Outcome:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(result: Outcome | BaseException) -> None:
            if future.done():
                return
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

        item.done = done
        self._put(item, urgent)
        return await future

    def _put(self, item: Item, urgent: bool) -> None:
        if len(self._inbox) >= INBOX_MOST:
            _tell(item, InboxFullError("too many messages are waiting to be stored"))
            return
        self._inbox.append(item)
        if urgent:
            self._urgent.set()
        self._awake.set()

    # ---- running -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to apply. Needs a running loop."""
        self._stop_listening = self.bus.listen("directory", lambda hint: self.forget(hint.charger_id or hint.id))
        self._task = asyncio.get_running_loop().create_task(self._run(), name="engine")

    async def stop(self) -> None:
        """Apply what is in the inbox, then end."""
        if self._stop_listening is not None:
            self._stop_listening()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        while self._inbox and not self.failing:
            await self._apply_group(self._take())
        while self._inbox:
            _tell(self._inbox.popleft(), StorageFailingError("Borne ends and nothing can be stored"))

    async def _run(self) -> None:
        while True:
            await self._awake.wait()
            if not self._urgent.is_set() and len(self._inbox) < GROUP_MOST:
                await self._gather()
            self._awake.clear()
            self._urgent.clear()
            while self._inbox:
                await asyncio.shield(asyncio.ensure_future(self._apply_group(self._take())))

    async def _gather(self) -> None:
        """Wait a moment for company, less if something urgent comes."""
        timer = asyncio.get_running_loop().call_later(GATHER_S, self._urgent.set)
        try:
            await self._urgent.wait()
        finally:
            timer.cancel()

    def _take(self) -> list[Item]:
        inbox = self._inbox
        return [inbox.popleft() for _ in range(min(GROUP_MOST, len(inbox)))]

    async def _apply_group(self, group: list[Item], again: bool = False) -> None:
        try:
            await self._commit(group)
        except (DiskFull, Busy, Broken, Corrupt) as error:
            self._fail(group, error)
        except Exception as error:
            self._drop_rooms()
            if (
                isinstance(error, VersionConflictError) and not again
            ):  # what was in memory is old: load it and try once more
                await self._apply_group(group, again=True)
                return
            if len(group) == 1:
                await self._bury(group[0], error)
                return
            log.warning("a group of %d facts failed, applying them one by one: %s", len(group), error)
            for item in group:
                await self._apply_group([item])

    async def _commit(self, group: list[Item]) -> None:
        writes = Writes(self.clock.now_ms(), self._index)
        if self.partitions is not None and self.partitions.lack(writes.at_ms):
            await self.partitions.make(writes.at_ms)
        outcomes: list[Outcome] = []
        async with self.db.transaction(urgent=True) as tx:
            found = await self.enter(tx, {item.charger_id for item in group})
            for item in group:
                outcomes.append(await self._react(tx, found.get(item.charger_id), item, writes))
            if self.after is not None and writes.tells:
                await self.after(tx, writes)
            await writes.save(tx)
        self._index = writes.next_index & 0xFFFFFFFF
        self.failing = False
        self.counts.groups += 1
        self.counts.facts += len(group)
        for item, outcome in zip(group, outcomes, strict=True):
            if item.done is not None:
                _tell(item, outcome)
        for hint in writes.hints_after_commit():
            self.bus.publish(hint)
        if writes.readings and self.metered is not None:
            self.metered(writes.readings)

    async def enter(self, tx: Transaction, ids: set[int]) -> dict[int, Room]:
        """The rooms of these chargers, loaded where they are not in memory."""
        if self._stale:
            for charger_id in ids & self._stale:
                self._rooms.pop(charger_id, None)
                self._stale.discard(charger_id)
        missing = [charger_id for charger_id in ids if charger_id not in self._rooms]
        if missing:
            if len(self._rooms) > ROOMS_MOST:
                self._rooms.clear()
                missing = list(ids)
            for room in await rooms.load(tx, missing):
                self._rooms[room.charger_id] = room
        return self._rooms

    async def _react(self, tx: Transaction, room: Room | None, item: Item, writes: Writes) -> Outcome:
        if item.house is not None:
            return await item.house(tx, writes)
        if room is None:
            return IGNORED
        fact = item.fact
        if item.prepare is not None:
            return await item.prepare(tx, room, writes)
        assert fact is not None
        preparer = self._preparers.get(type(fact))
        return react(room, fact, writes) if preparer is None else await preparer(tx, room, writes, fact)

    # ---- failing -------------------------------------------------------------------------------------------------

    def _fail(self, group: list[Item], error: StoreError) -> None:
        """The store cannot write: nothing is confirmed. Chargers and people try again."""
        log.error("nothing can be stored: %s", error)
        self._drop_rooms()
        self.failing = True
        for item in group:
            _tell(item, StorageFailingError(str(error)))
        if isinstance(error, Broken | Corrupt) and self._on_broken is not None:
            self._on_broken(error)

    def _drop_rooms(self) -> None:
        # a batch may have touched rooms outside the group: after a failure none is trusted
        self._rooms.clear()
        self._stale.clear()

    async def _bury(self, item: Item, error: Exception) -> None:
        if item.fact is None:  # a request of a person: they get the error
            _tell(item, error)
            return
        self.counts.dead_letters += 1
        log.error("a fact cannot be applied and goes to the dead letters: %s", error, exc_info=error)
        try:
            async with self.db.transaction() as tx:
                text = msgspec.json.encode(item.fact).decode()
                await event_store.add_dead_letter(
                    tx, item.charger_id, item.fact.at_ms, text, f"{type(error).__name__}: {error}"
                )
        except Exception as second:
            log.error("the dead letter could not be kept: %s", second)
            _tell(item, StorageFailingError(str(second)))
            return
        _tell(item, Outcome(dead=True))


def _tell(item: Item, result: Outcome | BaseException) -> None:
    if item.done is None:
        return
    try:
        item.done(result)
    except Exception:
        log.exception("the answer to a fact could not be delivered")
