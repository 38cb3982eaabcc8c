"""The highest quarter of an hour of a location's days and months: the most energy of one slot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import BindParameter, Executable, Table, bindparam, func, select

from borne.core.statistics import first_day, month_of
from borne.store.db import Transaction
from borne.store.schema import location_days, location_months, location_slots

Peaks = dict[tuple[int, int], int]  # (location, day or month) -> Wh

_organisation_id: BindParameter[int] = bindparam("organisation_id")
_location_id: BindParameter[int] = bindparam("location_id")


def _noted(table: Table, column: str, value: str) -> Executable:
    """Location, `column` and `value` of some locations and some of `column`."""
    return select(table.c.location_id, table.c[column], table.c[value]).where(
        table.c.organisation_id == _organisation_id,
        table.c.location_id.in_(bindparam("location_ids", expanding=True)),
        table.c[column].in_(bindparam("numbers", expanding=True)),
    )


_slots = _noted(location_slots, "slot_ms", "energy_wh")
_days = _noted(location_days, "day", "peak_wh")
_months = _noted(location_months, "month", "peak_wh")
_peaks = select(  # of a day as it is now; of the day and of its month as they are noted
    select(func.max(location_slots.c.energy_wh))
    .where(
        location_slots.c.organisation_id == _organisation_id,
        location_slots.c.location_id == _location_id,
        location_slots.c.slot_ms >= bindparam("from_ms"),
        location_slots.c.slot_ms < bindparam("until_ms"),
    )
    .scalar_subquery()
    .label("now_wh"),
    select(location_days.c.peak_wh)
    .where(
        location_days.c.organisation_id == _organisation_id,
        location_days.c.location_id == _location_id,
        location_days.c.day == bindparam("day"),
    )
    .scalar_subquery()
    .label("day_wh"),
    select(location_months.c.peak_wh)
    .where(
        location_months.c.organisation_id == _organisation_id,
        location_months.c.location_id == _location_id,
        location_months.c.month == bindparam("month"),
    )
    .scalar_subquery()
    .label("month_wh"),
)
_highest_day = select(func.max(location_days.c.peak_wh)).where(
    location_days.c.organisation_id == _organisation_id,
    location_days.c.location_id == _location_id,
    location_days.c.day >= bindparam("from_day"),
    location_days.c.day < bindparam("until_day"),
)


async def rise(tx: Transaction, organisation_id: int, grown: Sequence[tuple[int, int, int]]) -> None:
    """Note what slots that grew are now, where nothing of their day or month was higher: (location, slot, its day)."""
    if not grown:
        return
    now = await _of(tx, _slots, organisation_id, {(location_id, slot_ms) for location_id, slot_ms, _ in grown})
    of_days = _highest(((location_id, day), now[location_id, slot_ms]) for location_id, slot_ms, day in grown)
    risen = await _note(tx, organisation_id, location_days, "day", _days, of_days)
    of_months = _highest(((location_id, month_of(day)), peak_wh) for (location_id, day), peak_wh in risen.items())
    await _note(tx, organisation_id, location_months, "month", _months, of_months)


def _highest(found: Iterable[tuple[tuple[int, int], int]]) -> Peaks:
    highest: Peaks = {}
    for key, peak_wh in found:
        highest[key] = max(highest.get(key, 0), peak_wh)
    return highest


async def _of(tx: Transaction, statement: Executable, organisation_id: int, keys: Collection[tuple[int, int]]) -> Peaks:
    location_ids, numbers = (sorted(set(some)) for some in zip(*keys, strict=True))
    wanted = {"organisation_id": organisation_id, "location_ids": location_ids, "numbers": numbers}
    return {(row[0], row[1]): row[2] for row in await tx.all(statement, wanted)}


async def _note(
    tx: Transaction, organisation_id: int, table: Table, column: str, statement: Executable, peaks: Peaks
) -> Peaks:
    """Write those that are higher than what is there. Returns them."""
    if not peaks:
        return {}
    before = await _of(tx, statement, organisation_id, peaks)
    higher = {key: peak_wh for key, peak_wh in sorted(peaks.items()) if peak_wh > before.get(key, 0)}
    rows = [(*key, organisation_id, peak_wh) for key, peak_wh in higher.items()]
    await tx.update_many(table, ("location_id", column, "organisation_id"), ("peak_wh",), rows)
    return higher


async def find(tx: Transaction, organisation_id: int, location_id: int, day: int, from_ms: int, until_ms: int) -> None:
    """Find a day's highest slot anew, and so its month's; the day lies between these instants."""
    month, place = month_of(day), {"organisation_id": organisation_id, "location_id": location_id}
    found = await tx.first(_peaks, {**place, "from_ms": from_ms, "until_ms": until_ms, "day": day, "month": month})
    assert found is not None
    peak_wh, before_wh, highest_wh = found.now_wh or 0, found.day_wh or 0, found.month_wh or 0
    if peak_wh == before_wh:
        return
    row = (location_id, day, organisation_id, peak_wh)
    await tx.update_many(location_days, ("location_id", "day", "organisation_id"), ("peak_wh",), [row])
    if peak_wh < highest_wh:
        if before_wh < highest_wh:
            return
        days = {"from_day": first_day(month), "until_day": first_day(month + 1)}
        peak_wh = await tx.value(_highest_day, {**place, **days}) or 0
    row = (location_id, month, organisation_id, peak_wh)
    await tx.update_many(location_months, ("location_id", "month", "organisation_id"), ("peak_wh",), [row])
