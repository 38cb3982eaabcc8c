"""Sessions: one row each, found by what tells a start from its retry, or by the charger's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select, update

from borne.core.session import SessionRow
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import chargers, sessions
from borne.store.tenancy import across, beside

_decode_conflicts = msgspec.json.Decoder(tuple[str, ...]).decode

PAST_COLUMNS = (
    "charger_id", "organisation_id", "location_id", "evse", "connector", "transaction", "start_key", "tag", "person_id",
    "started_ms", "device_started_ms", "meter_start_wh", "ended_ms", "device_ended_ms", "meter_stop_wh", "end_reason",
)  # fmt: skip

_row = across(
    select(
        sessions.c.id,
        sessions.c.evse,
        sessions.c.connector,
        sessions.c.transaction,
        sessions.c.started_ms,
        sessions.c.tag,
        sessions.c.ended_ms,
        sessions.c.device_ended_ms,
        sessions.c.meter_stop_wh,
        sessions.c.end_reason,
        sessions.c.conflicts,
        sessions.c.start_missing,
    ).where(sessions.c.charger_id == bindparam("charger_id")),
    "the engine follows the sessions of the charger whose turn it is",
)
_by_key = _row.where(sessions.c.start_key == bindparam("start_key"))
# A 2.x charger may use a transaction id again after years: the newest is meant.
_by_transaction = _row.where(sessions.c.transaction == bindparam("transaction")).order_by(sessions.c.id.desc()).limit(1)
_open = _row.where(sessions.c.ended_ms.is_(None)).order_by(sessions.c.id)
_open_of = (
    select(sessions.c.charger_id, func.count())
    .where(
        beside(sessions.c.organisation_id) == bindparam("organisation_id"),
        sessions.c.charger_id.in_(bindparam("ids", expanding=True)),
        sessions.c.ended_ms.is_(None),
    )
    .group_by(sessions.c.charger_id)
)
_silent = across(
    select(sessions.c.id, sessions.c.charger_id, chargers.c.id.is_(None).label("is_gone"))
    .outerjoin(chargers, chargers.c.id == sessions.c.charger_id)
    .where(
        sessions.c.ended_ms.is_(None),
        func.coalesce(chargers.c.last_seen_ms, 0) < bindparam("before_ms"),
        sessions.c.started_ms < bindparam("before_ms"),
    )
    .order_by(sessions.c.id)
    .limit(bindparam("most")),
    "sessions that nobody will end are looked for in all organisations",
)
_end_of_gone = across(
    update(sessions)
    .where(sessions.c.id.in_(bindparam("ids", expanding=True)), sessions.c.ended_ms.is_(None))
    .values(
        ended_ms=func.coalesce(sessions.c.over_ms, sessions.c.started_ms),
        end_reason=bindparam("new_end_reason"),
        dirty=sessions.c.dirty + 1,
    ),
    "sessions of chargers that are gone end in all organisations",
)
_set_start = across(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(
        evse=bindparam("new_evse"),
        connector=bindparam("new_connector"),
        tag=bindparam("new_tag"),
        person_id=bindparam("new_person_id"),
        device_started_ms=bindparam("new_device_started_ms"),
        meter_start_wh=bindparam("new_meter_start_wh"),
        start_missing=0,
        dirty=sessions.c.dirty + 1,
    ),
    "the engine follows the sessions of the charger whose turn it is",
)
_save = across(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(
        ended_ms=bindparam("new_ended_ms"),
        device_ended_ms=bindparam("new_device_ended_ms"),
        meter_stop_wh=bindparam("new_meter_stop_wh"),
        end_reason=bindparam("new_end_reason"),
        conflicts=bindparam("new_conflicts"),
        dirty=sessions.c.dirty + 1,
    ),
    "the engine follows the sessions of the charger whose turn it is",
)
_set_tag = across(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(tag=bindparam("new_tag"), person_id=bindparam("new_person_id"), dirty=sessions.c.dirty + 1),
    "the engine follows the sessions of the charger whose turn it is",
)


async def find_by_key(db: Reader, charger_id: int, start_key: str) -> SessionRow | None:
    """The session that this start, or an earlier try of it, began."""
    return _session(await db.first(_by_key, {"charger_id": charger_id, "start_key": start_key}))


async def find_by_transaction(db: Reader, charger_id: int, transaction: str) -> SessionRow | None:
    """The charger's own session of this name, never another charger's."""
    return _session(await db.first(_by_transaction, {"charger_id": charger_id, "transaction": transaction}))


async def open_sessions(db: Reader, charger_id: int) -> list[SessionRow]:
    """Sessions of a charger without an end, oldest first."""
    return [row for found in await db.all(_open, {"charger_id": charger_id}) if (row := _session(found))]


async def count_open(db: Reader, organisation_id: int, charger_ids: Sequence[int]) -> dict[int, int]:
    """How many sessions are open, by charger; those without any are not in it."""
    wanted = {"organisation_id": organisation_id, "ids": list(charger_ids)}
    return {row[0]: row[1] for row in await db.all(_open_of, wanted, fast=len(charger_ids) == 1)}


async def create(
    tx: Transaction,
    *,
    charger_id: int,
    organisation_id: int,
    location_id: int,
    evse: int,
    connector: int,
    transaction: str,
    start_key: str,
    tag: str | None,
    person_id: int | None,
    started_ms: int,
    device_started_ms: int | None,
    meter_start_wh: int | None,
    start_missing: bool = False,
) -> int:
    """Add a session; organisation, location and the tag's owner are those of now, for good. Raises Conflict for a known start."""
    values = {
        "charger_id": charger_id,
        "organisation_id": organisation_id,
        "location_id": location_id,
        "evse": evse,
        "connector": connector,
        "transaction": transaction,
        "start_key": start_key,
        "tag": tag,
        "person_id": person_id,
        "started_ms": started_ms,
        "device_started_ms": device_started_ms,
        "meter_start_wh": meter_start_wh,
        "start_missing": int(start_missing),
    }
    return await tx.insert(sessions, values)


