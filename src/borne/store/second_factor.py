"""Second factors of people: the secret of an authenticator app, recovery codes, and whether there is any at all.

(Passkeys are rows of their own: `store.passkeys`.)
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, bindparam, case, delete, exists, func, or_, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import passkeys, people, recovery_codes


def has_any() -> ColumnElement[int]:
    """1 or 0 in a query about `people`: whether the person has a second factor."""
    has_passkey = exists(select(passkeys.c.person_id).where(passkeys.c.person_id == people.c.id))
    return case((or_(people.c.totp_secret.is_not(None), has_passkey), 1), else_=0)


_has = select(has_any()).where(people.c.id == bindparam("person_id"))
_totp = select(people.c.totp_secret, people.c.totp_step).where(people.c.id == bindparam("person_id"))
_set_totp = (
    update(people)
    .where(people.c.id == bindparam("the_id"), people.c.totp_secret.is_(None))
    .values(totp_secret=bindparam("secret"), totp_step=bindparam("step"))
)
_remove_totp = (
    update(people)
    .where(people.c.id == bindparam("the_id"), people.c.totp_secret.is_not(None))
    .values(totp_secret=None, totp_step=None)
)
_use_step = (
    update(people)
    .where(
        people.c.id == bindparam("the_id"),
        people.c.totp_secret.is_not(None),
        or_(people.c.totp_step.is_(None), people.c.totp_step < bindparam("step")),
    )
    .values(totp_step=bindparam("step"))
)
_codes_left = select(func.count()).where(
    recovery_codes.c.person_id == bindparam("person_id"), recovery_codes.c.used_ms.is_(None)
)
_use_code = (
    update(recovery_codes)
    .where(
        recovery_codes.c.person_id == bindparam("the_id"),
        recovery_codes.c.code_hash == bindparam("hash"),
        recovery_codes.c.used_ms.is_(None),
    )
    .values(used_ms=bindparam("now_ms"))
)
_drop_codes = delete(recovery_codes).where(recovery_codes.c.person_id == bindparam("person_id"))
_drop_passkeys = delete(passkeys).where(passkeys.c.person_id == bindparam("person_id"))


async def has(db: Reader, person_id: int) -> bool:
    """Whether this person has a second factor: an authenticator app or a passkey."""
    return bool(await db.value(_has, {"person_id": person_id}, fast=True))


async def totp_of(db: Reader, person_id: int) -> Row | None:
    """totp_secret (closed, or None) and totp_step, the last time step a code was taken for; None for nobody."""
    return await db.first(_totp, {"person_id": person_id}, fast=True)


async def set_totp(tx: Transaction, person_id: int, secret: bytes, step: int) -> bool:
    """Keep a closed secret whose code of this time step was shown. False when there is one already."""
    return bool(await tx.run(_set_totp, {"the_id": person_id, "secret": secret, "step": step}))


async def remove_totp(tx: Transaction, person_id: int) -> bool:
    return bool(await tx.run(_remove_totp, {"the_id": person_id}))


async def use_step(tx: Transaction, person_id: int, step: int) -> bool:
    """Spend a time step. False when a code of it, or of a later one, was taken before: of two at once one is told True."""
    return bool(await tx.run(_use_step, {"the_id": person_id, "step": step}))


async def codes_left(db: Reader, person_id: int) -> int:
    """How many recovery codes are unused."""
    return int(await db.value(_codes_left, {"person_id": person_id}, fast=True))


async def set_codes(tx: Transaction, person_id: int, hashes: Sequence[bytes]) -> None:
    """New recovery codes in the place of all earlier ones."""
    await tx.run(_drop_codes, {"person_id": person_id})
    await tx.insert_many(recovery_codes, ("person_id", "code_hash"), [(person_id, one) for one in hashes])


async def use_code(tx: Transaction, person_id: int, code_hash: bytes, now_ms: int) -> bool:
    """Spend a recovery code. False when it was spent or never made."""
    return bool(await tx.run(_use_code, {"the_id": person_id, "hash": code_hash, "now_ms": now_ms}))


async def drop_codes(tx: Transaction, person_id: int) -> None:
    await tx.run(_drop_codes, {"person_id": person_id})


async def remove_all(tx: Transaction, person_id: int) -> None:
    """Take away every second factor of somebody who lost theirs. End their logins too (`store.logins`)."""
    await tx.run(_remove_totp, {"the_id": person_id})
    await tx.run(_drop_passkeys, {"person_id": person_id})
    await tx.run(_drop_codes, {"person_id": person_id})
