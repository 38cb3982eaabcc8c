"""Sessions whose price or whose location's meter is known later: measured anew in slices, and what was final stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select, update

from borne.core.actor import BORNE
from borne.core.facts import Metered, SessionEnded, SessionStarted
from borne.core.metering_slots import SLOT_MS
from borne.core.price_file import PriceFile
from borne.core.readings import Reading
from borne.core.site_meter import SiteSlot
from borne.core.tariff import Dynamic, EnergyPrice, Fixed, Tariff
from borne.engine import measure_again
from borne.engine.measure_again import MeasureAgain, ranges_of
from borne.engine.metering import Meter
from borne.engine.price_lists import keep
from borne.engine.prices import Prices
from borne.engine.site_meter import Kept, SiteMeter
from borne.store import energy_prices
from borne.store.db import Row
from borne.store.schema import (
    charger_days,
    jobs,
    location_days,
    location_hours,
    location_slots,
    session_curves,
    session_slots,
    sessions,
)
from tests.support.house import START_MS, Small, on_both

T0 = (START_MS // SLOT_MS + 8) * SLOT_MS
SLOTS = [T0 + number * SLOT_MS for number in range(4)]
TARIFF, FEED_IN = 250_000, 80_000


@dataclass
class Site:
    """A location where 4 kWh are charged within an hour, 1 kWh a slot."""

    small: Small
    meter: Meter
    site_meter: SiteMeter

    async def price(self, tariff: Tariff, from_ms: int = 0) -> None:
        async with self.small.house.db.transaction() as tx:
            await energy_prices.add(
                tx, self.small.organisation_id, self.small.location_id, EnergyPrice(from_ms, tariff, FEED_IN),
                currency="EUR", person_name="C", now_ms=1,
            )  # fmt: skip

    async def a_list(self) -> int:
        async with self.small.house.db.transaction() as tx:
            return await energy_prices.add_list(
                tx, self.small.organisation_id, name="Day ahead", currency="EUR", url=None, now_ms=1
            )

    async def charge(self) -> None:
        """The hour from T0 on, measured when it is over."""
        house, small = self.small.house, self.small
        house.clock.at_ms = T0
        started = await house.engine.apply(
            house.fact(
                SessionStarted, small.charger_id, epoch=small.epoch, evse=1, connector=1, tag="AA11", transaction=None,
                meter_start_wh=1_000, device_ms=T0, raw="start",
            )
        )  # fmt: skip
        house.clock.at_ms = T0 + 4 * SLOT_MS
        await house.engine.apply(
            house.fact(
                SessionEnded, small.charger_id, epoch=small.epoch, transaction=started.transaction, meter_stop_wh=5_000,
                device_ms=house.clock.at_ms, reason="Local", raw="stop",
            )
        )  # fmt: skip
        await self.measure()

    async def measure(self) -> int:
        """Carry out the jobs that wait, then measure. Returns how many jobs there were."""
        house = self.small.house
        rows = await house.db.all(
            select(jobs.c.id, jobs.c.payload).where(jobs.c.kind == measure_again.KIND, jobs.c.done_ms.is_(None))
        )
        for row in rows:
            await MeasureAgain(house.db).carry_out(row.payload)
            async with house.db.transaction() as tx:
                await tx.run(update(jobs).where(jobs.c.id == row.id).values(done_ms=1))
        await self.meter.once(all_of_them=True)
        return len(rows)

    async def says(self, *values: tuple[int, int, int]) -> Kept:
        """Import, export and solar of the slots from T0 on."""
        slots = [SiteSlot(at, *one) for at, one in zip(SLOTS, values, strict=False)]
        return await self.site_meter.take(
            self.small.organisation_id, self.small.location_id, BORNE, slots, by_file=False
        )

    async def list_says(self, list_id: int, prices: dict[int, int]) -> None:
        async with self.small.house.db.transaction() as tx:
            file = PriceFile(tuple(sorted(prices.items())))
            await keep(tx, self.small.organisation_id, list_id, file, T0)

    async def session(self) -> Row:
        found = await self.small.house.db.first(select(sessions))
        assert found is not None
        return found

    async def slots(self) -> list[tuple[int | None, int, int | None, int]]:
        """Price, solar energy, feed-in price, and whether that is provisional, of each slot."""
        columns = ("price_micros", "solar_wh", "feed_in_micros", "provisional")
        found = await self.small.house.db.all(
            select(*(session_slots.c[name] for name in columns)).order_by(session_slots.c.slot_ms)
        )
        return [tuple(row) for row in found]

    async def assert_sums(self) -> None:
        """Energy, solar energy and cost of each table of sums are those of the session and of its slots."""
        db, row = self.small.house.db, await self.session()
        solar_wh = await db.value(select(func.sum(session_slots.c.solar_wh)))
        for table in (location_slots, location_days, location_hours, charger_days):
            columns = [func.sum(table.c[name]) for name in ("energy_wh", "solar_wh", "cost_nanos")]
            found = await db.first(select(*columns))
            assert found is not None
            assert tuple(found) == (row.energy_wh, solar_wh, row.cost_nanos), table.name


@pytest.fixture
async def site(small: Small) -> Site:
    house = small.house
    meter = Meter(house.db, house.bus, house.clock, Prices(house.db, house.clock))
    house.engine.metered = meter.take
    return Site(small, meter, SiteMeter(house.db, house.bus, house.clock, house.audit))


@on_both
async def test_values_that_come_after_the_session_give_it_its_solar_share(site: Site) -> None:
    await site.price(Fixed(TARIFF))
    await site.charge()
    assert (await site.session()).cost_nanos == 4_000 * TARIFF
    # 3/4 own; all own (more was made than used); nothing made; no value yet.
    assert await site.says((1_000, 0, 3_000), (0, 2_000, 5_000), (700, 0, 0)) == Kept(3, 0, 0)
    await site.price(Fixed(900_000), from_ms=T0 - SLOT_MS)  # what was charged keeps its price
    assert await site.measure() == 1
    kept = (TARIFF, FEED_IN, 0)
    assert await site.slots() == [(kept[0], wh, *kept[1:]) for wh in (750, 1_000, 0, 0)]
    row = await site.session()
    assert row.cost_nanos == 2_250 * TARIFF + 1_750 * FEED_IN
    # At once: all of it at the 4 kW that it had anyway, so in the same slots.
    assert row.at_once_nanos == row.cost_nanos
    await site.assert_sums()
    assert await site.says((1_000, 0, 3_000)) == Kept(0, 0, 1)
    assert await site.measure() == 0, "the same again measures nothing"
    assert await site.says((3_000, 0, 1_000), (0, 2_000, 5_000)) == Kept(0, 1, 1)
    await site.measure()
    assert [wh for _, wh, _, _ in await site.slots()] == [250, 1_000, 0, 0]
    await site.assert_sums()


@on_both
async def test_values_that_come_while_it_charges(site: Site) -> None:
    """An open session that is followed sample by sample, and then is not any more."""
    small, house = site.small, site.small.house
    await site.price(Fixed(TARIFF))
    house.clock.at_ms = T0
    started = await house.engine.apply(
        house.fact(
            SessionStarted, small.charger_id, epoch=small.epoch, evse=1, connector=1, tag="AA11", transaction=None,
            meter_start_wh=1_000, device_ms=T0, raw="start",
        )
    )  # fmt: skip
    for number in range(1, 7):
        house.clock.at_ms = T0 + number * SLOT_MS
        reading = Reading("energy_import_wh", 1_000 + number * 1_000, house.clock.at_ms)
        await house.engine.apply(
            house.fact(
                Metered, small.charger_id, epoch=small.epoch, evse=1, connector=1, transaction=started.transaction,
                readings=(reading,),
            )
        )  # fmt: skip
        if number > 1:  # the meter is a quarter of an hour behind, and corrects itself
            at_ms = T0 + (number - 2) * SLOT_MS
            slots = [SiteSlot(at_ms, 1_000, 0, 3_000)]
            if number > 2:
                slots.insert(0, SiteSlot(at_ms - SLOT_MS, 3_000, 0, 1_000))
            await site.site_meter.take(small.organisation_id, small.location_id, BORNE, slots, by_file=False)
        assert await site.measure() == int(number > 1)
        await site.assert_sums()
    assert [wh for _, wh, _, _ in await site.slots()][:6] == [250, 250, 250, 250, 750, 0]
    row = await site.session()
    assert row.energy_wh == 6_000
    assert row.cost_nanos == 4_250 * TARIFF + 1_750 * FEED_IN


@on_both
async def test_values_that_are_there_first_count_at_once(site: Site) -> None:
    await site.price(Fixed(TARIFF))
    site.small.house.clock.at_ms = T0 + 8 * SLOT_MS
    await site.says((0, 0, 10), (0, 0, 10), (0, 0, 10), (0, 0, 10))
    await site.charge()
    assert (await site.session()).cost_nanos == 4_000 * FEED_IN
    await site.assert_sums()


@on_both
async def test_a_gap_of_a_list_is_provisional_until_the_list_has_it_and_then_final(site: Site) -> None:
    list_id = await site.a_list()
    await site.price(Dynamic(list_id, markup_micros=10_000, micros=300_000))
    await site.list_says(list_id, {SLOTS[0]: 100_000})
    await site.charge()
    first = (110_000, 0, FEED_IN, 0)
    assert await site.slots() == [first, *[(300_000, 0, FEED_IN, 1)] * 3]
    assert (await site.session()).cost_nanos == 1_000 * 110_000 + 3_000 * 300_000
    await site.list_says(list_id, {SLOTS[0]: 999_000, SLOTS[1]: 200_000, SLOTS[2]: -50_000})
    assert await site.measure() == 1
    final = [first, (210_000, 0, FEED_IN, 0), (-40_000, 0, FEED_IN, 0)]
    assert await site.slots() == [*final, (300_000, 0, FEED_IN, 1)]
    assert (await site.session()).cost_nanos == 1_000 * (110_000 + 210_000 - 40_000 + 300_000)
    await site.assert_sums()
    await site.list_says(list_id, dict.fromkeys(SLOTS[:3], 5))
    assert await site.measure() == 0, "prices that the list had already concern nothing that was charged"
    await site.list_says(list_id, dict.fromkeys(SLOTS, 5))
    assert await site.measure() == 1
    assert await site.slots() == [*final, (10_005, 0, FEED_IN, 0)]
    await site.assert_sums()


@on_both
async def test_what_waits_for_a_list_has_no_cost_until_then(site: Site) -> None:
    list_id = await site.a_list()
    await site.price(Dynamic(list_id))
    await site.charge()
    assert (await site.session()).cost_nanos is None
    assert (await site.slots())[0] == (None, 0, FEED_IN, 1)
    await site.list_says(list_id, dict.fromkeys(SLOTS, 5))
    await site.measure()
    assert (await site.session()).cost_nanos == 4_000 * 5
    await site.assert_sums()


@on_both
async def test_only_what_touches_these_slots_is_measured_anew_and_nothing_that_is_closed(site: Site) -> None:
    small, db = site.small, site.small.house.db
    here = {
        "charger_id": 77, "organisation_id": small.organisation_id, "location_id": small.location_id, "evse": 1, "connector": 1,
        "started_ms": T0, "begun_ms": T0, "over_ms": T0 + 60_000, "ended_ms": T0 + 60_000, "energy_wh": 5, "dirty": 0,
        "measured": 1,
    }  # fmt: skip
    cases: dict[str, dict[str, Any]] = {
        "touches": {},
        "open": {"ended_ms": None, "over_ms": T0 - 1},
        "ended before": {"over_ms": T0, "ended_ms": T0},
        "began after": {"begun_ms": T0 + SLOT_MS},
        "elsewhere": {"location_id": 999},
        "of others": {"organisation_id": 999},
        "closed": {},
        "goes on": {"over_ms": T0 + 1, "ended_ms": T0 - 86_400_000},  # no stop came, and its charger went on
        "never measured": {"measured": 0, "dirty": 1, "begun_ms": None, "over_ms": None, "ended_ms": T0},
    }
    ids = {}
    async with db.transaction() as tx:
        for name, values in cases.items():
            ids[name] = await tx.insert(sessions, {**here, "transaction": name, "start_key": name, **values})
            if name not in ("closed", "never measured"):
                organisation_id = values.get("organisation_id", small.organisation_id)
                row = (ids[name], organisation_id, b"\x90")
                await tx.insert_many(session_curves, ("session_id", "organisation_id", "samples"), [row])
    small.house.clock.at_ms = T0 + 8 * SLOT_MS
    await site.says((1, 0, 1))
    payload = await db.value(select(jobs.c.payload).where(jobs.c.kind == measure_again.KIND))
    before = {row.id: row.dirty for row in await db.all(select(sessions.c.id, sessions.c.dirty))}
    await MeasureAgain(db).carry_out(payload)
    after = {row.id: row.dirty for row in await db.all(select(sessions.c.id, sessions.c.dirty))}
    assert {name for name, one in ids.items() if after[one] > before[one]} == {
        "touches", "open", "goes on", "never measured",
    }  # fmt: skip


def test_slots_as_stretches_of_time() -> None:
    assert ranges_of([]) == []
    assert ranges_of([SLOT_MS, 0, 5 * SLOT_MS, SLOT_MS]) == [(0, 2 * SLOT_MS), (5 * SLOT_MS, 6 * SLOT_MS)]
    scattered = [number * 3 * SLOT_MS for number in range(60)]
    assert ranges_of(scattered) == [(0, (59 * 3 + 1) * SLOT_MS)], "a bounded list"
