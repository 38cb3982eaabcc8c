"""The engine's day: a number for each run, and what its absence meant for links and deadlines."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select

from borne.core.charger import ChargerState
from borne.core.facts import FirmwareStatusChanged
from borne.store.db import Database, Row
from borne.store.schema import chargers, incarnations, restarts
from tests.support.house import DEADLINE_S, House, Small, on_both


async def charger_of(house: House, charger_id: int) -> tuple[Row, ChargerState]:
    row = await house.db.first(select(chargers).where(chargers.c.id == charger_id))
    assert row is not None
    return row, msgspec.json.decode(row.state, type=ChargerState)


@on_both
async def test_each_run_has_a_greater_number(house: House) -> None:
    first = house.engine.incarnation
    other = await house.again()
    third = await other.again()
    assert first < other.engine.incarnation < third.engine.incarnation
    await third.engine.stop()


@on_both
async def test_links_of_the_last_run_are_over_and_the_loss_is_ours(small: Small) -> None:
    crashed_ms = small.house.clock.at_ms
    other = await small.house.again(down_s=90)
    row, state = await charger_of(other, small.charger_id)
    assert (row.status, row.online) == ("offline", 0)
    assert (state.loss_how, state.loss_ours, state.link_lost_ms) == ("crashed", True, crashed_ms)
    assert await other.connect(small.charger_id) == small.epoch + 1
    await other.engine.stop()


async def test_facts_of_a_link_of_the_last_run_count_no_more(small: Small) -> None:
    other = await small.house.again()
    await other.connect(small.charger_id)
    assert (await other.boot(small.charger_id, small.epoch)).ignored
    await other.engine.stop()


async def test_a_charger_that_was_away_then_too_is_left_alone(small: Small) -> None:
    await small.house.lose(small.charger_id, small.epoch)
    before = await charger_of(small.house, small.charger_id)
    other = await small.house.again()
    assert await charger_of(other, small.charger_id) == before
    await other.engine.stop()


@on_both
async def test_deadlines_are_extended_by_our_absence(small: Small) -> None:
    house = small.house
    asked = await house.ask(small.scope, small.charger_id)
    assert asked.restart_id is not None
    await house.send(small.charger_id, small.epoch)
    await house.answer(small.charger_id, small.epoch, asked.restart_id)
    await house.lose(small.charger_id, small.epoch)
    wake = select(restarts.c.wake_at_ms)
    before = await house.db.value(wake)
    other = await house.again(down_s=1000)
    assert await other.db.value(wake) == before + 1_000_000
    await other.timers._strike()
    assert await other.db.value(select(restarts.c.verdict)) is None
    other.clock.pass_s(DEADLINE_S)
    await other.timers._strike()
    assert await other.db.value(select(restarts.c.reason)) == "did_not_come_back"
    await other.engine.stop()


async def test_after_a_crash_the_absence_counts_from_the_last_sign_of_life(small: Small) -> None:
    house = small.house
    house.clock.pass_s(5)
    await house.timers._say_alive()
    alive_ms = house.clock.at_ms
    house.clock.pass_s(4)
    other = await house.again(down_s=60)
    _, state = await charger_of(other, small.charger_id)
    assert state.link_lost_ms == alive_ms
    await other.engine.stop()


async def test_after_an_orderly_end_it_counts_from_then(small: Small) -> None:
    house = small.house
    house.clock.pass_s(100)
    await house.end()
    ended_ms = house.clock.at_ms
    house.clock.pass_s(60)
    other = House(house.db, house.clock)
    await other.begin()
    _, state = await charger_of(other, small.charger_id)
    assert state.link_lost_ms == ended_ms
    first, second = await house.db.all(select(incarnations).order_by(incarnations.c.id))
    assert (first.stopped_ms, second.stopped_ms) == (ended_ms, None)
    await other.engine.stop()


async def test_the_first_run_of_all_concerns_nobody(db: Database) -> None:
    first = House(db)
    assert await first.begin() == 1
    await first.engine.stop()


async def test_what_boots_at_our_return_is_learnt_as_a_plain_reconnect(small: Small) -> None:
    other = await small.house.again()
    await other.connect(small.charger_id)
    _, state = await charger_of(other, small.charger_id)
    assert state.plain_reconnects_boot is True
    await other.engine.stop()


async def test_many_are_told_of_the_absence(house: House) -> None:
    organisation_id, (location_id,) = await house.organisation()
    ids = await house.chargers(organisation_id, location_id, 40)
    for charger_id in ids:
        await house.connect(charger_id)
    other = await house.again()
    assert await other.db.all(select(chargers.c.id).where(chargers.c.online == 1)) == []
    await other.engine.stop()


@pytest.mark.parametrize("busy", [True, False])
async def test_an_update_under_way_is_still_known_after_the_start(small: Small, busy: bool) -> None:
    house = small.house
    fact = house.fact(FirmwareStatusChanged, small.charger_id, epoch=small.epoch, status="x", busy=busy)
    await house.engine.apply(fact)
    other = await house.again(down_s=10)
    epoch = await other.connect(small.charger_id, boots=False)
    row, _ = await charger_of(other, small.charger_id)
    assert row.status == ("updating" if busy else "ready")
    assert epoch == small.epoch + 1
    await other.engine.stop()


async def test_a_clock_that_went_back_while_it_was_down_makes_no_negative_absence(small: Small) -> None:
    house = small.house
    asked = await house.ask(small.scope, small.charger_id)
    await house.send(small.charger_id, small.epoch)
    await house.crash()
    house.clock.pass_s(-3600)
    other = House(house.db, house.clock)
    await other.begin()
    row = await other.db.first(select(restarts).where(restarts.c.id == asked.restart_id))
    assert row is not None
    assert row.wake_at_ms is not None
    await other.engine.stop()
