"""Restarts as rows: made here, followed by the engine (store.rooms), read by pages (store.restart_list)."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import membership_locations, restarts
from borne.store.tenancy import across, beside

_by_key = select(restarts.c.id).where(
    restarts.c.organisation_id == bindparam("organisation_id"), restarts.c.idempotency_key == bindparam("key")
)
_requester = across(
    select(restarts.c.person_id, restarts.c.organisation_id).where(restarts.c.id == bindparam("restart_id")),
    "the engine takes up a restart of the charger whose turn it is",
)
_batch = across(
    select(restarts.c.batch_id).where(restarts.c.id == bindparam("restart_id")),
    "the engine takes up a restart of the charger whose turn it is",
)
_administers = select(membership_locations.c.location_id).where(
    membership_locations.c.person_id == bindparam("person_id"),
    membership_locations.c.organisation_id == bindparam("organisation_id"),
    membership_locations.c.location_id == bindparam("location_id"),
)
_owners = select(restarts.c.id, restarts.c.organisation_id, restarts.c.location_id, restarts.c.charger_id).where(
    beside(restarts.c.organisation_id) == bindparam("organisation_id"),
    restarts.c.id.in_(bindparam("ids", expanding=True)),
)
_queued = across(
    select(restarts.c.id, restarts.c.charger_id)
    .where(
        restarts.c.batch_id == bindparam("batch_id"),
        restarts.c.location_id == bindparam("location_id"),
        restarts.c.phase == "queued",
    )
    .order_by(restarts.c.id)
    .limit(bindparam("count")),
    "a job steps the batch that it names",
)
_all_queued = across(
    select(restarts.c.id, restarts.c.charger_id)
    .where(restarts.c.batch_id == bindparam("batch_id"), restarts.c.phase == "queued")
    .order_by(restarts.c.id)
    .limit(bindparam("count")),
    "a job steps the batch that it names",
)


async def create(
    tx: Transaction,
    *,
    charger_id: int,
    organisation_id: int,
    location_id: int,
    model: str,
    batch_id: int | None,
    person_id: int | None,
    person_name: str,
    why: str,
    kind: str,
    evse: int | None,
    idempotency_key: str | None,
    phase: str,
    requested_ms: int,
) -> int:
    """Insert a restart and return its id. Raises Conflict when the organisation used the idempotency key before."""
    return await tx.insert(
        restarts,
        {
            "charger_id": charger_id,
            "organisation_id": organisation_id,
            "location_id": location_id,
            "model": model,
            "batch_id": batch_id,
            "person_id": person_id,
            "person_name": person_name,
            "why": why,
            "kind": kind,
            "evse": evse,
            "idempotency_key": idempotency_key,
            "phase": phase,
            "requested_ms": requested_ms,
        },
    )


async def by_key(db: Reader, organisation_id: int, key: str) -> int | None:
    """The restart that was made with this idempotency key."""
    found: int | None = await db.value(_by_key, {"organisation_id": organisation_id, "key": key})
    return found


async def requester(db: Reader, restart_id: int) -> Row | None:
    """Who asked for it, and in which organisation (person_id, organisation_id)."""
    return await db.first(_requester, {"restart_id": restart_id})


async def administers(db: Reader, person_id: int, organisation_id: int, location_id: int) -> bool:
    """Whether the location is one of this admin's."""
    params = {"person_id": person_id, "organisation_id": organisation_id, "location_id": location_id}
    return await db.first(_administers, params) is not None


async def batch_of(db: Reader, restart_id: int) -> int | None:
    """The batch that the restart belongs to."""
    found: int | None = await db.value(_batch, {"restart_id": restart_id})
    return found


async def owners(db: Reader, organisation_id: int, ids: Collection[int]) -> list[Row]:
    """Whose the organisation's restarts among these are: id, organisation_id, location_id, charger_id."""
    return await db.all(_owners, {"organisation_id": organisation_id, "ids": list(ids)})


async def queued_in(db: Reader, batch_id: int, location_id: int, count: int) -> list[Row]:
    """The next restarts (id, charger_id) of a batch in a location that wait for a slot."""
    return await db.all(_queued, {"batch_id": batch_id, "location_id": location_id, "count": count})


async def queued(db: Reader, batch_id: int, count: int) -> list[Row]:
    """Restarts (id, charger_id) of a batch that wait for a slot, wherever."""
    return await db.all(_all_queued, {"batch_id": batch_id, "count": count})
