"""Sums of more than a year of a big organisation, made inside the database: what statistics read, without any sessions."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from sqlalchemy import text

from bench.fill import ORGANISATION_ID, Size, add_chargers, add_locations, add_people, give_access, ids
from bench.fill_history import Day, months_of
from borne.core.statistics import EPOCH, SUMS, month_of
from borne.store import schema
from borne.store.db import Database

DAYS = 400
CHARGERS_A_LOCATION, CHARGERS_A_PERSON, GROUPS = 20, 5, 20
NUMBERS = "energy_wh, charging_ms, plugged_ms, cost_nanos, sessions"
INDEX = "charger_days_organisation_id_charger_id_day"
FOUND_BY_CHARGER = f"CREATE INDEX {INDEX} ON charger_days (organisation_id, charger_id, day)"
SUM_NAMES = ", ".join(SUMS)
SUMMED = ", ".join(f"sum({name})" for name in SUMS)

# Four chargers in five are used on a day, and seven people in ten: by remainders, the same everywhere.
CHARGERS_OF_DAY = f"""INSERT INTO charger_days (organisation_id, day, charger_id, location_id, {NUMBERS})
    SELECT {ORGANISATION_ID}, CAST(:day AS BIGINT), id, location_id, wh, wh * 400, wh * 900, wh * 250000, 1
    FROM (SELECT id, location_id, 2000 + (id * 7919 + CAST(:day AS BIGINT) * 104729) % 28000 AS wh FROM chargers
          WHERE organisation_id = {ORGANISATION_ID} AND (id * 31 + :day * 17) % 5 <> 0) AS used"""
PEOPLE_OF_DAY = f"""INSERT INTO person_days (organisation_id, day, person_id, location_id, {NUMBERS})
    SELECT {ORGANISATION_ID}, CAST(:day AS BIGINT), person_id, :first + (person_id * 13 + :day % 2) % :locations,
        wh, wh * 400, wh * 900, wh * 250000, 1
    FROM (SELECT person_id, 2000 + (person_id * 7919 + CAST(:day AS BIGINT) * 104729) % 28000 AS wh FROM memberships
          WHERE organisation_id = {ORGANISATION_ID} AND (person_id * 29 + :day * 11) % 10 < 7) AS charging"""
LOCATIONS_OF_DAY = f"""INSERT INTO location_days (organisation_id, day, location_id, {SUM_NAMES}, peak_wh)
    SELECT organisation_id, day, location_id, {SUMMED}, max(energy_wh) FROM charger_days
    WHERE organisation_id = {ORGANISATION_ID} AND day = :day GROUP BY organisation_id, day, location_id"""
HOURS_OF_MONTH = f"""INSERT INTO location_hours (organisation_id, location_id, month, hour, {NUMBERS})
    SELECT {ORGANISATION_ID}, l.id, CAST(:month AS BIGINT), h.id - :first, 900 * (h.id - :first), 5, 6, 7, 8
    FROM locations l CROSS JOIN (SELECT id FROM locations WHERE id >= :first AND id < :first + 168) h
    WHERE l.organisation_id = {ORGANISATION_ID}"""


async def statistics(db: Database, chargers: int, now_ms: int) -> str:
    """Chargers, people and places with their sums; gives in words how much it was."""
    chance = random.Random(3)
    locations, people = max(200, chargers // CHARGERS_A_LOCATION), chargers // CHARGERS_A_PERSON
    await add_locations(db, locations, now_ms)
    location_ids = await ids(db, schema.locations)
    await add_chargers(db, chance, chargers, location_ids, now_ms)
    await add_people(db, chance, people, now_ms)
    size = Size(groups=GROUPS, chargers_a_group=chargers // GROUPS, people_a_group=50)
    charger_ids, person_ids = await ids(db, schema.chargers), await ids(db, schema.memberships)
    await give_access(db, chance, size, location_ids, charger_ids, person_ids)
    last = datetime.now(UTC).date().toordinal() - EPOCH
    place = {"first": location_ids[-locations], "locations": locations}
    async with db.transaction() as tx:  # made at the end: its places are all over the table
        await tx.run(text(f"DROP INDEX {INDEX}"))
    for day in range(last - DAYS + 1, last + 1):
        async with db.transaction() as tx:
            await tx.run(text(CHARGERS_OF_DAY), {"day": day})
            await tx.run(text(PEOPLE_OF_DAY), {"day": day, **place})
            await tx.run(text(LOCATIONS_OF_DAY), {"day": day})
    for month in range(month_of(last - DAYS + 1), month_of(last) + 1):
        async with db.transaction() as tx:
            await tx.run(text(HOURS_OF_MONTH), {"month": month, "first": place["first"]})
    days = [Day(number) for number in range(last - DAYS + 1, last + 1)]
    async with db.transaction() as tx:
        for sql in months_of(days):
            await tx.run(text(sql))
        await tx.run(text(FOUND_BY_CHARGER))
    return f"{chargers:,} chargers at {locations} locations, {people:,} people, {DAYS} days"
