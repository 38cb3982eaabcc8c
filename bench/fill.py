"""Fill the database of a running benchmark with what years would bring: `python -m bench.fill WHAT URL DATA_FOLDER SIZE`.

WHAT is `organisation` (people, locations, chargers, groups, tags, an audit log, sessions; SIZE is a share of the numbers below),
`history` (a year of measured sessions with their sums, and raw readings; SIZE is how many chargers), `energy` (the same; SIZE is
how many readings) or `sessions` (people, locations, chargers and so many sessions; nothing else). This writes by the server's own
tables; what is measured afterwards is asked from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Table, select, text, update

from borne.core.actor import Actor
from borne.engine.audit import About, Audit, committed, texts_of
from borne.engine.clock import Clock
from borne.store import audit as audit_store
from borne.store import schema
from borne.store.charger_list import search_text
from borne.store.db import Database, Transaction, create_database
from borne.store.keys import key_from

ORGANISATION_ID = 1
BATCH = 20_000
DAY_MS = 86_400_000
TOWNS = ("Lyon", "Nantes", "Brest", "Lille", "Rennes", "Nice", "Metz", "Dijon", "Angers", "Tours")
FIRST_NAMES = (
    "Camille",
    "Louis",
    "Jade",
    "Gabriel",
    "Alice",
    "Raphaël",
    "Emma",
    "Arthur",
    "Chloé",
    "Hugo",
    "Léa",
    "Zoé",
)
LAST_NAMES = (
    "Martin",
    "Bernard",
    "Dubois",
    "Moreau",
    "Lefèvre",
    "Garcia",
    "Roux",
    "Fournier",
    "Girard",
    "Mercier",
    "Dupont",
)
ACTIONS = ("charger.changed", "location.changed", "person.changed", "tag.changed", "restart.requested", "login.started")
STATUSES = {"ready": 60, "charging": 20, "offline": 12, "fault": 3, "never": 5}
STATE = '{"connectors":[[1,1,"available",1700000000000,null,null,null]]}'


@dataclass(frozen=True)
class Size:
    """How many of each."""

    people: int = 10_000
    locations: int = 500
    chargers: int = 100_000
    groups: int = 100
    chargers_a_group: int = 200
    people_a_group: int = 100
    tags: int = 20_000
    audit_rows: int = 20_000
    sessions: int = 100_000
    notices: int = 2_000

    def times(self, share: float) -> Size:
        """The same, smaller; at least one of each."""
        few = {field.name: max(1, int(getattr(self, field.name) * share)) for field in fields(self)}
        return replace(self, **few)


async def insert(db: Database, table: Table, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Insert many rows, some thousand a transaction. `columns`: their names with blanks between."""
    names = tuple(columns.split())
    for some in in_parts(rows):
        async with db.transaction() as tx:
            await tx.insert_many(table, names, some)


