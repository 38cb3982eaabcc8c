"""The chargers of a scope one page after the other, by name: each page begins where the last one ended, and costs the same."""

from __future__ import annotations

from sqlalchemy import select, tuple_

from borne.core.scope import Scope
from borne.store.charger_list import COLUMNS, reached
from borne.store.db import Reader, Row
from borne.store.schema import chargers, locations


async def page(db: Reader, scope: Scope, after: tuple[str, int], limit: int) -> list[Row]:
    """Rows as of `store.charger_list`, and `search`. `after`: `search` and id of the last row seen, ("", 0) to begin."""
    place = tuple_(chargers.c.search, chargers.c.id) > tuple_(*after)
    statement = (
        select(*COLUMNS, chargers.c.search)
        .select_from(
            chargers.outerjoin(
                locations,
                (locations.c.id == chargers.c.location_id)
                & (locations.c.organisation_id == chargers.c.organisation_id),
            )
        )
        .where(*reached(scope), place)
        .order_by(chargers.c.search, chargers.c.id)
        .limit(limit)
    )
    return await db.all(statement)
