"""Steps of a login on its way: a password that was right, a challenge to a passkey, a visit to an identity provider.

Each is known by a random token that one browser holds (only its hash is kept), is over after minutes, and can be taken once.
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import login_steps
from borne.store.tenancy import across

_usable = (
    login_steps.c.token_hash == bindparam("token_hash"),
    login_steps.c.kind == bindparam("kind"),
    login_steps.c.expires_ms > bindparam("now_ms"),
)
_find = select(login_steps.c.person_id, login_steps.c.payload, login_steps.c.expires_ms).where(*_usable)
_take = delete(login_steps).where(*_usable)
_end_expired = across(
    delete(login_steps).where(login_steps.c.expires_ms <= bindparam("now_ms")), "a sweep of what is over, of everybody"
)
_end_of = delete(login_steps).where(login_steps.c.person_id == bindparam("person_id"))
_insert = insert(login_steps).values(
    token_hash=bindparam("token_hash"),
    kind=bindparam("kind"),
    person_id=bindparam("person_id"),
    payload=bindparam("payload"),
    expires_ms=bindparam("expires_ms"),
)


async def add(
    tx: Transaction,
    token_hash: bytes,
    kind: str,
    *,
    person_id: int | None = None,
    payload: str = "{}",
    now_ms: int,
    expires_ms: int,
) -> None:
    """Begin a step, and sweep away the expired ones of everybody. `payload`: JSON."""
    await tx.run(_end_expired, {"now_ms": now_ms})
    row = {"token_hash": token_hash, "kind": kind, "person_id": person_id, "payload": payload, "expires_ms": expires_ms}
    await tx.run(_insert, row)


async def find(db: Reader, token_hash: bytes, kind: str, now_ms: int) -> Row | None:
    """person_id, payload, expires_ms of a step that is neither over nor taken."""
    return await db.first(_find, {"token_hash": token_hash, "kind": kind, "now_ms": now_ms}, fast=True)


async def take(tx: Transaction, token_hash: bytes, kind: str, now_ms: int) -> Row | None:
    """The same, and it is over now. Of two who take it at once only one gets it."""
    values = {"token_hash": token_hash, "kind": kind, "now_ms": now_ms}
    row = await tx.first(_find, values)
    return row if row is not None and await tx.run(_take, values) else None


async def end_of(tx: Transaction, person_id: int) -> None:
    """End all steps of a person: who began them knows what no longer holds."""
    await tx.run(_end_of, {"person_id": person_id})
