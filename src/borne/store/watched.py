"""What a page wants to be told about: which of the restarts that a browser names exist, and whose they are."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from borne.store.db import Reader, Row
from borne.store.schema import restarts

_restarts = select(restarts.c.id, restarts.c.organisation_id, restarts.c.location_id, restarts.c.charger_id).where(
    restarts.c.id.in_(bindparam("ids", expanding=True))
)


async def restarts_of(db: Reader, ids: Collection[int]) -> list[Row]:
    """id, organisation_id, location_id, charger_id of those that exist."""
    return await db.all(_restarts, {"ids": list(ids)})
