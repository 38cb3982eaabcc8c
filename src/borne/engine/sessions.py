"""Sessions: the raw message is kept first, then the row it starts or ends. Runs inside the charger's turn."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from borne.core import session as rules
from borne.core.effects import Record
from borne.core.facts import Booted, Fact, SessionEnded, SessionStarted, SessionUpdated
from borne.engine.apply import Preparer
from borne.engine.clock import NowMs
from borne.engine.outcome import IGNORED, OK, Outcome
from borne.engine.reactions import react
from borne.engine.room import Room
from borne.engine.writes import Writes
from borne.store import sessions as store
from borne.store import tags as tag_store
from borne.store.db import Database, Transaction
from borne.store.rooms import location_of

NewNumber = Callable[[], int]
NO_TRANSACTION = ("", "0", "-1")  # what chargers say of a session that began while they were offline
SHOWN_CHARS = 40


class Sessions:
    """Prepares the facts of sessions. `new_number` gives random positive 31-bit numbers (transaction ids of 1.6)."""

    def __init__(self, clock: NowMs, new_number: NewNumber) -> None:
        self._clock = clock
        self._new_number = new_number

    def preparers(self) -> dict[type[Fact], Preparer]:
        """What asks the database before a fact of a session is stepped."""
        return {
            SessionStarted: self.started,
            SessionUpdated: self.updated,
            SessionEnded: self.ended,
            Booted: self.booted,
        }

    async def started(self, tx: Transaction, room: Room, writes: Writes, fact: SessionStarted) -> Outcome:
        """A start, or its retry: the same start gets the same transaction id."""
        writes.add_message(fact.charger_id, fact.at_ms, "started", fact.transaction, fact.seq, fact.raw)
        self._readings(writes, fact, fact.transaction)
        if fact.epoch != room.state.epoch:
            return IGNORED
        status = await self._tag_status(tx, room, fact.tag)
        key = rules.start_key(fact)
        known = await store.find_by_key(tx, room.charger_id, key)
        if known is not None:
            return Outcome(transaction=known.transaction, tag_status=status)
        for row in rules.superseded(fact, await store.open_sessions(tx, room.charger_id)):
            await store.save(tx, row)
            room.open_sessions = max(0, room.open_sessions - 1)
        transaction = fact.transaction or str(fact.new_transaction or self._new_number())
        await store.create(
            tx,
            charger_id=room.charger_id,
            organisation_id=room.organisation_id,
            location_id=room.location_id,
            evse=fact.evse,
            connector=fact.connector,
            transaction=transaction,
            start_key=key,
            tag=fact.tag,
            started_ms=fact.at_ms,
            device_started_ms=fact.device_ms,
            meter_start_wh=fact.meter_start_wh,
        )
        room.open_sessions += 1
        react(room, replace(fact, transaction=transaction), writes)
        return Outcome(transaction=transaction, tag_status=status)

    async def updated(self, tx: Transaction, room: Room, writes: Writes, fact: SessionUpdated) -> Outcome:
        """TransactionEvent Updated: kept as received."""
        writes.add_message(fact.charger_id, fact.at_ms, "updated", fact.transaction, fact.seq, fact.raw)
        self._readings(writes, fact, fact.transaction)
        return OK

    async def ended(self, tx: Transaction, room: Room, writes: Writes, fact: SessionEnded) -> Outcome:
        """A stop, its repetition, or one that belongs to nothing we know: all are confirmed, the unknown stay as messages.

        A transaction of another charger is not found: looked up by (charger, transaction) only.
        """
        writes.add_message(fact.charger_id, fact.at_ms, "ended", fact.transaction, fact.seq, fact.raw)
        self._readings(writes, fact, fact.transaction)
        known = await store.find_by_transaction(tx, room.charger_id, fact.transaction)
        if known is None:
            self._note_unknown(room, writes, fact)
            return OK
        row = rules.ended(known, fact)
        if row != known:
            await store.save(tx, row)
        if known.ended_ms is not None:
            return OK
        room.open_sessions = max(0, room.open_sessions - 1)
        react(room, fact, writes)
        return OK

    def _note_unknown(self, room: Room, writes: Writes, fact: SessionEnded) -> None:
        """In 1.6 we make the transaction ids: one that this charger never got is a guess, or another charger's."""
        if room.state.protocol == "1.6" and fact.transaction not in NO_TRANSACTION:
            event = Record("unknown_transaction", {"text": fact.transaction[:SHOWN_CHARS]})
            writes.take(room, fact.at_ms, (event,))

    async def booted(self, tx: Transaction, room: Room, writes: Writes, fact: Booted) -> Outcome:
        """A charger that restarted charges nothing: what is open never got its stop.

        A boot that was asked for, or that comes with a plain reconnect, shows no restart.
        """
        state = room.state
        plain = state.plain_reconnects_boot or (state.loss_ours and not state.booted_on_link)
        if room.open_sessions and fact.epoch == state.epoch and not (fact.solicited or plain):
            for row in rules.closed_by_boot(fact, await store.open_sessions(tx, room.charger_id)):
                await store.save(tx, row)
            room.open_sessions = 0
        return react(room, fact, writes)

    async def authorise(self, db: Database, room: Room | None, tag: str) -> str:
        """The answer to Authorize: a word of OCPP's AuthorizationStatus."""
        return (room is not None and await self._tag_status(db, room, tag)) or "Invalid"

    def _readings(
        self, writes: Writes, fact: SessionStarted | SessionUpdated | SessionEnded, transaction: str | None
    ) -> None:
        if fact.readings:
            writes.add_readings(fact.charger_id, fact.at_ms, fact.evse, fact.connector, transaction, fact.readings)

    async def _tag_status(self, db: Database | Transaction, room: Room, tag: str | None) -> str | None:
        if tag is None:
            return None
        found = await tag_store.find(db, room.organisation_id, tag)
        if found is not None:
            if found.blocked:
                return "Blocked"
            expired = found.expires_ms is not None and found.expires_ms <= self._clock.now_ms()
            return "Expired" if expired else "Accepted"
        location = await location_of(db, room.location_id)
        return "Accepted" if location is not None and location.accepts_unknown_tags else "Invalid"
