"""A past of measured sessions with all their sums and readings, made by the database itself: millions of rows in minutes.

Sessions follow from the numbers of charger and day, so that a past is always the same. Everything else is selected from them:
slots from sessions, sums from slots, as engine.metering would have written them; readings lie inside their sessions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text

from bench.fill import ORGANISATION_ID, Size, add_chargers, add_locations, add_people, give_access, ids
from borne.core.statistics import EPOCH, SUMS, day_start_ms, local
from borne.store import partitions, schema
from borne.store.db import Database

DAYS = 365
READING_DAYS = 90  # as long as readings are kept by default
ZONE = ZoneInfo("Europe/Paris")
SLOT_MS = 900_000
# Slots of a day in which sessions begin, and how many they last: none crosses midnight, nor a change of the clocks.
FIRST_SLOT, FIRST_SLOTS, LEAST_SLOTS, MORE_SLOTS = 20, 48, 4, 20
PRICE_MICROS = 250_000
ANALYSED = (2, 20, 150)  # days after which the database looks how much there is, as it does by itself over a year
CHARGERS_A_LOCATION, PEOPLE_A_CHARGER = 20, 2
SUM_NAMES = ", ".join(SUMS)
ADDED = ", ".join(f"sum({name})" for name in SUMS)
MINE = f"organisation_id = {ORGANISATION_ID}"


@dataclass(frozen=True)
class Past:
    """How much: chargers with a session each `every` days, and readings of the last 90 days in all."""

    chargers: int
    every: int
    readings: int


@dataclass(frozen=True)
class Day:
    """A day of the location's zone, since 1970-01-01."""

    number: int

    @property
    def from_ms(self) -> int:
        return day_start_ms(self.number, ZONE)

    @property
    def until_ms(self) -> int:
        return day_start_ms(self.number + 1, ZONE)