async def set_tag(tx: Transaction, session_id: int, tag: str, person_id: int | None) -> None:
    """The tag of a session that began without one, and whose it is."""
    await tx.run(_set_tag, {"session_id": session_id, "new_tag": tag, "new_person_id": person_id})


async def set_start(
    tx: Transaction,
    session_id: int,
    *,
    evse: int,
    connector: int,
    tag: str | None,
    person_id: int | None,
    device_started_ms: int | None,
    meter_start_wh: int | None,
) -> None:
    """The start of a session that was known from a later message alone."""
    wanted = {
        "new_evse": evse,
        "new_connector": connector,
        "new_tag": tag,
        "new_person_id": person_id,
        "new_device_started_ms": device_started_ms,
        "new_meter_start_wh": meter_start_wh,
    }
    await tx.run(_set_start, {"session_id": session_id, **wanted})


async def silent(db: Reader, before_ms: int, most: int = 200) -> list[Row]:
    """(id, charger_id, is_gone) of open sessions of chargers that were last seen before, or that are gone."""
    return await db.all(_silent, {"before_ms": before_ms, "most": most})


async def end_of_gone(tx: Transaction, session_ids: Sequence[int], reason: str) -> None:
    """End open sessions of chargers that are gone, when they were last known."""
    await tx.run(_end_of_gone, {"ids": list(session_ids), "new_end_reason": reason})


async def save(tx: Transaction, row: SessionRow) -> None:
    """Write what an end, or a later conflicting one, says of a session."""
    await tx.run(
        _save,
        {
            "session_id": row.id,
            "new_ended_ms": row.ended_ms,
            "new_device_ended_ms": row.device_ended_ms,
            "new_meter_stop_wh": row.meter_stop_wh,
            "new_end_reason": row.end_reason,
            "new_conflicts": msgspec.json.encode(row.conflicts).decode(),
        },
    )


async def add_past(tx: Transaction, rows: Sequence[Sequence[object]]) -> list[int]:
    """Add sessions that are over (PAST_COLUMNS), to be measured; returns their ids in the order of the rows."""
    return await tx.insert_ids(sessions, PAST_COLUMNS, rows)


def _session(found: Row | None) -> SessionRow | None:
    if found is None:
        return None
    fields: list[Any] = [*found]
    fields[-2:] = _decode_conflicts(found.conflicts), bool(found.start_missing)
    return SessionRow(*fields)
