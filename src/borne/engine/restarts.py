"""Restarts as people ask for them and as links carry them out. The rules are core.access and core.restart; this
asks and commits."""

from __future__ import annotations

import statistics
from typing import Literal

import msgspec

from borne.core import restart as machine
from borne.core.access import ChargerFacts, may_restart, not_restartable
from borne.core.actor import Actor
from borne.core.effects import Record
from borne.core.facts import RestartKind, RestartRefused, RestartRequested, RestartSent, RestartWithdrawn
from borne.core.models import LEARNT_FROM, deadline_after_ms, model_of
from borne.core.restart_state import BEFORE_SENDING
from borne.core.scope import Scope
from borne.engine.apply import Engine
from borne.engine.audit import About, Audit
from borne.engine.outcome import IGNORED, OK, Due, Outcome
from borne.engine.reactions import put, react
from borne.engine.room import Held, Room
from borne.engine.writes import Writes
from borne.store import restarts as store
from borne.store import rooms as room_store
from borne.store.db import Reader, Transaction

When = Literal["now", "free"] | int


class RestartSettings(msgspec.Struct, frozen=True):
    """Bounds of the deadline of a verdict (seconds), and how many of a location's chargers a batch restarts at once."""

    deadline_least_s: int = 300
    deadline_most_s: int = 1200
    at_once: int = 5


class Usual(msgspec.Struct, frozen=True):
    """How long a model's restart takes: the median of its last successes here (`n` of them), or the catalogue's
    figure (n = 0)."""

    duration_ms: int
    n: int


class NewRestart(msgspec.Struct, frozen=True, kw_only=True):
    """What a person confirmed. `address`: where the request came from."""

    kind: RestartKind | None = None
    evse: int | None = None
    when: When = "now"
    why: str = ""
    idempotency_key: str | None = None
    batch_id: int | None = None
    address: str = ""


