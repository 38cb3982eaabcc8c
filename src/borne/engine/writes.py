"""What one commit group writes: rows gathered fact by fact, saved in a few statements, and the hints that follow the commit."""

from __future__ import annotations

from typing import Any

import msgspec

from borne.bus.port import Hint
from borne.core.actor import Actor
from borne.core.effects import CloseLink, Details, Effect, Record, SendRestart, TellBatch
from borne.core.notifications import is_news, is_restart_news
from borne.core.readings import Reading
from borne.engine.audit import About, Audit
from borne.engine.room import Held, Room
from borne.store import events as event_store
from borne.store import rooms as room_store
from borne.store import troubles as trouble_store
from borne.store.db import StoreError, Transaction
from borne.store.schema import readings, session_messages

READING_COLUMNS = (
    "received_ms", "charger_id", "idx", "evse", "connector", "transaction", "quantity", "value", "device_ms", "phase",
    "context", "location", "raw",
)  # fmt: skip
MESSAGE_COLUMNS = ("received_ms", "charger_id", "idx", "kind", "transaction", "seq", "raw")

_encode = msgspec.json.Encoder().encode


class VersionConflictError(StoreError):
    """Somebody else saved a machine that this group had loaded."""


class Writes:
    """Rows and hints of one group. Nothing here outlives the group."""

    def __init__(self, at_ms: int, first_index: int) -> None:
        self.at_ms = at_ms
        self.changed: dict[int, Room] = {}
        self.restarts: dict[int, tuple[Room, Held]] = {}
        self.tells: list[tuple[Held, TellBatch]] = []
        self.hints: list[Hint] = []
        self._events: list[tuple[Any, ...]] = []
        self.readings: list[tuple[Any, ...]] = []
        self._messages: list[tuple[Any, ...]] = []
        self._news: list[tuple[Any, ...]] = []
        self._audits: list[tuple[Audit, Actor, str, About, int, dict[str, object]]] = []
        self.next_index = first_index  # tells apart what one charger sent within a millisecond

    def add_readings(
        self,
        charger_id: int,
        at_ms: int,
        evse: int,
        connector: int,
        transaction: str | None,
        found: tuple[Reading, ...],
    ) -> None:
        """Readings in the order of their message."""
        index = self.next_index
        for r in found:
            self.readings.append(
                (
                    at_ms, charger_id, index, evse, connector, transaction, r.quantity, r.value, r.device_ms, r.phase, r.context,
                    r.location, r.raw,
                )
            )  # fmt: skip
            index += 1
        self.next_index = index

    def add_message(
        self, charger_id: int, at_ms: int, kind: str, transaction: str | None, seq: int | None, raw: str
    ) -> None:
        """A message about a session, as received."""
        self._messages.append((at_ms, charger_id, self.next_index, kind, transaction, seq, raw))
        self.next_index += 1

    def take(self, room: Room, at_ms: int, effects: tuple[Effect, ...], held: Held | None = None) -> None:
        """Carry out what a step asked for: lines now, the rest after the commit."""
        for effect in effects:
            match effect:
                case Record():
                    self._events.append((room.charger_id, at_ms, effect.kind, _encode(effect.details).decode()))
                    if held is not None and is_restart_news(effect.kind, effect.details):
                        self._add_news(room, "restart", {**effect.details, "batch": held.batch_id, "what": effect.kind})
                case SendRestart():
                    self.hints.append(Hint("restart_due", effect.restart_id, charger_id=room.charger_id))
                case CloseLink():
                    self.hints.append(
                        Hint("close_link", effect.epoch, charger_id=room.charger_id, detail=effect.reason)
                    )
                case TellBatch() if held is not None and held.batch_id is not None:
                    self.tells.append((held, effect))

    def record_last(
        self, audit: Audit, actor: Actor, action: str, about: About, *, organisation_id: int, **details: object
    ) -> None:
        """Write an audit row when all else is written: the chain's head is held from then to the commit, so that whoever
        changes the same rows and records it, too, waits in the same order."""
        self._audits.append((audit, actor, action, about, organisation_id, details))

    def _add_news(self, room: Room, kind: str, details: Details) -> None:
        text = _encode(details).decode()
        self._news.append((room.organisation_id, room.location_id, room.charger_id, self.at_ms, kind, text))

    async def save(self, tx: Transaction) -> None:
        """Write everything. Raises VersionConflictError when a version did not match."""
        if self.readings:
            await tx.insert_many(readings, READING_COLUMNS, self.readings)
        if self.changed:
            rows: tuple[list[Any], list[Any]] = ([], [])
            for room in self.changed.values():
                before = room.listed_status
                row, is_listed = room.charger_row(self.at_ms)
                rows[is_listed].append(row)
                if is_listed and is_news(before, room.listed_status):
                    self._add_news(room, "status", room.trouble())
            if await room_store.save_chargers(tx, *rows) != len(self.changed):
                raise VersionConflictError("a charger was changed by somebody else")
        await self.save_restarts(tx)
        if self._events:
            await event_store.add_many(tx, self._events)
        if self._news:
            await trouble_store.add_news(tx, self._news)
        if self._messages:
            await tx.insert_many(session_messages, MESSAGE_COLUMNS, self._messages)
        for audit, actor, action, about, organisation_id, details in self._audits:
            await audit.record(tx, actor, action, about, organisation_id=organisation_id, **details)

    async def save_restarts(self, tx: Transaction) -> None:
        """Write the restarts changed so far: a batch that looks for the next must not see them as they were."""
        if not self.restarts:
            return
        rows = [room.restart_row(held) for room, held in self.restarts.values()]
        for room, held in self.restarts.values():
            self.hints.append(Hint("restart", held.state.id, room.organisation_id, room.location_id, room.charger_id))
        self.restarts.clear()
        if await room_store.save_restarts(tx, rows) != len(rows):
            raise VersionConflictError("a restart was changed by somebody else")

    def hints_after_commit(self) -> list[Hint]:
        """One hint for each thing that changed, and those that rules asked for."""
        found = [
            Hint("charger", r.charger_id, r.organisation_id, r.location_id, r.charger_id) for r in self.changed.values()
        ]
        return found + self.hints
