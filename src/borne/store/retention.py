"""What is thrown away by age: found by reading, then deleted by keys in slices, so that none holds up who writes beside it.

What is in partitions (PostgreSQL) goes by `store.partitions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import BindParameter, Delete, Executable, Select, Table, bindparam, delete, func, select

from borne.store.db import Reader, Transaction
from borne.store.schema import (
    location_slots,
    metadata,
    organisations,
    readings,
    session_curves,
    session_messages,
    session_slots,
    sessions,
    site_slots,
)
from borne.store.tenancy import across

Rows: TypeAlias = Table
WHY = "retention is the same for every organisation"
# Sums, and the column that says of when they are. Where a month or an hour of it is summed, that is its month.
SLOTS = {location_slots: "slot_ms", site_slots: "slot_ms"}
DAYS = {table: "day" for table in metadata.sorted_tables if {"day", "energy_wh"} <= set(table.c.keys())}
MONTHS = {table: "month" for table in metadata.sorted_tables if {"month", "energy_wh"} <= set(table.c.keys())}


# ---- what was received ---------------------------------------------------------------------------------------------------


def _edge(table: Table) -> Executable:
    """When the last row of a slice was received."""
    found = select(table.c.received_ms).where(table.c.received_ms < bindparam("before_ms"))
    return across(found.order_by(table.c.received_ms).limit(1).offset(bindparam("most")), WHY)


def _received(table: Table) -> Executable:
    return across(delete(table).where(table.c.received_ms < bindparam("before_ms")), WHY)


_edges = {table.name: _edge(table) for table in (readings, session_messages)}
_deletes = {table.name: _received(table) for table in (readings, session_messages)}


async def prune_received(tx: Transaction, table: Table, before_ms: int, most: int) -> int:
    """Delete the oldest `most` rows or so that were received before; those of an instant go together. Returns how many."""
    edge_ms = await tx.value(_edges[table.name], {"before_ms": before_ms, "most": most})
    return await tx.run(_deletes[table.name], {"before_ms": before_ms if edge_ms is None else edge_ms + 1})


# ---- what sessions have --------------------------------------------------------------------------------------------------


_ids: BindParameter[list[int]] = bindparam("ids", expanding=True)


def _having(table: Table) -> Executable:
    found = select(table.c.session_id).where(
        table.c.session_id > bindparam("after_id"), table.c.session_id < bindparam("until_id")
    )
    return across(found.group_by(table.c.session_id).order_by(table.c.session_id).limit(bindparam("most")), WHY)


def _of_sessions(table: Table) -> Executable:
    return across(delete(table).where(table.c.session_id.in_(_ids)), WHY)


_next = across(
    select(sessions.c.id, sessions.c.started_ms).where(sessions.c.id >= bindparam("from_id")).order_by(sessions.c.id).limit(1),
    WHY,
)  # fmt: skip
_newest = across(select(func.max(sessions.c.id)), WHY)
_havings = {table.name: _having(table) for table in (session_curves, session_slots)}
_over = across(
    select(sessions.c.id).where(
        sessions.c.id.in_(_ids), sessions.c.ended_ms < bindparam("before_ms"), sessions.c.dirty == 0
    ),
    WHY,
)
_with_curve = across(select(session_curves.c.session_id).where(session_curves.c.session_id.in_(_ids)), WHY)
_drops = {table.name: _of_sessions(table) for table in (session_curves, session_slots)}


async def first_since(db: Reader, at_ms: int) -> int:
    """The id of the first session that started at an instant or later, as ids grow with time; found by halving."""
    low, high = 1, int(await db.value(_newest) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = await db.first(_next, {"from_id": middle})
        if row is None or row.started_ms >= at_ms:
            high = middle
        else:
            low = row.id + 1
    return low


async def sessions_having(db: Reader, table: Table, after_id: int, until_id: int, most: int) -> list[int]:
    """Ids between those two of sessions that have rows in a table, ascending."""
    values = {"after_id": after_id, "until_id": until_id, "most": most}
    return [row.session_id for row in await db.all(_havings[table.name], values)]


async def prune_sessions(tx: Transaction, table: Table, ids: Sequence[int], before_ms: int) -> int:
    """Delete what those of these sessions have in a table that ended before and are measured; gives how many rows.

    Without its curve a session is closed. Its quarters of an hour stay as long as it is not: measured anew without them
    it would be counted twice.
    """
    over = {row.id for row in await tx.all(_over, {"ids": list(ids), "before_ms": before_ms})}
    if over and table is session_slots:
        over -= {row.session_id for row in await tx.all(_with_curve, {"ids": sorted(over)})}
    return await tx.run(_drops[table.name], {"ids": sorted(over)}) if over else 0


# ---- sums ----------------------------------------------------------------------------------------------------------------

_organisations = across(select(organisations.c.id).order_by(organisations.c.id), WHY)


@lru_cache(maxsize=64)
def _old(table: Table, column: str) -> Select[Any]:
    found = select(*table.primary_key.columns).where(
        table.c.organisation_id == bindparam("organisation_id"), table.c[column] < bindparam("before")
    )
    return found.limit(bindparam("most"))


@lru_cache(maxsize=64)
def _drop(table: Table) -> Delete:
    wanted = [column == bindparam(f"of_{column.key}") for column in table.primary_key.columns]
    return delete(table).where(*wanted)


async def organisation_ids(db: Reader) -> list[int]:
    """All of them."""
    return [row.id for row in await db.all(_organisations)]


async def old_sums(
    db: Reader, table: Table, column: str, organisation_id: int, before: int, most: int
) -> list[dict[str, int]]:
    """Keys of some sums of an organisation that are of before (in the unit of `column`)."""
    rows = await db.all(_old(table, column), {"organisation_id": organisation_id, "before": before, "most": most})
    names = [f"of_{key}" for key in table.primary_key.columns.keys()]  # noqa: SIM118 - no dict
    return [dict(zip(names, row, strict=True)) for row in rows]


async def drop_sums(tx: Transaction, table: Table, keys: Sequence[dict[str, int]]) -> None:
    """Delete these."""
    await tx.run_many(_drop(table), keys)
