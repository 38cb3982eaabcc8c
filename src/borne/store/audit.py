"""The audit log's rows. What their hashes cover is decided in `engine.audit`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Text, bindparam, func, or_, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import audit_head, audit_log
from borne.store.tenancy import across

COLUMNS = (
    "seq", "at_ms", "organisation_id", "actor_id", "action", "object_kind", "object_id", "person_id", "commitment", "hash",
    "details", "salt",
)  # fmt: skip

ERASE_AT_ONCE = 500

_next = (
    update(audit_head)
    .where(audit_head.c.id == 1)
    .values(seq=audit_head.c.seq + 1)
    .returning(audit_head.c.seq, audit_head.c.hash)
)
_head = select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)
_set_head = update(audit_head).where(audit_head.c.id == 1).values(hash=bindparam("new_hash"))
_from = across(
    select(audit_log)
    .where(audit_log.c.seq > bindparam("after_seq"))
    .order_by(audit_log.c.seq)
    .limit(bindparam("most")),
    "the chain is one for the whole installation",
)
_erase = across(
    update(audit_log)
    .where(or_(audit_log.c.actor_id == bindparam("of_person_id"), audit_log.c.person_id == bindparam("of_person_id")))
    .values(details=None, salt=None),
    "a person's name goes from every organisation's log",
)
_hash_of = across(
    select(audit_log.c.hash).where(audit_log.c.seq == bindparam("seq")), "the chain is one for the whole installation"
)
_erase_rows = across(
    update(audit_log).where(audit_log.c.seq.in_(bindparam("rows", expanding=True))).values(details=None, salt=None),
    "a person's name goes from every organisation's log",
)
_mentions = across(
    select(audit_log.c.seq, audit_log.c.organisation_id, audit_log.c.details).where(
        audit_log.c.seq > bindparam("after_seq"),
        func.replace(audit_log.c.details, bindparam("text", type_=Text), "")
        != audit_log.c.details,  # on both databases
    ),
    "a person's name goes from every organisation's log",
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


async def erase_rows(tx: Transaction, rows: Sequence[int]) -> None:
    """Take the texts from these rows."""
    for start in range(0, len(rows), ERASE_AT_ONCE):
        await tx.run(_erase_rows, {"rows": list(rows[start : start + ERASE_AT_ONCE])})


async def mentions(db: Reader, text: str, after_seq: int = 0) -> list[Row]:
    """Rows (seq, organisation_id, details) whose texts hold this one, of the whole chain. Reads every row after `after_seq`."""
    return await db.all(_mentions, {"text": text, "after_seq": after_seq})


async def is_row(db: Reader, seq: int, row_hash: bytes) -> bool:
    """Whether the row of this number has this hash; number 0 stands before the first row."""
    return seq == 0 or await db.value(_hash_of, {"seq": seq}) == row_hash
