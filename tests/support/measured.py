"""A measured past for a running server: its sums are written beside it, as if sessions had been charged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from borne.core.metering_slots import SLOT_MS
from borne.core.scope import Scope
from borne.core.statistics import NOT_COUNTED, Changes, Counted, PricedSlot
from borne.store import metering
from borne.store.db import Database, create_database
from tests.support.server import Site, in_thread

T = TypeVar("T")
PARIS = ZoneInfo("Europe/Paris")
PRICE_MICROS = 250_000


def beside(site: Site, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do something with the database of a server that runs."""

    async def run() -> T:
        db = create_database(site.database_url or f"sqlite:///{site.folder / 'data' / 'borne.sqlite3'}")
        await db.open()
        try:
            return await work(db)
        finally:
            await db.close()

    return in_thread(lambda: asyncio.run(run()))


def super_admin(organisation_id: int) -> Scope:
    return Scope(
        person_id=0,
        person_name="",
        organisation_id=organisation_id,
        role="super-admin",
        plan="business",
        location_ids=None,
    )


def charge_daily(site: Site, organisation: str, charger_ids: list[int], days: int = 100) -> int:
    """Energy at each charger on each of these days until today, more at the later ones; the organisation's id."""
    where = " WHERE organisation_id = (SELECT id FROM organisations WHERE name = ?)"
    rows = site.sql(f"SELECT id, location_id, organisation_id FROM chargers{where} ORDER BY id", organisation)
    person_id = site.sql(f"SELECT person_id FROM memberships{where}", organisation)[0][0]
    now = datetime.now(UTC).astimezone(PARIS)
    changes = Changes()
    for index, (charger_id, location_id, _) in enumerate(row for row in rows if row[0] in charger_ids):
        for ago in range(days):
            at = (now - timedelta(days=ago)).replace(hour=(index * 5 + ago) % 24, minute=0, second=0, microsecond=0)
            slot_ms = int(at.timestamp() * 1_000) // SLOT_MS * SLOT_MS
            energy_wh = 1_000 + 37 * (days - ago) + 500 * index
            slot = PricedSlot(slot_ms, energy_wh, SLOT_MS, SLOT_MS, 4 * energy_wh, PRICE_MICROS)
            idle = PricedSlot(slot_ms + SLOT_MS, 0, 0, SLOT_MS, 0, PRICE_MICROS)
            counted = Counted(person_id if index else None, (slot, idle), False)
            changes.take(NOT_COUNTED, counted, location_id=location_id, charger_id=charger_id, zone=PARIS)
    organisation_id = int(rows[0][2])
    site.sql("UPDATE chargers SET created_ms = 0 WHERE organisation_id = ?", organisation_id)

    async def keep(db: Database) -> None:
        async with db.transaction() as tx:
            await metering.add_changes(tx, organisation_id, changes)

    beside(site, keep)
    return organisation_id
