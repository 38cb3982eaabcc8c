"""Plans of organisations: changed at once or next month, written down day by day, and what a smaller one ends."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import msgspec

from borne.bus.port import Bus, Hint
from borne.core import bill
from borne.core.actor import BORNE, Actor
from borne.core.bill import BilledDay
from borne.core.plans import LIMITED, PLANS, Limited, has, limit, rank
from borne.core.restart_state import BEFORE_SENDING
from borne.engine.audit import About, Audit
from borne.engine.batches import Batches
from borne.engine.clock import NowMs
from borne.engine.restarts import Restarts
from borne.store import jobs as job_store
from borne.store import plans as store
from borne.store.db import Database, Row, Transaction

log = logging.getLogger(__name__)

CHANGE_KIND = "plan"  # an organisation's plan is to change, or changed: {"organisation_id": …}
DAYS_KIND = "plan_days"  # a day begins: {"day": "YYYY-MM-DD"}
TRIES = 1_000_000  # a bill is not given up: with an hour between tries, for ever
CATCH_UP_DAYS = 400
_PHASES = tuple(BEFORE_SENDING)


class NoRoomError(Exception):
    """The organisation's plan has no room for more of something."""

    def __init__(self, plan: str, what: Limited, most: int, has_now: int) -> None:
        super().__init__(f"{plan} has room for {most} {what}, there are {has_now}")
        self.plan = plan
        self.what = what
        self.most = most
        self.has_now = has_now


async def room_for(
    tx: Transaction, organisation_id: int, what: Limited, more: int = 1, *, now_ms: int, invited: bool = True
) -> None:
    """Raise NoRoomError unless the plan has room for so many more people or locations. Call it in the transaction that adds
    them: two at once cannot both take the last place.

    An open invitation holds a place. `invited=False` counts members alone: for somebody who accepts one.
    """
    row = await store.locked(tx, organisation_id)
    plan = row.plan if row else ""
    most = limit(plan, what)
    if most is None or more <= 0:
        return
    used = await used_of(tx, organisation_id, what, now_ms, invited=invited)
    if used + more > most:
        raise NoRoomError(plan, what, most, used)


async def used_of(
    db: Database | Transaction, organisation_id: int, what: Limited, now_ms: int, *, invited: bool = True
) -> int:
    """How many places are taken: members (and those invited), or locations."""
    if what == "locations":
        return await store.location_count(db, organisation_id)
    members = await store.member_count(db, organisation_id, now_ms)
    return members + (await store.invited_count(db, organisation_id, now_ms) if invited else 0)


# ---- changing it -------------------------------------------------------------------------------------------------------

Chosen = Literal["now", "later", "same"]


async def choose(
    tx: Transaction, audit: Audit, actor: Actor, organisation_id: int, wanted: str, now_ms: int
) -> tuple[Chosen, int]:
    """Upgrade now, or downgrade from the first instant of next month (UTC); which of the two, and from when.

    `wanted`: a key of PLANS. "same" when the organisation has that plan (or has chosen it) already: nothing is changed. Raises
    LookupError when there is no such organisation or plan.
    """
    row = await _as_due(tx, audit, organisation_id, now_ms)
    if row is None or wanted not in PLANS:
        raise LookupError(wanted)
    if wanted in (row.plan, row.next_plan):
        return "same", now_ms
    if rank(wanted) > rank(row.plan):
        await change(tx, audit, actor, row, wanted, now_ms)
        return "now", now_ms
    from_ms = bill.next_month_ms(now_ms)
    await store.set_next(tx, organisation_id, wanted, from_ms)
    payload = json.dumps({"organisation_id": organisation_id})
    await job_store.enqueue(
        tx, CHANGE_KIND, payload, from_ms, idempotency_key=f"{organisation_id} {from_ms}", max_attempts=TRIES
    )
    details = {"before": row.plan, "after": wanted, "from_ms": from_ms}
    await audit.record(tx, actor, "plan.chosen", _about(row), organisation_id=organisation_id, **details)
    return "later", from_ms


async def withdraw(tx: Transaction, audit: Audit, actor: Actor, organisation_id: int, now_ms: int) -> bool:
    """Keep the plan after all. False: no other one was chosen, or it has come."""
    row = await _as_due(tx, audit, organisation_id, now_ms)
    if row is None or row.next_plan is None:
        return False
    await store.set_next(tx, organisation_id, None, None)
    details = {"before": row.next_plan, "after": row.plan}
    await audit.record(tx, actor, "plan.kept", _about(row), organisation_id=organisation_id, **details)
    return True


async def _as_due(tx: Transaction, audit: Audit, organisation_id: int, now_ms: int) -> Row | None:
    """The organisation, locked, on the plan that it has by now: what was chosen for an instant that has come is carried out.
    In the history it came at that instant."""
    row = await store.locked(tx, organisation_id)
    if row is None or row.next_plan not in PLANS or row.next_plan_ms > now_ms:
        return row
    await change(tx, audit, BORNE, row, row.next_plan, row.next_plan_ms)
    log.info("organisation %s is on plan %s from now on", organisation_id, row.next_plan)
    return await store.locked(tx, organisation_id)


async def change(tx: Transaction, audit: Audit, actor: Actor, row: Row, wanted: str, at_ms: int) -> None:
    """Change the plan at once, whatever it was; `row`: the organisation's (store.plans.locked)."""
    await store.set_plan(tx, row.id, wanted, at_ms=at_ms, by=actor.name)
    details = {"before": row.plan, "after": wanted}
    await audit.record(tx, actor, "plan.changed", _about(row), organisation_id=row.id, **details)


