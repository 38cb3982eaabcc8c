"""Retention: each kind of row goes at its own age, in slices; sums of days stay, and sessions with their energy."""

from __future__ import annotations

import pytest
from sqlalchemy import Table, func, select

from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.engine.retention import DAY_MS, Kept, Retention
from borne.store.schema import (
    location_days,
    location_slots,
    readings,
    session_curves,
    session_messages,
    session_slots,
    sessions,
)
from tests.engine.test_metering import said, start, stop
from tests.support.house import Small, on_both

TABLES = (readings, session_messages, session_curves, session_slots, location_slots, location_days, sessions)


async def counted(small: Small) -> dict[str, int]:
    async def count(table: Table) -> int:
        return int(await small.house.db.value(select(func.count()).select_from(table)))

    return {table.name: await count(table) for table in TABLES}


async def charged(small: Small) -> None:
    """A session of half an hour, measured."""
    house = small.house
    meter = Meter(house.db, house.bus, house.clock, Prices(house.db, house.clock))
    house.engine.metered = meter.take
    transaction = await start(small)
    for wh in (2_000, 3_000):
        house.clock.pass_s(900)
        await said(small, transaction, wh, power_w=4_000)
    await stop(small, transaction, 3_000)
    await meter.once(all_of_them=True)


@on_both
async def test_each_goes_at_its_own_age(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("borne.engine.retention.SLICE", 2)
    monkeypatch.setattr("borne.engine.retention.PAUSE_S", 0.0)
    house = small.house
    await charged(small)
    house.clock.pass_s(10 * 86_400)
    await charged(small)
    whole = await counted(small)
    kept = Retention(house.db, house.clock, Kept(readings_days=20, messages_days=40, curves_days=40, slots_days=60))
    await kept.once()
    assert await counted(small) == whole
    house.clock.at_ms += 11 * DAY_MS
    await kept.once()
    some = await counted(small)
    assert some == {**whole, "readings": whole["readings"] // 2}, "the first session's readings are old"
    house.clock.at_ms += 20 * DAY_MS
    await kept.once()
    some = await counted(small)
    assert (some["readings"], some["session_messages"], some["session_curves"]) == (0, 2, 1)
    assert some["session_slots"] == whole["session_slots"]
    house.clock.at_ms += 20 * DAY_MS
    await kept.once()
    some = await counted(small)
    assert (some["session_curves"], some["session_messages"]) == (0, 0)
    assert some["session_slots"] == whole["session_slots"] // 2
    assert some["location_slots"] == whole["location_slots"] // 2
    assert (some["sessions"], some["location_days"]) == (whole["sessions"], whole["location_days"])
    energies = await house.db.all(select(sessions.c.energy_wh))
    assert [row.energy_wh for row in energies] == [2_000, 2_000]


async def test_what_is_open_or_not_measured_yet_keeps_its_curve(small: Small) -> None:
    house = small.house
    await charged(small)
    async with house.db.transaction() as tx:
        await tx.run(sessions.update().values(dirty=1))
    house.clock.at_ms += 1_000 * DAY_MS
    await Retention(house.db, house.clock, Kept()).once()
    assert (await counted(small))["session_curves"] == 1


async def test_nothing_goes_where_all_is_kept_for_ever(small: Small) -> None:
    await charged(small)
    before = await counted(small)
    small.house.clock.at_ms += 9_000 * DAY_MS
    await Retention(small.house.db, small.house.clock, Kept(0, 0, 0, 0)).once()
    assert await counted(small) == before