def in_parts(rows: Iterable[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    """The rows, `BATCH` at a time."""
    part: list[tuple[object, ...]] = []
    for row in rows:
        part.append(row)
        if len(part) == BATCH:
            yield part
            part = []
    if part:
        yield part


async def ids(db: Database, table: Table) -> list[int]:
    """The ids of a table of the only organisation there is."""
    key = table.c.person_id if table is schema.memberships else table.c.id
    found = select(key).where(table.c.organisation_id == ORGANISATION_ID).order_by(key)
    return [row[0] for row in await db.all(found)]


# ---- an organisation -----------------------------------------------------------------------------------------------------


async def organisation(db: Database, folder: Path, size: Size) -> None:
    """Fill the organisation that is there. Its people who are there already keep their roles; admins get three locations."""
    chance, now_ms = random.Random(1), int(time.time() * 1_000)
    await add_locations(db, size.locations, now_ms)
    location_ids = await ids(db, schema.locations)
    await add_chargers(db, chance, size.chargers, location_ids, now_ms)
    charger_ids = await ids(db, schema.chargers)
    await add_people(db, chance, size.people, now_ms)
    person_ids = await ids(db, schema.memberships)
    await give_access(db, chance, size, location_ids, charger_ids, person_ids)
    numbers = chance.sample(range(16**8), size.tags)
    rows = ((ORGANISATION_ID, f"04{n:010x}", f"Badge {n % 1_000}", chance.choice(person_ids) if n % 5 else None, int(n % 50 == 0))
            for n in numbers)  # fmt: skip
    await insert(db, schema.tags, "organisation_id tag name person_id blocked", rows)
    await add_audit(db, chance, folder, size.audit_rows, person_ids, charger_ids)
    await add_sessions(db, chance, size.sessions, charger_ids, location_ids, person_ids, now_ms)
    await add_notices(db, chance, size.notices, charger_ids, location_ids, now_ms)
    await add_plan_days(db, size.chargers)


async def add_locations(db: Database, count: int, now_ms: int) -> None:
    rows = (
        (ORGANISATION_ID, f"{TOWNS[n % len(TOWNS)]}, site {n}", f"{n} rue de la Gare", "Europe/Paris", now_ms)
        for n in range(count)
    )
    await insert(db, schema.locations, "organisation_id name address time_zone created_ms", rows)


async def add_chargers(db: Database, chance: random.Random, count: int, location_ids: list[int], now_ms: int) -> None:
    states, weights = list(STATUSES), list(STATUSES.values())

    def row(n: int) -> tuple[object, ...]:
        name, serial = f"{chance.choice(('Cour', 'Quai', 'Parking', 'Toit'))} {n}", str(100_000 + n)
        status = chance.choices(states, weights)[0]
        search, seen_ms = search_text(name, serial, "Pulsar Plus", f"fill-{n:06d}"), now_ms - chance.randrange(DAY_MS)
        return (
            ORGANISATION_ID, location_ids[n % len(location_ids)], name, serial, "pulsar-plus", f"fill-{n:06d}", now_ms, now_ms,
            search, STATE, status, int(status == "fault"), int(status in {"ready", "charging"}),
            None if status == "never" else seen_ms,
        )  # fmt: skip

    columns = """organisation_id location_id name serial model identity created_ms changed_ms search state status attention
                 online last_seen_ms"""
    await insert(db, schema.chargers, columns, (row(n) for n in range(count)))


async def add_people(db: Database, chance: random.Random, count: int, now_ms: int) -> None:
    """Most are drivers; one in fifty an operator, one in two hundred an admin."""
    first_id = 1 + max(row.id for row in await db.all(select(schema.people.c.id)))
    named = [
        (first_id + n, f"p{n}@example.test", f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)} {n}")
        for n in range(count)
    ]
    await insert(db, schema.people, "id email name created_ms", ((*one, now_ms) for one in named))
    rows = (
        (key, ORGANISATION_ID, role_of(key), now_ms, search_text(name, email), now_ms - chance.randrange(90 * DAY_MS))
        for key, email, name in named
    )
    await insert(db, schema.memberships, "person_id organisation_id role created_ms search seen_ms", rows)


def role_of(number: int) -> str:
    return "admin" if number % 200 == 7 else "operator" if number % 50 == 7 else "user"


async def give_access(
    db: Database,
    chance: random.Random,
    size: Size,
    location_ids: list[int],
    charger_ids: list[int],
    person_ids: list[int],
) -> None:
    """Three locations for each admin and operator, two chargers for each person, access groups for some."""
    members = schema.memberships.c
    staff = await db.all(
        select(members.person_id).where(
            members.organisation_id == ORGANISATION_ID, members.role.in_(("admin", "operator"))
        )
    )
    here = len(location_ids)
    places = (
        (row.person_id, ORGANISATION_ID, location_ids[(row.person_id + step) % here])
        for row in staff
        for step in range(min(3, here))
    )
    await insert(db, schema.membership_locations, "person_id organisation_id location_id", places)
    own = ((person_id, charger_id) for person_id in person_ids for charger_id in chance.sample(charger_ids, 2))
    await insert(db, schema.assignments, "person_id charger_id", own)
    groups = ((ORGANISATION_ID, f"Groupe {n}", 0) for n in range(size.groups))
    await insert(db, schema.access_groups, "organisation_id name created_ms", groups)
    group_ids = await ids(db, schema.access_groups)
    for table, column, some, count in (
        (schema.access_group_chargers, "charger_id", charger_ids, size.chargers_a_group),
        (schema.access_group_people, "person_id", person_ids, size.people_a_group),
    ):
        rows = (
            (ORGANISATION_ID, group_id, one)
            for group_id in group_ids
            for one in chance.sample(some, min(count, len(some)))
        )
        await insert(db, table, f"organisation_id access_group_id {column}", rows)


async def add_audit(
    db: Database, chance: random.Random, folder: Path, count: int, person_ids: list[int], charger_ids: list[int]
) -> None:
    """A true chain, by the key of the installation: the server's own check of it finds no fault."""
    audit = Audit(key_from(folder, "audit"), Clock())
    async with db.transaction() as tx:
        first, previous = await audit_store.next_seq(tx)
        rows = []
        for seq in range(first, first + count):
            plain, said = audit_row(chance, seq, person_ids, charger_ids)
            salt = os.urandom(16)
            commitment = committed(salt, said)
            previous = audit.chained(previous, plain, commitment)
            rows.append((*plain, commitment, previous, said, salt))
        await tx.insert_many(schema.audit_log, audit_store.COLUMNS, rows)
        await set_head(tx, first + count - 1, previous)


def audit_row(
    chance: random.Random, seq: int, person_ids: list[int], charger_ids: list[int]
) -> tuple[tuple[object, ...], str]:
    """The plain columns of a row, and its text."""
    action = ACTIONS[seq % len(ACTIONS)]
    person_id, charger_id = chance.choice(person_ids), chance.choice(charger_ids)
    name = f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)} {person_id}"
    about = About(kind=action.partition(".")[0], id=charger_id, name=f"Quai {charger_id}")
    changes: dict[str, Any] = {"before": {"name": f"Quai {seq}"}, "after": {"name": f"Quai {charger_id}"}}
    said = texts_of(Actor(person_id, name, "192.0.2.7"), about, changes)
    at_ms = int(time.time() * 1_000) - (100_000 - seq) * 60_000
    return (seq, at_ms, ORGANISATION_ID, person_id, action, about.kind, charger_id, None), said


