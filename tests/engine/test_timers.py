"""Deadlines are struck, Borne says that it lives, and a step of the clock is noticed."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from borne.core.facts import FirmwareStatusChanged
from borne.engine import timers as timers_module
from borne.engine.clock import STEP_MS, Clock
from borne.store.db import DiskFull, Row
from borne.store.schema import chargers, incarnations, restarts
from tests.support.faulty import FaultyDatabase
from tests.support.house import DEADLINE_S, House, Small, on_both, scope_of, until


async def written(small: Small, answer: str = "accepted") -> int:
    asked = await small.house.ask(small.scope, small.charger_id)
    assert asked.restart_id is not None
    await small.house.send(small.charger_id, small.epoch)
    await small.house.answer(small.charger_id, small.epoch, asked.restart_id, answer)
    return asked.restart_id


async def row_of(house: House, restart_id: int) -> Row:
    row = await house.db.first(select(restarts).where(restarts.c.id == restart_id))
    assert row is not None
    return row


@on_both
async def test_a_deadline_is_struck_when_it_is_due_and_not_before(small: Small) -> None:
    house = small.house
    restart_id = await written(small)
    await house.lose(small.charger_id, small.epoch)
    assert (await row_of(house, restart_id)).wake_at_ms == house.clock.at_ms + DEADLINE_S * 1000
    house.clock.pass_s(DEADLINE_S - 1)
    await house.timers._strike()
    assert (await row_of(house, restart_id)).verdict is None
    house.clock.pass_s(1)
    await house.timers._strike()
    assert (await row_of(house, restart_id)).reason == "did_not_come_back"


async def test_the_strike_brings_when_the_charger_was_heard(small: Small) -> None:
    restart_id = await written(small)
    small.house.clock.pass_s(DEADLINE_S)
    small.house.heard_ms[small.charger_id] = small.house.clock.at_ms - 1000
    await small.house.timers._strike()
    assert (await row_of(small.house, restart_id)).reason == "did_nothing"


async def test_after_the_watching_nothing_wakes_it_any_more(small: Small) -> None:
    restart_id = await written(small)
    small.house.clock.pass_s(DEADLINE_S)
    await small.house.timers._strike()
    row = await row_of(small.house, restart_id)
    assert (row.verdict, row.watches) == ("unknown", 1)
    small.house.clock.pass_s(24 * 3600)
    await small.house.timers._strike()
    row = await row_of(small.house, restart_id)
    assert (row.watches, row.wake_at_ms) == (0, None)
    assert small.house.engine.room(small.charger_id).restarts == {}  # type: ignore[union-attr]


async def test_deadlines_of_many_are_struck_in_one_go(house: House) -> None:
    organisation_id, (location_id,) = await house.organisation()
    scope = scope_of(await house.person(organisation_id), organisation_id)
    ids = await house.chargers(organisation_id, location_id, 60)
    for charger_id in ids:
        await house.connect(charger_id)
    await asyncio.gather(*(house.ask(scope, charger_id) for charger_id in ids))
    house.clock.pass_s(121)
    await house.timers._strike()
    rows = await house.db.all(select(restarts.c.reason))
    assert [row[0] for row in rows] == ["link_busy"] * 60


@pytest.mark.parametrize("by_s", [-7200, 7200])
async def test_a_step_of_the_clock_moves_the_deadlines(small: Small, by_s: int) -> None:
    house = small.house
    restart_id = await written(small)
    before = (await row_of(house, restart_id)).wake_at_ms
    house.clock.step_ms = by_s * 1000
    await house.timers._check_clock()
    await house.timers._strike()
    row = await row_of(house, restart_id)
    assert (row.verdict, row.wake_at_ms) == (None, before + by_s * 1000)


async def test_an_update_that_never_ends_is_no_longer_shown_after_an_hour(small: Small) -> None:
    house = small.house
    status = select(chargers.c.status)
    busy = house.fact(FirmwareStatusChanged, small.charger_id, epoch=small.epoch, status="Installing", busy=True)
    await house.engine.apply(busy)
    assert await house.db.value(status) == "updating"
    house.clock.pass_s(3601)
    await house.timers._wake([small.charger_id])
    assert await house.db.value(status) == "ready"


async def test_they_run_by_themselves_and_say_that_borne_lives(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers_module, "LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr(timers_module, "ALIVE_EVERY_S", 0.05)
    house = small.house
    restart_id = await written(small)
    house.timers.start()
    house.clock.pass_s(DEADLINE_S)

    async def alive() -> bool:
        alive_ms = await house.db.value(select(incarnations.c.alive_ms))
        return bool(alive_ms == house.clock.at_ms and (await row_of(house, restart_id)).verdict == "unknown")

    await until(alive)
    await house.timers.stop()


async def test_they_wait_for_a_store_that_cannot_write_and_go_on(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers_module, "LOOK_AGAIN_S", 0.01)
    house = small.house
    restart_id = await written(small)
    faulty = FaultyDatabase(house.db)
    house.engine.db = faulty
    faulty.error = DiskFull("no space")
    house.clock.pass_s(DEADLINE_S)
    house.timers.start()
    await asyncio.sleep(0.1)
    assert (await row_of(house, restart_id)).verdict is None
    faulty.error = None

    async def judged() -> bool:
        return (await row_of(house, restart_id)).verdict is not None

    await until(judged)
    await house.timers.stop()


# ---- the clock itself ---------------------------------------------------------------------------------------------


class System:
    """The system's two clocks."""

    def __init__(self) -> None:
        self.wall_ms, self.even_ms = 1_790_000_000_000, 5_000

    def time_ns(self) -> int:
        return self.wall_ms * 1_000_000

    def monotonic_ns(self) -> int:
        return self.even_ms * 1_000_000


def test_the_clock_runs_evenly_whatever_happens_to_the_wall_clock() -> None:
    system = System()
    clock = Clock(system.time_ns, system.monotonic_ns)
    system.even_ms += 2_000
    system.wall_ms -= 3_600_000
    assert clock.now_ms() == 1_790_000_002_000
    assert clock.check_step() == -3_602_000
    assert clock.now_ms() == system.wall_ms
    assert clock.check_step() == 0


def test_drift_is_no_step() -> None:
    system = System()
    clock = Clock(system.time_ns, system.monotonic_ns)
    system.wall_ms += STEP_MS - 1
    assert clock.check_step() == 0
    system.wall_ms += 1
    assert clock.check_step() == STEP_MS
