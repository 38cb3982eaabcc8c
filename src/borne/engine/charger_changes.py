"""Changing many chargers at once: a durable job that goes through the list in slices, each one transaction in the engine's
turn, and knows after a crash where it was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec

from borne.bus.port import Hint
from borne.core import policy
from borne.core.actor import Actor
from borne.core.models import MODELS
from borne.core.scope import Scope
from borne.engine.apply import Engine
from borne.engine.audit import About, Audit
from borne.engine.onboarding import note, redescribe, tell
from borne.engine.outcome import IGNORED, OK, Outcome
from borne.engine.restarts import administers_now
from borne.engine.room import Room
from borne.engine.writes import Writes
from borne.store import charger_changes as store
from borne.store import charger_places, jobs
from borne.store import chargers as charger_store
from borne.store import rooms as room_store
from borne.store.chargers import Description, UnknownLocationError
from borne.store.db import Conflict, Row, Transaction

KIND = "change_chargers"
SLICE = 20  # chargers of a turn: some 10 ms on SQLite
MOST_CHARGERS = 10_000

What = Literal["move", "model", "enable", "disable"]
Why = Literal[
    "same", "role", "gone", "location"
]  # left out: it is so already, who asked may not, it or the place is no more


class Change(msgspec.Struct, frozen=True):
    """What is changed: `location_id` of "move", `model` (of core.models) of "model"."""

    what: What
    location_id: int | None = None
    model: str = ""


class Job(msgspec.Struct):
    """The payload of the job."""

    organisation_id: int
    change_id: int


class _Slice(msgspec.Struct):
    """What a turn did. `moved`: charger, the location where it stood, the one where it stands."""

    moved: list[tuple[int, int, int]] = msgspec.field(default_factory=list)
    left_out: list[tuple[int, str, Why]] = msgspec.field(default_factory=list)
    more: bool = False


def left_out_of(row: Row, change: Change) -> Why | None:
    """Why a charger need not be changed; None: it has to. Its columns, as of `charger_places.looks`."""
    is_so = {
        "move": row.location_id == change.location_id,
        "model": row.model == change.model,
        "enable": not row.disabled,
        "disable": bool(row.disabled),
    }
    return "same" if is_so[change.what] else None


class ChargerChanges:
    """Asking for changes, and carrying them out."""

    def __init__(self, engine: Engine, audit: Audit) -> None:
        self._engine = engine
        self._audit = audit

    async def request(self, scope: Scope, by: Actor, change: Change, ids: Sequence[int], key: str) -> int | None:
        """Begin, and return the change's id (the same one for the same key). None: the role or the plan does not allow it."""
        now_ms, organisation_id = self._engine.clock.now_ms(), scope.organisation_id
        wanted = list(dict.fromkeys(ids))[:MOST_CHARGERS]
        values = {
            "person_id": scope.person_id,
            "person_name": scope.person_name,
            "address": by.address,
            "change": msgspec.json.encode(change).decode(),
            "charger_ids": msgspec.json.encode(wanted).decode(),
            "total": len(wanted),
            "idempotency_key": f"{scope.person_id}-{key}",
            "created_ms": now_ms,
        }
        try:
            async with self._engine.db.transaction() as tx:
                plan = await room_store.plan_of(tx, organisation_id)
                if not wanted or not _may(msgspec.structs.replace(scope, plan=plan), change):
                    return None
                change_id = await store.create(tx, organisation_id, values)
                payload = msgspec.json.encode(Job(organisation_id, change_id)).decode()
                await jobs.enqueue(tx, KIND, payload, now_ms, idempotency_key=str(change_id))
        except Conflict:
            return await store.by_key(self._engine.db, organisation_id, f"{scope.person_id}-{key}")
        self._engine.bus.publish(Hint("job", 0))
        return change_id

    async def carry_out(self, payload: str) -> None:
        """The job. It may run again after a crash, or twice: each turn goes on where the last commit was."""
        job = msgspec.json.decode(payload, type=Job)
        while await self._turn(job):
            await asyncio.sleep(0)

    async def _turn(self, job: Job) -> bool:
        """One slice; whether there is more to do."""
        done = _Slice()

        async def turn(tx: Transaction, writes: Writes) -> Outcome:
            nonlocal done
            done = _Slice()  # a turn that failed is made again
            row = await store.hold(tx, job.organisation_id, job.change_id)
            if row is None or row.ended_ms is not None:
                return IGNORED
            await self._change_slice(tx, writes, row, done)
            return OK

        await self._engine.in_turn(turn)
        for charger_id, was_at, is_at in done.moved:
            self._engine.forget(charger_id)
            tell(self._engine.bus, charger_id, job.organisation_id, was_at)
            if is_at != was_at:
                self._engine.bus.publish(Hint("charger", charger_id, job.organisation_id, is_at, charger_id))
        return done.more

    async def _change_slice(self, tx: Transaction, writes: Writes, row: Row, done: _Slice) -> None:
        change = msgspec.json.decode(row.change, type=Change)
        ids = msgspec.json.decode(row.charger_ids, type=list[int])
        left_out = msgspec.json.decode(row.left_out, type=list[tuple[int, str, Why]])
        here = ids[row.position : row.position + SLICE]
        known = await charger_places.looks(tx, row.organisation_id, here)
        rooms = await self._engine.enter(tx, set(known))
        administered: dict[int, bool] = {}
        for charger_id in here:
            look, room = known.get(charger_id), rooms.get(charger_id)
            if look is None or room is None:
                done.left_out.append((charger_id, "", "gone"))
                continue
            why = left_out_of(look, change) or await self._forbidden(tx, row, look, change, administered)
            why = why or await self._change(tx, writes, row, room, change)
            if why is None:
                done.moved.append((charger_id, look.location_id, change.location_id or look.location_id))
            else:
                done.left_out.append((charger_id, look.name, why))
        position = row.position + len(here)
        done.more = position < len(ids)
        await store.advance(
            tx,
            row,
            position=position,
            changed=row.changed + len(done.moved),
            left_out=msgspec.json.encode([*left_out, *done.left_out]).decode(),
            ended_ms=None if done.more else writes.at_ms,
        )

    async def _forbidden(
        self, tx: Transaction, row: Row, look: Row, change: Change, administered: dict[int, bool]
    ) -> Why | None:
        """Whoever asked must administer the charger's location, and the new one, at the moment of the change."""
        for location_id in {look.location_id, change.location_id or look.location_id}:
            if location_id not in administered:
                now_ms = self._engine.clock.now_ms()
                administered[location_id] = await administers_now(
                    tx, row.person_id, row.organisation_id, location_id, now_ms
                )
            if not administered[location_id]:
                return "role"
        return None

    async def _change(self, tx: Transaction, writes: Writes, row: Row, room: Room, change: Change) -> Why | None:
        by, now_ms = Actor(row.person_id, row.person_name, row.address), self._engine.clock.now_ms()
        if change.what in ("enable", "disable"):
            disabled = change.what == "disable"
            await charger_store.set_disabled(tx, row.organisation_id, room.charger_id, disabled, now_ms)
            room.disabled = disabled
            await note(tx, room.charger_id, now_ms, f"{change.what}d", by)
            charger = await charger_store.by_id(tx, row.organisation_id, room.charger_id)
            about = About(kind="charger", id=room.charger_id, name=charger.name if charger else "")
            action = f"charger.{change.what}d"
            writes.record_last(self._audit, by, action, about, organisation_id=row.organisation_id)
            return None
        charger = await charger_store.by_id(tx, row.organisation_id, room.charger_id)
        if charger is None:
            return "gone"
        try:
            await redescribe(tx, room, writes, self._audit, by, charger, _described(charger, change), now_ms)
        except UnknownLocationError:
            return "location"
        return None


def _described(row: Row, change: Change) -> Description:
    """The charger after the change. A model of the catalogue takes the place of a typed one."""
    keeps_typed = change.what == "move" or change.model == "other"
    return Description(
        name=row.name,
        serial=row.serial,
        location_id=row.location_id if change.location_id is None else change.location_id,
        model=change.model or row.model,
        vendor=row.vendor if keeps_typed else "",
        model_name=row.model_name if keeps_typed else "",
    )


def _may(scope: Scope, change: Change) -> bool:
    if not policy.may(scope, "change_many_chargers") or not policy.may(scope, "change_chargers"):
        return False
    if change.what == "move":
        return change.location_id is not None and policy.may(scope, "change_chargers", change.location_id)
    return change.what != "model" or change.model in MODELS
