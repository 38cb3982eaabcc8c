"""The audit log's rows. What their hashes cover is decided in `engine.audit`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, or_, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import audit_head, audit_log

COLUMNS = (
    "seq", "at_ms", "organisation_id", "actor_id", "action", "object_kind", "object_id", "person_id", "commitment", "hash",
    "details", "salt",
)  # fmt: skip

_next = (
    update(audit_head)
    .where(audit_head.c.id == 1)
    .values(seq=audit_head.c.seq + 1)
    .returning(audit_head.c.seq, audit_head.c.hash)
)
_head = select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)
_set_head = update(audit_head).where(audit_head.c.id == 1).values(hash=bindparam("new_hash"))
_from = (
    select(audit_log).where(audit_log.c.seq > bindparam("after_seq")).order_by(audit_log.c.seq).limit(bindparam("most"))
)
_erase = (
    update(audit_log)
    .where(or_(audit_log.c.actor_id == bindparam("of_person_id"), audit_log.c.person_id == bindparam("of_person_id")))
    .values(details=None, salt=None)
)


async def next_seq(tx: Transaction) -> tuple[int, bytes]:
    """Take the next number and the hash of the row before; nobody else can until this transaction ends."""
    found = await tx.all(_next)
    if not found:
        await tx.upsert_many(audit_head, ("id",), ("seq", "hash"), [(1, 0, b"")], keep=True)
        found = await tx.all(_next)
    return found[0].seq, found[0].hash


async def add(tx: Transaction, row: Sequence[object], row_hash: bytes) -> None:
    """Add a row (COLUMNS), and make its hash the head's."""
    await tx.insert_many(audit_log, COLUMNS, [row])
    await tx.run(_set_head, {"new_hash": row_hash})


async def head(db: Reader) -> tuple[int, bytes]:
    """The number and the hash of the newest row; (0, b"") before the first."""
    found = await db.first(_head)
    return (0, b"") if found is None else (found.seq, found.hash)


async def following(db: Reader, after_seq: int, limit: int = 1000) -> list[Row]:
    """Rows of the whole chain, in order."""
    return await db.all(_from, {"after_seq": after_seq, "most": limit})


async def erase(tx: Transaction, person_id: int) -> int:
    """Take the texts from all rows of a person, as the one who did or the one it was done to; the chain stays whole."""
    return await tx.run(_erase, {"of_person_id": person_id})