async def set_head(tx: Transaction, seq: int, row_hash: bytes) -> None:
    head = schema.audit_head
    await tx.run(update(head).where(head.c.id == 1).values(seq=seq, hash=row_hash))


async def add_sessions(
    db: Database,
    chance: random.Random,
    count: int,
    charger_ids: list[int],
    location_ids: list[int],
    person_ids: list[int],
    now_ms: int,
) -> None:
    """Sessions of the last year, a hundred of which run. Chargers stand at locations in turn (add_chargers)."""

    def row(n: int) -> tuple[object, ...]:
        started_ms = now_ms - (count - n) * (365 * DAY_MS // count)
        place = chance.randrange(len(charger_ids))
        over = (started_ms + 7_200_000, 12_000, "Local") if n < count - 100 else (None, None, None)
        return (
            charger_ids[place], ORGANISATION_ID, location_ids[place % len(location_ids)], 1, 1, f"f{n}", f"f{n}", "04AB",
            chance.choice(person_ids), started_ms, 0, *over, 0, 1, 12_000, "EUR", 3_000_000_000,
        )  # fmt: skip

    columns = """charger_id organisation_id location_id evse connector transaction start_key tag person_id started_ms
                 meter_start_wh ended_ms meter_stop_wh end_reason dirty measured energy_wh currency cost_nanos"""
    await insert(db, schema.sessions, columns, (row(n) for n in range(count)))


async def only_sessions(db: Database, count: int) -> None:
    """What a file of sessions is made of."""
    chance, now_ms = random.Random(3), int(time.time() * 1_000)
    await add_locations(db, 200, now_ms)
    location_ids = await ids(db, schema.locations)
    await add_chargers(db, chance, 5_000, location_ids, now_ms)
    await add_people(db, chance, 10_000, now_ms)
    person_ids = await ids(db, schema.memberships)
    await add_sessions(db, chance, count, await ids(db, schema.chargers), location_ids, person_ids, now_ms)


async def add_notices(
    db: Database, chance: random.Random, count: int, charger_ids: list[int], location_ids: list[int], now_ms: int
) -> None:
    """For everybody who could log in before the fill: the first people of the installation."""
    people = await db.all(select(schema.people.c.id).where(schema.people.c.password_hash.is_not(None)))
    details = msgspec.json.encode({"charger": "Quai 1", "location": "Lyon"}).decode()
    rows = []
    for person in people:
        for n in range(count):
            place = chance.randrange(len(charger_ids))
            rows.append(
                (person.id, ORGANISATION_ID, "charger_offline", f"fill:{n}", now_ms - n * 60_000, charger_ids[place],
                 location_ids[place % len(location_ids)], details, None if n % 3 else now_ms)
            )  # fmt: skip
    columns = "person_id organisation_id event key at_ms charger_id location_id details read_ms"
    await insert(db, schema.notices, columns, rows)


async def add_plan_days(db: Database, chargers: int) -> None:
    today = datetime.now(UTC).date()
    days = ((today - timedelta(days=back)).isoformat() for back in range(1, 366))
    rows = ((ORGANISATION_ID, day, "business", chargers, 399) for day in days)
    await insert(db, schema.plan_days, "organisation_id day plan chargers price_cents", rows)


# ---- the command ---------------------------------------------------------------------------------------------------------


async def fill(what: str, url: str, folder: Path, size: float) -> None:
    from bench.fill_history import history, large, small  # they need what is above
    from bench.fill_statistics import statistics

    db = create_database(url, durable=False)
    await db.open()
    try:
        if what == "organisation":
            await organisation(db, folder, Size().times(size))
        elif what == "sessions":
            await only_sessions(db, int(size))
        elif what == "statistics":
            print(await statistics(db, int(size), int(time.time() * 1_000)))
        else:
            past = (small if what == "history" else large)(int(size))
            print(await history(db, past, int(time.time() * 1_000)))
        if db.dialect == "postgresql":  # a past that grew slowly has been analysed by autovacuum long ago
            async with db.transaction() as tx:
                await tx.run(text("ANALYZE"))
    finally:
        await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("organisation", "history", "energy", "sessions", "statistics"))
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("size", type=float)
    arguments = parser.parse_args()
    asyncio.run(fill(arguments.what, arguments.url, arguments.folder, arguments.size))


if __name__ == "__main__":
    main()
