"""A believable past: the same for the same seed, sound to the meter, a year long; and kept, its sums are the sessions'."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from borne.bus.memory import MemoryBus
from borne.core.metering import Metering, measure
from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.sim.demo_plan import demo_fleet_plan
from borne.sim.keep_past import Place, keep_past
from borne.sim.past import LIVES, PastSession, past
from borne.store.db import create_database
from borne.store.schema import location_days, person_days, sessions
from tests.support.portal import TestClock, prepare

pytestmark = pytest.mark.anyio
PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PLACES = [(charger.serial, charger.location) for charger in demo_fleet_plan()]


def year(seed: int = 7, days: int = 365) -> list[PastSession]:
    return past(PLACES, seed=seed, until=NOW, days=days, zone=PARIS)


def test_a_seed_makes_one_past() -> None:
    assert year(days=60) == year(days=60)
    assert year(days=60) != year(8, days=60)


def test_every_place_of_the_demo_has_a_life_and_twelve_months_of_it() -> None:
    assert {location for _, location in PLACES} == set(LIVES)
    found = year()
    by_place = dict(PLACES)
    for location in LIVES:
        months = {
            datetime.fromtimestamp(one.started_ms / 1_000, PARIS).month
            for one in found
            if by_place[one.charger] == location
        }
        assert len(months) == 12, location


def test_no_charger_charges_two_cars_and_registers_only_grow() -> None:
    found = year(days=120)
    for serial, _ in PLACES:
        mine = [one for one in found if one.charger == serial]
        for before, after in pairwise(mine):
            assert before.ended_ms < after.started_ms
            assert before.meter_stop_wh == after.meter_start_wh


def test_the_meter_believes_it() -> None:
    for one in year(days=60):
        known = Metering(
            started_ms=one.started_ms, device_started_ms=one.started_ms, meter_start_wh=one.meter_start_wh,
            ended_ms=one.ended_ms, device_ended_ms=one.ended_ms, meter_stop_wh=one.meter_stop_wh,
        )  # fmt: skip
        found = measure(known, one.samples)
        assert (found.energy_wh, found.suspects) == (one.meter_stop_wh - one.meter_start_wh, ())


async def test_kept_and_measured_its_sums_are_those_of_its_sessions(tmp_path: Path) -> None:
    await prepare(tmp_path)
    db = create_database(f"sqlite:///{tmp_path / 'portal.sqlite3'}", durable=False)
    await db.open()
    try:
        found, clock = year(days=30), TestClock()
        places = {serial: Place(number, 1, 1 + number % 3, {"van-01": 5}) for number, (serial, _) in enumerate(PLACES)}
        assert await keep_past(db, found, places) == len(found)
        await Meter(db, MemoryBus(), clock, Prices(db, clock)).once()
        total = sum(one.meter_stop_wh - one.meter_start_wh for one in found)
        assert await db.value(select(func.sum(sessions.c.energy_wh))) == total
        assert await db.value(select(func.sum(location_days.c.energy_wh))) == total
        assert await db.value(select(func.sum(person_days.c.sessions))) == sum(one.tag == "VAN-01" for one in found)
    finally:
        await db.close()
