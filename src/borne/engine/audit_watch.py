"""Watches over the audit log: verifies it from time to time, and notes its head outside the database.

Whoever can write the database alone may cut off its newest rows together with its head; the noted head then is one that the
database no longer has.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec

from borne.engine.audit import Audit, Noted, Verified, verify
from borne.engine.beside import Beside
from borne.engine.clock import NowMs
from borne.store import audit as store
from borne.store import audit_anchor
from borne.store.audit_anchor import Anchor, BadAnchorError
from borne.store.db import Database, Reader, StoreError

log = logging.getLogger(__name__)

FIRST_S = 20.0
ANCHOR_EVERY_S = 60.0
VERIFY_EVERY_MS = 6 * 3_600_000


class Looked(msgspec.Struct, frozen=True):
    """When the whole chain was verified, and what was found."""

    at_ms: int
    found: Verified


async def verify_anchored(
    db: Reader, audit: Audit, folder: Path, now_ms: int, noted: tuple[Noted, ...] = ()
) -> Verified:
    """Verify the chain against its anchor and these heads; one that is whole is anchored where it ends."""
    try:
        anchor = audit_anchor.read(folder)
    except BadAnchorError as error:
        return Verified(0, b"", None, 0, str(error))
    anchors = () if anchor is None else (Noted(anchor.seq, anchor.hash),)
    found = await verify(db, audit, (*anchors, *noted))
    if found.broken_at is None and (anchor is None or anchor.seq < found.rows):
        await asyncio.to_thread(audit_anchor.write, folder, Anchor(found.rows, found.head, now_ms))
    return found


class AuditWatch(Beside):
    """Runs beside everything else. `last`: what the last verification found, None before the first."""

    task_name = "audit-watch"

    def __init__(self, db: Database, audit: Audit, folder: Path, clock: NowMs) -> None:
        self.last: Looked | None = None
        self._db = db
        self._audit = audit
        self._folder = folder
        self._clock = clock

    async def _run(self) -> None:
        await asyncio.sleep(FIRST_S)
        while True:
            try:
                await self.look()
            except (StoreError, OSError) as error:
                log.warning("the audit log could not be looked at: %s", error)
            await asyncio.sleep(ANCHOR_EVERY_S)

    async def look(self) -> None:
        """Verify the whole chain when it is time to, else note its head, which must follow the one noted before."""
        if self.last is None or self._clock.now_ms() - self.last.at_ms >= VERIFY_EVERY_MS or not await self._move_on():
            await self.verify()

    async def verify(self) -> Verified:
        """Verify the whole chain now."""
        now_ms = self._clock.now_ms()
        found = await verify_anchored(self._db, self._audit, self._folder, now_ms)
        self.last = Looked(now_ms, found)
        if found.broken_at is not None:
            log.error("the audit log is not as it was written, from row %d on: %s", found.broken_at, found.why)
        return found

    async def _move_on(self) -> bool:
        """Replace the anchor by today's head. False: the database no longer has the row that was noted."""
        if self.last is None or self.last.found.broken_at is not None:
            return True  # said already; it is looked at as a whole when it is time to
        try:
            anchor = audit_anchor.read(self._folder)
        except BadAnchorError:
            return False
        seq, head = await store.head(self._db)
        if anchor is not None:
            if seq < anchor.seq or not await store.is_row(self._db, anchor.seq, anchor.hash):
                return False
            if seq == anchor.seq:
                return True
        await asyncio.to_thread(audit_anchor.write, self._folder, Anchor(seq, head, self._clock.now_ms()))
        return True
