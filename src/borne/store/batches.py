"""Batches as rows: made here, stepped by engine.batches, read by pages (store.batch_list)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import batches, chargers, restarts
from borne.store.tenancy import across

_load = across(
    select(batches.c.id, batches.c.organisation_id, batches.c.version, batches.c.state).where(
        batches.c.id == bindparam("batch_id")
    ),
    "a job steps the batch that it names",
)
_save = across(
    update(batches)
    .where(batches.c.id == bindparam("batch_id"), batches.c.version == bindparam("old_version"))
    .values(version=bindparam("old_version") + 1, state=bindparam("state"), phase=bindparam("phase")),
    "a job steps the batch that it names",
)
_by_key = select(batches.c.id).where(
    batches.c.organisation_id == bindparam("organisation_id"), batches.c.idempotency_key == bindparam("key")
)
_left_out = across(
    update(batches).where(batches.c.id == bindparam("batch_id")).values(left_out=bindparam("left_out")),
    "a job fills the batch that it names",
)
_queued = across(
    select(restarts.c.location_id, func.count())
    .where(restarts.c.batch_id == bindparam("batch_id"), restarts.c.phase == "queued")
    .group_by(restarts.c.location_id),
    "a job steps the batch that it names",
)
_existing = select(chargers.c.id, chargers.c.name).where(
    chargers.c.id.in_(bindparam("ids", expanding=True)), chargers.c.organisation_id == bindparam("organisation_id")
)


async def create(
    tx: Transaction,
    *,
    organisation_id: int,
    person_id: int,
    person_name: str,
    why: str,
    kind: str | None,
    idempotency_key: str | None,
    total: int,
    created_ms: int,
) -> int:
    """Insert a batch that is being filled; its state is saved when its id is known."""
    return await tx.insert(
        batches,
        {
            "organisation_id": organisation_id,
            "person_id": person_id,
            "person_name": person_name,
            "why": why,
            "kind": kind,
            "idempotency_key": idempotency_key,
            "total": total,
            "created_ms": created_ms,
            "phase": "filling",
        },
    )


async def load(db: Reader, batch_id: int) -> Row | None:
    """The batch's machine: id, organisation_id, version, state."""
    return await db.first(_load, {"batch_id": batch_id})


async def save(tx: Transaction, batch_id: int, old_version: int, state: str, phase: str) -> bool:
    """Save the machine; False when somebody else did meanwhile."""
    params = {"batch_id": batch_id, "old_version": old_version, "state": state, "phase": phase}
    return await tx.run(_save, params) == 1


async def by_key(db: Reader, organisation_id: int, key: str) -> int | None:
    """The batch that was made with this idempotency key."""
    found: int | None = await db.value(_by_key, {"organisation_id": organisation_id, "key": key})
    return found


async def set_left_out(tx: Transaction, batch_id: int, left_out: str) -> None:
    """Keep who was left out at the last moment, and why (JSON)."""
    await tx.run(_left_out, {"batch_id": batch_id, "left_out": left_out})


async def queued_by_location(db: Reader, batch_id: int) -> dict[int, int]:
    """How many restarts of the batch wait for a slot, by location."""
    return {row[0]: row[1] for row in await db.all(_queued, {"batch_id": batch_id})}


async def names_of(db: Reader, organisation_id: int, ids: Sequence[int]) -> dict[int, str]:
    """Names of the organisation's chargers among these ids."""
    rows = await db.all(_existing, {"ids": list(ids), "organisation_id": organisation_id})
    return {row.id: row.name for row in rows}
