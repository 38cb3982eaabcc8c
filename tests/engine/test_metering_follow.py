"""Open sessions that go on are followed: at any time that is what measuring them anew says, and nothing of it can be lost."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import func, select, update

from borne.bus.port import Hint
from borne.core.facts import Metered
from borne.core.metering import Sample, measure
from borne.core.metering_slots import HOUR_MS
from borne.core.readings import Reading
from borne.core.statistics import local, month_of
from borne.core.tariff import EnergyPrice, Fixed
from borne.engine import metering as engine_metering
from borne.engine.metering import LOOK_S, REST_S, RESTS, Meter, rest_s
from borne.engine.metering_whole import metering_of, zone_of
from borne.store import energy_prices
from borne.store import metering as store
from borne.store.db import BadValue, Row
from borne.store.schema import (
    location_days,
    location_months,
    location_slots,
    readings,
    session_curves,
    session_slots,
    sessions,
    settings,
)
from tests.engine.test_metering import assert_sums, meter_of, said, start, stop, the_session
from tests.support.house import Small, on_both


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples wait for their curves, as where many sessions are open."""
    monkeypatch.setattr(engine_metering, "FEW", 0)


async def tell(small: Small, transaction: str, *values: Reading) -> None:
    fact = small.house.fact(
        Metered, small.charger_id, epoch=small.epoch, evse=1, connector=1, transaction=transaction, readings=values
    )
    await small.house.engine.apply(fact)


async def told(small: Small) -> list[Sample]:
    """All samples of the only session, from the readings as they are stored."""
    found: dict[tuple[int, int | None], dict[str, int]] = {}
    for row in await small.house.db.all(select(readings).order_by(readings.c.received_ms, readings.c.idx)):
        found.setdefault((row.received_ms, row.device_ms), {})[row.quantity] = row.value
    return [Sample(*key, one.get("energy_import_wh"), None, one.get("power_import_w")) for key, one in found.items()]


async def assert_as_anew(small: Small, before: Row | None) -> Row:
    """The session, its slots, sums and peaks are those of everything that was said."""
    db, row = small.house.db, await the_session(small)
    known = {**row._asdict(), "over_ms": None if before is None else before.over_ms}  # type: ignore[attr-defined]
    anew = measure(metering_of(type("Row", (), known)()), await told(small))  # type: ignore[arg-type]
    assert (row.begun_ms, row.over_ms, row.energy_wh) == (anew.start_ms, anew.end_ms, anew.energy_wh)
    assert (row.charging_ms, row.peak_w, row.power_w) == (anew.charging_ms, anew.peak_w, anew.power_w)
    slots = await db.all(select(session_slots).order_by(session_slots.c.slot_ms))
    assert [(one.slot_ms, one.energy_wh, one.charging_ms, one.plugged_ms, one.peak_w) for one in slots] == [
        (one.slot_ms, one.energy_wh, one.charging_ms, one.plugged_ms, one.peak_w) for one in anew.slots
    ]
    await assert_sums(small)
    await assert_peaks(small, row.zone)
    return row


async def assert_peaks(small: Small, zone: str) -> None:
    db, days, months = small.house.db, dict[int, int](), dict[int, int]()
    for slot in await db.all(select(location_slots.c.slot_ms, location_slots.c.energy_wh)):
        day = local(slot.slot_ms, zone_of(zone)).day
        days[day] = max(days.get(day, 0), slot.energy_wh)
        months[month_of(day)] = max(months.get(month_of(day), 0), slot.energy_wh)
    assert days == dict(await db.all(select(location_days.c.day, location_days.c.peak_wh)))  # type: ignore[arg-type]
    assert months == dict(await db.all(select(location_months.c.month, location_months.c.peak_wh)))  # type: ignore[arg-type]


