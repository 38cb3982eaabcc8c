"""What becomes a notice, for whom and how often: whatever crashes, each is told once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, select, update

from borne.core.facts import ClockStepped, Metered, StatusChanged
from borne.core.notifications import Wish
from borne.core.readings import Reading
from borne.store import troubles as trouble_store
from borne.store.schema import chargers, jobs, memberships, restarts
from tests.support.house import House, Small, on_both, scope_of
from tests.support.notices import Desk

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(small: Small) -> Desk:
    """A desk that has looked once, as it does at a start."""
    one = Desk(small.house)
    await one.look()
    return one


def details(notice: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(notice.details)
    return found


async def status(house: House, charger_id: int, epoch: int, word: str) -> None:
    said = {"evse": 1, "connector": 1, "status": word, "error": "GroundFailure" if word == "faulted" else None}
    await house.engine.apply(house.fact(StatusChanged, charger_id, epoch=epoch, **said))


async def fail_restart(small: Small, charger_id: int, epoch: int, **new: Any) -> int:
    """A restart that the charger refuses."""
    outcome = await small.house.ask(small.scope, charger_id, **new)
    assert outcome.restart_id is not None
    await small.house.send(charger_id, epoch)
    await small.house.answer(charger_id, epoch, outcome.restart_id, "rejected")
    return outcome.restart_id


# ---- offline ---------------------------------------------------------------------------------------------------------


@on_both
async def test_an_absence_is_told_once_when_it_has_lasted(small: Small, desk: Desk) -> None:
    house = small.house
    lost_ms = house.clock.at_ms
    await house.lose(small.charger_id, small.epoch)
    await desk.wait(29.5)
    assert await desk.told() == []
    await desk.wait(1)
    (notice,) = await desk.told()
    assert (notice.event, notice.person_id, notice.charger_id) == ("charger_offline", small.person_id, small.charger_id)
    assert details(notice) == {"charger": "Charger 0", "location": "Place 0", "since_ms": lost_ms, "said": ""}
    assert (notice.in_portal, notice.ended_ms) == (1, None)
    assert desk.bells[-1].id == small.person_id
    await desk.wait(100)
    assert len(await desk.told()) == 1
    await house.connect(small.charger_id)
    await desk.wait(1)
    (notice,) = await desk.told()
    assert notice.ended_ms is not None
    assert await desk.news_waiting() == 0


async def test_each_hears_after_their_own_minutes(small: Small, desk: Desk) -> None:
    house = small.house
    hasty = await house.person(small.organisation_id, "admin", (small.location_id,))
    await desk.wishes(hasty, small.organisation_id, charger_offline=Wish(True, False, 5))
    await house.lose(small.charger_id, small.epoch)
    await desk.wait(6)
    assert [notice.person_id for notice in await desk.told()] == [hasty]
    await desk.wait(25)
    assert [notice.person_id for notice in await desk.told()] == [hasty, small.person_id]


async def test_who_comes_back_in_time_is_nobodys_news(small: Small, desk: Desk) -> None:
    for _ in range(3):
        await small.house.lose(small.charger_id, small.epoch)
        await desk.wait(25)
        small.epoch = await small.house.connect(small.charger_id)
        await desk.wait(1)
    assert await desk.told() == []


async def test_a_charger_that_comes_and_goes_is_told_of_once_an_hour(small: Small, desk: Desk) -> None:
    await desk.wishes(small.person_id, small.organisation_id, charger_offline=Wish(True, True, 5))
    for _ in range(5):
        await small.house.lose(small.charger_id, small.epoch)
        await desk.wait(8)
        small.epoch = await small.house.connect(small.charger_id)
        await desk.wait(2)
    assert len(await desk.told()) == 1
    await small.house.lose(small.charger_id, small.epoch)  # and now it stays away: it is told after all
    await desk.wait(30)
    assert len(await desk.told()) == 2


async def test_a_restart_is_no_absence_until_it_failed(small: Small, desk: Desk) -> None:
    house = small.house
    await desk.wishes(small.person_id, small.organisation_id, charger_offline=Wish(True, True, 5))
    outcome = await house.ask(small.scope, small.charger_id)
    await house.send(small.charger_id, small.epoch)
    assert outcome.restart_id is not None
    await house.reboot(small.charger_id, small.epoch, outcome.restart_id)
    await desk.wait(30)
    assert await desk.told() == []


@pytest.mark.parametrize("change", ["disabled", "deleted"])
async def test_who_is_not_to_be_there_is_not_missed(small: Small, desk: Desk, change: str) -> None:
    await small.house.lose(small.charger_id, small.epoch)
    await desk.wait(1)
    async with small.house.db.transaction() as tx:
        mine = chargers.c.id == small.charger_id
        await tx.run(
            delete(chargers).where(mine) if change == "deleted" else update(chargers).where(mine).values(disabled=1)
        )
    await desk.wait(35)
    assert await desk.told() == []


# ---- our own absence ---------------------------------------------------------------------------------------------------


@on_both
@pytest.mark.parametrize("ends", ["crash", "stop"])
async def test_our_own_absence_is_no_chargers_fault(small: Small, desk: Desk, ends: str) -> None:
    """Away for two hours: those that were connected are given time to come back, then they count as any other."""
    house = small.house
    if ends == "stop":
        await house.lose(small.charger_id, small.epoch, "stopped", ours=True)
        await house.end()
        house.clock.pass_s(7200)
        other = House(house.db, house.clock)
        await other.begin()
    else:
        other = await house.again(7200)
    after = Desk(other)
    await after.look()
    await after.wait(30 + 4)  # five minutes to come back, then as any other
    assert await after.told() == []
    await after.wait(2)
    assert len(await after.told()) == 1
    await other.engine.stop()


async def test_time_that_we_were_away_does_not_count(small: Small, desk: Desk) -> None:
    """Lost twenty minutes before we went: ten minutes after our return it has been away for half an hour."""
    await small.house.lose(small.charger_id, small.epoch)
    await desk.wait(20)
    other = await small.house.again(7200)
    after = Desk(other)
    await after.look()
    await after.wait(9)
    assert await after.told() == []
    await after.wait(2)
    assert len(await after.told()) == 1
    await other.engine.stop()


async def test_what_was_told_before_we_went_is_not_told_again(small: Small, desk: Desk) -> None:
    await small.house.lose(small.charger_id, small.epoch)
    await desk.wait(31)
    other = await small.house.again(7200)
    after = Desk(other)
    await after.look()
    await after.wait(120)
    assert len(await after.told()) == 1
    await other.engine.stop()


@pytest.mark.parametrize("by_s", [-86_400, 86_400])
async def test_a_clock_that_was_moved_makes_nobody_late(small: Small, desk: Desk, by_s: int) -> None:
    house = small.house
    await house.lose(small.charger_id, small.epoch)
    await desk.wait(20)
    house.clock.at_ms += by_s * 1000
    await house.engine.apply(house.fact(ClockStepped, small.charger_id, by_ms=by_s * 1000))
    await desk.look()
    await desk.wait(8)
    assert await desk.told() == []
    await desk.wait(4)
    assert len(await desk.told()) == 1


# ---- many at once ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def fleet(small: Small) -> list[int]:
    """Nine more chargers at the location, all connected."""
    ids = await small.house.chargers(small.organisation_id, small.location_id, 9, model="copper")
    for charger_id in ids:
        await small.house.connect(charger_id)
    return ids


@on_both
async def test_many_at_once_are_one_message(small: Small, desk: Desk, fleet: list[int]) -> None:
    house = small.house
    for charger_id in fleet[:6]:
        await house.lose(charger_id, 1)
        house.clock.pass_s(15)
    await desk.wait(40)
    (notice,) = await desk.told()
    assert (notice.event, notice.charger_id, notice.location_id) == ("many_offline", None, small.location_id)
    assert (details(notice)["count"], details(notice)["total"]) == (6, 10)
    for charger_id in fleet[:5]:
        await house.connect(charger_id)
    await desk.wait(1)
    assert (await desk.told())[0].ended_ms is None, "one is still away"
    await house.connect(fleet[5])
    await desk.wait(1)
    assert (await desk.told())[0].ended_ms is not None


async def test_who_wants_no_word_of_many_hears_of_each(small: Small, desk: Desk, fleet: list[int]) -> None:
    await desk.wishes(small.person_id, small.organisation_id, many_offline=Wish(False, False))
    for charger_id in fleet[:3]:
        await small.house.lose(charger_id, 1)
    await desk.wait(31)
    assert [notice.event for notice in await desk.told()] == ["charger_offline"] * 3


async def test_those_that_follow_belong_to_the_many(small: Small, desk: Desk, fleet: list[int]) -> None:
    for charger_id in fleet:
        await small.house.lose(charger_id, 1)
        await desk.wait(1)
    await desk.wait(40)
    assert [notice.event for notice in await desk.told()] == ["many_offline"]


async def test_those_that_leave_one_by_one_are_not_many(small: Small, desk: Desk, fleet: list[int]) -> None:
    for charger_id in fleet[:4]:
        await small.house.lose(charger_id, 1)
        await desk.wait(2.5)
    await desk.wait(31)
    assert [notice.event for notice in await desk.told()] == ["charger_offline"] * 4


async def test_a_flicker_of_the_whole_location_is_nobodys_news(small: Small, desk: Desk, fleet: list[int]) -> None:
    for charger_id in fleet:
        await small.house.lose(charger_id, 1)
    await desk.wait(1)
    for charger_id in fleet:
        await small.house.connect(charger_id)
    await desk.wait(40)
    assert await desk.told() == []


# ---- faults ------------------------------------------------------------------------------------------------------------


async def test_a_fault_that_stands_is_told_and_ends(small: Small, desk: Desk) -> None:
    house = small.house
    await status(house, small.charger_id, small.epoch, "faulted")
    await desk.wait(0.5)
    assert await desk.told() == []
    await desk.wait(1)
    (notice,) = await desk.told()
    assert (notice.event, details(notice)["said"]) == ("charger_faulted", "GroundFailure")
    await status(house, small.charger_id, small.epoch, "available")
    await desk.wait(1)
    assert (await desk.told())[0].ended_ms is not None


async def test_a_fault_that_comes_and_goes_is_told_of_once_an_hour(small: Small, desk: Desk) -> None:
    for _ in range(20):
        await status(small.house, small.charger_id, small.epoch, "faulted")
        await desk.wait(2)
        await status(small.house, small.charger_id, small.epoch, "available")
        await desk.wait(0.5)
    assert len(await desk.told()) == 1


async def test_a_fault_outlives_an_absence(small: Small, desk: Desk) -> None:
    house = small.house
    await status(house, small.charger_id, small.epoch, "faulted")
    await desk.wait(2)
    await house.lose(small.charger_id, small.epoch)
    await desk.wait(2)
    await house.connect(small.charger_id, boots=False)
    await desk.wait(2)
    (notice,) = await desk.told()
    assert notice.ended_ms is None


# ---- restarts ----------------------------------------------------------------------------------------------------------


@on_both
async def test_a_restart_that_failed_is_told_once_whatever_crashes(small: Small, desk: Desk) -> None:
    restart_id = await fail_restart(small, small.charger_id, small.epoch)
    assert await desk.told() == []
    assert await desk.news_waiting(), "it is kept with the verdict"
    other = await small.house.again()
    after = Desk(other)
    await after.look()
    (notice,) = await after.told(event="restart_failed")
    said = details(notice)
    assert (said["restart_id"], said["verdict"], said["reason"]) == (restart_id, "failed", "rejected")
    await after.look()
    assert len(await after.told(event="restart_failed")) == 1
    await other.engine.stop()


async def test_killed_while_notices_are_made(small: Small, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the commit nothing is kept, neither notices nor that the news were taken."""
    await fail_restart(small, small.charger_id, small.epoch)
    drop, waiting = trouble_store.drop_news, await desk.news_waiting()

    async def dies(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(trouble_store, "drop_news", dies)
    with pytest.raises(SystemExit):
        await desk.notifications.take_news()
    assert (await desk.told(), await desk.news_waiting()) == ([], waiting)
    monkeypatch.setattr(trouble_store, "drop_news", drop)
    await desk.notifications.take_news()
    assert (len(await desk.told()), await desk.news_waiting()) == (1, 0)


async def test_news_that_make_no_sense_do_not_hold_up_the_others(small: Small, desk: Desk) -> None:
    async with small.house.db.transaction() as tx:
        row = (small.organisation_id, small.location_id, small.charger_id, small.house.clock.at_ms, "status", "no JSON")
        await trouble_store.add_news(tx, [row])
    await fail_restart(small, small.charger_id, small.epoch)
    await desk.look()
    assert (len(await desk.told()), await desk.news_waiting()) == (1, 0)


async def test_a_verdict_that_is_raised_later_ends_its_notice(small: Small, desk: Desk) -> None:
    house = small.house
    outcome = await house.ask(small.scope, small.charger_id)
    assert outcome.restart_id is not None
    await house.send(small.charger_id, small.epoch)
    await house.answer(small.charger_id, small.epoch, outcome.restart_id)
    house.clock.pass_s(5)
    await house.lose(small.charger_id, small.epoch)
    house.clock.pass_s(600)
    await house.timers._strike()
    await desk.look()
    (notice,) = await desk.told()
    assert (details(notice)["reason"], notice.ended_ms) == ("did_not_come_back", None)
    await house.connect(small.charger_id)
    await desk.look()
    assert (await desk.told())[0].ended_ms == house.clock.at_ms


async def test_a_batch_is_one_notice(small: Small, desk: Desk) -> None:
    house = small.house
    ids = await house.chargers(small.organisation_id, small.location_id, 30, model="copper")
    for charger_id in ids:
        await house.connect(charger_id)
    batch_id = await house.batches.request(small.scope, ids, why="", kind=None, idempotency_key="b")
    assert batch_id is not None
    await house.batches.fill(await house.db.value(select(jobs.c.payload)))
    refused = 0
    while refused < 30:
        for row in await house.db.all(select(restarts).where(restarts.c.phase == "requested")):
            await house.send(row.charger_id, 1)
            await house.answer(row.charger_id, 1, row.id, "rejected")
            refused += 1
        await desk.look()
        await house.batches.answer(small.scope, batch_id, go_on=True)
    await desk.look()
    (notice,) = await desk.told()
    assert notice.key == f"batch:{batch_id}"
    assert details(notice) == {"batch_id": batch_id, "total": 30, "failed": 30, "unknown": 0}


# ---- who -----------------------------------------------------------------------------------------------------------------


async def test_only_those_are_told_whose_access_is_alive_and_reaches_it(small: Small, desk: Desk) -> None:
    house, here = small.house, small.organisation_id
    _, (elsewhere_id,) = await house.organisation()
    near = await house.person(here, "admin", (small.location_id,))
    await house.person(here, "admin", (elsewhere_id, elsewhere_id + 1))
    watcher = await house.person(here, "operator", (small.location_id,))
    over = await house.person(here, "operator", (small.location_id, elsewhere_id))
    await house.person(here, "user")
    async with house.db.transaction() as tx:
        past = {"expires_ms": house.clock.at_ms}
        await tx.run(update(memberships).where(memberships.c.person_id == over).values(**past))
    await fail_restart(small, small.charger_id, small.epoch)
    await desk.look()
    told = {notice.person_id: (notice.in_portal, notice.mail_after_ms is not None) for notice in await desk.told()}
    assert told == {small.person_id: (1, True), near: (1, True), watcher: (1, False)}
    await desk.change_person(near, disabled=1)
    await desk.change_person(watcher, erased_ms=1)
    await fail_restart(small, small.charger_id, small.epoch)
    await desk.look()
    assert len(await desk.told()) == 4


async def test_each_admin_of_a_batch_hears_of_their_own_part(small: Small, desk: Desk) -> None:
    """The counts of a batch are those of what a person reaches."""
    house = small.house
    async with house.db.transaction() as tx:
        from borne.store import organisations

        second_id = await organisations.create_location(tx, small.organisation_id, name="Second", now_ms=1)
    near = await house.person(small.organisation_id, "admin", (second_id,))
    ids = [small.charger_id, *await house.chargers(small.organisation_id, second_id, 2, model="copper")]
    for charger_id in ids[1:]:
        await house.connect(charger_id)
    scope = scope_of(small.person_id, small.organisation_id)
    await house.batches.request(scope, ids, why="", kind=None, idempotency_key="b")
    await house.batches.fill(await house.db.value(select(jobs.c.payload)))
    for row in await house.db.all(select(restarts)):
        await house.send(row.charger_id, 1)
        await house.answer(row.charger_id, 1, row.id, "rejected")
    await desk.look()
    counts = {notice.person_id: (details(notice)["total"], details(notice)["failed"]) for notice in await desk.told()}
    assert counts == {small.person_id: (3, 3), near: (2, 2)}


# ---- what costs nothing ------------------------------------------------------------------------------------------------


async def test_what_chargers_say_all_day_is_no_news(small: Small, desk: Desk) -> None:
    house = small.house
    reading = Reading(quantity="energy_wh", value=1)
    said = {"evse": 1, "connector": 1, "transaction": None, "readings": (reading,)}
    await house.engine.apply(house.fact(Metered, small.charger_id, epoch=small.epoch, **said))
    for word in ("preparing", "charging", "finishing", "available"):
        await status(house, small.charger_id, small.epoch, word)
    await house.boot(small.charger_id, small.epoch)
    assert await desk.news_waiting() == 0
