"""Plans: changed at once or next month, written down day by day, limits held when two come at once; on both databases."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from borne.core import bill
from borne.core.actor import Actor
from borne.engine import plans
from borne.engine.audit import Audit, verify
from borne.engine.plans import NoRoomError, Plans, room_for
from borne.store import jobs as job_store
from borne.store import organisations as organisation_store
from borne.store import plans as store
from borne.store.db import Database
from borne.store.schema import audit_log, batches, chargers, invitations, organisations, plan_days, restarts
from tests.support.house import START_MS, House, TestClock, on_both, scope_of

pytestmark = pytest.mark.anyio
CAMILLE = Actor(1, "Camille", "192.0.2.1")
DAY_MS = bill.DAY_MS
TODAY = bill.day_of(START_MS)
NEXT_MONTH_MS = bill.next_month_ms(START_MS)


class Office:
    """An organisation, and the jobs of plans run by hand."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.db: Database = house.db
        self.clock: TestClock = house.clock
        self.audit = Audit(b"a key", house.clock)
        self.plans = Plans(house.db, house.bus, house.clock, self.audit, house.restarts, house.batches)
        self.id = 0

    async def choose(self, wanted: str) -> plans.Chosen:
        async with self.db.transaction() as tx:
            return (await plans.choose(tx, self.audit, CAMILLE, self.id, wanted, self.clock.at_ms))[0]

    async def run_due(self) -> None:
        """Run the jobs of plans that are due, as often as there are some."""
        handlers = {plans.CHANGE_KIND: self.plans.carry_out, plans.DAYS_KIND: self.plans.write_down}
        for _ in range(400):
            async with self.db.transaction() as tx:
                due = await job_store.lease(tx, self.clock.at_ms, 60_000)
            for job in due:
                await handlers[job.kind](job.payload)
                async with self.db.transaction() as tx:
                    await job_store.complete(tx, job, self.clock.at_ms)
            if not due:
                return
        raise AssertionError("jobs without end")

    async def row(self) -> Any:
        return await store.of_organisation(self.db, self.id)

    async def days(self) -> list[tuple[Any, ...]]:
        found = await self.db.all(
            select(plan_days).where(plan_days.c.organisation_id == self.id).order_by(plan_days.c.day)
        )
        return [tuple(row)[1:] for row in found]

    async def actions(self) -> list[str]:
        return [row.action for row in await self.db.all(select(audit_log.c.action).order_by(audit_log.c.seq))]

    async def add_charger(self, name: str) -> None:
        values = {"organisation_id": self.id, "location_id": 1, "name": name, "identity": name, "created_ms": self.clock.at_ms,
                  "changed_ms": self.clock.at_ms}  # fmt: skip
        async with self.db.transaction() as tx:
            await tx.insert(chargers, values)


@pytest.fixture
async def office(house: House) -> Office:
    made = Office(house)
    made.id, _ = await house.organisation("standard")
    return made


# ---- changing ----------------------------------------------------------------------------------------------------------


@on_both
async def test_an_upgrade_is_at_once_and_a_downgrade_next_month(office: Office) -> None:
    assert await office.choose("business") == "now"
    assert tuple(await office.row())[2:5] == ("business", None, None)
    assert await office.choose("basic") == "later"
    assert tuple(await office.row())[2:5] == ("business", "basic", NEXT_MONTH_MS)
    assert await office.choose("basic") == "same"
    await office.run_due()
    assert (await office.row()).plan == "business", "not before its time"
    office.clock.at_ms = NEXT_MONTH_MS
    await office.run_due()
    assert tuple(await office.row())[2:5] == ("basic", None, None)
    changes = [tuple(row) for row in await store.changes(office.db, office.id)]
    assert changes == [(NEXT_MONTH_MS, "basic", "Borne"), (START_MS, "business", "Camille")]
    assert await office.actions() == ["plan.changed", "plan.chosen", "plan.changed"]
    assert (await verify(office.db, office.audit)).broken_at is None


async def test_a_downgrade_is_carried_out_after_a_month_away_with_its_own_instant(office: Office) -> None:
    await office.choose("basic")
    office.clock.at_ms = NEXT_MONTH_MS + 40 * DAY_MS
    await office.run_due()
    assert (await office.row()).plan == "basic"
    assert (await store.changes(office.db, office.id))[0].at_ms == NEXT_MONTH_MS


async def test_a_downgrade_can_be_withdrawn_and_chosen_again(office: Office) -> None:
    await office.choose("basic")
    async with office.db.transaction() as tx:
        assert await plans.withdraw(tx, office.audit, CAMILLE, office.id, office.clock.at_ms)
        assert not await plans.withdraw(tx, office.audit, CAMILLE, office.id, office.clock.at_ms)
    office.clock.at_ms = NEXT_MONTH_MS
    await office.run_due()
    assert (await office.row()).plan == "standard"
    await office.choose("basic")
    office.clock.at_ms = bill.next_month_ms(NEXT_MONTH_MS)
    await office.run_due()
    assert (await office.row()).plan == "basic"


