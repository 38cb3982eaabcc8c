"""Values of the meter of a location, by quarters of an hour: kept, replaced, and added up."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, case, delete, func, or_, select, update

from borne.core.metering_slots import SLOT_MS
from borne.core.site_meter import SiteSlot
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import locations, site_slots

S = site_slots.c
KEYS, COLUMNS = ("organisation_id", "location_id", "slot_ms"), ("import_wh", "export_wh", "solar_wh")
_here = (S.organisation_id == bindparam("of_organisation_id"), S.location_id == bindparam("of_location_id"))
_between = (
    select(S.slot_ms, S.import_wh, S.export_wh, S.solar_wh)
    .where(*_here, S.slot_ms >= bindparam("from_ms"), S.slot_ms < bindparam("until_ms"))
    .order_by(S.slot_ms)
)
_own_wh = case((S.solar_wh > S.export_wh, S.solar_wh - S.export_wh), else_=0)  # core.site_meter.SiteSlot.own_wh
_sums = select(
    func.count().label("slots"),
    *(func.coalesce(func.sum(S[name]), 0).label(name) for name in COLUMNS),
    func.coalesce(func.sum(_own_wh), 0).label("own_wh"),
).where(*_here, S.slot_ms >= bindparam("from_ms"), S.slot_ms < bindparam("until_ms"))
_reach = (
    update(locations)
    .where(
        locations.c.organisation_id == bindparam("of_organisation_id"),
        locations.c.id == bindparam("of_location_id"),
        or_(locations.c.site_until_ms.is_(None), locations.c.site_until_ms < bindparam("new_until_ms")),
    )
    .values(site_until_ms=bindparam("new_until_ms"))
)
_forget = delete(site_slots).where(*_here)


async def between(db: Reader, organisation_id: int, location_id: int, from_ms: int, until_ms: int) -> list[SiteSlot]:
    """What the meter says of a stretch of time, in order."""
    wanted = {**_key(organisation_id, location_id), "from_ms": from_ms, "until_ms": until_ms}
    return [SiteSlot(*row) for row in await db.all(_between, wanted, fast=True)]


async def sums(db: Reader, organisation_id: int, location_id: int, from_ms: int, until_ms: int) -> Row:
    """slots, import_wh, export_wh, solar_wh and own_wh of a stretch of time; own_wh: the own part of each slot."""
    wanted = {**_key(organisation_id, location_id), "from_ms": from_ms, "until_ms": until_ms}
    row = await db.first(_sums, wanted)
    assert row is not None
    return row


async def put(tx: Transaction, organisation_id: int, location_id: int, slots: Sequence[SiteSlot]) -> None:
    """Keep these; a slot that is known gets the new values."""
    rows = [(organisation_id, location_id, *msgspec.structs.astuple(slot)) for slot in slots]
    if rows:
        await tx.upsert_many(site_slots, KEYS, COLUMNS, rows)
        reached = {**_key(organisation_id, location_id), "new_until_ms": max(slot.slot_ms for slot in slots) + SLOT_MS}
        await tx.run(_reach, reached)


async def forget(tx: Transaction, organisation_id: int, location_id: int) -> None:
    """With a location go the values of its meter; sessions keep their shares."""
    await tx.run(_forget, _key(organisation_id, location_id))


def _key(organisation_id: int, location_id: int) -> dict[str, int]:
    return {"of_organisation_id": organisation_id, "of_location_id": location_id}
