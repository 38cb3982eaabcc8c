"""Values of a location's meter on both databases, inside one organisation."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from borne.core.metering_slots import SLOT_MS
from borne.core.site_meter import SiteSlot
from borne.store import organisations, site_meter
from borne.store.db import Database
from borne.store.schema import locations

pytestmark = pytest.mark.anyio
SLOTS = [SiteSlot(0, 1_000, 0, 3_000), SiteSlot(SLOT_MS, 0, 2_000, 1_990), SiteSlot(3 * SLOT_MS, 10**9, 0, 10**9)]


async def test_values_are_kept_replaced_summed_and_forgotten(database: Database) -> None:
    async with database.transaction() as tx:
        here, there = [await organisations.create(tx, name=name, plan="basic", now_ms=1) for name in "AB"]
        lyon = await organisations.create_location(tx, here, name="Lyon", now_ms=1)
        nantes = await organisations.create_location(tx, here, name="Nantes", now_ms=1)
        await site_meter.put(tx, here, lyon, SLOTS)
        await site_meter.put(tx, here, lyon, [SiteSlot(0, 7, 0, 3_000)])
        await site_meter.put(tx, there, lyon, [SiteSlot(0, 9, 9, 9)])  # not its location: reaches nothing of it
    assert await site_meter.between(database, here, lyon, 0, 3 * SLOT_MS) == [SiteSlot(0, 7, 0, 3_000), SLOTS[1]]
    row = await site_meter.sums(database, here, lyon, 0, 2 * SLOT_MS)
    assert tuple(row) == (2, 7, 2_000, 4_990, 3_000)
    assert type(row.own_wh) is int
    assert tuple(await site_meter.sums(database, here, nantes, 0, 10**15)) == (0, 0, 0, 0, 0)
    until = await database.all(select(locations.c.id, locations.c.site_until_ms).order_by(locations.c.id))
    assert [tuple(one) for one in until] == [(lyon, 4 * SLOT_MS), (nantes, None)], "an older slot moves nothing back"
    async with database.transaction() as tx:
        await site_meter.forget(tx, here, lyon)
    assert await site_meter.between(database, here, lyon, 0, 10**15) == []
    assert len(await site_meter.between(database, there, lyon, 0, 10**15)) == 1