async def set_at_once(
    tx: Transaction, audit: Audit, actor: Actor, organisation_id: int, wanted: str, now_ms: int
) -> bool:
    """Any plan, now: for the installation's owner. A job then ends what a smaller plan has not. False: it has it already."""
    row = await store.locked(tx, organisation_id)
    if row is None or wanted not in PLANS:
        raise LookupError(wanted)
    if row.plan == wanted and row.next_plan is None:
        return False
    await change(tx, audit, actor, row, wanted, now_ms)
    payload = json.dumps({"organisation_id": organisation_id})
    await job_store.enqueue(tx, CHANGE_KIND, payload, now_ms, max_attempts=TRIES)
    return True


def _about(row: Row) -> About:
    return About(kind="organisation", id=row.id, name=row.name)


# ---- what a smaller plan ends ------------------------------------------------------------------------------------------


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What an organisation has that another plan has no room for, or would end."""

    batches: int = 0
    restarts: int = 0
    over: dict[Limited, tuple[int, int]] = {}  # what has no room: how many there are, how many the plan has room for


async def would_end(db: Database, organisation_id: int, plan: str, now_ms: int) -> Ending:
    """What changing to this plan would do to the organisation as it is now."""
    over: dict[Limited, tuple[int, int]] = {}
    for what in LIMITED:
        most, used = limit(plan, what), await used_of(db, organisation_id, what, now_ms)
        if most is not None and used > most:
            over[what] = (used, most)
    return Ending(
        batches=0 if has(plan, "BULK_ACTIONS") else len(await store.open_batches(db, organisation_id)),
        restarts=0 if has(plan, "RESTART") else await store.unsent_count(db, organisation_id, _PHASES),
        over=over,
    )


class Plans:
    """The jobs: changes that are due, and the days of the bill."""

    def __init__(
        self, db: Database, bus: Bus, clock: NowMs, audit: Audit, restarts: Restarts, batches: Batches
    ) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._audit = audit
        self._restarts = restarts
        self._batches = batches

    async def begin(self) -> None:
        """At a start: make sure that today is written down, and with it the days that Borne was away."""
        async with self._db.transaction() as tx:
            await self._enqueue(tx, bill.day_of(self._clock.now_ms()))
        self._bus.publish(Hint("job", 0))

    async def carry_out(self, payload: str) -> None:
        """The job of a change: change to the plan that is due, then end what the organisation's plan does not include."""
        organisation_id = int(json.loads(payload)["organisation_id"])
        await self._change_if_due(organisation_id)
        row = await store.of_organisation(self._db, organisation_id)
        if row is not None:
            await self._end(row)

    async def write_down(self, payload: str) -> None:
        """The job of a day: all changes that are due, then each organisation's days up to that one; the next day's job first."""
        day = min(date.fromisoformat(json.loads(payload)["day"]), bill.day_of(self._clock.now_ms()))
        async with self._db.transaction() as tx:
            await self._enqueue(tx, day + timedelta(days=1))
        after_id = 0
        while ids := await store.ids_after(self._db, after_id):
            after_id = ids[-1]
            for organisation_id in ids:
                await self._change_if_due(organisation_id)  # its own job ends what has to end
                await self._write_days(organisation_id, day)

    async def _enqueue(self, tx: Transaction, day: date) -> None:
        payload = json.dumps({"day": day.isoformat()})
        await job_store.enqueue(
            tx, DAYS_KIND, payload, bill.start_ms(day), idempotency_key=day.isoformat(), max_attempts=TRIES
        )

    async def _change_if_due(self, organisation_id: int) -> None:
        async with self._db.transaction() as tx:
            await _as_due(tx, self._audit, organisation_id, self._clock.now_ms())

    async def _end(self, row: Row) -> None:
        """Stop batches and withdraw restarts that the plan does not include any more. What was sent goes on to its verdict."""
        if not has(row.plan, "BULK_ACTIONS"):
            for batch_id in await store.open_batches(self._db, row.id):
                await self._batches.stop(row.id, batch_id, BORNE)
        if not has(row.plan, "RESTART"):
            for restart in await store.unsent(self._db, row.id, _PHASES, limit=100_000):
                await self._restarts.withdraw(restart.charger_id, restart.id, BORNE)

    async def _write_days(self, organisation_id: int, until: date) -> None:
        row = await store.of_organisation(self._db, organisation_id)
        if row is None or row.created_ms > bill.start_ms(until):
            return  # the day on which an organisation is made is not billed
        days = await self._missed(row, until)
        async with self._db.transaction() as tx:
            await store.add_days(tx, organisation_id, days)

    async def _missed(self, row: Row, until: date) -> Sequence[BilledDay]:
        """The days after the last one that was written down. Before the first one there is nothing to catch up with."""
        last = await store.last_day(self._db, row.id)
        first, plan = until, row.plan
        if last is not None:
            first = max(date.fromisoformat(last.day) + timedelta(days=1), until - timedelta(days=CATCH_UP_DAYS))
            plan = last.plan
        today, days = bill.day_of(self._clock.now_ms()), []
        for day in (first + timedelta(days=n) for n in range((until - first).days + 1)):
            plan = await store.plan_at(self._db, row.id, bill.start_ms(day)) or plan
            chargers = await store.chargers_before(self._db, row.id, bill.start_ms(day))
            price_cents = PLANS[plan].price_cents if plan in PLANS else 0
            days.append(BilledDay(day, plan, chargers, price_cents, late=day < today))
        return days
