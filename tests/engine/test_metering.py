"""Measuring behind the engine: sessions get their energy, and the sums of statistics are those of the sessions at any time."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update

from borne.core.facts import Booted, Metered, SessionEnded, SessionStarted
from borne.core.readings import Reading
from borne.core.tariff import EnergyPrice, Fixed
from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.engine.statistics_check import check
from borne.store import energy_prices, erasure
from borne.store.db import Row
from borne.store.schema import (
    charger_days,
    corrections,
    location_days,
    location_hours,
    location_slots,
    locations,
    people,
    person_days,
    session_curves,
    session_slots,
    sessions,
)
from tests.support.house import START_MS, Small, on_both

HOUR_MS = 3_600_000


def meter_of(small: Small) -> Meter:
    house = small.house
    meter = Meter(house.db, house.bus, house.clock, Prices(house.db, house.clock))
    house.engine.metered = meter.take
    return meter


async def start(small: Small, meter_start_wh: int | None = 1_000, **said: Any) -> str:
    fact = small.house.fact(
        SessionStarted, small.charger_id, epoch=small.epoch, evse=1, connector=1, tag="AA11", transaction=None,
        meter_start_wh=meter_start_wh, device_ms=small.house.clock.at_ms, raw=str(small.house.clock.at_ms), **said,
    )  # fmt: skip
    outcome = await small.house.engine.apply(fact)
    assert outcome.transaction is not None
    return outcome.transaction


async def said(
    small: Small, transaction: str | None, wh: int, power_w: int | None = None, at_ms: int | None = None
) -> None:
    device_ms = at_ms or small.house.clock.at_ms
    readings = [Reading("energy_import_wh", wh, device_ms)]
    if power_w is not None:
        readings += [Reading("power_import_w", power_w // 3, device_ms, phase) for phase in ("L1", "L2", "L3")]
    fact = small.house.fact(
        Metered,
        small.charger_id,
        epoch=small.epoch,
        evse=1,
        connector=1,
        transaction=transaction,
        readings=tuple(readings),
    )
    await small.house.engine.apply(fact)


async def stop(small: Small, transaction: str, wh: int | None) -> None:
    fact = small.house.fact(
        SessionEnded, small.charger_id, epoch=small.epoch, transaction=transaction, meter_stop_wh=wh,
        device_ms=small.house.clock.at_ms, reason="Local", raw="stop",
    )  # fmt: skip
    await small.house.engine.apply(fact)


async def the_session(small: Small) -> Row:
    found = await small.house.db.first(select(sessions).order_by(sessions.c.id.desc()).limit(1))
    assert found is not None
    return found


async def assert_sums(small: Small) -> None:
    """M10: what every table of sums holds is what the sessions say."""
    db = small.house.db
    everything = await db.first(
        select(func.coalesce(func.sum(sessions.c.energy_wh), 0), func.count()).where(sessions.c.measured > 0)
    )
    slots = await db.value(select(func.coalesce(func.sum(session_slots.c.energy_wh), 0)))
    assert everything is not None
    assert slots == everything[0]
    for table in (location_slots, location_days, location_hours, charger_days):
        found = await db.first(select(func.sum(table.c.energy_wh), func.sum(table.c.sessions)))
        assert found is not None
        assert tuple(found) == tuple(everything), table.name
    of_people = await db.value(select(func.coalesce(func.sum(person_days.c.energy_wh), 0)))
    owned = await db.value(
        select(func.coalesce(func.sum(sessions.c.energy_wh), 0)).where(sessions.c.person_id.is_not(None))
    )
    assert of_people == owned
    assert (await check(db, small.organisation_id)).differences == ()


@on_both
async def test_a_session_grows_and_ends_with_its_energy_cost_and_sums(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    async with house.db.transaction() as tx:
        await energy_prices.add(
            tx,
            small.organisation_id,
            small.location_id,
            EnergyPrice(0, Fixed(250_000)),
            currency="EUR",
            person_name="C",
            now_ms=1,
        )
    transaction = await start(small)
    for minutes in range(15, 121, 15):
        house.clock.pass_s(15 * 60)
        await said(small, transaction, 1_000 + minutes * 100, power_w=6_000)
        await meter.once(all_of_them=True)
        await assert_sums(small)
    row = await the_session(small)
    assert (row.energy_wh, row.power_w, row.peak_w) == (12_000, 6_000, 6_000)
    house.clock.pass_s(60)
    await stop(small, transaction, 13_050)
    await meter.once()
    row = await the_session(small)
    assert (row.energy_wh, row.dirty, row.currency) == (12_050, 0, "EUR")
    assert row.cost_nanos == 12_050 * 250_000
    assert row.over_ms - row.begun_ms == 121 * 60_000
    await assert_sums(small)
    day = await house.db.first(select(location_days.c.peak_wh, location_days.c.cost_nanos))
    assert day is not None
    assert tuple(day) == (1_500, 12_050 * 250_000)


@on_both
async def test_measuring_again_changes_nothing(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    house.clock.pass_s(3_600)
    await said(small, transaction, 8_000)
    await stop(small, transaction, 8_200)
    await meter.once(all_of_them=True)
    before = [
        await house.db.all(select(table)) for table in (session_slots, location_slots, location_days, charger_days)
    ]
    again = meter_of(small)
    await again.read_again(0, house.clock.at_ms + 1)
    assert before == [
        await house.db.all(select(table)) for table in (session_slots, location_slots, location_days, charger_days)
    ]
    await assert_sums(small)


async def test_what_a_crash_left_unmeasured_is_read_again(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    await meter.once(all_of_them=True)
    await meter._mark(house.clock.at_ms)
    house.clock.pass_s(3_600)
    await said(small, transaction, 5_000)  # and it is killed before it measures
    later = Meter(house.db, house.bus, house.clock, Prices(house.db, house.clock))
    house.clock.pass_s(10)
    await later._catch_up()
    await later.once()
    assert (await the_session(small)).energy_wh == 4_000


async def test_readings_without_a_transaction_belong_to_the_open_session(small: Small) -> None:
    meter = meter_of(small)
    await start(small)
    small.house.clock.pass_s(1_800)
    await said(small, None, 3_000)
    await meter.once(all_of_them=True)
    assert (await the_session(small)).energy_wh == 2_000


async def test_an_open_session_is_measured_in_its_calm_and_at_once_when_it_ends(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    house.clock.pass_s(600)
    await said(small, transaction, 2_000)
    await meter.once()
    assert (await the_session(small)).energy_wh == 1_000
    house.clock.pass_s(600)
    await said(small, transaction, 3_000)
    await meter.once()
    assert (await the_session(small)).energy_wh == 1_000, "measured a moment ago"
    await stop(small, transaction, 3_100)
    await meter.once()
    assert (await the_session(small)).energy_wh == 2_100


@on_both
async def test_a_price_that_changes_leaves_what_was_priced(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    async with house.db.transaction() as tx:
        await energy_prices.add(
            tx,
            small.organisation_id,
            small.location_id,
            EnergyPrice(0, Fixed(100_000)),
            currency="EUR",
            person_name="C",
            now_ms=1,
        )
    transaction = await start(small)
    house.clock.pass_s(1_800)
    await said(small, transaction, 2_000)
    await meter.once(all_of_them=True)
    async with house.db.transaction() as tx:
        late = EnergyPrice(START_MS - HOUR_MS, Fixed(900_000))
        await energy_prices.add(
            tx, small.organisation_id, small.location_id, late, currency="EUR", person_name="C", now_ms=1
        )
    house.clock.pass_s(1)
    await said(small, transaction, 2_000)
    await meter.once(all_of_them=True)
    row = await the_session(small)
    assert row.cost_nanos == 1_000 * 100_000
    await assert_sums(small)


async def test_energy_that_cannot_be_is_not_known_and_counted_so(small: Small) -> None:
    meter = meter_of(small)
    transaction = await start(small, meter_start_wh=50_000)
    small.house.clock.pass_s(3_600)
    await stop(small, transaction, 49_000)
    await meter.once()
    row = await the_session(small)
    assert row.energy_wh is None
    assert "stop_below_start" in row.suspects
    found = await small.house.db.first(
        select(location_days.c.sessions, location_days.c.unknown, location_days.c.energy_wh)
    )
    assert found is not None
    assert tuple(found) == (1, 1, 0)


async def test_days_are_those_of_the_location(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    async with house.db.transaction() as tx:
        await tx.run(locations.update().values(time_zone="Asia/Kathmandu"))
    evening = datetime(2026, 9, 25, 20, 0, tzinfo=ZoneInfo("Asia/Kathmandu"))  # UTC+5:45
    house.clock.at_ms = int(evening.timestamp() * 1_000)
    transaction = await start(small)
    house.clock.pass_s(8 * 3_600)
    await stop(small, transaction, 33_000)
    await meter.once()
    days = await house.db.all(select(location_days.c.day, location_days.c.energy_wh))
    assert len(days) == 2
    assert sum(row.energy_wh for row in days) == 32_000
    await assert_sums(small)


@pytest.mark.parametrize("most", [1, 3])
async def test_too_many_waiting_readings_are_read_from_the_database(
    small: Small, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("borne.engine.metering.WAITING_MOST", most)
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    for minutes in (10, 20, 30):
        house.clock.pass_s(600)
        await said(small, transaction, 1_000 + minutes * 50, power_w=3_000)
    house.clock.pass_s(1)
    await meter.once(all_of_them=True)
    assert (await the_session(small)).energy_wh == 1_500


async def test_what_a_crash_left_is_read_again_although_the_clock_was_set_back_meanwhile(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    await meter.once(all_of_them=True)
    await meter._mark(house.clock.at_ms)
    house.clock.pass_s(3_600)
    await said(small, transaction, 5_000)
    house.clock.at_ms -= 2 * HOUR_MS
    later = meter_of(small)
    await later._catch_up()
    await later.once()
    assert (await the_session(small)).energy_wh == 4_000


async def test_a_reading_without_a_transaction_is_of_the_session_that_was_open_when_it_came(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    first = await start(small)
    house.clock.pass_s(600)
    await said(small, None, 2_000)
    await stop(small, first, 2_100)
    house.clock.pass_s(60)
    await start(small, meter_start_wh=2_100)
    await meter.once(all_of_them=True)
    await meter_of(small).read_again(0, house.clock.at_ms + 1)
    found = await house.db.all(select(sessions.c.energy_wh).order_by(sessions.c.id))
    assert [row.energy_wh for row in found] == [1_100, None]


async def test_a_late_value_opens_nothing_and_adds_nothing(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    house.clock.pass_s(3_600)
    await stop(small, transaction, 4_000)
    await meter.once()
    house.clock.pass_s(60)
    await said(small, transaction, 4_500)
    await meter.once(all_of_them=True)
    row = await the_session(small)
    assert row.energy_wh == 3_000
    assert row.over_ms == row.ended_ms == house.clock.at_ms - 60_000


@on_both
async def test_energy_that_comes_after_its_session_was_closed_is_booked_when_it_comes(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    house.clock.pass_s(3_600)
    await said(small, transaction, 4_000)
    await house.engine.apply(house.fact(Booted, small.charger_id, epoch=small.epoch, vendor="V", model="M"))
    await meter.once(all_of_them=True)
    slots = await house.db.all(select(session_slots).order_by(session_slots.c.slot_ms))
    async with house.db.transaction() as tx:
        await tx.run(session_curves.delete())
    house.clock.pass_s(500 * 86_400)
    await stop(small, transaction, 5_500)
    for again in (meter, meter_of(small)):
        await again.once(all_of_them=True)
        await again.read_again(0, house.clock.at_ms + 1)
    row = await the_session(small)
    assert (row.energy_wh, row.dirty) == (4_500, 0)
    now = await house.db.all(select(session_slots).order_by(session_slots.c.slot_ms))
    assert now[:-1] == slots, "what was closed is as it was"
    assert (now[-1].energy_wh, now[-1].slot_ms) == (1_500, house.clock.at_ms // 900_000 * 900_000)
    noted = await house.db.all(select(corrections.c.session_id, corrections.c.energy_wh, corrections.c.at_ms))
    assert [tuple(one) for one in noted] == [(row.id, 1_500, house.clock.at_ms)]
    await assert_sums(small)


async def test_readings_of_the_evse_alone_belong_to_its_open_session(small: Small) -> None:
    """MeterValues of 2.x names no connector."""
    house, meter = small.house, meter_of(small)
    await start(small)
    house.clock.pass_s(1_800)
    fact = house.fact(
        Metered, small.charger_id, epoch=small.epoch, evse=1, connector=0, transaction=None,
        readings=(Reading("energy_import_wh", 2_500, house.clock.at_ms),),
    )  # fmt: skip
    await house.engine.apply(fact)
    await meter.once(all_of_them=True)
    assert (await the_session(small)).energy_wh == 1_500


@on_both
async def test_who_is_erased_while_their_session_is_measured_is_in_no_sums(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, meter, anew = small.house, meter_of(small), Meter._anew
    transaction = await start(small)
    house.clock.pass_s(60)
    await said(small, transaction, 1_100)
    async with house.db.transaction() as tx:
        person = {"name": "Léa", "email": "lea@a.test", "created_ms": 1}
        person_id = await tx.insert(people, person)
        await tx.run(update(sessions).values(person_id=person_id))

    async def erased_meanwhile(meter: Meter, rows: Any) -> Any:
        found = await anew(meter, rows)
        if (row := await erasure.person(house.db, person_id)) is not None:
            async with house.db.transaction() as tx:
                await erasure.erase(tx, row, [small.organisation_id], 2)
        return found

    monkeypatch.setattr(Meter, "_anew", erased_meanwhile)
    for _ in range(2):
        await meter.once(all_of_them=True)
    session = await the_session(small)
    assert (session.person_id, session.measured_person_id, session.energy_wh) == (None, None, 100)
    assert await house.db.value(select(func.count()).select_from(person_days)) == 0
    await assert_sums(small)