async def test_chosen_withdrawn_and_chosen_again_in_one_month(office: Office) -> None:
    await office.choose("basic")
    async with office.db.transaction() as tx:
        await plans.withdraw(tx, office.audit, CAMILLE, office.id, office.clock.at_ms)
    await office.choose("basic")
    office.clock.at_ms = NEXT_MONTH_MS
    await office.run_due()
    assert (await office.row()).plan == "basic"


async def test_an_upgrade_calls_a_chosen_downgrade_off(office: Office) -> None:
    await office.choose("basic")
    await office.choose("business")
    office.clock.at_ms = NEXT_MONTH_MS
    await office.run_due()
    assert (await office.row()).plan == "business"


async def test_a_change_that_is_due_counts_before_its_job_has_run(office: Office) -> None:
    """In the seconds between: choosing it again does not put it off for a month, and it cannot be withdrawn."""
    await office.choose("basic")
    office.clock.at_ms = NEXT_MONTH_MS
    async with office.db.transaction() as tx:
        assert not await plans.withdraw(tx, office.audit, CAMILLE, office.id, office.clock.at_ms)
    assert tuple(await office.row())[2:5] == ("basic", None, None)
    assert await office.choose("basic") == "same"
    await office.run_due()
    assert len(await store.changes(office.db, office.id)) == 1


async def test_no_such_plan_or_organisation(office: Office) -> None:
    with pytest.raises(LookupError):
        await office.choose("gold")
    office.id = 99
    with pytest.raises(LookupError):
        await office.choose("basic")


async def test_a_downgrade_stops_batches_and_withdraws_what_waits(office: Office) -> None:
    house = office.house
    organisation_id, (place,) = await house.organisation("business")
    person_id = await house.person(organisation_id)
    ids = await house.chargers(organisation_id, place, 8)
    for charger_id in ids:
        await house.connect(charger_id)
    scope = scope_of(person_id, organisation_id)
    waiting = (await house.ask(scope, ids[7], when=office.clock.at_ms + 90 * DAY_MS)).restart_id
    batch_id = await house.batches.request(scope, ids[:7], why="", kind=None, idempotency_key=None)
    (job,) = [row for row in await office.db.all(select_jobs()) if row.kind == "fill_batch"]
    await house.batches.fill(job.payload)
    assert (await plans.would_end(office.db, organisation_id, "basic", office.clock.at_ms)) == plans.Ending(
        batches=1, restarts=8
    )
    assert (await plans.would_end(office.db, organisation_id, "standard", office.clock.at_ms)) == plans.Ending(
        batches=1
    )
    async with office.db.transaction() as tx:
        assert await plans.set_at_once(tx, office.audit, CAMILLE, organisation_id, "standard", office.clock.at_ms)
    await office.plans.carry_out(json.dumps({"organisation_id": organisation_id}))
    assert await office.db.value(select(batches.c.phase).where(batches.c.id == batch_id)) == "stopped"
    verdicts = {row.id: row.verdict for row in await office.db.all(select(restarts.c.id, restarts.c.verdict))}
    assert verdicts[waiting] is None, "Standard may restart"
    assert sorted(str(verdict) for verdict in verdicts.values()) == ["None"] * 6 + ["not_sent"] * 2
    async with office.db.transaction() as tx:
        await plans.set_at_once(tx, office.audit, CAMILLE, organisation_id, "basic", office.clock.at_ms)
    for _ in range(2):  # a job may run twice
        await office.plans.carry_out(json.dumps({"organisation_id": organisation_id}))
    verdicts = {row.id: row.verdict for row in await office.db.all(select(restarts.c.id, restarts.c.verdict))}
    assert set(verdicts.values()) == {"not_sent"}


def select_jobs() -> Any:
    from borne.store.schema import jobs

    return select(jobs.c.kind, jobs.c.payload)


# ---- the days of the bill ------------------------------------------------------------------------------------------------


@on_both
async def test_days_are_written_once_with_the_plan_and_chargers_as_they_began(office: Office) -> None:
    for name in ("One", "Two"):
        await office.add_charger(name)
    await office.plans.begin()
    await office.run_due()
    assert await office.days() == [], "the day on which it was made is free"
    tomorrow = TODAY + timedelta(days=1)
    office.clock.at_ms = bill.start_ms(tomorrow) + 5_000
    await office.add_charger("Three")
    await office.run_due()
    assert await office.days() == [(tomorrow.isoformat(), "standard", 2, 400, 0)]
    await office.choose("business")
    await office.plans.begin()
    await office.plans.write_down(json.dumps({"day": tomorrow.isoformat()}))
    await office.run_due()
    assert await office.days() == [(tomorrow.isoformat(), "standard", 2, 400, 0)], "written once"
    office.clock.at_ms += DAY_MS
    await office.run_due()
    after = tomorrow + timedelta(days=1)
    assert (await office.days())[1:] == [(after.isoformat(), "business", 3, 900, 0)]


