"""Who may open a link: the directory of chargers in memory, which follows the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

from borne.bus.port import Bus, Hint
from borne.engine.clock import NowMs
from borne.store import chargers as store
from borne.store.db import Database
from borne.store.secrets import matches

log = logging.getLogger(__name__)

OVERLAP_MS = 5_000  # a change becomes visible a moment after the instant it carries
FULL_CHECK_POLLS = 600  # everything is read anew this often, in case a hint about a deleted charger was lost
NOBODY = bytes(32)  # compared with when there is no such charger, so that the answer takes as long


class Row(Protocol):
    """A row of the directory, as `store.chargers.directory` gives it."""

    id: int
    organisation_id: int
    location_id: int
    identity: str
    secret_hash: bytes | None
    settle_s: int | None
    ping_s: int | None
    disabled: int


class Entry:
    """What the gateway knows of a charger. Changed in place while links hold it."""

    __slots__ = (
        "charger_id",
        "disabled",
        "identity",
        "location_id",
        "organisation_id",
        "ping_s",
        "secret_hash",
        "settle_s",
    )

    def __init__(self, row: Row) -> None:
        self.charger_id = row.id
        self.take(row)

    def take(self, row: Row) -> None:
        """Follow the row."""
        self.identity = row.identity
        self.organisation_id = row.organisation_id
        self.location_id = row.location_id
        self.secret_hash = row.secret_hash
        self.disabled = bool(row.disabled)
        self.settle_s = row.settle_s
        self.ping_s = row.ping_s

    @property
    def has_secret(self) -> bool:
        """Whether the charger proves who it is."""
        return self.secret_hash is not None

    def ends_link(self, row: Row) -> bool:
        """Whether the change from this entry to `row` ends a link that is open now."""
        return (
            bool(row.disabled)
            or row.identity != self.identity
            or row.organisation_id != self.organisation_id
            or row.secret_hash != self.secret_hash
        )


class Directory:
    """Identity -> entry, for every charger of the installation. `on_removed` is called when a charger's link must end."""

    def __init__(self, key: bytes, on_removed: Callable[[int, str], None]) -> None:
        self._key = key
        self._on_removed = on_removed
        self._by_identity: dict[str, Entry] = {}
        self._by_id: dict[int, Entry] = {}

    def find(self, identity: str) -> Entry | None:
        """The entry of an identity, also a disabled one."""
        return self._by_identity.get(identity)

    def is_secret_of(self, entry: Entry | None, secret: str | None) -> bool:
        """Whether `secret` opens a link for the entry. Unknown chargers take as long and are never opened for."""
        kept = NOBODY if entry is None or entry.secret_hash is None else entry.secret_hash
        fits = matches(self._key, (secret or "").encode(errors="replace").decode(errors="replace"), kept)
        if entry is None:
            return False
        return entry.secret_hash is None or (fits and secret is not None)

    def take(self, rows: Iterable[Any]) -> None:
        """Follow changed rows."""
        for row in rows:
            entry = self._by_id.get(row.id)
            if entry is None:
                entry = self._by_id[row.id] = Entry(row)
                self._by_identity[row.identity] = entry
                continue
            ends, before = entry.ends_link(row), entry.identity
            entry.take(row)
            if before != entry.identity:
                self._by_identity.pop(before, None)
            self._by_identity[entry.identity] = entry
            if ends:
                self._on_removed(entry.charger_id, "disabled" if entry.disabled else "changed")

    def drop(self, charger_id: int) -> None:
        """The charger was deleted."""
        entry = self._by_id.pop(charger_id, None)
        if entry is not None:
            if self._by_identity.get(entry.identity) is entry:
                del self._by_identity[entry.identity]
            self._on_removed(charger_id, "deleted")

    def keep_only(self, charger_ids: set[int]) -> None:
        """Drop whoever is not among these."""
        for charger_id in [known for known in self._by_id if known not in charger_ids]:
            self.drop(charger_id)


class Follower:
    """Keeps the directory like the database: by hints at once, and by looking every moment (other processes send no hints)."""

    def __init__(self, directory: Directory, db: Database, bus: Bus, clock: NowMs, poll_s: float) -> None:
        self._directory = directory
        self._db = db
        self._bus = bus
        self._clock = clock
        self._looked_ms = 0
        self._poll_s = poll_s
        self._changed: set[int] = set()
        self._awake = asyncio.Event()

    async def load(self) -> None:
        """Read everything. Before the gateway listens."""
        found: set[int] = set()
        self._looked_ms = self._clock.now_ms()
        async for rows in self._pages(0):
            self._directory.take(rows)
            found.update(row.id for row in rows)
        self._directory.keep_only(found)

    async def follow(self) -> None:
        """Run until cancelled."""
        stop = self._bus.listen("directory", self._on_hint)
        polls = 0
        try:
            while True:
                polls += 1
                try:
                    await self._look(full=polls % FULL_CHECK_POLLS == 0)
                except Exception:
                    log.exception("the directory of chargers could not be read")
                await self._sleep()
        finally:
            stop()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._awake.wait()
        except TimeoutError:
            return

    def _on_hint(self, hint: Hint) -> None:
        self._changed.add(hint.charger_id or hint.id)
        self._awake.set()

    async def _look(self, *, full: bool) -> None:
        self._awake.clear()
        changed, self._changed = self._changed, set()
        for charger_id in changed:
            row = await store.directory_entry(self._db, charger_id)
            if row is None:
                self._directory.drop(charger_id)
            else:
                self._directory.take([row])
        if full:
            await self.load()
            return
        since_ms, self._looked_ms = self._looked_ms - OVERLAP_MS, self._clock.now_ms()
        async for rows in self._pages(max(0, since_ms)):
            self._directory.take(rows)

    async def _pages(self, since_ms: int) -> AsyncIterator[list[Any]]:
        after_id = 0
        while rows := await store.directory(self._db, since_ms, after_id=after_id):
            yield rows
            after_id = rows[-1].id
