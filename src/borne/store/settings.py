"""Single values of the installation, by name: marks of what was done, secrets made once."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from borne.store.db import Reader, Transaction
from borne.store.schema import settings

_get = select(settings.c.value).where(settings.c.name == bindparam("name"))


async def get(db: Reader, name: str) -> str | None:
    found: str | None = await db.value(_get, {"name": name}, fast=True)
    return found


async def put(tx: Transaction, name: str, value: str) -> None:
    await tx.upsert_many(settings, ("name",), ("value",), [(name, value)])
