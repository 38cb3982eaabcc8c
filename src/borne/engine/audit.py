"""The audit log: who did what to what, from where. A chain of keyed hashes: no row can be changed, dropped or moved unseen.

Each hash covers the hash before it, the row's plain columns and a salted commitment to its texts. Names and addresses are
in the texts alone: erasing a person's data removes texts and salts, and the chain can still be verified. The key lies
outside the database.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

import msgspec

from borne.core.actor import Actor
from borne.engine.clock import NowMs
from borne.store import audit as store
from borne.store.db import Reader, Row, Transaction

SALT_BYTES = 16


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What something was done to: a kind of object ("charger", "person", "location" …), its id, its name then.

    `person_id`: the person whose data the row holds, beside the actor's.
    """

    kind: str
    id: int | None = None
    name: str = ""
    person_id: int | None = None


class Audit:
    """Writes rows inside the transaction of what they tell of."""

    def __init__(self, key: bytes, clock: NowMs) -> None:
        self._key = key
        self._clock = clock

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
        seq, previous = await store.next_seq(tx)
        at_ms, salt = self._clock.now_ms(), secrets.token_bytes(SALT_BYTES)
        texts = {"name": actor.name, "address": actor.address, "object": about.name, **details}
        text = msgspec.json.encode(texts).decode()
        plain = (seq, at_ms, organisation_id, actor.person_id, action, about.kind, about.id, about.person_id)
        commitment = committed(salt, text)
        row_hash = self.chained(previous, plain, commitment)
        await store.add(tx, (*plain, commitment, row_hash, text, salt), row_hash)

    def chained(self, previous: bytes, plain: tuple[object, ...], commitment: bytes) -> bytes:
        """The hash of a row: HMAC-SHA256 over the hash before it, its plain columns and its commitment."""
        return hmac.digest(self._key, previous + msgspec.json.encode(plain) + commitment, hashlib.sha256)


class Verified(msgspec.Struct, frozen=True):
    """What a verification found. `broken_at`: the first row that is not as it was written, None: none."""

    rows: int
    head: bytes
    broken_at: int | None = None
    why: str = ""


async def verify(db: Reader, audit: Audit) -> Verified:
    """Follow the chain from its first row to its head."""
    previous, seq = b"", 0
    while found := await store.following(db, seq):
        for row in found:
            why = _fault(audit, row, seq, previous)
            if why:
                return Verified(seq, previous, seq + 1, why)
            seq, previous = row.seq, row.hash
    if (seq, previous) != await store.head(db):
        return Verified(seq, previous, seq + 1, "the last rows are missing")
    return Verified(seq, previous)


def _fault(audit: Audit, row: Row, last_seq: int, previous: bytes) -> str:
    if row.seq != last_seq + 1:
        return "a row is missing"
    plain = (
        row.seq, row.at_ms, row.organisation_id, row.actor_id, row.action, row.object_kind, row.object_id, row.person_id,
    )  # fmt: skip
    if row.details is not None and (row.salt is None or committed(row.salt, row.details) != row.commitment):
        return "its text was changed"
    return "" if audit.chained(previous, plain, row.commitment) == row.hash else "the row was changed"


def committed(salt: bytes, text: str) -> bytes:
    """The commitment to a row's texts: nothing can be guessed from it once the salt is gone."""
    return hashlib.sha256(salt + text.encode()).digest()
