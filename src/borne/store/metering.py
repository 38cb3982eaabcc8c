"""What measuring reads and writes: sessions that changed, their curves and slots, and the sums that statistics read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import bindparam, select, union

from borne.core.metering import Sample
from borne.core.statistics import SUMS, Changes, PricedSlot, changed
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    charger_days,
    charger_months,
    corrections,
    location_days,
    location_hours,
    location_months,
    location_slots,
    locations,
    organisation_hours,
    person_days,
    person_months,
    readings,
    session_curves,
    session_slots,
    sessions,
)
from borne.store.tenancy import across

WHY = "measuring follows the sessions of all organisations; each row keeps the organisation of its session"

decoded_samples = msgspec.msgpack.Decoder(list[Sample]).decode
_encode = msgspec.msgpack.Encoder().encode

_columns = (
    sessions.c.id, sessions.c.charger_id, sessions.c.organisation_id, sessions.c.location_id, sessions.c.evse,
    sessions.c.connector, sessions.c.transaction, sessions.c.person_id, sessions.c.started_ms,
    sessions.c.device_started_ms, sessions.c.meter_start_wh, sessions.c.ended_ms, sessions.c.device_ended_ms,
    sessions.c.meter_stop_wh, sessions.c.start_missing, sessions.c.end_reason, sessions.c.zone, sessions.c.currency,
    sessions.c.energy_wh, sessions.c.over_ms, sessions.c.dirty, sessions.c.measured, sessions.c.measured_person_id,
    sessions.c.tag, sessions.c.vehicle_id,
    locations.c.time_zone, locations.c.currency.label("location_currency"), locations.c.site_until_ms,
    sessions.c.cost_nanos,
)  # fmt: skip
_sessions = (
    select(*_columns)
    .select_from(sessions.outerjoin(locations, locations.c.id == sessions.c.location_id))
    .order_by(sessions.c.id)
)
_dirty = across(
    _sessions.where(sessions.c.dirty > 0, sessions.c.id > bindparam("after_id")).limit(bindparam("most")), WHY
)
_by_ids = across(_sessions.where(sessions.c.id.in_(bindparam("ids", expanding=True))), WHY)
_of_chargers = select(
    sessions.c.id,
    sessions.c.charger_id,
    sessions.c.evse,
    sessions.c.connector,
    sessions.c.transaction,
    sessions.c.started_ms,
    sessions.c.ended_ms,
    sessions.c.start_missing,
).where(sessions.c.charger_id.in_(bindparam("charger_ids", expanding=True)))
_named = across(
    union(  # each by an index of its own
        _of_chargers.where(sessions.c.transaction.in_(bindparam("transactions", expanding=True))),
        _of_chargers.where(sessions.c.ended_ms.is_(None)),
        _of_chargers.where(sessions.c.ended_ms >= bindparam("from_ms")),
    ).order_by("id"),
    WHY,
)
_curves = across(
    select(session_curves.c.session_id, session_curves.c.samples).where(
        session_curves.c.session_id.in_(bindparam("ids", expanding=True))
    ),
    WHY,
)
_slots = across(
    select(
        session_slots.c.session_id,
        session_slots.c.slot_ms,
        session_slots.c.energy_wh,
        session_slots.c.charging_ms,
        session_slots.c.plugged_ms,
        session_slots.c.peak_w,
        session_slots.c.price_micros,
        session_slots.c.solar_wh,
        session_slots.c.feed_in_micros,
        session_slots.c.provisional,
    )
    .where(session_slots.c.session_id.in_(bindparam("ids", expanding=True)))
    .order_by(session_slots.c.session_id, session_slots.c.slot_ms),
    WHY,
)
_drop_slot = across(
    session_slots.delete().where(
        session_slots.c.session_id == bindparam("of_session_id"), session_slots.c.slot_ms == bindparam("of_slot_ms")
    ),
    WHY,
)
_from_cursor = across(
    select(
        readings.c.received_ms,
        readings.c.charger_id,
        readings.c.idx,
        readings.c.evse,
        readings.c.connector,
        readings.c.transaction,
        readings.c.quantity,
        readings.c.value,
        readings.c.device_ms,
        readings.c.phase,
        readings.c.location,
    )
    .where(readings.c.received_ms >= bindparam("from_ms"), readings.c.received_ms < bindparam("until_ms"))
    .order_by(readings.c.received_ms, readings.c.charger_id, readings.c.idx)
    .limit(bindparam("most")),
    WHY,
)

SESSION_KEYS = ("id", "organisation_id", "dirty", "measured")
SESSION_COLUMNS = (
    "dirty", "measured", "measured_person_id", "zone", "currency", "begun_ms", "over_ms", "energy_wh", "charging_ms", "peak_w",
    "power_w", "suspects", "cost_nanos", "vehicle_id", "at_once_nanos",
)  # fmt: skip
FOLLOWED_COLUMNS = ("measured", "over_ms", "energy_wh", "charging_ms", "peak_w", "power_w", "cost_nanos")
LATE_COLUMNS = ("dirty", "measured", "energy_wh", "cost_nanos")
SLOT_KEYS = ("session_id", "slot_ms")
SLOT_COLUMNS = (
    "organisation_id", "energy_wh", "charging_ms", "plugged_ms", "peak_w", "price_micros", "solar_wh", "feed_in_micros",
    "provisional",
)  # fmt: skip


async def dirty(db: Reader, most: int, after_id: int = 0) -> list[Row]:
    """Sessions that changed since they were measured, with what measuring needs of them and their locations, by id."""
    return await db.all(_dirty, {"most": most, "after_id": after_id})


async def by_ids(db: Reader, ids: Sequence[int]) -> list[Row]:
    """The same of these sessions."""
    return await db.all(_by_ids, {"ids": list(ids)}) if ids else []


async def named(db: Reader, charger_ids: Sequence[int], transactions: Sequence[str], from_ms: int) -> list[Row]:
    """Sessions of these chargers that have one of these transactions, are open, or ended since, oldest first."""
    wanted = {"charger_ids": list(charger_ids), "transactions": list(transactions), "from_ms": from_ms}
    return await db.all(_named, wanted)


async def curves(db: Reader, ids: Sequence[int]) -> dict[int, list[Sample]]:
    """All samples of each session that has any."""
    rows = await db.all(_curves, {"ids": list(ids)}) if ids else []
    return {row.session_id: decoded_samples(row.samples) for row in rows}


async def slots(db: Reader, ids: Sequence[int]) -> dict[int, tuple[PricedSlot, ...]]:
    """The slots of each session that has any, in order."""
    found: dict[int, list[PricedSlot]] = {}
    for row in await db.all(_slots, {"ids": list(ids)}) if ids else []:
        found.setdefault(row.session_id, []).append(PricedSlot(*row[1:]))
    return {session_id: tuple(some) for session_id, some in found.items()}


async def received_between(db: Reader, from_ms: int, until_ms: int, most: int) -> list[Row]:
    """Readings in the order of receipt; those of a millisecond may be more than `most` names: ask again from the last."""
    return await db.all(_from_cursor, {"from_ms": from_ms, "until_ms": until_ms, "most": most})


async def save_sessions(tx: Transaction, rows: Sequence[Sequence[object]]) -> int:
    """Write what was measured: SESSION_KEYS as they were read, then SESSION_COLUMNS. Fewer than given: some changed meanwhile."""
    return await tx.update_many(sessions, SESSION_KEYS, SESSION_COLUMNS, rows)


async def save_followed(tx: Transaction, rows: Sequence[Sequence[object]]) -> int:
    """The same of open sessions that went on as before: SESSION_KEYS, then FOLLOWED_COLUMNS."""
    return await tx.update_many(sessions, SESSION_KEYS, FOLLOWED_COLUMNS, rows)


async def save_late(tx: Transaction, rows: Sequence[Sequence[object]]) -> int:
    """The same of sessions that are closed: SESSION_KEYS, then LATE_COLUMNS."""
    return await tx.update_many(sessions, SESSION_KEYS, LATE_COLUMNS, rows)


async def add_correction(
    tx: Transaction, organisation_id: int, session_id: int, *, at_ms: int, slot_ms: int, energy_wh: int, why: str
) -> None:
    """Note energy that was booked where it came, because its session is closed."""
    values = {
        "organisation_id": organisation_id,
        "session_id": session_id,
        "at_ms": at_ms,
        "slot_ms": slot_ms,
        "energy_wh": energy_wh,
        "why": why,
    }
    await tx.insert(corrections, values)


async def save_curves(tx: Transaction, rows: Iterable[tuple[int, int, list[Sample]]]) -> None:
    """Write all samples of sessions: (session, organisation, samples)."""
    encoded = [(session_id, organisation_id, _encode(samples)) for session_id, organisation_id, samples in rows]
    await tx.upsert_many(session_curves, ("session_id",), ("organisation_id", "samples"), encoded)


async def save_slots(
    tx: Transaction, rows: Iterable[tuple[int, int, Sequence[PricedSlot], Sequence[PricedSlot]]]
) -> None:
    """Make slots of sessions those of `after`: (session, organisation, before, after). What is the same is left alone."""
    written: list[tuple[object, ...]] = []
    for session_id, organisation_id, before, after in rows:
        old, new = {slot.slot_ms: slot for slot in before}, {slot.slot_ms: slot for slot in after}
        for slot_ms in old.keys() - new.keys():
            await tx.run(_drop_slot, {"of_session_id": session_id, "of_slot_ms": slot_ms})
        written += [
            (session_id, slot.slot_ms, organisation_id, *msgspec.structs.astuple(slot)[1:])
            for slot in after
            if old.get(slot.slot_ms) != slot
        ]
    if written:
        await tx.upsert_many(session_slots, SLOT_KEYS, SLOT_COLUMNS, written)


async def add_changes(tx: Transaction, organisation_id: int, changes: Changes) -> None:
    """Add what sessions of an organisation changed to the tables of sums."""
    for table, keys, sums in (
        (location_slots, ("location_id", "slot_ms"), changes.location_slots),
        (location_days, ("location_id", "day"), changes.location_days),
        (location_months, ("location_id", "month"), changes.location_months),
        (location_hours, ("location_id", "month", "hour"), changes.location_hours),
        (organisation_hours, ("month", "hour"), changes.organisation_hours),
        (charger_days, ("charger_id", "location_id", "day"), changes.charger_days),
        (charger_months, ("charger_id", "location_id", "month"), changes.charger_months),
        (person_days, ("person_id", "location_id", "day"), changes.person_days),
        (person_months, ("person_id", "location_id", "month"), changes.person_months),
    ):
        rows = [(organisation_id, *key, *values) for key, values in changed(sums)]
        if rows:
            await tx.add_many(table, ("organisation_id", *keys), SUMS, rows)
