"""A device leaves or is replaced: another one in its place, the archive and back, another organisation.

Each happens in the charger's turn: what its machines hear in the same group comes before it or after it, never between.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable

from borne.core.actor import BORNE, Actor
from borne.core.effects import Details, Record
from borne.core.facts import ChargerRemoved, ChargerReplaced, Removal
from borne.core.session import closed_without_stop
from borne.engine.apply import Engine
from borne.engine.audit import About, Audit
from borne.engine.onboarding import IDENTITY_ALPHABET, Added, IdentityTakenError, new_identity, note, tell
from borne.engine.outcome import IGNORED, OK, Outcome
from borne.engine.reactions import react
from borne.engine.room import Room
from borne.engine.writes import VersionConflictError, Writes
from borne.store import archived_chargers as archive_store
from borne.store import chargers as store
from borne.store import handovers, organisations, sessions
from borne.store.archived_chargers import Why
from borne.store.chargers import Description, NewCharger
from borne.store.db import Conflict, Row, Transaction
from borne.store.secrets import hash_secret, new_secret

OFFER_MS = 7 * 86_400_000
CODE_GROUPS, CODE_GROUP = 4, 4  # 31^16 codes: no guessing, even without the limit
NOT_SHOWN = (None, None, None, None)


class BadCodeError(ValueError):
    """The code is none, was used, cancelled, or is too old."""


class OwnChargerError(ValueError):
    """The charger is this organisation's already."""


