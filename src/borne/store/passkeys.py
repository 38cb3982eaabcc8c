"""Passkeys: public keys of authenticators that belong to people."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import passkeys, people

_of_person = (
    select(passkeys.c.credential_id, passkeys.c.name, passkeys.c.created_ms, passkeys.c.used_ms)
    .where(passkeys.c.person_id == bindparam("person_id"))
    .order_by(passkeys.c.created_ms, passkeys.c.credential_id)
)
_by_id = select(
    passkeys.c.credential_id,
    passkeys.c.person_id,
    passkeys.c.public_key,
    passkeys.c.sign_count,
    passkeys.c.name,
).where(
    passkeys.c.credential_id == bindparam("credential_id"),
    people.c.id == passkeys.c.person_id,
    people.c.disabled == 0,
)
_used = (
    update(passkeys)
    .where(passkeys.c.credential_id == bindparam("the_id"), passkeys.c.sign_count == bindparam("old_count"))
    .values(sign_count=bindparam("new_count"), used_ms=bindparam("now_ms"))
)
_remove = delete(passkeys).where(
    passkeys.c.credential_id == bindparam("credential_id"), passkeys.c.person_id == bindparam("person_id")
)
COLUMNS = ("credential_id", "person_id", "public_key", "sign_count", "name", "created_ms")


async def of_person(db: Reader, person_id: int) -> list[Row]:
    """Rows of credential_id, name, created_ms, used_ms, the oldest first."""
    return await db.all(_of_person, {"person_id": person_id}, fast=True)


async def by_id(db: Reader, credential_id: bytes) -> Row | None:
    """credential_id, person_id, public_key, sign_count, name; None when nobody, or somebody disabled, has it."""
    return await db.first(_by_id, {"credential_id": credential_id}, fast=True)


async def add(
    tx: Transaction, person_id: int, *, credential_id: bytes, public_key: bytes, sign_count: int, name: str, now_ms: int
) -> None:
    """Raises Conflict when the credential is known already, whosoever it is."""
    row = (credential_id, person_id, public_key, sign_count, name, now_ms)
    await tx.insert_many(passkeys, COLUMNS, [row])


async def used(tx: Transaction, credential_id: bytes, old_count: int, new_count: int, now_ms: int) -> bool:
    """Note a use. False when its count is no longer the one that was verified against, or it is gone."""
    values = {"the_id": credential_id, "old_count": old_count, "new_count": new_count, "now_ms": now_ms}
    return bool(await tx.run(_used, values))


async def remove(tx: Transaction, person_id: int, credential_id: bytes) -> bool:
    """Remove a passkey if it is this person's."""
    return bool(await tx.run(_remove, {"credential_id": credential_id, "person_id": person_id}))
