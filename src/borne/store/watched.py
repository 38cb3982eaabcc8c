"""What a page wants to be told about: which of the ids that a browser names exist, and whose they are."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from borne.store.db import Reader, Row
from borne.store.schema import batches, restarts

_restarts = select(restarts.c.id, restarts.c.organisation_id, restarts.c.location_id, restarts.c.charger_id).where(
    restarts.c.id.in_(bindparam("ids", expanding=True))
)
_batches = select(batches.c.id).where(
    batches.c.id.in_(bindparam("ids", expanding=True)), batches.c.organisation_id == bindparam("organisation_id")
)


async def restarts_of(db: Reader, ids: Collection[int]) -> list[Row]:
    """id, organisation_id, location_id, charger_id of those that exist."""
    return await db.all(_restarts, {"ids": list(ids)})


async def batches_of(db: Reader, organisation_id: int, ids: Collection[int]) -> list[Row]:
    """id of those that exist in this organisation."""
    return await db.all(_batches, {"ids": list(ids), "organisation_id": organisation_id})
