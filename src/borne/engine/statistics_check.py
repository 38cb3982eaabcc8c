"""Whether the sums that statistics read are those of the sessions: what `borne admin verify-statistics` does.

In bounded memory, however many sessions there are: since sums are linear, the numbers of each row, multiplied by a number made
of its key, are added up in some thousand buckets, once of what sessions say and once of what the tables hold. Only what is in a
bucket whose sums differ is looked at row by row. Chargers may go on meanwhile: what differs is looked at twice, and told
where it differs by the same. Months are compared with their days by the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Protocol

import msgspec
from msgspec.structs import replace

from borne.core.metering_slots import SLOT_MS
from borne.core.statistics import EPOCH, NOT_COUNTED, SUMS, Changes, Counted, PricedSlot, first_day, month_of
from borne.engine.metering_whole import zone_of
from borne.store import metering
from borne.store import statistics_check as store
from borne.store.db import Reader, Row

PAGE = 500
CLASSES = 64  # of keys, in each month of each table
BUCKETS_AT_ONCE = 100  # looked at row by row
TOLD_MOST = 50
DAY_MS = 86_400_000
NEVER = -(2**62)
Key = tuple[int, ...]
Bucket = tuple[str, int, int]  # table, month, class of the key


class Difference(msgspec.Struct, frozen=True):
    """A row of sums that is not what it should be: by how much each number is too high."""

    table: str
    key: dict[str, int]
    above: dict[str, int]
    beside: str  # what it was compared with

    def __str__(self) -> str:
        where = ", ".join(_word(name, value) for name, value in self.key.items())
        what = ", ".join(f"{name} {'+' if value > 0 else '−'}{abs(value)}" for name, value in self.above.items())
        return f"{self.table} ({where}): {what} beside its {self.beside}"


class Checked(msgspec.Struct, frozen=True):
    """`closed_day`: until then sessions have no slots any more, so that their sums cannot be compared; None: they all have."""

    sessions: int
    slots: int
    closed_day: int | None
    differences: tuple[Difference, ...]


class _Adder(Protocol):
    def __call__(self, table: str, key: Key, values: Iterable[int], sign: int) -> None: ...


async def check(db: Reader, organisation_id: int, closed_until_ms: int = NEVER, days_since: int = NEVER) -> Checked:
    """Compare all sums of an organisation. Slots from before `closed_until_ms`, and sums of days from before `days_since`, may
    have been thrown away by their age."""
    walk = _Walk(db, organisation_id, closed_until_ms // DAY_MS)
    wrong = await _weighed(walk)
    counts, found = (walk.sessions, walk.slots), await _months(db, organisation_id, days_since)
    for start in range(0, len(wrong), BUCKETS_AT_ONCE):
        if len(found) < TOLD_MOST:
            found += await _looked_at(walk, set(wrong[start : start + BUCKETS_AT_ONCE]))
    closed_day = None if walk.closed_day <= NEVER // DAY_MS else walk.closed_day
    return Checked(*counts, closed_day, tuple(found[:TOLD_MOST]))


async def _weighed(walk: _Walk) -> list[Bucket]:
    """The buckets in which sums and sessions differ, the oldest first."""
    buckets: dict[Bucket, list[int]] = {}

    def weigh(table: str, key: Key, values: Iterable[int], sign: int) -> None:
        kept = buckets.setdefault(_bucket(table, key), [0] * len(SUMS))
        weight = sign * _weight(key)
        for index, value in enumerate(values):
            kept[index] += weight * value

    while await walk.walk(weigh):  # again, when older sessions turned out to have no slots
        buckets.clear()
    return sorted((bucket for bucket, sums in buckets.items() if any(sums)), key=lambda bucket: bucket[1])


async def _looked_at(walk: _Walk, buckets: set[Bucket]) -> list[Difference]:
    """The rows of these buckets that differ, twice by the same."""
    first = await _exactly(walk, buckets)
    again = await _exactly(walk, buckets) if first else {}
    return [
        Difference(table, dict(zip(store.names_of(table), key, strict=True)), _named(sums), "sessions")
        for (table, key), sums in sorted(first.items())
        if again.get((table, key)) == sums
    ]


async def _exactly(walk: _Walk, buckets: set[Bucket]) -> dict[tuple[str, Key], list[int]]:
    rows: dict[tuple[str, Key], list[int]] = {}

    def take(table: str, key: Key, values: Iterable[int], sign: int) -> None:
        if _bucket(table, key) in buckets:
            kept = rows.setdefault((table, key), [0] * len(SUMS))
            for index, value in enumerate(values):
                kept[index] += sign * value

    await walk.walk(take)
    return {one: sums for one, sums in rows.items() if any(sums)}


async def _months(db: Reader, organisation_id: int, days_since: int) -> list[Difference]:
    """Months that are not the sums of their days, and are so when they are asked again."""
    found: list[Difference] = []
    for month in await store.months(db, organisation_id):
        days = first_day(month), first_day(month + 1)
        if days[0] < days_since:
            continue
        asked = [await store.months_apart(db, organisation_id, month, *days, TOLD_MOST) for _ in range(2)]
        for table, key, above in asked[0]:
            if (table, key, above) in asked[1]:
                beside = "locations" if table == "organisation_hours" else "days"
                found.append(Difference(table, {"month": month, **key}, above, beside))
    return found


# ---- what sessions say, and what tables hold ------------------------------------------------------------------------------


class _Walk:
    """Walks through the sums of an organisation and through its sessions."""

    def __init__(self, db: Reader, organisation_id: int, closed_day: int) -> None:
        self._db = db
        self._organisation_id = organisation_id
        self.closed_day = closed_day
        self.sessions = 0
        self.slots = 0

    async def walk(self, add: _Adder) -> bool:
        """Give every row of sums to `add`, and with sign -1 what each session adds to it; what is closed is left out.

        True when more is closed than was known: then rows were given that sessions cannot say any more.
        """
        for table in store.tables():
            async for page in store.sums_of(self._db, self._organisation_id, table):
                for one in page:
                    if _is_after(one.table, one.key, self.closed_day):
                        add(one.table, one.key, one.values, 1)
        after_id, closed_day, self.sessions, self.slots = 0, self.closed_day, 0, 0
        while rows := await store.sessions_after(self._db, self._organisation_id, after_id, PAGE):
            after_id = rows[-1].id
            slots = await metering.slots(self._db, [row.id for row in rows])
            changes = Changes()
            for row in rows:
                mine = slots.get(row.id, ())
                if not _is_whole(row, mine):
                    closed_day = max(closed_day, (row.over_ms or row.begun_ms or NEVER) // DAY_MS)
                self._count(changes, row, mine)
            for table in store.tables():
                for key, values in getattr(changes, table.name).items():
                    if _is_after(table.name, key, self.closed_day):
                        add(table.name, key, values, -1)
        is_more, self.closed_day = closed_day > self.closed_day, closed_day
        return is_more

    def _count(self, changes: Changes, row: Row, slots: tuple[PricedSlot, ...]) -> None:
        self.sessions += 1
        self.slots += len(slots)
        is_whole = _is_whole(row, slots)
        after = Counted(row.measured_person_id, slots, is_whole and row.energy_wh is None)
        before = NOT_COUNTED
        if not is_whole and slots:  # energy that came when the others were gone: the session was counted where it began
            nothing = replace(slots[0], energy_wh=0, charging_ms=0, plugged_ms=0, solar_wh=0)
            before = Counted(row.measured_person_id, (nothing,), is_unknown=False)
        changes.take(before, after, location_id=row.location_id, charger_id=row.charger_id, zone=zone_of(row.zone))


def _is_whole(row: Row, slots: tuple[PricedSlot, ...]) -> bool:
    """Whether a session has all its slots still."""
    return bool(slots) and slots[0].slot_ms <= (row.begun_ms or 0) // SLOT_MS * SLOT_MS


def _month(table: str, key: Key) -> int:
    if table == "location_hours":
        return key[1]
    return month_of(key[-1] // DAY_MS if table == "location_slots" else key[-1])


def _bucket(table: str, key: Key) -> Bucket:
    return table, _month(table, key), hash(key) % CLASSES


def _weight(key: Key) -> int:
    """A number that two keys hardly share."""
    return hash((key, 1)) | 1


def _is_after(table: str, key: Key, closed_day: int) -> bool:
    """Whether a row lies after the day until which sessions are closed, wherever on earth."""
    if table == "location_hours":
        return first_day(key[1]) > closed_day + 1
    return (key[-1] // DAY_MS if table == "location_slots" else key[-1]) > closed_day + 1


# ---- in words ------------------------------------------------------------------------------------------------------------


def _named(sums: list[int]) -> dict[str, int]:
    return {name: value for name, value in zip(SUMS, sums, strict=True) if value}


def _word(name: str, value: int) -> str:
    if name == "day":
        return day_text(value)
    if name == "month":
        return day_text(first_day(value))[:7]
    return f"{name.removesuffix('_id')} {value}"


def day_text(day: int) -> str:
    return date.fromordinal(day + EPOCH).isoformat()
