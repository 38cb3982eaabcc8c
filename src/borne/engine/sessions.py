"""Sessions: the raw message is kept first, then the row it starts or ends. Runs inside the charger's turn."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from borne.core import session as rules
from borne.core import tags
from borne.core.effects import Record
from borne.core.facts import Booted, Fact, SessionEnded, SessionStarted, SessionUpdated
from borne.core.tags import TagAnswer
from borne.engine.apply import Engine, Preparer
from borne.engine.clock import NowMs
from borne.engine.outcome import IGNORED, OK, Outcome
from borne.engine.reactions import react
from borne.engine.room import Room
from borne.engine.writes import Writes
from borne.store import sessions as store
from borne.store import tags as tag_store
from borne.store.db import Database, Row, Transaction

NewNumber = Callable[[], int]
SILENT_MS = 7 * 86_400_000  # a charger that was not seen for so long sends no stop any more
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
        tag, person_id = await self._tag(tx, room, fact.tag)
        key = rules.start_key(fact)
        known = await store.find_by_key(tx, room.charger_id, key)
        if known is not None and known.start_missing:
            await store.set_start(
                tx,
                known.id,
                evse=fact.evse,
                connector=fact.connector,
                tag=fact.tag,
                person_id=person_id,
                device_started_ms=fact.device_ms,
                meter_start_wh=fact.meter_start_wh,
            )
        if known is not None:
            return Outcome(transaction=known.transaction, tag=tag)
        transaction = fact.transaction or str(fact.new_transaction or self._new_number())
        for row in rules.superseded(fact, await store.open_sessions(tx, room.charger_id)):
            await store.save(tx, row)
            room.open_sessions = max(0, room.open_sessions - 1)
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
            person_id=person_id,
            started_ms=fact.at_ms,
            device_started_ms=fact.device_ms,
            meter_start_wh=fact.meter_start_wh,
        )
        room.open_sessions += 1
        react(room, replace(fact, transaction=transaction), writes)
        return Outcome(transaction=transaction, tag=tag)

    async def updated(self, tx: Transaction, room: Room, writes: Writes, fact: SessionUpdated) -> Outcome:
        """TransactionEvent Updated: kept as received. A tag that is held after the cable is plugged in comes with it."""
        writes.add_message(fact.charger_id, fact.at_ms, "updated", fact.transaction, fact.seq, fact.raw)
        self._readings(writes, fact, fact.transaction)
        tag, person_id = await self._tag(tx, room, fact.tag)
        known = await store.find_by_transaction(tx, room.charger_id, fact.transaction)
        if known is None and fact.transaction and fact.epoch == room.state.epoch:
            await self._from_the_middle(tx, room, fact, f"t|{fact.transaction}", person_id)
            room.open_sessions += 1
        if fact.tag is None:
            return OK
        if known is not None and known.tag is None and known.ended_ms is None:
            await store.set_tag(tx, known.id, fact.tag, person_id)
        return Outcome(tag=tag)

    async def ended(self, tx: Transaction, room: Room, writes: Writes, fact: SessionEnded) -> Outcome:
        """A stop, its repetition, or one that belongs to nothing we know: all are confirmed, the unknown stay as messages.

        A transaction of another charger is not found: looked up by (charger, transaction) only.
        """
        writes.add_message(fact.charger_id, fact.at_ms, "ended", fact.transaction, fact.seq, fact.raw)
        self._readings(writes, fact, fact.transaction)
        answered = OK if fact.tag is None else Outcome(tag=(await self._tag(tx, room, fact.tag))[0])
        known = None
        if not rules.nameless(fact.transaction, room.state.protocol):
            known = await store.find_by_transaction(tx, room.charger_id, fact.transaction)
        if known is None:
            known = rules.begun_offline(fact, await store.open_sessions(tx, room.charger_id))
        if known is None:
            self._note_unknown(room, writes, fact)
            await self._orphan(tx, room, fact)
            return answered
        row = rules.ended(known, fact)
        if row != known:
            await store.save(tx, row)
        if known.ended_ms is not None:
            return answered
        room.open_sessions = max(0, room.open_sessions - 1)
        react(room, fact, writes)
        return answered

    async def _orphan(self, tx: Transaction, room: Room, fact: SessionEnded) -> None:
        """A stop whose start never came, or comes later: a session with an end alone. Its repetition is the same one."""
        protocol = room.state.protocol
        own_name = protocol != "1.6" and not rules.nameless(fact.transaction, protocol)
        key = f"t|{fact.transaction}" if own_name else rules.orphan_key(fact)
        if await store.find_by_key(tx, room.charger_id, key) is None:
            person_id = (await self._tag(tx, room, fact.tag))[1]
            await self._from_the_middle(tx, room, fact, key, person_id)
            found = await store.find_by_key(tx, room.charger_id, key)
            assert found is not None
            await store.save(tx, rules.ended(found, fact))

    async def _from_the_middle(
        self, tx: Transaction, room: Room, fact: SessionUpdated | SessionEnded, key: str, person_id: int | None
    ) -> None:
        """A session that is known from a later message alone: an event of 2.x overtook its start, or that was lost."""
        await store.create(
            tx,
            charger_id=room.charger_id,
            organisation_id=room.organisation_id,
            location_id=room.location_id,
            evse=fact.evse,
            connector=fact.connector,
            transaction=fact.transaction,
            start_key=key,
            tag=fact.tag,
            person_id=person_id,
            started_ms=fact.at_ms,
            device_started_ms=None,
            meter_start_wh=None,
            start_missing=True,
        )

    async def end_silent(self, engine: Engine) -> int:
        """End the open sessions of chargers that were not seen for SILENT_MS, or are gone; a late stop still completes one.

        Returns how many.
        """
        rows = await store.silent(engine.db, self._clock.now_ms() - SILENT_MS)
        gone = [row.id for row in rows if row.is_gone]
        if gone:
            async with engine.db.transaction() as tx:
                await store.end_of_gone(tx, gone, rules.NO_STOP_RECEIVED)
        for charger_id in dict.fromkeys(row.charger_id for row in rows if not row.is_gone):
            await engine.prepare(charger_id, self._end_silent)
        return len(rows)

    async def _end_silent(self, tx: Transaction, room: Room, writes: Writes) -> Outcome:
        heard_ms = room.last_seen_ms or 0
        if heard_ms > self._clock.now_ms() - SILENT_MS:
            return IGNORED
        for row in await store.open_sessions(tx, room.charger_id):
            (ended,) = rules.closed_without_stop(max(heard_ms, row.started_ms), [row])
            await store.save(tx, ended)
        room.open_sessions = 0
        return OK

    def _note_unknown(self, room: Room, writes: Writes, fact: SessionEnded) -> None:
        """In 1.6 we make the transaction ids: one that this charger never got is a guess, or another charger's."""
        if room.state.protocol == "1.6" and not rules.nameless(fact.transaction, "1.6"):
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

    async def authorise(self, db: Database, room: Room | None, tag: str) -> TagAnswer:
        """The answer to Authorize. Asked of the database each time: a change counts at once."""
        return ((await self._tag(db, room, tag))[0] if room is not None else None) or tags.INVALID

    def _readings(
        self, writes: Writes, fact: SessionStarted | SessionUpdated | SessionEnded, transaction: str | None
    ) -> None:
        if fact.readings:
            writes.add_readings(fact.charger_id, fact.at_ms, fact.evse, fact.connector, transaction, fact.readings)

    async def _tag(
        self, db: Database | Transaction, room: Room, tag: str | None
    ) -> tuple[TagAnswer | None, int | None]:
        """What to answer, and whose tag it is. Nothing for no tag."""
        if tag is None:
            return None, None
        if len(tag) > tags.MAX_TAG:
            return tags.INVALID, None
        row = await tag_store.held(db, room.organisation_id, room.charger_id, tag)
        if row is None:
            return tags.INVALID, None
        found = None if row.tag is None else _known(row)
        accepts_unknown = bool(row.accepts_unknown_tags)
        return tags.answer(found, accepts_unknown=accepts_unknown, now_ms=self._clock.now_ms()), row.person_id


def _known(row: Row) -> tags.Tag:
    owner = None
    if row.person_id is not None:
        owner = tags.Owner(
            role=row.role,
            disabled=row.disabled != 0,
            until_ms=row.until_ms,
            assigned=bool(row.assigned),
            runs=bool(row.runs),
        )
    return tags.Tag(blocked=bool(row.blocked), expires_ms=row.expires_ms, group=row.group_tag, owner=owner)
