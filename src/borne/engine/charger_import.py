"""Adding many chargers from a file: all of them or none, and once, however often the form is sent.

Passwords that are made up are derived from the form's key with the key of the chargers' secrets: a browser that sends its
form again, because the answer got lost, is told the same ones. The database keeps neither the form's key nor a password.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from borne.bus.port import Bus, Hint
from borne.core.actor import Actor
from borne.engine.audit import About, Audit
from borne.engine.clock import NowMs
from borne.engine.onboarding import new_identity
from borne.store import charger_imports as store
from borne.store import events
from borne.store.chargers import NewCharger
from borne.store.db import Conflict, Database, Transaction
from borne.store.secrets import ALPHABET, SECRET_LENGTH, hash_secret

TOLD_AGAIN_MS = 15 * 60_000  # a form may be sent again for so long


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A charger to be added. Identity and password are made up where they are empty."""

    location_id: int
    name: str = ""
    serial: str = ""
    model: str = "other"
    vendor: str = ""
    model_name: str = ""
    identity: str = ""
    password: str = ""


class Added(msgspec.Struct, frozen=True):
    """A charger that was added. `password` is empty where it was changed since."""

    charger_id: int
    name: str
    serial: str
    identity: str
    location_id: int
    password: str


class AlreadyDoneError(Exception):
    """The form was taken before, too long ago or from somebody else: its passwords are not told again."""


class TakenError(Exception):
    """An identity went to another charger meanwhile. Nothing was added."""


class ChargerImport:
    """Takes the lines of a file."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, audit: Audit, charger_key: bytes) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._audit = audit
        self._charger_key = charger_key

    async def take(self, organisation_id: int, by: Actor, form_key: str, lines: Sequence[Line]) -> list[Added]:
        """Add all of them in one transaction; or, when this form was taken at the same moment, tell what it added.

        `form_key`: random, made with the form.

        Raises AlreadyDoneError, TakenError, UnknownLocationError.
        """
        try:
            async with self._db.transaction() as tx:
                ids = await self._add(tx, organisation_id, by, form_key, lines)
        except Conflict:  # the form was sent twice at once, or somebody took an identity
            told = await self.told_again(organisation_id, by, form_key)
            if told is None:
                raise TakenError from None
            return told
        self._tell(organisation_id, ids, lines)
        given = {charger_id: line.password for charger_id, line in zip(ids, lines, strict=True) if line.password}
        return await self._told(organisation_id, form_key, ids, given)

    async def told_again(self, organisation_id: int, by: Actor, form_key: str) -> list[Added] | None:
        """What this form added, if it was taken already; passwords that were given in the file are not told again.

        Raises AlreadyDoneError.
        """
        row = await store.by_key(self._db, organisation_id, _hash(form_key))
        if row is None:
            return None
        if row.person_id != by.person_id or self._clock.now_ms() - row.created_ms > TOLD_AGAIN_MS:
            raise AlreadyDoneError
        ids = msgspec.json.decode(row.charger_ids, type=list[int])
        return await self._told(organisation_id, form_key, ids, {})

    async def _add(
        self, tx: Transaction, organisation_id: int, by: Actor, form_key: str, lines: Sequence[Line]
    ) -> list[int]:
        identities = await _identities(tx, lines)
        new = [self._new(organisation_id, form_key, line, one) for line, one in zip(lines, identities, strict=True)]
        now_ms = self._clock.now_ms()
        ids = await store.add(
            tx, organisation_id, new, person_id=by.person_id or 0, key_hash=_hash(form_key), now_ms=now_ms
        )
        details = msgspec.json.encode({"by": by.name, "by_id": by.person_id}).decode()
        await events.add_many(tx, [(charger_id, now_ms, "added", details) for charger_id in ids])
        about = About(kind="organisation", id=organisation_id)
        names = [one.name for one in new[:20]]
        await self._audit.record(
            tx, by, "charger.many_added", about, organisation_id=organisation_id, count=len(ids), first_id=ids[0],
            last_id=ids[-1], names=names,
        )  # fmt: skip
        return ids

    def _new(self, organisation_id: int, form_key: str, line: Line, identity: str) -> NewCharger:
        password = line.password or self._derived(form_key, identity)
        return NewCharger(
            organisation_id=organisation_id,
            location_id=line.location_id,
            name=line.name or line.serial or identity,
            identity=identity,
            secret_hash=hash_secret(self._charger_key, password),
            serial=line.serial,
            model=line.model,
            vendor=line.vendor,
            model_name=line.model_name,
        )

    def _derived(self, form_key: str, identity: str) -> str:
        """The password that this form makes for this identity: 99 bits of an HMAC."""
        digest = hmac.digest(
            self._charger_key, b"import\0" + form_key.encode() + b"\0" + identity.encode(), hashlib.sha256
        )
        number, letters = int.from_bytes(digest), []
        for _ in range(SECRET_LENGTH):
            number, place = divmod(number, len(ALPHABET))
            letters.append(ALPHABET[place])
        return "".join(letters)

    async def _told(
        self, organisation_id: int, form_key: str, ids: Sequence[int], given: dict[int, str]
    ) -> list[Added]:
        found = []
        for row in await store.added(self._db, organisation_id, ids):
            password = given.get(row.id) or self._derived(form_key, row.identity)
            holds = row.secret_hash == hash_secret(self._charger_key, password)
            found.append(Added(row.id, row.name, row.serial, row.identity, row.location_id, password if holds else ""))
        return found

    def _tell(self, organisation_id: int, ids: Sequence[int], lines: Sequence[Line]) -> None:
        """One hint for the gateway, which then looks at all that changed, and one for the pages of each location."""
        self._bus.publish(Hint("directory", ids[0], organisation_id, 0, ids[0]))
        for location_id in {line.location_id for line in lines}:
            self._bus.publish(Hint("charger", ids[0], organisation_id, location_id, ids[0]))


def _hash(form_key: str) -> bytes:
    return hashlib.sha256(form_key.encode()).digest()


async def _identities(tx: Transaction, lines: Sequence[Line]) -> list[str]:
    """An identity for each line: its own, or a random one that nobody has."""
    named = {line.identity for line in lines if line.identity}
    made: set[str] = set()
    missing = sum(1 for line in lines if not line.identity)
    while len(made) < missing:
        some = {new_identity() for _ in range(missing - len(made))} - named - made
        made |= some - await store.taken_identities(tx, some)
    fresh = iter(sorted(made))
    return [line.identity or next(fresh) for line in lines]
