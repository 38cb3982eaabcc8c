"""Chargers and the location they stand at: which ones a change touches, and their search text when its name changes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from borne.store.chargers import search_of
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import chargers, restarts

C = chargers.c
_LOOK = (
    C.id, C.organisation_id, C.location_id, C.name, C.serial, C.model, C.vendor, C.model_name, C.identity, C.disabled,
)  # fmt: skip
_here = (
    select(*_LOOK)
    .where(
        C.organisation_id == bindparam("organisation_id"),
        C.location_id == bindparam("location_id"),
        C.id > bindparam("after_id"),
    )
    .order_by(C.id)
    .limit(bindparam("most"))
    .with_for_update()
)
_these = (
    select(*_LOOK)
    .where(C.organisation_id == bindparam("organisation_id"), C.id.in_(bindparam("ids", expanding=True)))
    .with_for_update()
)
_follow = (
    update(restarts)
    .where(restarts.c.organisation_id == bindparam("of_organisation_id"), restarts.c.id == bindparam("restart_id"))
    .values(location_id=bindparam("new_location_id"))
)


async def name_again(
    tx: Transaction, organisation_id: int, location_id: int, name: str, *, after_id: int = 0, most: int
) -> list[int]:
    """Write the location's name into `search` of so many of its chargers, in the order of their ids, which are returned."""
    wanted = {"organisation_id": organisation_id, "location_id": location_id, "after_id": after_id, "most": most}
    found = await tx.all(_here, wanted)
    rows = [(row.id, organisation_id, search_of(row, row.identity, name)) for row in found]
    if rows:
        await tx.update_many(chargers, ("id", "organisation_id"), ("search",), rows)
    return [row.id for row in found]


async def looks(db: Reader, organisation_id: int, ids: Sequence[int]) -> dict[int, Row]:
    """What a change of many asks of those of the organisation's chargers, kept from others inside a transaction.

    id, organisation_id, location_id, name, serial, model, vendor, model_name, identity, disabled.
    """
    found = await db.all(_these, {"organisation_id": organisation_id, "ids": list(ids)})
    return {row.id: row for row in found}


async def follow(tx: Transaction, organisation_id: int, restart_id: int, location_id: int) -> None:
    """A restart that has not been sent goes with its charger to another location."""
    await tx.run(
        _follow, {"of_organisation_id": organisation_id, "restart_id": restart_id, "new_location_id": location_id}
    )
