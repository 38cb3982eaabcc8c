"""Batches through the engine: filled by a job, a few at once, pausing, stopping, surviving the end of the server."""

from __future__ import annotations

import asyncio
import collections

import msgspec
import pytest
from sqlalchemy import func, select, update

from borne.core.batch import BatchState
from borne.core.facts import Booted, LinkOpened
from borne.core.scope import Role, Scope
from borne.engine.batches import JOB_KIND
from borne.store import jobs as job_store
from borne.store.db import Row
from borne.store.schema import batches, jobs, memberships, organisations, restarts
from tests.support.house import DEADLINE_S, House, Small, on_both, scope_of


class Fleet:
    """Connected chargers in some locations, and who restarts them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.organisation_id = 0
        self.locations: list[int] = []
        self.epochs: dict[int, int] = {}
        self.place: dict[int, int] = {}
        self.scope: Scope

    async def fill(self, *counts: int) -> Fleet:
        house = self.house
        self.organisation_id, self.locations = await house.organisation(locations=len(counts))
        for location_id, count in zip(self.locations, counts, strict=True):
            for charger_id in await house.chargers(self.organisation_id, location_id, count):
                self.epochs[charger_id] = await house.connect(charger_id)
                self.place[charger_id] = location_id
        self.scope = scope_of(await house.person(self.organisation_id), self.organisation_id)
        return self

    @property
    def ids(self) -> list[int]:
        return list(self.epochs)

    async def ask(self, ids: list[int] | None = None, key: str | None = None) -> int:
        """OKAY, and the job that fills the batch."""
        batch_id = await self.house.batches.request(
            self.scope, self.ids if ids is None else ids, why="", kind=None, idempotency_key=key
        )
        assert batch_id is not None
        await self.fill_batch()
        return batch_id

    async def fill_batch(self) -> None:
        """Run the job as a worker does."""
        async with self.house.db.transaction() as tx:
            leased = await job_store.lease(tx, self.house.clock.now_ms(), 60_000)
        for job in leased:
            assert job.kind == JOB_KIND
            await self.house.batches.fill(job.payload)
            async with self.house.db.transaction() as tx:
                await job_store.complete(tx, job, self.house.clock.now_ms())

    async def restarts(self, phase: str | None = None) -> list[Row]:
        wanted = select(restarts).order_by(restarts.c.id)
        return await self.house.db.all(wanted if phase is None else wanted.where(restarts.c.phase == phase))

    async def busy(self) -> dict[int, int]:
        """How many hold a slot, by location."""
        return collections.Counter(self.place[row.charger_id] for row in await self.restarts("requested"))

    async def play(self, row: Row, end: str = "succeeded") -> None:
        """Let one charger restart, well or badly."""
        house, charger_id, epoch = self.house, row.charger_id, self.epochs[row.charger_id]
        due = await house.send(charger_id, epoch)
        assert due is not None
        if end == "failed":
            await house.answer(charger_id, epoch, row.id, "rejected")
            return
        await house.answer(charger_id, epoch, row.id)
        await house.lose(charger_id, epoch)
        self.epochs[charger_id] = await house.connect(charger_id)


async def state_of(house: House, batch_id: int) -> BatchState:
    text = await house.db.value(select(batches.c.state).where(batches.c.id == batch_id))
    return msgspec.json.decode(text, type=BatchState)


async def verdicts(house: House) -> dict[str | None, int]:
    rows = await house.db.all(select(restarts.c.verdict, func.count()).group_by(restarts.c.verdict))
    return {row[0]: row[1] for row in rows}


# ---- asking -------------------------------------------------------------------------------------------------------


async def test_who_may_restart_many(house: House) -> None:
    for plan, roles in (("business", ("super-admin", "admin")), ("standard", ()), ("basic", ())):
        organisation_id, _ = await house.organisation(plan)
        for role in ("super-admin", "admin", "operator", "user"):
            scope = scope_of(1, organisation_id, role, plan="business")  # type: ignore[arg-type]
            made = await house.batches.request(scope, [1], why="", kind=None, idempotency_key=None)
            assert (made is not None) == (role in roles), (plan, role)


async def test_nothing_ticked_is_nothing_asked(small: Small) -> None:
    assert await small.house.batches.request(small.scope, [], why="", kind=None, idempotency_key=None) is None


@on_both
async def test_the_same_key_is_the_same_batch(house: House) -> None:
    fleet = await Fleet(house).fill(3)
    first = await fleet.ask(key="k")
    assert await house.batches.request(fleet.scope, fleet.ids, why="", kind=None, idempotency_key="k") == first
    assert await house.db.value(select(func.count()).select_from(batches)) == 1
    assert await house.db.value(select(func.count()).select_from(jobs)) == 1


@on_both
async def test_who_cannot_be_restarted_is_left_out_with_the_reason(house: House) -> None:
    fleet = await Fleet(house).fill(3)
    (pulsar,) = await house.chargers(fleet.organisation_id, fleet.locations[0], model="pulsar")
    (never,) = await house.chargers(fleet.organisation_id, fleet.locations[0], model="copper")
    away, busy, fine = fleet.ids
    await house.lose(away, fleet.epochs[away])
    assert (await house.ask(fleet.scope, busy)).restart_id is not None
    await house.connect(pulsar)
    batch_id = await fleet.ask([pulsar, never, away, busy, fine, 424242])
    text = await house.db.value(select(batches.c.left_out).where(batches.c.id == batch_id))
    left_out = {charger_id: reasons for charger_id, _, reasons in msgspec.json.decode(text)}
    assert left_out == {
        pulsar: ["model"], never: ["never_connected"], away: ["offline"], busy: ["restarting"], 424242: ["role"],
    }  # fmt: skip
    assert (await state_of(house, batch_id)).total == 1


async def test_a_batch_without_anybody_is_done(house: House) -> None:
    fleet = await Fleet(house).fill(1)
    await house.lose(fleet.ids[0], fleet.epochs[fleet.ids[0]])
    batch_id = await fleet.ask()
    assert (await state_of(house, batch_id)).phase == "done"


# ---- a few at once ------------------------------------------------------------------------------------------------


@on_both
async def test_five_at_once_in_each_location_until_all_are_done(house: House) -> None:
    fleet = await Fleet(house).fill(12, 3)
    batch_id = await fleet.ask()
    assert await fleet.busy() == {fleet.locations[0]: 5, fleet.locations[1]: 3}
    for _ in range(15):
        row = (await fleet.restarts("requested"))[0]
        await fleet.play(row)
        assert max((await fleet.busy()).values(), default=0) <= 5
    assert (await state_of(house, batch_id)).phase == "done"
    assert await verdicts(house) == {"succeeded": 15}


async def test_a_slot_frees_when_the_charger_is_back(house: House) -> None:
    fleet = await Fleet(house).fill(6)
    await fleet.ask()
    row = (await fleet.restarts("requested"))[0]
    epoch = fleet.epochs[row.charger_id]
    await house.send(row.charger_id, epoch)
    await house.answer(row.charger_id, epoch, row.id)
    await house.lose(row.charger_id, epoch)
    assert len(await fleet.restarts("queued")) == 1
    await house.connect(row.charger_id, boots=False)
    assert len(await fleet.restarts("queued")) == 0


async def test_a_slot_frees_after_five_minutes(house: House) -> None:
    fleet = await Fleet(house).fill(6)
    await fleet.ask()
    row = (await fleet.restarts("requested"))[0]
    await house.send(row.charger_id, fleet.epochs[row.charger_id])
    house.clock.pass_s(119)
    for other in (await fleet.restarts("requested"))[0:4]:
        await house.send(other.charger_id, fleet.epochs[other.charger_id])
    house.clock.pass_s(182)
    await house.timers._strike()
    assert len(await fleet.restarts("queued")) == 0


async def test_one_that_left_while_it_waited_for_its_slot_gives_it_to_the_next(house: House) -> None:
    fleet = await Fleet(house).fill(7)
    batch_id = await fleet.ask()
    waiting = await fleet.restarts("queued")
    await house.lose(waiting[0].charger_id, fleet.epochs[waiting[0].charger_id])
    await fleet.play((await fleet.restarts("requested"))[0])
    rows = {row.id: row for row in await fleet.restarts()}
    assert (rows[waiting[0].id].verdict, rows[waiting[0].id].reason) == ("not_sent", "offline")
    assert rows[waiting[1].id].phase == "requested"
    for row in await fleet.restarts("requested"):
        await fleet.play(row)
    assert (await state_of(house, batch_id)).phase == "done"


# ---- pausing, stopping --------------------------------------------------------------------------------------------


async def fail(fleet: Fleet, count: int) -> None:
    for _ in range(count):
        await fleet.play((await fleet.restarts("requested"))[0], "failed")


@on_both
async def test_three_failures_in_a_row_pause_it_until_somebody_says_continue(house: House) -> None:
    fleet = await Fleet(house).fill(12)
    batch_id = await fleet.ask()
    await fail(fleet, 3)
    assert (await state_of(house, batch_id)).phase == "paused"
    queued = len(await fleet.restarts("queued"))
    await fail(fleet, 1)
    assert len(await fleet.restarts("queued")) == queued
    assert await house.batches.answer(fleet.scope, batch_id, go_on=True)
    assert (await state_of(house, batch_id)).phase == "running"
    assert len(await fleet.restarts("queued")) < queued
    while rows := await fleet.restarts("requested"):
        await fleet.play(rows[0])
    assert (await state_of(house, batch_id)).phase == "done"


@on_both
async def test_stop_withdraws_what_still_waits_and_lets_the_others_end(house: House) -> None:
    fleet = await Fleet(house).fill(9)
    batch_id = await fleet.ask()
    assert await house.batches.answer(fleet.scope, batch_id, go_on=False)
    assert await verdicts(house) == {None: 5, "not_sent": 4}
    for row in await fleet.restarts("requested"):
        await fleet.play(row)
    assert await verdicts(house) == {"succeeded": 5, "not_sent": 4}
    assert (await state_of(house, batch_id)).phase == "stopped"


async def test_stopped_before_it_was_filled_it_restarts_nobody(house: House) -> None:
    fleet = await Fleet(house).fill(4)
    batch_id = await house.batches.request(fleet.scope, fleet.ids, why="", kind=None, idempotency_key=None)
    assert batch_id is not None
    assert await house.batches.answer(fleet.scope, batch_id, go_on=False)
    await fleet.fill_batch()
    assert await verdicts(house) == {"not_sent": 4}
    assert (await state_of(house, batch_id)).phase == "stopped"


async def test_another_organisation_has_no_say(house: House) -> None:
    fleet = await Fleet(house).fill(6)
    batch_id = await fleet.ask()
    assert not await house.batches.answer(scope_of(9, fleet.organisation_id + 1), batch_id, go_on=False)
    assert (await state_of(house, batch_id)).phase == "running"


async def test_who_lost_the_role_restarts_nobody_any_more(house: House) -> None:
    """Role and ownership count again at each sending."""
    fleet = await Fleet(house).fill(3)
    batch_id = await fleet.ask()
    role: Role = "user"
    async with house.db.transaction() as tx:
        await tx.run(update(memberships).values(role=role))
        await tx.run(update(organisations).values(plan="business"))
    for charger_id, epoch in fleet.epochs.items():
        assert await house.send(charger_id, epoch) is None
    assert await verdicts(house) == {"not_sent": 3}
    assert (await state_of(house, batch_id)).phase == "done"


# ---- the end of the server ----------------------------------------------------------------------------------------


@on_both
async def test_the_job_that_fills_it_may_run_twice(house: House) -> None:
    fleet = await Fleet(house).fill(7)
    batch_id = await house.batches.request(fleet.scope, fleet.ids, why="", kind=None, idempotency_key=None)
    assert batch_id is not None
    payload = await house.db.value(select(jobs.c.payload))
    await house.batches.fill(payload)
    await house.batches.fill(payload)
    assert len(await fleet.restarts()) == 7
    assert await fleet.busy() == {fleet.locations[0]: 5}
    while rows := await fleet.restarts("requested"):
        await fleet.play(rows[0])
    await house.batches.fill(payload)
    assert (await state_of(house, batch_id)).phase == "done"
    assert await verdicts(house) == {"succeeded": 7}


async def test_killed_while_it_is_being_filled_it_is_filled_after_the_start(house: House) -> None:
    fleet = await Fleet(house).fill(7)
    batch_id = await house.batches.request(fleet.scope, fleet.ids, why="", kind=None, idempotency_key=None)
    assert batch_id is not None
    payload = await house.db.value(select(jobs.c.payload))
    real, made = house.restarts.request, 0

    async def dies(*arguments: object) -> object:
        nonlocal made
        made += 1
        if made > 3:
            raise ConnectionAbortedError("killed")
        return await real(*arguments)  # type: ignore[arg-type]

    house.restarts.request = dies  # type: ignore[method-assign, assignment]
    with pytest.raises(ConnectionAbortedError):
        await house.batches.fill(payload)
    fleet.house = other = await house.again(down_s=30)
    try:
        assert len(await fleet.restarts("queued")) == 3
        for charger_id in fleet.ids:
            fleet.epochs[charger_id] = await other.connect(charger_id)
        await fleet.fill_batch()
        assert len(await fleet.restarts()) == 7
        while rows := await fleet.restarts("requested"):
            await fleet.play(rows[0])
        assert (await state_of(other, batch_id)).phase == "done"
        assert await verdicts(other) == {"succeeded": 7}
    finally:
        await other.engine.stop()


@on_both
async def test_it_survives_the_end_of_the_server(house: House) -> None:
    """Who was away when Borne ended comes back to a batch that goes on where it was."""
    fleet = await Fleet(house).fill(12)
    batch_id = await fleet.ask()
    for row in (await fleet.restarts("requested"))[:2]:
        await fleet.play(row)
    before = await state_of(house, batch_id)
    fleet.house = other = await house.again(down_s=60)
    try:
        assert await state_of(other, batch_id) == before
        for charger_id in fleet.ids:
            fleet.epochs[charger_id] = await other.connect(charger_id)
        while rows := await fleet.restarts("requested"):
            assert len(rows) <= 5
            await fleet.play(rows[0])
        assert (await state_of(other, batch_id)).phase == "done"
        assert await verdicts(other) == {"succeeded": 12}
    finally:
        await other.engine.stop()


async def test_a_slot_that_frees_before_the_chargers_are_back_is_not_wasted_on_them(house: House) -> None:
    """Right after the start every charger is away, through us: a released one is given its time to come back."""
    fleet = await Fleet(house).fill(7)
    await fleet.ask()
    rows = await fleet.restarts("requested")
    for row in rows:
        await house.send(row.charger_id, fleet.epochs[row.charger_id])
    fleet.house = other = await house.again(down_s=60)
    try:
        other.clock.pass_s(301)
        await other.timers._strike()  # the five slots free, nobody is back yet
        assert [row.verdict for row in await fleet.restarts("requested")] == [None, None]
        for row in await fleet.restarts("requested"):
            fleet.epochs[row.charger_id] = await other.connect(row.charger_id)
            assert await other.send(row.charger_id, fleet.epochs[row.charger_id]) is not None
    finally:
        await other.engine.stop()


async def test_who_does_not_come_back_after_the_servers_end_is_given_up_in_time(house: House) -> None:
    fleet = await Fleet(house).fill(2)
    batch_id = await fleet.ask()
    fleet.house = other = await house.again(down_s=60)
    try:
        other.clock.pass_s(121)
        await other.timers._strike()
        assert {row.reason for row in await fleet.restarts()} == {"offline"}
        assert (await state_of(other, batch_id)).phase == "done"
    finally:
        await other.engine.stop()


# ---- many ---------------------------------------------------------------------------------------------------------


async def test_two_thousand_end(house: House) -> None:
    fleet = Fleet(house)
    fleet.organisation_id, fleet.locations = await house.organisation(locations=40)
    fleet.scope = scope_of(await house.person(fleet.organisation_id), fleet.organisation_id)
    await many_connected(fleet, 50)
    batch_id = await fleet.ask()
    state = await state_of(house, batch_id)
    assert (state.total, state.phase) == (2000, "running")
    assert await fleet.busy() == dict.fromkeys(fleet.locations, 5)
    for _ in range(200):
        rows = await fleet.restarts("requested")
        if not rows:
            break
        await send_all(fleet, rows)
        house.clock.pass_s(DEADLINE_S + 1)
        await house.timers._strike()
    assert (await state_of(house, batch_id)).phase == "done"
    assert await verdicts(house) == {"unknown": 2000}


async def many_connected(fleet: Fleet, each: int) -> None:
    """Many chargers, connected in a few commits."""
    house = fleet.house
    for location_id in fleet.locations:
        ids = await house.chargers(fleet.organisation_id, location_id, each)
        opened = await asyncio.gather(
            *(
                house.engine.apply(
                    house.fact(LinkOpened, charger_id, protocol="1.6", address="", incarnation=1), urgent=False
                )
                for charger_id in ids
            )
        )
        for charger_id, outcome in zip(ids, opened, strict=True):
            assert outcome.epoch is not None
            fleet.epochs[charger_id], fleet.place[charger_id] = outcome.epoch, location_id
        await asyncio.gather(
            *(
                house.engine.apply(house.fact(Booted, charger_id, epoch=1, vendor="A", model="B"), urgent=False)
                for charger_id in ids
            )
        )


async def send_all(fleet: Fleet, rows: list[Row]) -> None:
    """All their links take and write at once."""
    await asyncio.gather(*(fleet.house.send(row.charger_id, fleet.epochs[row.charger_id]) for row in rows))
