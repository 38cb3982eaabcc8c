"""Saves what was measured: sessions, their slots and curves, and what they change in the sums of statistics; one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from borne.core.statistics import Changes, Counted, changed, day_start_ms, local
from borne.engine.metering_follow import Followed
from borne.engine.metering_whole import Late, Whole
from borne.store import metering as store
from borne.store import peaks
from borne.store.db import Transaction

LATE = "came after the session was closed"


class Raced(Exception):
    """A session changed while it was measured: nothing is kept, and it is measured again."""


async def save(tx: Transaction, whole: Sequence[Whole], followed: Sequence[Followed], late: Sequence[Late]) -> None:
    """Save all of these. Raises Raced."""
    for count, saved in (
        (len(whole), await store.save_sessions(tx, [one.row() for one in whole])),
        (len(followed), await store.save_followed(tx, [one.row() for one in followed])),
        (len(late), await store.save_late(tx, [one.row() for one in late])),
    ):
        if count != saved:
            raise Raced
    curves = [(one, one.samples) for one in whole] + [(one, one.curve) for one in followed if one.curve is not None]
    await store.save_curves(tx, [(one.session.id, one.session.organisation_id, samples) for one, samples in curves])
    done: list[Whole | Followed] = [*whole, *followed]
    await store.save_slots(tx, [(one.session.id, one.session.organisation_id, one.before, one.after) for one in done])
    await _save_sums(tx, done)
    for one in late:
        if one.energy_wh:
            await _book(tx, one)


async def _save_sums(tx: Transaction, done: Sequence[Whole | Followed]) -> None:
    by_organisation: dict[int, Changes] = {}
    for one in done:
        row, (before, after) = one.session, one.counted()
        changes = by_organisation.setdefault(row.organisation_id, Changes())
        changes.take(before, after, location_id=row.location_id, charger_id=row.charger_id, zone=one.zone)
    zones = {one.session.location_id: one.zone for one in done}
    for organisation_id, changes in sorted(by_organisation.items()):
        await _add(tx, organisation_id, changes, zones)


async def _book(tx: Transaction, late: Late) -> None:
    """Book energy in the slot in which it came: a quarter of an hour that was closed is never written again."""
    row = late.session
    await store.save_slots(tx, [(row.id, row.organisation_id, [late.before], [late.after])])
    changes = Changes()
    # The slot on both sides: a session is counted where it began, not here.
    before, after = (Counted(row.measured_person_id, (slot,), False) for slot in (late.before, late.after))
    changes.take(before, after, location_id=row.location_id, charger_id=row.charger_id, zone=late.zone)
    await _add(tx, row.organisation_id, changes, {row.location_id: late.zone})
    await store.add_correction(
        tx,
        row.organisation_id,
        row.id,
        at_ms=late.at_ms,
        slot_ms=late.after.slot_ms,
        energy_wh=late.energy_wh,
        why=LATE,
    )


async def _add(tx: Transaction, organisation_id: int, changes: Changes, zones: Mapping[int, ZoneInfo]) -> None:
    await store.add_changes(tx, organisation_id, changes)
    grown: list[tuple[int, int, int]] = []
    fallen: set[tuple[int, int]] = set()
    for (location_id, slot_ms), (energy_wh, *_) in changed(changes.location_slots):
        day = local(slot_ms, zones[location_id]).day
        if energy_wh < 0:
            fallen.add((location_id, day))
        elif energy_wh > 0:
            grown.append((location_id, slot_ms, day))
    await peaks.rise(tx, organisation_id, [one for one in grown if (one[0], one[2]) not in fallen])
    for location_id, day in sorted(fallen):
        from_ms, until_ms = (day_start_ms(one, zones[location_id]) for one in (day, day + 1))
        await peaks.find(tx, organisation_id, location_id, day, from_ms, until_ms)
