"""Values of a location's meter are kept, all of them or none, and what was charged then is measured anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from borne.bus.port import Bus, Hint
from borne.core.actor import Actor
from borne.core.site_meter import SiteSlot
from borne.engine import measure_again
from borne.engine.audit import About, Audit
from borne.engine.clock import NowMs
from borne.store import locations
from borne.store import site_meter as store
from borne.store.db import Database, Reader

SLICE = 500  # slots of a statement: some milliseconds


class Kept(msgspec.Struct, frozen=True):
    """How many slots are new, had other values before, and were known just so."""

    new: int
    replaced: int
    same: int

    @property
    def changed(self) -> int:
        return self.new + self.replaced


class GoneError(Exception):
    """The location is not there (any more)."""


async def compare(
    db: Reader, organisation_id: int, location_id: int, slots: Sequence[SiteSlot]
) -> tuple[Kept, list[SiteSlot]]:
    """What these slots (in order) would change: counts, and those that are new or differ."""
    changed: list[SiteSlot] = []
    new = 0
    for start in range(0, len(slots), SLICE):
        some = slots[start : start + SLICE]
        rows = await store.between(db, organisation_id, location_id, some[0].slot_ms, some[-1].slot_ms + 1)
        known = {row.slot_ms: row for row in rows}
        changed += [slot for slot in some if known.get(slot.slot_ms) != slot]
        new += sum(slot.slot_ms not in known for slot in some)
        await asyncio.sleep(0)
    return Kept(new, len(changed) - new, len(slots) - len(changed)), changed


class SiteMeter:
    """Takes values, from files and from programs."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, audit: Audit) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._audit = audit

    async def take(
        self, organisation_id: int, location_id: int, actor: Actor, slots: Sequence[SiteSlot], *, by_file: bool
    ) -> Kept:
        """Keep slots (in order); the same again changes nothing. Raises GoneError.

        Noted in the audit log: files, the first values of a location, and values that replace others; not each quarter of an hour
        that a program adds.
        """
        async with self._db.transaction() as tx:
            place = await locations.hold(tx, organisation_id, location_id)
            if place is None:
                raise GoneError
            kept, changed = await compare(tx, organisation_id, location_id, slots)
            for start in range(0, len(changed), SLICE):
                await store.put(tx, organisation_id, location_id, changed[start : start + SLICE])
                await asyncio.sleep(0)
            times = [slot.slot_ms for slot in changed]
            await measure_again.enqueue(tx, organisation_id, [location_id], times, self._clock.now_ms())
            if by_file or kept.replaced or (changed and place.site_until_ms is None):
                about = About(kind="location", id=location_id, name=place.name)
                told = {
                    "new": kept.new,
                    "replaced": kept.replaced,
                    "from_ms": slots[0].slot_ms,
                    "until_ms": slots[-1].slot_ms,
                }
                await self._audit.record(
                    tx, actor, "location.site_meter", about, organisation_id=organisation_id, **told
                )
        if changed:
            self._bus.publish(Hint("job", 0))
        return kept
