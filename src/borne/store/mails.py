"""Mails: every one that Borne made, whether it waits, was sent, or stays in the embedded outbox."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import mails

_by_id = select(mails).where(mails.c.id == bindparam("mail_id"))
_listed = [column for column in mails.c if column is not mails.c.attachment]  # it may be large
_newest = select(*_listed).order_by(mails.c.id.desc()).limit(bindparam("bound"))
_sent = (
    update(mails)
    .where(mails.c.id == bindparam("mail_id"))
    .values(sent_ms=bindparam("at_ms"), error=None, body="", headers="{}", attachment=None)
)
_failed = update(mails).where(mails.c.id == bindparam("mail_id")).values(error=bindparam("what"))
_drop = delete(mails).where(mails.c.id == bindparam("mail_id"))
_old = select(mails.c.id).where(mails.c.created_ms < bindparam("before_ms")).limit(bindparam("bound"))
_prune = delete(mails).where(mails.c.id.in_(_old))


async def add(
    tx: Transaction,
    *,
    recipient: str,
    subject: str,
    body: str,
    now_ms: int,
    headers: str = "{}",
    attachment: tuple[str, str, bytes] | None = None,
) -> int:
    """Keep a mail. `headers`: JSON, more lines of its head. `attachment`: its file name, media type and content."""
    row: dict[str, object] = {
        "recipient": recipient, "subject": subject, "body": body, "created_ms": now_ms, "headers": headers,
    }  # fmt: skip
    if attachment is not None:
        row |= dict(zip(("attachment_name", "attachment_type", "attachment"), attachment, strict=True))
    return await tx.insert(mails, row)


async def by_id(db: Reader, mail_id: int) -> Row | None:
    """The whole row."""
    return await db.first(_by_id, {"mail_id": mail_id})


async def newest(db: Reader, bound: int) -> list[Row]:
    """Rows without the content of attachments, the newest first."""
    return await db.all(_newest, {"bound": bound})


async def mark_sent(tx: Transaction, mail_id: int, at_ms: int) -> None:
    """It left: its text, which may hold a secret link, and what was attached are not kept."""
    await tx.run(_sent, {"mail_id": mail_id, "at_ms": at_ms})


async def mark_failed(tx: Transaction, mail_id: int, error: str) -> None:
    await tx.run(_failed, {"mail_id": mail_id, "what": error})


async def drop(tx: Transaction, mail_id: int) -> None:
    await tx.run(_drop, {"mail_id": mail_id})


async def prune(tx: Transaction, before_ms: int, limit: int = 2_000) -> int:
    """Forget mails made before this instant. Returns how many."""
    return await tx.run(_prune, {"before_ms": before_ms, "bound": limit})