class Bot:
    """A charger that mostly simply goes on; else it is late, repeats itself, resets, leaps, or our clock jumps."""

    def __init__(self, small: Small, meter: Meter, chance: random.Random, transaction: str) -> None:
        self.small = small
        self.meter = meter
        self.chance = chance
        self.transaction = transaction
        self.register_wh = 1_000
        self.past: list[tuple[Reading, ...]] = []

    async def say(self) -> None:
        chance, clock = self.chance, self.small.house.clock
        clock.pass_s(chance.choice((10, 60, 300, 900 - clock.at_ms // 1_000 % 900, 2_000)))
        self.register_wh += chance.choice((0, 20, 150, 900))
        device_ms: int | None = clock.at_ms
        match chance.randrange(16):
            case 0:
                device_ms = clock.at_ms - chance.randrange(2 * HOUR_MS)
            case 1:
                device_ms = chance.choice((None, 5))
            case 2:
                self.register_wh = chance.choice((0, self.register_wh + 10**8))
            case 3:
                clock.pass_s(-chance.choice((200, 4_000)) - 0.001 * chance.randrange(1_000))
                await self.meter._mark_sometimes()  # within a second
        register = Reading("energy_import_wh", self.register_wh, device_ms)
        values: tuple[Reading, ...] = (register, Reading("power_import_w", chance.randrange(9_000), device_ms))
        if self.past and chance.random() < 0.1:
            values = chance.choice(self.past)
        self.past.append(values)
        await tell(self.small, self.transaction, *values)


@on_both
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.usefixtures("crowd")
async def test_at_any_time_it_is_what_measuring_anew_says_also_after_it_was_killed(small: Small, seed: int) -> None:
    house, meter, chance = small.house, meter_of(small), random.Random(seed)
    await meter._catch_up()
    bot, row = Bot(small, meter, chance, await start(small)), None
    for _ in range(25):
        for _ in range(chance.randrange(1, 4)):
            await bot.say()
        if chance.random() < 0.2:  # kill -9, and a new start
            bot.meter = meter = meter_of(small)
            await meter._catch_up()
        await meter.once(all_of_them=True)
        row = await assert_as_anew(small, row)
        if chance.random() < 0.2:
            await meter.write_curves([row.id])
        await meter._mark_sometimes()
    house.clock.pass_s(60)
    await stop(small, bot.transaction, bot.register_wh)
    await meter.once()
    await assert_as_anew(small, row)


async def grown(small: Small, meter: Meter, transaction: str, minutes: range) -> None:
    """It takes 100 Wh a minute, and is measured each minute."""
    for minute in minutes:
        small.house.clock.pass_s(60)
        await said(small, transaction, 1_000 + 100 * minute, power_w=6_000)
        await meter.once(all_of_them=True)


async def curve_of(small: Small) -> list[Sample]:
    return store.decoded_samples(await small.house.db.value(select(session_curves.c.samples)))


@pytest.mark.usefixtures("crowd")
async def test_it_reads_no_curve_and_writes_none_until_it_is_time(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter, asked = meter_of(small), list[Any]()
    transaction = await start(small)
    await grown(small, meter, transaction, range(1, 3))
    curves = store.curves

    async def counted(db: Any, ids: Any) -> Any:
        asked.extend(ids)
        return await curves(db, ids)

    monkeypatch.setattr(store, "curves", counted)
    await grown(small, meter, transaction, range(3, 30))
    assert (await the_session(small)).energy_wh == 2_900
    assert asked == []
    assert len(await curve_of(small)) == 1
    monkeypatch.setattr(engine_metering, "WRITTEN_EVERY_S", 0.0)
    await meter.once()
    assert len(await curve_of(small)) == 29


async def test_few_sessions_have_their_curve_at_once(small: Small) -> None:
    meter = meter_of(small)
    transaction = await start(small)
    for minute in (1, 2, 3):
        await grown(small, meter, transaction, range(minute, minute + 1))
        assert len(await curve_of(small)) == minute


@pytest.mark.usefixtures("crowd")
async def test_the_mark_stays_before_what_is_not_in_its_curve_yet(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    await grown(small, meter, transaction, range(1, 3))
    first_ms = house.clock.at_ms
    await grown(small, meter, transaction, range(3, 60))
    await meter._mark_sometimes()
    marked = int(await house.db.value(select(settings.c.value).where(settings.c.name == engine_metering.MARK)))
    assert marked == first_ms - engine_metering.SAFE_MS
    later = meter_of(small)  # the other one was killed
    await later._catch_up()
    await later.once(all_of_them=True)
    assert (await the_session(small)).energy_wh == 5_900
    assert len(await curve_of(small)) == 59
    await assert_sums(small)


@pytest.mark.usefixtures("crowd")
async def test_one_that_changed_meanwhile_is_measured_again_and_nothing_of_the_first_try_stays(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    await grown(small, meter, transaction, range(1, 5))
    by_ids = store.by_ids

    async def overtaken(db: Any, ids: Any) -> Any:
        rows = await by_ids(db, ids)
        async with house.db.transaction() as tx:
            await tx.run(sessions.update().values(dirty=1, tag="OTHER"))
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(store, "by_ids", overtaken)
        patch.setattr(store, "dirty", lambda db, most, after_id: asyncio.sleep(0, []))
        await grown(small, meter, transaction, range(5, 6))
    assert (await the_session(small)).energy_wh == 400
    await meter.once()
    row = await the_session(small)
    assert (row.energy_wh, row.dirty) == (500, 0)
    await assert_sums(small)


@pytest.mark.usefixtures("crowd")
async def test_a_price_that_is_told_later_counts_for_what_has_none(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    transaction = await start(small)
    await grown(small, meter, transaction, range(1, 61))
    assert (await the_session(small)).cost_nanos is None
    async with house.db.transaction() as tx:
        price = EnergyPrice(0, Fixed(250_000))
        await energy_prices.add(
            tx, small.organisation_id, small.location_id, price, currency="EUR", person_name="C", now_ms=1
        )
    await grown(small, meter, transaction, range(61, 63))
    assert (await the_session(small)).cost_nanos == 6_200 * 250_000
    await assert_sums(small)


@pytest.mark.usefixtures("crowd")
async def test_memory_is_bounded(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("borne.engine.metering_follow.SESSIONS_MOST", 1)
    monkeypatch.setattr("borne.engine.metering_curves.SAMPLES_MOST", 20)
    house, meter = small.house, meter_of(small)
    for _ in range(2):
        transaction = await start(small, meter_start_wh=1_000)
        await grown(small, meter, transaction, range(1, 51))
        assert len(meter._following) == 1
        assert (await the_session(small)).energy_wh == 5_000
        await meter.write_curves([(await the_session(small)).id])
        assert len(await curve_of(small)) <= 20
        await stop(small, transaction, 6_000)
        await meter.once()
        house.clock.pass_s(60)
    energies = [row.energy_wh for row in await house.db.all(select(sessions.c.energy_wh))]
    assert energies == [5_000, 5_000]
    await assert_sums(small)


# ---- when ----------------------------------------------------------------------------------------------------------------


async def test_a_reading_is_on_its_page_within_a_second_or_so(small: Small) -> None:
    house, meter = small.house, meter_of(small)
    told_at = asyncio.Event()
    house.bus.listen("session", lambda hint: told_at.set())
    transaction = await start(small)
    meter.start()
    try:
        await asyncio.wait_for(told_at.wait(), 10)  # the start
        told_at.clear()
        house.clock.pass_s(60)
        began_s = asyncio.get_running_loop().time()
        await said(small, transaction, 1_500)
        await asyncio.wait_for(told_at.wait(), 10)
        assert asyncio.get_running_loop().time() - began_s < 2.0
    finally:
        await meter.stop()
    assert (await the_session(small)).energy_wh == 500


def test_a_tenth_of_the_time_is_for_measuring_at_most() -> None:
    assert rest_s(0.0) == REST_S
    assert rest_s(0.05) == RESTS * 0.05
    assert rest_s(3.0) == LOOK_S


class Three:
    """Three chargers with a session each, which are measured one at a time."""

    def __init__(self, small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in (("SLICE", 1), ("WHOLE_SLICE", 1), ("CALM_S", 0.0)):
            monkeypatch.setattr(engine_metering, name, value)
        self.small = small
        self.meter = meter_of(small)
        self.ids: list[int] = []
        self._known: list[tuple[int, int, str]] = []

    async def begin(self) -> Meter:
        small, house = self.small, self.small.house
        for charger_id in await house.chargers(small.organisation_id, small.location_id, count=3, model="other"):
            small.charger_id, small.epoch = charger_id, await house.connect(charger_id)
            self._known.append((charger_id, small.epoch, await start(small)))
            self.ids.append((await the_session(small)).id)
            await self.meter.once()
        return self.meter

    async def say(self, wh: int) -> None:
        small = self.small
        for small.charger_id, small.epoch, transaction in self._known:
            small.house.clock.pass_s(60)
            await said(small, transaction, wh)


async def test_a_crowd_is_measured_in_turn_who_waits_longest_first(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, three, hints = small.house, Three(small, monkeypatch), list[Hint]()
    meter, ids = await three.begin(), three.ids
    house.bus.listen("session", hints.append)
    measured = []
    for wh in (2_000, 3_000):
        await three.say(wh)
        for _ in range(2):
            hints.clear()
            await meter.once(share_s=0.0)
            await asyncio.sleep(0)
            measured += [hint.id for hint in hints]
    assert measured == [ids[0], ids[1], ids[2], ids[0]]
    await meter.once()
    total = await house.db.value(select(func.sum(sessions.c.energy_wh)))
    assert total == 3 * 2_000
    await assert_sums(small)


async def test_one_that_cannot_be_measured_holds_up_nobody(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    three = Three(small, monkeypatch)
    meter, measured = await three.begin(), Meter._measured

    async def fails(meter: Meter, row: Row, samples: list[Sample], before: Any) -> Any:
        if row.id == three.ids[0]:
            raise ZeroDivisionError
        return await measured(meter, row, samples, before)

    monkeypatch.setattr(Meter, "_measured", fails)
    await three.say(2_000)
    for _ in range(3):
        await meter.once(share_s=0.0)
    rows = await small.house.db.all(select(sessions.c.id, sessions.c.energy_wh).order_by(sessions.c.id))
    assert [row.energy_wh for row in rows if row.id in three.ids] == [None, 1_000, 1_000]
    monkeypatch.setattr(Meter, "_measured", measured)
    await meter.once()
    assert await small.house.db.value(select(sessions.c.energy_wh).where(sessions.c.id == three.ids[0])) is None
    meter._put_off_s.clear()  # a minute later
    await three.say(3_000)
    await meter.once(all_of_them=True)
    assert await small.house.db.value(select(sessions.c.energy_wh).where(sessions.c.id == three.ids[0])) == 2_000
    await assert_sums(small)


async def test_a_changed_session_that_cannot_be_measured_holds_up_no_other(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that ended wait in one queue, in the order of their ids."""
    three = Three(small, monkeypatch)
    meter, measured = await three.begin(), Meter._measured

    async def fails(meter: Meter, row: Row, samples: list[Sample], before: Any) -> Any:
        if row.id == three.ids[0]:
            raise BadValue
        return await measured(meter, row, samples, before)

    monkeypatch.setattr(engine_metering, "WHOLE_SLICE", 8)
    monkeypatch.setattr(Meter, "_measured", fails)
    async with small.house.db.transaction() as tx:
        await tx.run(update(sessions).values(dirty=1))
    await meter.once()
    found = await small.house.db.all(select(sessions.c.id, sessions.c.dirty).order_by(sessions.c.id))
    assert {row.id: row.dirty for row in found if row.id in three.ids} == dict(zip(three.ids, (1, 0, 0), strict=True))
