"""Sums beside sessions: nothing differs while chargers charge, and whatever is broken is told."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from borne.core.statistics import SUMS
from borne.engine import statistics_check
from borne.engine.retention import DAY_MS, Kept, Retention
from borne.engine.statistics_check import check
from borne.engine.statistics_command import verified
from tests.engine.test_metering import meter_of, said, start, stop
from tests.support.house import Small, on_both

TABLES = (
    "location_slots", "location_days", "location_hours", "charger_days", "person_days", "location_months", "charger_months",
    "person_months", "organisation_hours",
)  # fmt: skip


async def charged(small: Small, days: int = 3) -> None:
    """A session a day, the last still open; one of each two belongs to a person."""
    meter = meter_of(small)
    for number in range(days):
        transaction = await start(small)
        for step in range(1, 4):
            small.house.clock.pass_s(900)
            await said(small, transaction, 1_000 + step * 700, power_w=2_800)
        await meter.once(all_of_them=True)
        if number < days - 1:
            await stop(small, transaction, 3_200)
        async with small.house.db.transaction() as tx:
            await tx.run(text(f"UPDATE sessions SET person_id = 7, dirty = dirty + 1 WHERE id % 2 = {number % 2}"))
        await meter.once(all_of_them=True)
        small.house.clock.pass_s(86_400)


async def told(small: Small) -> list[str]:
    return [str(one) for one in (await check(small.house.db, small.organisation_id)).differences]


async def broken(small: Small, statement: str) -> None:
    async with small.house.db.transaction() as tx:
        await tx.run(text(statement))


@on_both
async def test_each_sum_that_is_broken_is_told(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_check, "PAGE", 2)
    monkeypatch.setattr("borne.store.statistics_check.PAGE", 2)
    await charged(small)
    found = await check(small.house.db, small.organisation_id)
    assert (found.differences, found.sessions, found.closed_day) == ((), 3, None)
    for number, table in enumerate(TABLES):
        name = SUMS[number % len(SUMS)]
        await broken(small, f"UPDATE {table} SET {name} = {name} + 3")
        lines = await told(small)
        assert any(line.startswith(f"{table} (") and f"{name} +3" in line for line in lines), (table, name, lines)
        await broken(small, f"UPDATE {table} SET {name} = {name} - 3")
    assert await told(small) == []


@on_both
async def test_rows_that_are_missing_or_nobodys_are_told(small: Small) -> None:
    await charged(small)
    await broken(small, "UPDATE location_months SET peak_wh = peak_wh + 1")
    assert any("peak_wh +1 beside its days" in line for line in await told(small))
    await broken(small, "UPDATE location_months SET peak_wh = peak_wh - 1")
    await broken(small, f"DELETE FROM charger_days WHERE charger_id = {small.charger_id}")
    lines = await told(small)
    assert any(
        line.startswith(f"charger_days (charger {small.charger_id}, ") and "sessions −1" in line for line in lines
    )
    assert any(line.startswith("charger_months (") and "beside its days" in line for line in lines)
    others = f"INSERT INTO person_days (organisation_id, person_id, location_id, day, sessions) VALUES ({small.organisation_id}"
    await broken(small, f"{others}, 99, {small.location_id}, 20000, 1)")
    assert any(line.startswith("person_days (person 99") for line in await told(small))
    await broken(
        small, "UPDATE session_slots SET energy_wh = energy_wh + 1 WHERE session_id = (SELECT min(id) FROM sessions)"
    )
    assert any(line.startswith("location_slots (") and "energy_wh −" in line for line in await told(small))


@on_both
async def test_what_goes_on_meanwhile_is_not_told(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    await charged(small)
    real = statistics_check._Walk.walk

    async def walk(self: statistics_check._Walk, add: statistics_check._Adder) -> bool:
        await broken(small, "UPDATE location_days SET energy_wh = energy_wh + 1")
        return await real(self, add)

    monkeypatch.setattr(statistics_check._Walk, "walk", walk)
    assert [line for line in await told(small) if line.startswith("location_days")] == []


@on_both
async def test_slots_that_were_thrown_away_are_not_missed(small: Small) -> None:
    house = small.house
    await charged(small, 40)
    retention = Retention(house.db, house.clock, Kept(curves_days=5, slots_days=10))
    for _ in range(2):  # what is closed keeps its slots until the next look
        await retention.once()
    found = await check(house.db, small.organisation_id, house.clock.now_ms() - 9 * DAY_MS)
    assert [str(one) for one in found.differences] == []
    assert found.slots < 40 * 4
    assert found.closed_day is not None
    unaware = await check(house.db, small.organisation_id)
    assert unaware.closed_day is not None, "sessions without slots say it"
    await broken(
        small, "UPDATE location_days SET energy_wh = energy_wh + 1 WHERE day = (SELECT max(day) FROM location_days)"
    )
    lines, is_wrong = await verified(house.db, small.organisation_id, 10, 0, house.clock.now_ms())
    assert is_wrong
    assert any("location_days" in line for line in lines)
