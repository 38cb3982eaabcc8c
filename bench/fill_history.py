"""A year of measured sessions with all their sums, written as engine.metering would have: the sums are those of the sessions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bench.fill import (
    DAY_MS,
    ORGANISATION_ID,
    Size,
    add_chargers,
    add_locations,
    add_people,
    give_access,
    ids,
    insert,
)
from borne.core.statistics import EPOCH, SUMS, day_start_ms, local
from borne.store import schema
from borne.store.db import Database

DAYS = 365
ZONE = ZoneInfo("Europe/Paris")
SLOT_MS = 900_000
FIRST_SLOT, LAST_SLOT = 20, 92  # of a day: no session crosses midnight, which would add nothing to what is measured
PRICE_MICROS = 250_000
READINGS_A_CHARGER = 500  # nothing that is measured reads them; they make the file large
CHARGERS_A_LOCATION, PEOPLE_A_CHARGER = 20, 2
SUM_NAMES = " ".join(SUMS)
Sums = dict[tuple[int, ...], list[int]]


@dataclass(frozen=True)
class Session:
    """One session: `slots` quarters of an hour from `first` of a day, `slot_wh` in each; it stands idle in the last."""

    id: int
    charger_id: int
    location_id: int
    person_id: int
    first: int
    slots: int
    slot_wh: int

    @property
    def energy_wh(self) -> int:
        return self.slot_wh * (self.slots - 1)

    def sums(self) -> list[int]:
        """What it adds to sums, in the order of SUMS."""
        charging_ms = SLOT_MS * (self.slots - 1)
        return [self.energy_wh, charging_ms, SLOT_MS * self.slots, self.energy_wh * PRICE_MICROS, 0, 1, 0, 0]


async def history(db: Database, chargers: int, now_ms: int) -> str:
    """Chargers with their people and a year; gives in words how much it was."""
    chance = random.Random(2)
    locations = max(4, chargers // CHARGERS_A_LOCATION)
    await add_locations(db, locations, now_ms)
    location_ids = await ids(db, schema.locations)
    await add_chargers(db, chance, chargers, location_ids, now_ms)
    charger_ids = (await ids(db, schema.chargers))[-chargers:]
    await add_people(db, chance, chargers * PEOPLE_A_CHARGER, now_ms)
    person_ids = await ids(db, schema.memberships)
    size = Size(groups=10, chargers_a_group=chargers // 10, people_a_group=50)
    await give_access(db, chance, size, location_ids, charger_ids, person_ids)
    places = [(one, location_ids[n % len(location_ids)]) for n, one in enumerate(charger_ids)]
    hours: Sums = {}
    last, count, slots = datetime.now(UTC).date().toordinal() - EPOCH, 0, 0
    for day in range(last - DAYS + 1, last + 1):
        sessions = list(day_of(chance, count + 1, places, person_ids))
        slots += await write_day(db, day, sessions, hours)
        count += len(sessions)
    rows = ((ORGANISATION_ID, *key, *values) for key, values in sorted(hours.items()))
    await insert(db, schema.location_hours, f"organisation_id location_id month hour {SUM_NAMES}", rows)
    await insert(db, schema.readings, READING_COLUMNS, readings(chance, charger_ids, now_ms))
    of_readings = len(charger_ids) * READINGS_A_CHARGER
    return f"{chargers:,} chargers, {count:,} sessions in {slots:,} slots, {of_readings:,} readings"


def day_of(
    chance: random.Random, first_id: int, places: list[tuple[int, int]], person_ids: list[int]
) -> Iterator[Session]:
    """A session a charger."""
    for number, (charger_id, location_id) in enumerate(places):
        first, slots = chance.randrange(FIRST_SLOT, LAST_SLOT - 24), chance.randrange(4, 24)
        person_id = person_ids[chance.randrange(len(person_ids))]
        yield Session(first_id + number, charger_id, location_id, person_id, first, slots, chance.randrange(300, 2_700))


SESSION_COLUMNS = """id charger_id organisation_id location_id evse connector transaction start_key tag person_id started_ms
    meter_start_wh ended_ms meter_stop_wh end_reason dirty measured measured_person_id zone begun_ms over_ms energy_wh
    charging_ms peak_w cost_nanos currency"""
SLOT_COLUMNS = "session_id slot_ms organisation_id energy_wh charging_ms plugged_ms peak_w price_micros"
READING_COLUMNS = "received_ms charger_id idx evse connector quantity value"


async def write_day(db: Database, day: int, sessions: list[Session], hours: Sums) -> int:
    """All rows of a day; `hours` collects what belongs to months. Gives how many slots its sessions have."""
    start_ms = day_start_ms(day, ZONE)
    tables: dict[str, Sums] = {"locations": {}, "chargers": {}, "people": {}, "slots": {}}
    months = [local(start_ms + n * SLOT_MS, ZONE) for n in range(LAST_SLOT + 1)]
    slot_rows: list[tuple[object, ...]] = []
    for one in sessions:
        add(tables["locations"], (one.location_id, day), one.sums())
        add(tables["chargers"], (one.charger_id, one.location_id, day), one.sums())
        add(tables["people"], (one.person_id, one.location_id, day), one.sums())
        for n in range(one.slots):
            wh, charging_ms = (one.slot_wh, SLOT_MS) if n < one.slots - 1 else (0, 0)
            slot_ms, when = start_ms + (one.first + n) * SLOT_MS, months[one.first + n]
            values = [wh, charging_ms, SLOT_MS, wh * PRICE_MICROS, 0, int(n == 0), 0, 0]
            add(tables["slots"], (one.location_id, slot_ms), values)
            add(hours, (one.location_id, when.month, when.hour), values)
            slot_rows.append((one.id, slot_ms, ORGANISATION_ID, wh, charging_ms, SLOT_MS, wh * 4, PRICE_MICROS))
    await insert(db, schema.sessions, SESSION_COLUMNS, (session_row(one, start_ms) for one in sessions))
    await insert(db, schema.session_slots, SLOT_COLUMNS, slot_rows)
    await write_sums(db, tables)
    return len(slot_rows)


async def write_sums(db: Database, tables: dict[str, Sums]) -> None:
    peaks: dict[int, int] = {}
    for (location_id, _), values in tables["slots"].items():
        peaks[location_id] = max(peaks.get(location_id, 0), values[0])
    for table, key, name in (
        (schema.location_slots, "location_id slot_ms", "slots"),
        (schema.charger_days, "charger_id location_id day", "chargers"),
        (schema.person_days, "person_id location_id day", "people"),
    ):
        rows = ((ORGANISATION_ID, *keys, *values) for keys, values in sorted(tables[name].items()))
        await insert(db, table, f"organisation_id {key} {SUM_NAMES}", rows)
    days = ((ORGANISATION_ID, *keys, *values, peaks[keys[0]]) for keys, values in sorted(tables["locations"].items()))
    await insert(db, schema.location_days, f"organisation_id location_id day {SUM_NAMES} peak_wh", days)


def add(sums: Sums, key: tuple[int, ...], values: list[int]) -> None:
    kept = sums.get(key)
    sums[key] = values if kept is None else [a + b for a, b in zip(kept, values, strict=True)]


def session_row(one: Session, start_ms: int) -> tuple[Any, ...]:
    begun_ms = start_ms + one.first * SLOT_MS
    over_ms, word = begun_ms + one.slots * SLOT_MS, str(one.id)
    charging_ms, cost_nanos = SLOT_MS * (one.slots - 1), one.energy_wh * PRICE_MICROS
    return (
        one.id, one.charger_id, ORGANISATION_ID, one.location_id, 1, 1, word, word, "04AB", one.person_id, begun_ms,
        0, over_ms, one.energy_wh, "Local", 0, 1, one.person_id, ZONE.key, begun_ms, over_ms, one.energy_wh,
        charging_ms, one.slot_wh * 4, cost_nanos, "EUR",
    )  # fmt: skip


def readings(chance: random.Random, charger_ids: list[int], now_ms: int) -> Iterator[tuple[object, ...]]:
    """Of all chargers in turn, in the order of receipt, up to an hour ago."""
    step_ms = DAYS * DAY_MS // READINGS_A_CHARGER
    for number in range(READINGS_A_CHARGER):
        received_ms = now_ms - 3_600_000 - (READINGS_A_CHARGER - number) * step_ms
        wh = number * 250
        for charger_id in charger_ids:
            yield received_ms, charger_id, 0, 1, 1, "energy_import_wh", wh + charger_id
