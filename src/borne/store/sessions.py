"""Sessions: one row each, found by what tells a start from its retry, or by the charger's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select, update

from borne.core.session import SessionRow
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import sessions
from borne.store.tenancy import across, beside

_decode_conflicts = msgspec.json.Decoder(tuple[str, ...]).decode

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
    }
    return await tx.insert(sessions, values)


async def set_tag(tx: Transaction, session_id: int, tag: str, person_id: int | None) -> None:
    """The tag of a session that began without one, and whose it is."""
    await tx.run(_set_tag, {"session_id": session_id, "new_tag": tag, "new_person_id": person_id})


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


def _session(found: Row | None) -> SessionRow | None:
    if found is None:
        return None
    fields: list[Any] = [*found]
    fields[-1] = _decode_conflicts(found.conflicts)
    return SessionRow(*fields)
