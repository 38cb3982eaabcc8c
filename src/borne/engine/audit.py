"""The audit log: who did what to what, from where. A chain of keyed hashes: no row can be changed, dropped or moved unseen.

Each hash covers the hash before it, the row's plain columns and a salted commitment to its texts. Names and addresses are
in the texts alone: erasing a person's data removes texts and salts, and the chain can still be verified. The key lies
outside the database. What the chain can and cannot prove: docs/audit.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping

import msgspec

from borne.core.actor import BORNE, Actor
from borne.engine.clock import NowMs
from borne.store import audit as store
from borne.store.db import Reader, Row, Transaction

SALT_BYTES = 16
TEXT_BOUND = 20_000  # characters of a row's texts; longer details are left out, and the row says so
NAME_BOUND = 300
SLICE = 500  # rows verified before the loop goes on: some milliseconds

# Actions that a verification understands.
PERSON_ERASED = "person.erased"
TEXTS_ERASED = "audit.texts_erased"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What something was done to: a kind of object ("charger", "person", "location" …), its id, its name then.

    `person_id`: the person whose data the row holds, beside the actor's.
    """

    kind: str
    id: int | None = None
    name: str = ""
    person_id: int | None = None


class Erased(msgspec.Struct, frozen=True):
    """A person whose texts leave the chain. `mentions`: rows of others that name them (an invitation)."""

    id: int
    organisation_ids: tuple[int, ...] = ()  # who is told
    mentions: tuple[int, ...] = ()


