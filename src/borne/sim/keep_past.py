"""Puts a past into the database, as if its chargers had told it: sessions and their samples, which the meter then measures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from borne.sim.past import PastSession
from borne.store import metering, sessions
from borne.store.db import Database

SLICE = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a charger stands."""

    charger_id: int
    organisation_id: int
    location_id: int
    owners: Mapping[str, int]  # person by tag


async def keep_past(db: Database, past: Sequence[PastSession], places: Mapping[str, Place]) -> int:
    """Keep the sessions of chargers (by serial) in slices between which others may write; returns how many."""
    for start in range(0, len(past), SLICE):
        some = past[start : start + SLICE]
        async with db.transaction() as tx:
            ids = await sessions.add_past(tx, [_row(one, places[one.charger]) for one in some])
            owners = [places[one.charger].organisation_id for one in some]
            samples = [list(one.samples) for one in some]
            await metering.save_curves(tx, zip(ids, owners, samples, strict=True))
        await asyncio.sleep(0)
    return len(past)


def _row(one: PastSession, place: Place) -> tuple[object, ...]:
    return (
        place.charger_id, place.organisation_id, place.location_id, 1, 1, str(one.started_ms // 1_000),
        f"p|{one.started_ms}", one.tag,
        place.owners.get(one.tag.casefold()), one.started_ms, one.started_ms, one.meter_start_wh, one.ended_ms, one.ended_ms,
        one.meter_stop_wh, one.end_reason,
    )  # fmt: skip
