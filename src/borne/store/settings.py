"""What an installation decides once: names and values as text."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from borne.store.db import Reader, Transaction
from borne.store.schema import settings

_get = select(settings.c.value).where(settings.c.name == bindparam("name"))


async def get(db: Reader, name: str) -> str | None:
    """The value, or None when it was never set."""
    found = await db.value(_get, {"name": name})
    return None if found is None else str(found)


async def put(tx: Transaction, name: str, value: str) -> None:
    """Set a value, whatever it was."""
    await tx.upsert_many(settings, ("name",), ("value",), [(name, value)])


async def put_first(tx: Transaction, name: str, value: str) -> str:
    """Set a value unless it is set, and return the one that holds: of two at once, both get the same."""
    await tx.upsert_many(settings, ("name",), ("value",), [(name, value)], keep=True)
    return str(await tx.value(_get, {"name": name}))
