"""Retention: each kind of row goes at its own age, in slices; sums of days stay, and sessions with their energy."""

from __future__ import annotations

import pytest
from sqlalchemy import Table, func, select

from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.engine.retention import DAY_MS, Kept, Retention
from borne.store.schema import (
    charger_days,
    location_days,
    location_hours,
    location_slots,
    readings,
    session_curves,
    session_messages,
    session_slots,
    sessions,
)
from tests.engine.test_metering import said, start, stop
from tests.support.house import Small, on_both

TABLES = (
    readings, session_messages, session_curves, session_slots, location_slots, location_days, charger_days, location_hours,
    sessions,
)  # fmt: skip


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


def in_small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("borne.engine.retention.SLICE", 2)
    monkeypatch.setattr("borne.engine.retention.PAUSE_S", 0.0)


@on_both
async def test_each_goes_at_its_own_age(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_slices(monkeypatch)
    house = small.house
    await charged(small)
    house.clock.pass_s(40 * 86_400)
    await charged(small)
    whole = await counted(small)
    kept = Retention(
        house.db,
        house.clock,
        Kept(readings_days=55, messages_days=60, curves_days=60, slots_days=100, day_sums_days=150),
    )
    await kept.once()
    assert await counted(small) == whole
    house.clock.at_ms += 23 * DAY_MS  # on PostgreSQL readings go by the week
    await kept.once()
    some = await counted(small)
    assert (some["readings"], some["session_curves"]) == (whole["readings"] // 2, 1), (
        "those of the first session are old"
    )
    house.clock.at_ms += 26 * DAY_MS  # messages by four weeks
    await kept.once()
    some = await counted(small)
    assert (some["readings"], some["session_messages"]) == (whole["readings"] // 2, 2)
    assert some["session_slots"] == whole["session_slots"]
    house.clock.at_ms += 43 * DAY_MS
    await kept.once()
    some = await counted(small)
    assert (some["readings"], some["session_messages"], some["session_curves"]) == (0, 0, 0)
    assert some["session_slots"] == whole["session_slots"] // 2
    assert some["location_slots"] == whole["location_slots"] // 2
    assert (some["sessions"], some["location_days"]) == (whole["sessions"], whole["location_days"])
    house.clock.at_ms += 30 * DAY_MS
    await kept.once()
    some = await counted(small)
    assert (some["location_days"], some["charger_days"]) == (1, 1), "each sum at its own age"
    assert some["location_hours"] == whole["location_hours"]
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
    await Retention(small.house.db, small.house.clock, Kept(0, 0, 0, 0, 0, 0)).once()
    assert await counted(small) == before


@on_both
async def test_months_go_when_they_are_old(small: Small) -> None:
    house = small.house
    await charged(small)
    whole = await counted(small)
    assert whole["location_hours"]
    kept = Retention(house.db, house.clock, Kept(0, 0, 0, 0, 0, month_sums_days=365))
    house.clock.at_ms += 364 * DAY_MS
    await kept.once()
    assert await counted(small) == whole
    house.clock.at_ms += 33 * DAY_MS
    await kept.once()
    assert await counted(small) == {**whole, "location_hours": 0}


async def test_a_session_that_never_ends_holds_up_nothing(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_slices(monkeypatch)
    house = small.house
    for _ in range(4):
        await charged(small)
        house.clock.pass_s(3_600)
    oldest = select(func.min(sessions.c.id)).scalar_subquery()
    async with house.db.transaction() as tx:
        await tx.run(sessions.update().where(sessions.c.id == oldest).values(ended_ms=None))
    house.clock.at_ms += 500 * DAY_MS
    await Retention(house.db, house.clock, Kept(slots_days=400)).once()
    assert (await counted(small))["session_curves"] == 1


@on_both
async def test_quarters_of_an_hour_stay_as_long_as_the_session_may_be_measured_anew(small: Small) -> None:
    """Without them it would be added to all sums once more."""
    house = small.house
    meter = Meter(house.db, house.bus, house.clock, Prices(house.db, house.clock))
    house.engine.metered = meter.take
    transaction = await start(small)
    house.clock.pass_s(900)
    await said(small, transaction, 2_000)
    await stop(small, transaction, 3_000)
    await meter.once(all_of_them=True)
    house.clock.at_ms += 100 * DAY_MS
    await Retention(house.db, house.clock, Kept(curves_days=0, slots_days=90)).once()
    assert (await counted(small))["session_slots"] > 0
    await said(small, transaction, 2_500, at_ms=house.clock.at_ms - 100 * DAY_MS)
    await meter.once(all_of_them=True)
    assert await house.db.value(select(func.sum(location_days.c.energy_wh))) == 2_000
