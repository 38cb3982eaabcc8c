"""Many chargers at once: what of them is taken already, and the import that is kept so that a form sent twice adds them once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import bindparam, select

from borne.store import chargers as charger_store
from borne.store.chargers import NewCharger
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import charger_imports, chargers
from borne.store.tenancy import across

SLICE = 100  # rows of one go: the loop runs between them
ASKED = 500  # values of one question

_identities = across(
    select(chargers.c.identity).where(chargers.c.identity.in_(bindparam("asked", expanding=True))),
    "an identity is one charger's of the whole installation",
)
_serials = select(chargers.c.serial).where(
    chargers.c.organisation_id == bindparam("organisation_id"),
    chargers.c.serial.in_(bindparam("asked", expanding=True)),
)
_by_key = select(charger_imports).where(
    charger_imports.c.organisation_id == bindparam("organisation_id"),
    charger_imports.c.key_hash == bindparam("key_hash"),
)
_added = select(
    chargers.c.id,
    chargers.c.name,
    chargers.c.serial,
    chargers.c.identity,
    chargers.c.location_id,
    chargers.c.secret_hash,
).where(
    chargers.c.organisation_id == bindparam("organisation_id"), chargers.c.id.in_(bindparam("asked", expanding=True))
)


async def taken_identities(db: Reader, identities: Iterable[str]) -> set[str]:
    """Those that a charger of this installation has, whoever's it is."""
    found: set[str] = set()
    for part in _parts(list(identities)):
        found.update(row.identity for row in await db.all(_identities, {"asked": part}))
    return found


async def known_serials(db: Reader, organisation_id: int, serials: Iterable[str]) -> set[str]:
    """Those that a charger of the organisation has."""
    found: set[str] = set()
    for part in _parts(list(serials)):
        rows = await db.all(_serials, {"organisation_id": organisation_id, "asked": part})
        found.update(row.serial for row in rows)
    return found


async def by_key(db: Reader, organisation_id: int, key_hash: bytes) -> Row | None:
    """The import that a form with this key made: all columns, charger_ids as JSON."""
    return await db.first(_by_key, {"organisation_id": organisation_id, "key_hash": key_hash})


async def add(
    tx: Transaction, organisation_id: int, new: Sequence[NewCharger], *, person_id: int, key_hash: bytes, now_ms: int
) -> list[int]:
    """Add the chargers and the import that names them; their ids. Raises Conflict when the key or an identity is taken,
    UnknownLocationError."""
    ids: list[int] = []
    for start in range(0, len(new), SLICE):
        ids += await charger_store.create_some(tx, new[start : start + SLICE], now_ms)
        await asyncio.sleep(0)
    columns = ("organisation_id", "person_id", "key_hash", "charger_ids", "created_ms")
    row = (organisation_id, person_id, key_hash, msgspec.json.encode(ids).decode(), now_ms)
    await tx.insert_many(charger_imports, columns, [row])
    return ids


async def added(db: Reader, organisation_id: int, ids: Sequence[int]) -> list[Row]:
    """id, name, serial, identity, location_id, secret_hash of those that are still there, in the order of the ids."""
    found: dict[int, Row] = {}
    for part in _parts(list(ids)):
        rows = await db.all(_added, {"organisation_id": organisation_id, "asked": part})
        found |= {row.id: row for row in rows}
    return [found[one] for one in ids if one in found]


def _parts(values: list[str] | list[int]) -> list[list[str] | list[int]]:
    return [values[start : start + ASKED] for start in range(0, len(values), ASKED)]
