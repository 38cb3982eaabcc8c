"""How long the queries of the Chargers page take with very many chargers: `python -m bench.charger_list URL [COUNT]`.

The database must be empty or new; it is filled once and can be asked again. Prints the worst and the median of each query.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from sqlalchemy import func, select

from borne.core.scope import Scope
from borne.store import charger_list, schema
from borne.store.charger_list import Filter, search_text, words_of
from borne.store.db import Database, create_database

LOCATIONS = 200
BATCH = 5_000
ROUNDS = 20
STATUSES = {"ready": 43, "charging": 30, "waiting": 10, "offline": 8, "fault": 3, "unavailable": 2, "restarting": 1,
            "updating": 1, "reserved": 1, "never": 1}  # fmt: skip
COLUMNS = ("organisation_id", "location_id", "name", "serial", "model", "identity", "created_ms", "changed_ms", "search",
           "state", "status", "attention", "online", "last_seen_ms", "restart_id", "restart_verdict")  # fmt: skip
STATE = '{"connectors":[' + ",".join('[1,1,"available",1700000000000,null,null,null]' for _ in range(8)) + "]}"


async def fill(db: Database, count: int) -> None:
    chance = random.Random(1)
    async with db.transaction() as tx:
        await tx.insert_many(
            schema.locations,
            ("organisation_id", "name", "created_ms"),
            [(1, f"{chance.choice(('Lyon', 'Nantes', 'Brest', 'Lille'))}, site {n}", 0) for n in range(LOCATIONS)],
        )
    names = {row.id: row.name for row in await db.all(select(schema.locations.c.id, schema.locations.c.name))}
    rows = [_row(chance, number, names) for number in range(count)]
    for first in range(0, count, BATCH):
        async with db.transaction() as tx:
            await tx.insert_many(schema.chargers, COLUMNS, rows[first : first + BATCH])


def _row(chance: random.Random, number: int, names: dict[int, str]) -> tuple[object, ...]:
    name = f"{chance.choice(('Cour', 'Quai', 'Parking', 'Toit'))} {chance.choice(('nord', 'sud'))} {number}"
    location_id, serial = chance.choice(list(names)), str(chance.randrange(10**6))
    status = chance.choices(list(STATUSES), list(STATUSES.values()))[0]
    seen_ms = None if status == "never" else 1_700_000_000_000 + chance.randrange(10**9)
    restart_id = number if chance.random() < 0.4 else None
    search = search_text(name, serial, "Pulsar Plus", names[location_id], f"bench-{number:06d}")
    return (
        1, location_id, name, serial, "pulsar-plus", f"bench-{number:06d}", 0, 0, search, STATE, status,
        int(status == "fault"), int(status not in {"never", "offline"}), seen_ms, restart_id, restart_id and "succeeded",
    )  # fmt: skip


async def measure(db: Database) -> None:
    scope = Scope(person_id=1, person_name="", organisation_id=1, role="super-admin", plan="business")
    known, order = await charger_list.counts(db, scope), await charger_list.places(db, scope)
    some = Scope(person_id=1, person_name="", organisation_id=1, role="admin", plan="business",
                 location_ids=tuple(place.id for place in order[::3]))  # fmt: skip
    known_some, order_some = await charger_list.counts(db, some), await charger_list.places(db, some)

    def page(
        chosen: Filter, sort: charger_list.Sort = "name", down: bool = False, at: int = 0, whose: Scope = scope
    ) -> Callable[[], Awaitable[object]]:
        counts, places = (known, order) if whose is scope else (known_some, order_some)
        return lambda: charger_list.page(
            db, whose, chosen, sort=sort, descending=down, offset=at, known=counts, order=places
        )

    middle, last = known.total // 2, known.total - 50
    here = order[7].id
    queries: dict[str, Callable[[], Awaitable[object]]] = {
        "counts (once a second)": lambda: charger_list.counts(db, scope),
        "counts, a third of the locations": lambda: charger_list.counts(db, some),
        "places": lambda: charger_list.places(db, scope),
        "first page": page(Filter()),
        "middle page": page(Filter(), at=middle),
        "last page": page(Filter(), at=last),
        "a third of the locations, middle": page(Filter(), at=known_some.total // 2, whose=some),
        "ready": page(Filter(status="ready")),
        "ready, deep": page(Filter(status="ready"), at=known.of(Filter(status="ready")) - 50),
        "needs attention": page(Filter(attention=True)),
        "a location, by status": page(Filter(location_id=here), "status"),
        "by status, middle": page(Filter(), "status", at=middle),
        "by location, down, middle": page(Filter(), "location", True, middle),
        "restarting, by location": page(Filter(status="restarting"), "location"),
        "by last seen, down": page(Filter(), "last_seen", True),
        "by last seen, last page": page(Filter(), "last_seen", True, last),
        "fault, by last seen, deep": page(
            Filter(status="fault"), "last_seen", at=known.of(Filter(status="fault")) - 50
        ),
        "by last restart": page(Filter(), "restart", True),
        "by last restart, last page": page(Filter(), "restart", True, last),
        "search, one": page(Filter(words=words_of("bench-077777"))),
        "search, none": page(Filter(words=words_of("zebra"))),
        "search, very many": page(Filter(words=words_of("quai"))),
        "search, two words, by location": page(Filter(words=words_of("quai 4711")), "location"),
        "search in status": page(Filter(words=words_of("4711"), status="ready")),
    }
    for name, query in queries.items():
        times = [await timed(query) for _ in range(ROUNDS)]
        print(f"{name:36} worst {max(times):6.1f} ms  median {statistics.median(times):6.1f} ms")


async def timed(query: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await query()
    return (time.perf_counter() - started) * 1e3


async def main(url: str, count: int) -> None:
    db = create_database(url)
    await db.open()
    try:
        if not await db.value(select(func.count()).select_from(schema.chargers)):
            await fill(db, count)
        await measure(db)
    finally:
        await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000))