class Audit:
    """Writes rows inside the transaction of what they tell of. Record last: until the commit nobody else can."""

    def __init__(self, key: bytes, clock: NowMs, salt: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._key = key
        self._clock = clock
        self._salt = salt

    async def record(
        self,
        tx: Transaction,
        actor: Actor,
        action: str,
        about: About,
        *,
        organisation_id: int | None,
        **details: object,
    ) -> None:
        """Add a row. `action`: a word like "location.changed"; `details`: what changed, without secrets."""
        text = texts_of(actor, about, details)
        seq, previous = await store.next_seq(tx)
        at_ms, salt = self._clock.now_ms(), self._salt(SALT_BYTES)
        plain = (seq, at_ms, organisation_id, actor.person_id, action, about.kind, about.id, about.person_id)
        commitment = committed(salt, text)
        row_hash = self.chained(previous, plain, commitment)
        await store.add(tx, (*plain, commitment, row_hash, text, salt), row_hash)

    async def erase(self, tx: Transaction, actor: Actor, person: Erased) -> None:
        """Take a person's texts out of the chain, and say so in it: without that row a missing text is a fault."""
        await store.erase(tx, person.id)
        if person.mentions:
            await store.erase_rows(tx, person.mentions)
            about = About(kind="audit")
            await self.record(tx, BORNE, TEXTS_ERASED, about, organisation_id=None, rows=person.mentions)
        if actor.person_id == person.id:
            actor = Actor(person.id, "")
        about = About(kind="person", id=person.id, person_id=person.id)
        for organisation_id in person.organisation_ids or (None,):
            await self.record(tx, actor, PERSON_ERASED, about, organisation_id=organisation_id)

    def chained(self, previous: bytes, plain: tuple[object, ...], commitment: bytes) -> bytes:
        """The hash of a row: HMAC-SHA256 over the hash before it, its plain columns and its commitment."""
        return hmac.digest(self._key, previous + msgspec.json.encode(plain) + commitment, hashlib.sha256)


def texts_of(actor: Actor, about: About, details: Mapping[str, object]) -> str:
    """The JSON of all that may be erased from a row: names, address, details."""
    texts: dict[str, object] = {
        "name": actor.name[:NAME_BOUND],
        "address": actor.address[:NAME_BOUND],
        "object": about.name[:NAME_BOUND],
    }
    text = msgspec.json.encode({**details, **texts}).decode()
    if len(text) > TEXT_BOUND:
        return msgspec.json.encode({**texts, "left_out": len(text)}).decode()
    return text


def committed(salt: bytes, text: str) -> bytes:
    """The commitment to a row's texts: nothing can be guessed from it once the salt is gone."""
    return hashlib.sha256(salt + text.encode()).digest()


# ---- verifying ---------------------------------------------------------------------------------------------------


class Noted(msgspec.Struct, frozen=True):
    """A head of the chain as somebody wrote it down outside the database."""

    seq: int
    hash: bytes


class Verified(msgspec.Struct, frozen=True):
    """What a verification found. `rows` were followed, `head` is the hash of the last of them, made at `until_ms`.

    `broken_at`: the number of the first row that is not as it was written, None: none; `why` says what is wrong with it.
    """

    rows: int
    head: bytes
    until_ms: int | None = None
    broken_at: int | None = None
    why: str = ""


async def verify(db: Reader, audit: Audit, noted: tuple[Noted, ...] = ()) -> Verified:
    """Follow the chain from its first row to its head, while others go on writing. `noted`: heads it must have had."""
    walk, head = _Walk(audit, noted), await store.head(db)
    while True:
        if why := await _follow(db, walk, head[0]):
            return walk.broken(why)
        if (walk.seq, walk.hash) != head:
            return walk.broken("the head is another one than the last row's")
        more = await store.following(db, walk.seq, 1)
        before, head = head, await store.head(db)
        if head == before:  # nobody wrote meanwhile
            return walk.broken("rows follow the last one") if more else walk.end()


async def _follow(db: Reader, walk: _Walk, last_seq: int) -> str:
    """Take the rows up to this one; what is wrong with the first that is not as it was written."""
    while walk.seq < last_seq:
        found = await store.following(db, walk.seq, SLICE)
        for row in found:
            if walk.seq == last_seq:
                break
            if why := walk.fault(row):
                return why
        if not found:
            return "the last rows are missing"
        await asyncio.sleep(0)
    return ""


class _Walk:
    """How far a verification came."""

    def __init__(self, audit: Audit, noted: tuple[Noted, ...]) -> None:
        self.seq, self.hash = 0, b""
        self._until_ms: int | None = None
        self._audit = audit
        self._noted = noted
        self._bare: list[tuple[int, int | None, int | None]] = []  # rows without texts: number, actor, person
        self._erased_persons: set[int] = set()
        self._erased_rows: set[int] = set()

    def fault(self, row: Row) -> str:
        """Take the next row; what is wrong with it."""
        if row.seq != self.seq + 1:
            return "a row is missing"
        if row.details is not None and (row.salt is None or committed(row.salt, row.details) != row.commitment):
            return "its text was changed"
        if not hmac.compare_digest(self._audit.chained(self.hash, plain_of(row), row.commitment), row.hash):
            return "the row was changed"
        if any(one.seq == row.seq and one.hash != row.hash for one in self._noted):
            return "another row stood here when this head was noted"
        if row.details is None:
            self._bare.append((row.seq, row.actor_id, row.person_id))
        elif row.action == TEXTS_ERASED:
            self._erased_rows |= set(msgspec.json.decode(row.details)["rows"])
        if row.action == PERSON_ERASED:
            self._erased_persons.add(row.object_id)
        self.seq, self.hash, self._until_ms = row.seq, row.hash, row.at_ms
        return ""

    def broken(self, why: str, at: int | None = None) -> Verified:
        return Verified(self.seq, self.hash, self._until_ms, at or self.seq + 1, why)

    def end(self) -> Verified:
        """Whether what was noted was reached, and each missing text was erased by right."""
        if any(one.seq > self.seq for one in self._noted):
            return self.broken("the newest rows are missing: the database is older than the head that was noted")
        for seq, actor_id, person_id in self._bare:
            if seq not in self._erased_rows and not {actor_id, person_id} & self._erased_persons:
                return self.broken("its text is gone, and nobody was erased", seq)
        return Verified(self.seq, self.hash, self._until_ms)


def plain_of(row: Row) -> tuple[object, ...]:
    """What a row's hash covers beside the commitment to its texts."""
    return (
        row.seq, row.at_ms, row.organisation_id, row.actor_id, row.action, row.object_kind, row.object_id, row.person_id,
    )  # fmt: skip
