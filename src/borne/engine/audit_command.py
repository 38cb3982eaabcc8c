"""What `borne admin verify-audit` does."""

from __future__ import annotations

from pathlib import Path

from borne.core.actor import SHELL
from borne.engine.audit import About, Audit, Noted, Verified, verify
from borne.engine.audit_watch import verify_anchored
from borne.store import audit_anchor
from borne.store.audit_anchor import Anchor, BadAnchorError
from borne.store.db import Database


class BrokenChainError(ValueError):
    """The audit log is not as it was written; the sentence says from where on."""


def noted_head(text: str | None) -> tuple[Noted, ...]:
    """A head as it was printed. Raises ValueError."""
    if text is None:
        return ()
    number, _, digest = text.strip().partition(":")
    try:
        return (Noted(int(number), bytes.fromhex(digest)),)
    except ValueError:
        raise ValueError(f"{text!r} is no head of an audit log: number:hash, as verify-audit prints it") from None


async def verified(db: Database, audit: Audit, folder: Path, now_ms: int, noted: tuple[Noted, ...]) -> str:
    """One line that says that the log is whole. Raises BrokenChainError."""
    found = _whole(await verify_anchored(db, audit, folder, now_ms, noted))
    return f"the audit log is as it was written: {found.rows} rows, head {found.rows}:{found.head.hex()}"


async def accept_restored(db: Database, audit: Audit, folder: Path, now_ms: int) -> None:
    """Record that a database older than its anchor is to be believed, and anchor it anew. The chain itself must be whole."""
    _whole(await verify(db, audit))
    try:
        before = audit_anchor.read(folder)
    except BadAnchorError:
        before = None
    was = None if before is None else f"{before.seq}:{before.hash.hex()}"
    async with db.transaction() as tx:
        await audit.record(tx, SHELL, "audit.accepted", About(kind="audit"), organisation_id=None, before_restoring=was)
    found = _whole(await verify(db, audit))
    audit_anchor.write(folder, Anchor(found.rows, found.head, now_ms))


def _whole(found: Verified) -> Verified:
    if found.broken_at is not None:
        raise BrokenChainError(f"the audit log is not as it was written: row {found.broken_at}: {found.why}")
    return found