class Writer:
    """Makes rows out of rows, a statement a transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def run(self, sql: str) -> int:
        async with self._db.transaction() as tx:
            return await tx.run(text(sql))

    async def last_id(self) -> int:
        return int(await self._db.value(text("SELECT max(id) FROM sessions")) or 0)


async def history(db: Database, past: Past, now_ms: int) -> str:
    """Chargers with their people and a year; gives in words how much it was."""
    chance = random.Random(2)
    locations = max(4, past.chargers // CHARGERS_A_LOCATION)
    await add_locations(db, locations, now_ms)
    location_ids = await ids(db, schema.locations)
    await add_chargers(db, chance, past.chargers, location_ids, now_ms)
    charger_ids = (await ids(db, schema.chargers))[-past.chargers :]
    await add_people(db, chance, past.chargers * PEOPLE_A_CHARGER, now_ms)
    person_ids = (await ids(db, schema.memberships))[-past.chargers * PEOPLE_A_CHARGER :]
    size = Size(groups=10, chargers_a_group=past.chargers // 10, people_a_group=50)
    await give_access(db, chance, size, location_ids, charger_ids, person_ids)
    writer = Writer(db)
    yesterday = datetime.now(UTC).date().toordinal() - EPOCH - 1
    days = [Day(number) for number in range(yesterday - DAYS + 1, yesterday + 1)]
    await make_partitions(db, days[-READING_DAYS].from_ms, now_ms)
    messages = past.readings * past.every // (past.chargers * READING_DAYS * 2)  # of a session; two readings each
    counts = {"sessions": 0, "slots": 0, "readings": 0}
    for number, day in enumerate(days):
        if db.dialect == "postgresql" and number in ANALYSED:
            await writer.run("ANALYZE")
        first_id = await writer.last_id() + 1
        counts["sessions"] += await writer.run(sessions_of(day, charger_ids[0], person_ids, past.every))
        counts["slots"] += await writer.run(slots_of(first_id))
        for sql in sums_of(day, first_id):
            await writer.run(sql)
        if messages and day.number > yesterday - READING_DAYS:
            counts["readings"] += await writer.run(readings_of(first_id, messages))
    for sql in months_of(days):
        await writer.run(sql)
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"{past.chargers:,} chargers at {len(location_ids):,} locations, {told}"


async def make_partitions(db: Database, from_ms: int, until_ms: int) -> None:
    """Those that readings of the past belong to."""
    if db.dialect == "postgresql":
        known = await partitions.of(db, schema.readings)
        for start_ms in partitions.missing(schema.readings, known, from_ms, until_ms):
            async with db.transaction() as tx:
                await partitions.make(tx, schema.readings, start_ms)


def counted(most: int) -> str:
    """The numbers from nought, as a table `n`."""
    return f"WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {most - 1})"


def sessions_of(day: Day, first_charger_id: int, person_ids: list[int], every: int) -> str:
    """A session of each charger whose turn it is."""
    number = day.number
    return f"""
        INSERT INTO sessions (charger_id, organisation_id, location_id, evse, connector, "transaction", start_key, tag, person_id,
            started_ms, meter_start_wh, ended_ms, meter_stop_wh, end_reason, dirty, measured, measured_person_id, zone, begun_ms,
            over_ms, energy_wh, charging_ms, peak_w, cost_nanos, currency)
        SELECT id, {ORGANISATION_ID}, location_id, 1, 1, word, word, '04AB', person_id,
            begun_ms, 0, begun_ms + slots * {SLOT_MS}, wh * (slots - 1), 'Local', 0, 1, person_id, '{ZONE.key}', begun_ms,
            begun_ms + slots * {SLOT_MS}, wh * (slots - 1), (slots - 1) * {SLOT_MS}, wh * 4, wh * (slots - 1) * {PRICE_MICROS},
            'EUR'
        FROM (
            SELECT id, location_id, 'h{number}-' || id AS word,
                {person_ids[0]} + (id * 31 + {number * 7}) % {len(person_ids)} AS person_id,
                {day.from_ms} + ({FIRST_SLOT} + (id * 37 + {number * 53}) % {FIRST_SLOTS}) * {SLOT_MS} AS begun_ms,
                {LEAST_SLOTS} + (id * 17 + {number * 29}) % {MORE_SLOTS} AS slots,
                300 + (id * 101 + {number * 211}) % 2400 AS wh
            FROM chargers WHERE {MINE} AND id >= {first_charger_id} AND (id + {number}) % {every} = 0
        ) AS turn
    """


def slots_of(first_id: int) -> str:
    """The quarters of an hour of the sessions from `first_id` on; in the last one the car stands idle."""
    is_last = f"s.begun_ms + (n.n + 1) * {SLOT_MS} = s.over_ms"
    each = f"s.energy_wh / ((s.over_ms - s.begun_ms) / {SLOT_MS} - 1)"
    return f"""
        INSERT INTO session_slots (session_id, slot_ms, organisation_id, energy_wh, charging_ms, plugged_ms, peak_w, price_micros)
        {counted(LEAST_SLOTS + MORE_SLOTS)}
        SELECT s.id, s.begun_ms + n.n * {SLOT_MS}, s.organisation_id, CASE WHEN {is_last} THEN 0 ELSE {each} END,
            CASE WHEN {is_last} THEN 0 ELSE {SLOT_MS} END, {SLOT_MS}, CASE WHEN {is_last} THEN 0 ELSE s.peak_w END,
            {PRICE_MICROS}
        FROM sessions s JOIN n ON s.begun_ms + n.n * {SLOT_MS} < s.over_ms
        WHERE s.id >= {first_id} ORDER BY s.id, n.n
    """


def sums_of(day: Day, first_id: int) -> Iterator[str]:
    """What the sessions of a day add up to."""
    yield f"""
        INSERT INTO location_slots (organisation_id, location_id, slot_ms, {SUM_NAMES})
        SELECT {ORGANISATION_ID}, s.location_id, k.slot_ms, sum(k.energy_wh), sum(k.charging_ms), sum(k.plugged_ms),
            sum(k.energy_wh * k.price_micros), 0, sum(CASE WHEN k.slot_ms = s.begun_ms THEN 1 ELSE 0 END), 0, 0
        FROM session_slots k JOIN sessions s ON s.id = k.session_id
        WHERE k.session_id >= {first_id} GROUP BY s.location_id, k.slot_ms
    """
    of_day = f"{MINE} AND slot_ms >= {day.from_ms} AND slot_ms < {day.until_ms}"
    yield f"""
        INSERT INTO location_days (organisation_id, location_id, day, {SUM_NAMES}, peak_wh)
        SELECT {ORGANISATION_ID}, location_id, {day.number}, {ADDED}, max(energy_wh) FROM location_slots
        WHERE {of_day} GROUP BY location_id
    """
    for table, key in (("charger_days", "charger_id"), ("person_days", "person_id")):
        yield f"""
            INSERT INTO {table} (organisation_id, {key}, location_id, day, {SUM_NAMES})
            SELECT {ORGANISATION_ID}, {key}, location_id, {day.number}, sum(energy_wh), sum(charging_ms), sum(over_ms - begun_ms),
                sum(cost_nanos), 0, count(*), 0, 0
            FROM sessions WHERE id >= {first_id} GROUP BY {key}, location_id
        """
    begins = local(day.from_ms + FIRST_SLOT * SLOT_MS, ZONE)
    hour = f"{begins.hour - FIRST_SLOT // 4} + (slot_ms - {day.from_ms}) / 3600000"
    more = ", ".join(f"{name} = location_hours.{name} + excluded.{name}" for name in SUMS)
    yield f"""
        INSERT INTO location_hours (organisation_id, location_id, month, hour, {SUM_NAMES})
        SELECT {ORGANISATION_ID}, location_id, {begins.month}, {hour}, {ADDED} FROM location_slots
        WHERE {of_day} GROUP BY location_id, {hour}
        ON CONFLICT (organisation_id, location_id, month, hour) DO UPDATE SET {more}
    """


def months_of(days: list[Day]) -> Iterator[str]:
    """Months are their days added up."""
    by_month: dict[int, list[int]] = {}
    for day in days:
        by_month.setdefault(local(day.from_ms, ZONE).month, []).append(day.number)
    for month, numbers in by_month.items():
        for kind, keys, peak in (
            ("location", "location_id", ", peak_wh"), ("charger", "charger_id, location_id", ""),
            ("person", "person_id, location_id", ""),
        ):  # fmt: skip
            yield f"""
                INSERT INTO {kind}_months (organisation_id, month, {keys}, {SUM_NAMES}{peak})
                SELECT {ORGANISATION_ID}, {month}, {keys}, {ADDED}{peak and ", max(peak_wh)"} FROM {kind}_days
                WHERE {MINE} AND day BETWEEN {numbers[0]} AND {numbers[-1]} GROUP BY {keys}
            """
    yield f"""
        INSERT INTO organisation_hours (organisation_id, month, hour, {SUM_NAMES})
        SELECT {ORGANISATION_ID}, month, hour, {ADDED} FROM location_hours WHERE {MINE} GROUP BY month, hour
    """


def readings_of(first_id: int, messages: int) -> str:
    """What the chargers said in their sessions, in order of receipt: the register and the power, `messages` times each."""
    at_ms = f"s.begun_ms + n.n * ((s.over_ms - s.begun_ms) / {messages}) + s.charger_id % 1000"
    return f"""
        INSERT INTO readings (received_ms, charger_id, idx, evse, connector, "transaction", quantity, value, device_ms)
        {counted(messages)}
        SELECT {at_ms}, s.charger_id, q.idx, 1, 1, s."transaction", q.quantity,
            CASE q.idx WHEN 0 THEN s.energy_wh * n.n / {messages} ELSE s.peak_w END, {at_ms}
        FROM sessions s CROSS JOIN n
            CROSS JOIN (SELECT 0 AS idx, 'energy_import_wh' AS quantity UNION ALL SELECT 1, 'power_import_w') AS q
        WHERE s.id >= {first_id} ORDER BY 1, 2, 3
    """


def small(chargers: int) -> Past:
    """A session a day; readings only so many that the file is not small."""
    return Past(chargers, 1, chargers * 500)


def large(readings: int) -> Past:
    """5,000 readings a charger, a session every other day."""
    return Past(max(20, readings // 5_000), 2, readings)
