"""Chargers offered to another organisation, which takes one with a code that works once."""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import handovers
from borne.store.tenancy import across

H = handovers.c
_open = (H.taken_ms.is_(None), H.cancelled_ms.is_(None), H.expires_ms > bindparam("now_ms"))
_of_charger = (H.charger_id == bindparam("charger_id"), H.organisation_id == bindparam("of_organisation_id"))
_pending = (
    select(H.id, H.person_name, H.created_ms, H.expires_ms).where(*_of_charger, *_open).order_by(H.id.desc()).limit(1)
)
_cancel = (
    update(handovers)
    .where(*_of_charger, H.taken_ms.is_(None), H.cancelled_ms.is_(None))
    .values(cancelled_ms=bindparam("now_ms"))
)
_by_code = across(
    select(H.id, H.organisation_id, H.charger_id, H.person_name).where(H.code_hash == bindparam("code_hash"), *_open),
    "who has the code may take the charger, whoever offered it",
)
_take = across(
    update(handovers).where(H.code_hash == bindparam("code_hash"), *_open).values(taken_ms=bindparam("now_ms")),
    "who has the code may take the charger, whoever offered it",
)


async def offer(
    tx: Transaction,
    *,
    organisation_id: int,
    charger_id: int,
    code_hash: bytes,
    person_name: str,
    now_ms: int,
    expires_ms: int,
) -> None:
    """Make the one code that works; earlier ones stop working."""
    await cancel(tx, organisation_id, charger_id, now_ms)
    columns = ("organisation_id", "charger_id", "code_hash", "person_name", "created_ms", "expires_ms")
    row = (organisation_id, charger_id, code_hash, person_name, now_ms, expires_ms)
    await tx.insert_many(handovers, columns, [row])


async def pending(db: Reader, organisation_id: int, charger_id: int, now_ms: int) -> Row | None:
    """The offer that stands: id, person_name, created_ms, expires_ms."""
    return await db.first(_pending, {"of_organisation_id": organisation_id, "charger_id": charger_id, "now_ms": now_ms})


async def cancel(tx: Transaction, organisation_id: int, charger_id: int, now_ms: int) -> int:
    """Take all offers of a charger back; how many stood."""
    return await tx.run(_cancel, {"of_organisation_id": organisation_id, "charger_id": charger_id, "now_ms": now_ms})


async def by_code(db: Reader, code_hash: bytes, now_ms: int) -> Row | None:
    """The offer that a code takes: id, organisation_id, charger_id, person_name; None: no code, or not any more."""
    return await db.first(_by_code, {"code_hash": code_hash, "now_ms": now_ms})


async def take(tx: Transaction, code_hash: bytes, now_ms: int) -> bool:
    """Spend a code. Of two at once only one is told True."""
    return await tx.run(_take, {"code_hash": code_hash, "now_ms": now_ms}) == 1
