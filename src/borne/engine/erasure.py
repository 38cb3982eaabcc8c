"""Erasing a person: at once what knows who they are, then, by a job, the lines in which their name stands.

The audit log stays whole: it loses the texts, and says that somebody was erased.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from borne.bus.port import Bus, Hint
from borne.core.actor import ERASED, Actor
from borne.core.restart_state import RestartState
from borne.engine import people
from borne.engine.apply import Engine
from borne.engine.audit import Audit, Erased
from borne.engine.clock import NowMs
from borne.engine.outcome import IGNORED, OK, Outcome
from borne.engine.room import Room
from borne.engine.writes import Writes
from borne.store import audit as audit_store
from borne.store import erasure as store
from borne.store import jobs
from borne.store.db import Database, Reader, Row, Transaction
from borne.store.erasure import DEAD_LETTERS, EVENTS, JOBS, RESTARTS, Traced

KIND = "erase_traces"
SLICE = 5_000  # rows looked through at once
Refusal = Literal["unknown", "elsewhere", "operator", "last_super_admin", "last_operator"]


class NotErasedError(Exception):
    """The person cannot be erased; `why` says what forbids it. Nothing was changed."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why)
        self.why = why


class Erasure:
    """Erases people, and handles the job that goes after their traces."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, audit: Audit, engine: Engine) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._audit = audit
        self._engine = engine

    async def erase(self, by: Actor, person_id: int, *, organisation_id: int | None = None) -> None:
        """Erase a person. `organisation_id`: it is done by that organisation, which must be the only one they belong to; None:
        by themself. Raises NotErasedError."""
        row = await store.person(self._db, person_id)
        if row is None:
            raise NotErasedError("unknown")
        seen, _ = await audit_store.head(self._db)
        # This reads the whole log: not while others wait to write.
        mentions = await self._mentions(self._db, row, 0)
        async with self._db.transaction() as tx:
            await self._refuse(tx, person_id, bool(row.operates_installation), organisation_id)
            organisation_ids = await store.organisations_of(tx, person_id)
            everywhere = sorted({*organisation_ids, *await store.acted_in(tx, person_id)})
            await store.erase(tx, row, everywhere, self._clock.now_ms())
            payload = msgspec.json.encode({"person_id": person_id}).decode()
            await jobs.enqueue(tx, KIND, payload, self._clock.now_ms(), idempotency_key=str(person_id))
            mentions |= await self._mentions(tx, row, seen)
            named = tuple(sorted(seq for seq, where in mentions.items() if where is None or where in everywhere))
            await self._audit.erase(tx, by, Erased(person_id, tuple(organisation_ids), named))
        self._bus.publish(Hint("login", person_id))
        self._bus.publish(Hint("job", 0))

    async def _mentions(self, db: Reader, row: Row, after_seq: int) -> dict[int, int | None]:
        """Rows of others that name the person: by the address, wherever; by the name, in the organisation that is given."""
        found: dict[int, int | None] = {one.seq: None for one in await audit_store.mentions(db, row.email, after_seq)}
        quoted = msgspec.json.encode(row.name).decode()
        for one in await audit_store.mentions(db, quoted, after_seq):
            if one.seq not in found and one.organisation_id is not None and _names(one.details, row.name):
                found[one.seq] = one.organisation_id
        return found

    async def _refuse(self, tx: Transaction, person_id: int, operates: bool, organisation_id: int | None) -> None:
        if organisation_id is not None:
            if await store.organisations_of(tx, person_id) != [organisation_id]:
                raise NotErasedError("elsewhere")
            if operates:
                raise NotErasedError("operator")
        elif operates and await store.is_last_operator(tx, person_id):
            raise NotErasedError("last_operator")
        for one in await store.organisations_of(tx, person_id):
            if await people.leaves_nobody(tx, one, person_id):
                raise NotErasedError("last_super_admin")

    # ---- the job -------------------------------------------------------------------------------------------------

    async def follow_traces(self, payload: str) -> None:
        """Take the name out of lines that carry it beside the person's id. May run again."""
        person_id: int = msgspec.json.decode(payload)["person_id"]
        for traced, key in ((EVENTS, "by_id"), (DEAD_LETTERS, "by_id"), (JOBS, "person_id"), (RESTARTS, "by_id")):
            marks = (f'"{key}":{person_id},', f'"{key}":{person_id}}}')
            await self._walk(traced, marks, person_id)

    async def _walk(self, traced: Traced, marks: tuple[str, str], person_id: int) -> None:
        after_id, newest = 0, await store.newest_id(self._db, traced)
        while after_id < newest:
            until_id = after_id + SLICE
            rows = await store.traces(self._db, traced, marks, after_id, until_id)
            if traced is RESTARTS:
                for row in [row for row in rows if row.watches]:  # the engine holds it
                    await self._engine.prepare(row.charger_id, _scrub_held(row.id, person_id))
                rows = [row for row in rows if not row.watches]
            if rows:
                async with self._db.transaction() as tx:
                    await store.rewrite(tx, traced, [(row.id, without_name(row.text, person_id)) for row in rows])
            after_id = until_id


def without_name(text: str, person_id: int) -> str:
    """A JSON text without the person's name and id, wherever an object in it holds both."""
    return msgspec.json.encode(_without(msgspec.json.decode(text), person_id)).decode()


def _names(details: str, name: str) -> bool:
    """Whether somebody of this name is spoken of. Who acted has a number beside the name: a namesake keeps it."""
    texts: dict[str, Any] = msgspec.json.decode(details)
    texts.pop("name", None)
    return msgspec.json.encode(name) in msgspec.json.encode(texts)


def _without(value: Any, person_id: int) -> Any:
    if isinstance(value, list):
        return [_without(one, person_id) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: _without(one, person_id) for name, one in value.items()}
    for key, name in (("by_id", "by"), ("person_id", "person_name")):
        if found.get(key) == person_id and name in found:
            found[name] = ERASED
            found[key] = None if key == "by_id" else 0
    return found


def _scrub_held(restart_id: int, person_id: int) -> Callable[[Transaction, Room, Writes], Any]:
    async def prepare(tx: Transaction, room: Room, writes: Writes) -> Outcome:
        held = room.restarts.get(restart_id)
        if held is None:
            return IGNORED
        text = without_name(msgspec.json.encode(held.state).decode(), person_id)
        held.state = msgspec.json.decode(text, type=RestartState)
        writes.restarts[restart_id] = (room, held)
        return OK

    return prepare
