"""Mails: written in the transaction that wants them, sent by a job, kept in the outbox."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import mails

ERROR_LENGTH = 2000

_by_id = select(mails).where(mails.c.id == bindparam("mail_id"))
_newest = select(mails).order_by(mails.c.id.desc()).limit(bindparam("most"))
_sent = update(mails).where(mails.c.id == bindparam("mail_id")).values(sent_ms=bindparam("now_ms"), error=None)
_failed = update(mails).where(mails.c.id == bindparam("mail_id")).values(error=bindparam("new_error"))
_old = (
    select(mails.c.id).where(mails.c.created_ms < bindparam("before_ms")).order_by(mails.c.id).limit(bindparam("most"))
)
_prune = delete(mails).where(mails.c.id.in_(_old))


async def add(tx: Transaction, *, recipient: str, subject: str, body: str, now_ms: int) -> int:
    """Write a mail (plain text) into the outbox; returns its id."""
    return await tx.insert(mails, {"recipient": recipient, "subject": subject, "body": body, "created_ms": now_ms})


async def by_id(db: Reader, mail_id: int) -> Row | None:
    """id, recipient, subject, body, created_ms, sent_ms, error."""
    return await db.first(_by_id, {"mail_id": mail_id})


async def newest(db: Reader, limit: int = 50) -> list[Row]:
    """The outbox, newest first: for who operates the installation, as mails hold links that log in."""
    return await db.all(_newest, {"most": limit})


async def mark_sent(tx: Transaction, mail_id: int, now_ms: int) -> None:
    await tx.run(_sent, {"mail_id": mail_id, "now_ms": now_ms})


async def mark_failed(tx: Transaction, mail_id: int, error: str) -> None:
    """Keep why the last attempt failed."""
    await tx.run(_failed, {"mail_id": mail_id, "new_error": error[:ERROR_LENGTH]})


async def prune(tx: Transaction, before_ms: int, limit: int = 2000) -> int:
    """Forget mails written before this instant. Returns how many."""
    return await tx.run(_prune, {"before_ms": before_ms, "most": limit})