async def test_days_of_an_absence_are_caught_up_with_and_marked(office: Office) -> None:
    await office.add_charger("One")
    first = TODAY + timedelta(days=1)
    office.clock.at_ms = bill.start_ms(first)
    await office.plans.begin()
    await office.run_due()
    await office.choose("business")
    await office.choose("basic")
    office.clock.at_ms = NEXT_MONTH_MS + 2 * DAY_MS + 7_000_000  # away until the third of the next month
    await office.plans.begin()
    await office.run_due()
    days = await office.days()
    expected = [first + timedelta(days=n) for n in range(len(days))]
    assert [one[0] for one in days] == [one.isoformat() for one in expected]
    assert expected[-1] == bill.day_of(office.clock.at_ms)
    next_month = bill.day_of(NEXT_MONTH_MS).isoformat()
    assert {one[1] for one in days[1:] if one[0] < next_month} == {"business"}
    assert {one[1] for one in days if one[0] >= next_month} == {"basic"}
    assert [one[4] for one in days] == [0] + [1] * (len(days) - 2) + [0]


async def test_the_clock_set_back_writes_nothing_twice(office: Office) -> None:
    office.clock.at_ms += 5 * DAY_MS
    await office.plans.begin()
    await office.run_due()
    before = await office.days()
    office.clock.at_ms -= 2 * DAY_MS
    await office.plans.begin()
    await office.run_due()
    assert await office.days() == before


async def test_the_daily_job_carries_out_a_change_whose_own_job_is_lost(office: Office) -> None:
    async with office.db.transaction() as tx:
        await tx.run(
            update(organisations)
            .where(organisations.c.id == office.id)
            .values(next_plan="basic", next_plan_ms=NEXT_MONTH_MS)
        )
    await office.plans.begin()
    office.clock.at_ms = NEXT_MONTH_MS
    await office.run_due()
    assert (await office.row()).plan == "basic"
    assert (await office.days())[-1][:2] == (date.isoformat(bill.day_of(NEXT_MONTH_MS)), "basic")


# ---- room ------------------------------------------------------------------------------------------------------------------


@on_both
async def test_two_at_once_do_not_both_take_the_last_place(office: Office) -> None:
    async with office.db.transaction() as tx:
        await tx.run(update(organisations).where(organisations.c.id == office.id).values(plan="basic"))

    async def add(name: str) -> str:
        try:
            async with office.db.transaction() as tx:
                await room_for(tx, office.id, "locations", now_ms=office.clock.at_ms)
                await asyncio.sleep(0)
                await organisation_store.create_location(tx, office.id, name=name, now_ms=office.clock.at_ms)
        except NoRoomError as error:
            return f"{error.plan} {error.what} {error.most} {error.has_now}"
        return "added"

    assert sorted(await asyncio.gather(*(add(f"New {n}") for n in range(4)))) == ["added"] + ["basic locations 2 2"] * 3


async def test_invitations_hold_places_until_they_end(office: Office) -> None:
    now_ms = office.clock.at_ms
    common = {"organisation_id": office.id, "role": "user", "person_name": "C", "created_ms": now_ms, "sent_ms": now_ms}
    async with office.db.transaction() as tx:
        await tx.run(update(organisations).where(organisations.c.id == office.id).values(plan="basic"))
        for number in range(9):
            over = {"accepted_ms": 5 if number == 8 else None, "expires_ms": now_ms + (-1 if number == 7 else 1000)}
            row = {**common, "email": f"{number}@x.test", "token_hash": bytes([number]), **over}
            await tx.insert(invitations, row)
    for number in range(2):
        await office.house.person(office.id, "admin" if number else "super-admin")
    async with office.db.transaction() as tx:  # 2 members, 7 invited, 10 places
        await room_for(tx, office.id, "people", 1, now_ms=now_ms)
        with pytest.raises(NoRoomError):
            await room_for(tx, office.id, "people", 2, now_ms=now_ms)
        await room_for(tx, office.id, "people", 8, now_ms=now_ms, invited=False)
        await room_for(tx, office.id, "people", 4, now_ms=now_ms + 2000)  # the invitations are over


async def test_business_has_room_for_any_number(office: Office) -> None:
    await office.choose("business")
    async with office.db.transaction() as tx:
        await room_for(tx, office.id, "people", 10**9, now_ms=office.clock.at_ms)
