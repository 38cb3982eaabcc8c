"""What is thrown away by age: in slices that are found by a primary key, so that none holds up who writes beside it."""

from __future__ import annotations

from sqlalchemy import Executable, Table, bindparam, delete, func, select

from borne.store.db import Reader, Transaction
from borne.store.schema import (
    location_slots,
    locations,
    readings,
    session_curves,
    session_messages,
    session_slots,
    sessions,
)
from borne.store.tenancy import across

WHY = "retention is the same for every organisation"


def _edge(table: Table) -> Executable:
    """When the last row of a slice was received."""
    found = select(table.c.received_ms).where(table.c.received_ms < bindparam("before_ms"))
    return across(found.order_by(table.c.received_ms).limit(1).offset(bindparam("most")), WHY)


def _received(table: Table) -> Executable:
    return across(delete(table).where(table.c.received_ms < bindparam("before_ms")), WHY)


def _oldest(table: Table) -> Executable:
    return across(select(func.min(table.c.session_id)), WHY)


def _of_sessions(table: Table) -> Executable:
    over = select(sessions.c.id).where(
        sessions.c.id >= bindparam("from_id"),
        sessions.c.id < bindparam("until_id"),
        sessions.c.ended_ms < bindparam("before_ms"),
        sessions.c.dirty == 0,
    )
    return across(delete(table).where(table.c.session_id.in_(over)), WHY)


_edges = {table.name: _edge(table) for table in (readings, session_messages)}
_deletes = {table.name: _received(table) for table in (readings, session_messages)}
_oldest_of = {table.name: _oldest(table) for table in (session_curves, session_slots)}
_deletes |= {table.name: _of_sessions(table) for table in (session_curves, session_slots)}
_places = across(
    select(locations.c.organisation_id, locations.c.id)
    .where(locations.c.id > bindparam("after_id"))
    .order_by(locations.c.id)
    .limit(bindparam("most")),
    WHY,
)
_delete_slots = delete(location_slots).where(
    location_slots.c.organisation_id == bindparam("of_organisation_id"),
    location_slots.c.location_id == bindparam("of_location_id"),
    location_slots.c.slot_ms < bindparam("before_ms"),
)


async def prune_received(tx: Transaction, table: Table, before_ms: int, most: int) -> int:
    """Delete the oldest `most` rows or so that were received before; those of an instant go together. Returns how many."""
    edge_ms = await tx.value(_edges[table.name], {"before_ms": before_ms, "most": most})
    return await tx.run(_deletes[table.name], {"before_ms": before_ms if edge_ms is None else edge_ms + 1})


async def prune_readings(tx: Transaction, before_ms: int, most: int) -> int:
    """Readings of the meters: measured long ago."""
    return await prune_received(tx, readings, before_ms, most)


async def prune_messages(tx: Transaction, before_ms: int, most: int) -> int:
    """Messages about sessions, as they came."""
    return await prune_received(tx, session_messages, before_ms, most)


async def _prune_of_sessions(tx: Transaction, table: Table, before_ms: int, most: int) -> int:
    oldest_id = await tx.value(_oldest_of[table.name])
    if oldest_id is None:
        return 0
    window = {"from_id": oldest_id, "until_id": oldest_id + most, "before_ms": before_ms}
    return await tx.run(_deletes[table.name], window)


async def prune_curves(tx: Transaction, before_ms: int, most: int) -> int:
    """Curves of sessions that ended before, of the oldest `most` sessions that have one: from then on they are closed."""
    return await _prune_of_sessions(tx, session_curves, before_ms, most)


async def prune_session_slots(tx: Transaction, before_ms: int, most: int) -> int:
    """The same of their quarters of an hour."""
    return await _prune_of_sessions(tx, session_slots, before_ms, most)


async def places(db: Reader, after_id: int, most: int) -> list[tuple[int, int]]:
    """(organisation, location), by the location's id."""
    return [(row[0], row[1]) for row in await db.all(_places, {"after_id": after_id, "most": most})]


async def prune_location_slots(tx: Transaction, organisation_id: int, location_id: int, before_ms: int) -> int:
    """Quarters of an hour of a location; its days and months stay."""
    wanted = {"of_organisation_id": organisation_id, "of_location_id": location_id, "before_ms": before_ms}
    return await tx.run(_delete_slots, wanted)