class Devices:
    """What is done with devices. `key`: of the hashes of chargers' secrets."""

    def __init__(self, engine: Engine, audit: Audit, key: bytes) -> None:
        self._engine = engine
        self._db = engine.db
        self._audit = audit
        self._key = key

    # ---- replaced ------------------------------------------------------------------------------------------------

    async def replace(self, by: Actor, organisation_id: int, charger_id: int, what: Description) -> Added | None:
        """Another device in a charger's place: new identity and password, the history stays. None: no such charger."""
        password = new_secret()
        identity = new_identity()

        async def prepare(tx: Transaction, room: Room, writes: Writes) -> Outcome:
            row = await store.by_id(tx, organisation_id, charger_id)
            if row is None:
                return IGNORED
            now_ms, secret_hash = self._engine.clock.now_ms(), hash_secret(self._key, password)
            await store.put_in_place(tx, organisation_id, charger_id, what, identity, secret_hash, now_ms)
            await self._end_what_runs(tx, room, writes, "replaced")
            react(room, ChargerReplaced(charger_id=charger_id, at_ms=now_ms), writes)
            room.shown, room.last_seen_ms = NOT_SHOWN, None
            writes.take(room, now_ms, (Record("replaced", {"by": by.name, "by_id": by.person_id}),))
            about = About(kind="charger", id=charger_id, name=what.name)
            before, after = ({name: getattr(one, name) for name in ("serial", "model")} for one in (row, what))
            writes.record_last(
                self._audit, by, "charger.replaced", about, organisation_id=organisation_id, before=before, after=after
            )
            return OK

        if not await self._in_turn(charger_id, prepare):
            return None
        self._tell(charger_id, organisation_id)
        return Added(charger_id, identity, password)

    # ---- archived ------------------------------------------------------------------------------------------------

    async def archive(self, by: Actor, organisation_id: int, charger_id: int, why: Why = "archived") -> bool:
        """Take a charger out of use, or away for good ("deleted"): its link ends, its history stays. False: no such charger."""

        async def prepare(tx: Transaction, room: Room, writes: Writes) -> Outcome:
            row = await store.by_id(tx, organisation_id, charger_id)
            if row is None:
                return IGNORED
            await self._put_away(tx, room, writes, row, why, by)
            about = About(kind="charger", id=charger_id, name=row.name)
            action = "charger.deleted" if why == "deleted" else "charger.archived"
            writes.record_last(self._audit, by, action, about, organisation_id=organisation_id)
            return OK

        if not await self._in_turn(charger_id, prepare):
            return False
        self._tell(charger_id, organisation_id)
        return True

    async def restore(self, by: Actor, row: Row, location_id: int) -> Added | None:
        """Bring an archived charger (a row of `store.archived_chargers`) back, with a new password. None: it is not there any
        more. Raises UnknownLocationError, IdentityTakenError."""
        password = new_secret()
        identity = row.identity if await store.by_identity(self._db, row.identity) is None else new_identity()
        new = NewCharger(
            organisation_id=row.organisation_id,
            location_id=location_id,
            name=row.name,
            identity=identity,
            secret_hash=hash_secret(self._key, password),
            serial=row.serial,
            model=row.model,
            vendor=row.vendor,
            model_name=row.model_name,
        )
        now_ms = self._engine.clock.now_ms()
        try:
            async with self._db.transaction() as tx:
                if not await archive_store.take_back(tx, row, new, now_ms):
                    return None
                await note(tx, row.id, now_ms, "restored", by)
                about = About(kind="charger", id=row.id, name=row.name)
                await self._audit.record(tx, by, "charger.restored", about, organisation_id=row.organisation_id)
        except Conflict:
            raise IdentityTakenError("the identity was just taken: try again") from None
        self._tell(row.id, row.organisation_id, location_id)
        return Added(row.id, identity, password)

    # ---- handed over ---------------------------------------------------------------------------------------------

    async def offer(self, by: Actor, organisation_id: int, charger_id: int) -> str | None:
        """Make the code that another organisation takes the charger with: the only copy. None: no such charger."""
        code, now_ms = new_code(), self._engine.clock.now_ms()
        async with self._db.transaction() as tx:
            row = await store.by_id(tx, organisation_id, charger_id)
            if row is None:
                return None
            await handovers.offer(
                tx,
                organisation_id=organisation_id,
                charger_id=charger_id,
                code_hash=code_hash(code),
                person_name=by.name,
                now_ms=now_ms,
                expires_ms=now_ms + OFFER_MS,
            )
            await note(tx, charger_id, now_ms, "offered", by)
            about = About(kind="charger", id=charger_id, name=row.name)
            await self._audit.record(tx, by, "charger.offered", about, organisation_id=organisation_id)
        self._tell(charger_id, organisation_id)
        return code

    async def cancel(self, by: Actor, organisation_id: int, charger_id: int) -> bool:
        """Take the code back. False: none stood."""
        now_ms = self._engine.clock.now_ms()
        async with self._db.transaction() as tx:
            row = await store.by_id(tx, organisation_id, charger_id)
            if row is None or await handovers.cancel(tx, organisation_id, charger_id, now_ms) == 0:
                return False
            await note(tx, charger_id, now_ms, "offer_cancelled", by)
            about = About(kind="charger", id=charger_id, name=row.name)
            await self._audit.record(tx, by, "charger.offer_cancelled", about, organisation_id=organisation_id)
        self._tell(charger_id, organisation_id)
        return True

    async def take(self, by: Actor, organisation_id: int, location_id: int, code: str) -> int:
        """Take a charger with a code: its new id. It starts clean; identity and password stay, so that it comes back by itself.

        Raises BadCodeError, OwnChargerError, UnknownLocationError.
        """
        taken = code_hash(code)
        offer = await handovers.by_code(self._db, taken, self._engine.clock.now_ms())
        if offer is None:
            raise BadCodeError
        if offer.organisation_id == organisation_id:
            raise OwnChargerError
        made: list[int] = []

        async def prepare(tx: Transaction, room: Room, writes: Writes) -> Outcome:
            made.clear()  # a group that failed is applied again
            now_ms = self._engine.clock.now_ms()
            row = await store.by_id(tx, offer.organisation_id, offer.charger_id)
            if row is None or not await handovers.take(tx, taken, now_ms):
                return IGNORED
            giver = Actor(None, offer.person_name)
            await self._put_away(tx, room, writes, row, "handed_over", giver)
            made.append(await store.create(tx, _clean(row, organisation_id, location_id), now_ms))
            await note(tx, made[0], now_ms, "taken", by)
            await self._record_both(tx, writes, by, row, made[0], organisation_id)
            return OK

        if not await self._in_turn(offer.charger_id, prepare):
            raise BadCodeError
        self._tell(offer.charger_id, offer.organisation_id)
        self._tell(made[0], organisation_id, location_id)
        return made[0]

    async def _record_both(
        self, tx: Transaction, writes: Writes, by: Actor, row: Row, charger_id: int, organisation_id: int
    ) -> None:
        names = [await organisations.name_of(tx, one) for one in (row.organisation_id, organisation_id)]
        about = About(kind="charger", id=row.id, name=row.name)
        writes.record_last(
            self._audit, BORNE, "charger.handed_over", about, organisation_id=row.organisation_id, to=names[1]
        )
        about = About(kind="charger", id=charger_id, name=row.serial or row.identity)
        given = {"from": names[0]}
        writes.record_last(self._audit, by, "charger.taken", about, organisation_id=organisation_id, **given)

    # ---- what they share -----------------------------------------------------------------------------------------

    async def _in_turn(
        self, charger_id: int, prepare: Callable[[Transaction, Room, Writes], Awaitable[Outcome]]
    ) -> bool:
        try:
            outcome = await self._engine.prepare(charger_id, prepare)
        except Conflict:
            raise IdentityTakenError("an identity was just taken: try again") from None
        self._engine.forget(charger_id)
        return not outcome.ignored

    async def _put_away(self, tx: Transaction, room: Room, writes: Writes, row: Row, why: Why, by: Actor) -> None:
        now_ms = self._engine.clock.now_ms()
        await self._end_what_runs(tx, room, writes, why)
        if not await archive_store.put_away(tx, row, why, person_name=by.name, now_ms=now_ms):
            raise VersionConflictError("the charger was taken away by somebody else")
        writes.changed.pop(room.charger_id, None)  # the row is gone
        details: Details = {} if why == "handed_over" else {"by": by.name, "by_id": by.person_id}
        writes.take(room, now_ms, (Record(why, details),))

    async def _end_what_runs(self, tx: Transaction, room: Room, writes: Writes, why: Removal) -> None:
        """Open restarts get their verdict, open sessions their end: nothing more will be heard of them."""
        now_ms = self._engine.clock.now_ms()
        react(room, ChargerRemoved(charger_id=room.charger_id, at_ms=now_ms, why=why), writes)
        for row in closed_without_stop(now_ms, await sessions.open_sessions(tx, room.charger_id)):
            await sessions.save(tx, row)
        room.open_sessions = 0

    def _tell(self, charger_id: int, organisation_id: int, location_id: int = 0) -> None:
        tell(self._engine.bus, charger_id, organisation_id, location_id)


def _clean(row: Row, organisation_id: int, location_id: int) -> NewCharger:
    """The same device for another owner: what it is, nothing of what the old owner called it."""
    return NewCharger(
        organisation_id=organisation_id,
        location_id=location_id,
        name=row.serial or row.identity,
        identity=row.identity,
        secret_hash=row.secret_hash,
        serial=row.serial,
        model=row.model,
        vendor=row.vendor,
        model_name=row.model_name,
        settle_s=row.settle_s,
        ping_s=row.ping_s,
    )


def new_code() -> str:
    """A random code like K7QM-3XWA-9RTP-HB4D."""
    letters = [secrets.choice(IDENTITY_ALPHABET) for _ in range(CODE_GROUPS * CODE_GROUP)]
    return "-".join("".join(letters[start : start + CODE_GROUP]) for start in range(0, len(letters), CODE_GROUP))


def code_hash(code: str) -> bytes:
    """What the database knows a code by, however it was typed."""
    plain = "".join(letter for letter in code.upper() if letter in IDENTITY_ALPHABET)
    return hashlib.sha256(b"handover " + plain.encode()).digest()
