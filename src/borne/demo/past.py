"""Gives the demo twelve months of history, once: sessions that the simulated cars would have had, measured like any other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from borne.wiring import Server

DAYS = 365
ZONE = ZoneInfo("Europe/Paris")
DAY_MS = 86_400_000
MARK = "demo_past"


async def remember(server: Server, seed: int) -> None:
    """Make the past, beside everything else; charts fill while it is measured."""
    from borne.sim.demo_plan import demo_fleet_plan
    from borne.sim.keep_past import Place, keep_past
    from borne.sim.past import past
    from borne.store import chargers, organisations, settings, tags

    if await settings.get(server.db, MARK) is not None:
        return
    async with server.db.transaction() as tx:  # killed in the middle, a part of a past is a past too
        await settings.put(tx, MARK, str(server.clock.now_ms()))
    plan, places = demo_fleet_plan(), {}
    for charger in plan:
        organisation = await organisations.by_name(server.db, charger.organisation)
        if organisation is None:
            continue
        charger_id = await chargers.by_serial(server.db, organisation.id, charger.serial)
        row = await chargers.by_id(server.db, organisation.id, charger_id) if charger_id else None
        if row is not None:
            owners = await tags.owners(server.db, organisation.id)
            places[charger.serial] = Place(row.id, organisation.id, row.location_id, owners)
    for place in places.values():
        async with server.db.transaction() as tx:
            begun_ms = server.clock.now_ms() - DAYS * DAY_MS
            await chargers.existed_since(tx, place.organisation_id, place.charger_id, begun_ms)
    now = datetime.fromtimestamp(server.clock.now_ms() / 1_000, UTC)
    known = [(charger.serial, charger.location) for charger in plan if charger.serial in places]
    await keep_past(server.db, past(known, seed=seed, until=now, days=DAYS, zone=ZONE), places)