class Restarts:
    """Requests, withdrawals, and the moment of sending."""

    def __init__(self, engine: Engine, settings: RestartSettings, audit: Audit) -> None:
        self.audit = audit
        self._engine = engine
        self._settings = settings

    async def request(self, scope: Scope, charger_id: int, new: NewRestart) -> Outcome:
        """Restart a charger. `restart_id` says which restart is followed now; `existing` that it was there already (a
        repeated click, or somebody else's); `reasons` (core.access.Reason) why nothing was started."""

        async def prepare(tx: Transaction, room: Room, writes: Writes) -> Outcome:
            return await self._request(tx, room, writes, scope, new)

        return await self._engine.prepare(charger_id, prepare)

    async def withdraw(self, charger_id: int, restart_id: int, by: Actor, *, in_batch: bool = False) -> Outcome:
        """Withdraw a restart that was not sent yet; `ignored` when it is too late. `in_batch`: with its whole batch."""
        now_ms = self._engine.clock.now_ms()
        fact = RestartWithdrawn(
            charger_id=charger_id, at_ms=now_ms, restart_id=restart_id, by=by.name, by_id=by.person_id
        )

        async def prepare(tx: Transaction, room: Room, writes: Writes) -> Outcome:
            held = room.restarts.get(restart_id)
            if held is None or held.state.phase not in BEFORE_SENDING:
                return IGNORED
            if by.person_id is not None and not in_batch:  # the charger may have moved since they looked
                place = room.organisation_id, room.location_id
                if not await administers_now(tx, by.person_id, *place, now_ms):
                    return IGNORED
            react(room, fact, writes)
            if not in_batch:
                await self._record(tx, room, writes, by, "restart.withdrawn", restart=restart_id)
            return OK

        return await self._engine.prepare(charger_id, prepare)

    async def take(self, charger_id: int, epoch: int) -> Due | None:
        """The link of this epoch is settled and idle: what must be written now, committed as sent. None: nothing is due."""
        room = self._engine.room(charger_id)
        if room is not None and not any(held.state.phase == "requested" for held in room.restarts.values()):
            return None

        async def prepare(tx: Transaction, room: Room, writes: Writes) -> Outcome:
            return await self._take(tx, room, writes, epoch)

        return (await self._engine.prepare(charger_id, prepare)).due

    # ---- inside the charger's turn -------------------------------------------------------------------------------

    async def _request(self, tx: Transaction, room: Room, writes: Writes, scope: Scope, new: NewRestart) -> Outcome:
        now_ms = self._engine.clock.now_ms()
        if new.idempotency_key is not None:
            known = await store.by_key(tx, room.organisation_id, new.idempotency_key)
            if known is not None:
                return Outcome(restart_id=known, existing=True)
        if not scope.reaches(
            organisation_id=room.organisation_id, location_id=room.location_id, charger_id=room.charger_id
        ):
            return IGNORED
        held = room.open_restart
        if held is not None:
            return Outcome(restart_id=held.state.id, existing=True)
        scope = msgspec.structs.replace(scope, plan=await room_store.plan_of(tx, room.organisation_id))
        reasons = may_restart(scope, facts_of(room, now_ms))
        if isinstance(new.when, int):  # a charger that is away now may be back by then
            reasons = tuple(reason for reason in reasons if reason not in ("offline", "updating"))
        if reasons:
            return Outcome(reasons=reasons)
        return await self._create(tx, room, writes, scope, new, now_ms)

    async def _create(
        self, tx: Transaction, room: Room, writes: Writes, scope: Scope, new: NewRestart, now_ms: int
    ) -> Outcome:
        kind = new.kind or model_of(room.model).restart_kind
        restart_id = await store.create(
            tx,
            charger_id=room.charger_id,
            organisation_id=room.organisation_id,
            location_id=room.location_id,
            model=room.model,
            batch_id=new.batch_id,
            person_id=scope.person_id,
            person_name=scope.person_name,
            why=new.why,
            kind=kind,
            evse=new.evse,
            idempotency_key=new.idempotency_key,
            phase="requested",
            requested_ms=now_ms,
        )
        fact = RestartRequested(
            charger_id=room.charger_id,
            at_ms=now_ms,
            restart_id=restart_id,
            kind=kind,
            evse=new.evse,
            when_free=new.when == "free" and room.charging,
            not_before_ms=new.when if isinstance(new.when, int) else None,
            in_batch=new.batch_id is not None,
        )
        state, effects = machine.start(fact)
        held = room.restarts[restart_id] = Held(state, 0, new.batch_id, room.location_id)
        by = Actor(scope.person_id, scope.person_name, new.address)
        asked = Record("restart_requested", {"restart": restart_id, "by": by.name, "by_id": by.person_id})
        put(room, held, state, (asked, *effects), fact, writes)
        if new.batch_id is None:  # a batch is recorded as one
            await self._record(tx, room, writes, by, "restart.requested", restart=restart_id, kind=kind, why=new.why)
        return Outcome(restart_id=restart_id)

    async def _record(
        self, tx: Transaction, room: Room, writes: Writes, by: Actor, action: str, **details: object
    ) -> None:
        name = await room_store.name_of(tx, room.organisation_id, room.charger_id)
        about = About(kind="charger", id=room.charger_id, name=name)
        writes.record_last(self.audit, by, action, about, organisation_id=room.organisation_id, **details)

    async def _take(self, tx: Transaction, room: Room, writes: Writes, epoch: int) -> Outcome:
        held = room.open_restart
        if held is None or held.state.phase != "requested" or room.state.epoch != epoch or not room.state.online:
            return IGNORED
        now_ms = self._engine.clock.now_ms()
        reason = await self._forbidden(tx, room, held, now_ms)
        if reason is not None:
            refused = RestartRefused(charger_id=room.charger_id, at_ms=now_ms, restart_id=held.state.id, reason=reason)
            react(room, refused, writes)
            return IGNORED
        react(room, await self._sent(tx, room, held, now_ms), writes)
        return Outcome(due=Due(held.state.id, held.state.kind, held.state.evse))

    async def _forbidden(self, tx: Transaction, room: Room, held: Held, now_ms: int) -> str | None:
        """Role and ownership count again at sending; the plan counted at OKAY."""
        facts = msgspec.structs.replace(facts_of(room, now_ms), status=room.status_without_restart(now_ms))
        reasons = not_restartable(facts)
        if reasons:
            return reasons[0]
        requester = await store.requester(tx, held.state.id)
        if requester is None or requester.organisation_id != room.organisation_id:
            return "role"
        may = await administers_now(tx, requester.person_id, room.organisation_id, room.location_id, now_ms)
        return None if may else "role"

    async def _sent(self, tx: Transaction, room: Room, held: Held, now_ms: int) -> RestartSent:
        durations_ms = await room_store.last_durations_ms(tx, room.organisation_id, room.model)
        after_ms = deadline_after_ms(
            model_of(room.model),
            durations_ms,
            least_ms=self._settings.deadline_least_s * 1000,
            most_ms=self._settings.deadline_most_s * 1000,
        )
        return RestartSent(
            charger_id=room.charger_id,
            at_ms=now_ms,
            restart_id=held.state.id,
            epoch=room.state.epoch,
            link_opened_ms=room.state.link_opened_ms,
            booted_on_link=room.state.booted_on_link,
            announces_boots=room.state.boots > 0,
            plain_reconnects_boot=room.state.plain_reconnects_boot,
            charging=room.charging,
            deadline_after_ms=after_ms,
        )


async def administers_now(db: Reader, person_id: int, organisation_id: int, location_id: int, now_ms: int) -> bool:
    """Whether this person is the organisation's super-admin or an admin of the location, whatever they were before."""
    role = await room_store.role_of(db, person_id, organisation_id, now_ms)
    return role == "super-admin" or (
        role == "admin" and await store.administers(db, person_id, organisation_id, location_id)
    )


def facts_of(room: Room, now_ms: int) -> ChargerFacts:
    """What the restart rules ask, from the charger's room."""
    return ChargerFacts(
        organisation_id=room.organisation_id,
        location_id=room.location_id,
        charger_id=room.charger_id,
        restarts=model_of(room.model).restarts,
        status=room.status(now_ms),
        online=room.state.online,
        disabled=room.disabled,
    )


async def usual(db: Reader, organisation_id: int, model_id: str) -> Usual:
    """How long a restart of this model usually takes in this organisation."""
    durations_ms = await room_store.last_durations_ms(db, organisation_id, model_id)
    if len(durations_ms) < LEARNT_FROM:
        return Usual(model_of(model_id).usual_restart_ms, 0)
    return Usual(int(statistics.median(durations_ms)), len(durations_ms))
