"""Pages of the API: each begins where the last one ended, on both databases, by the index."""

import pytest

from borne.core.scope import Scope
from borne.store import charger_pages
from borne.store.charger_list import search_text
from borne.store.db import Database
from borne.store.schema import chargers, locations

pytestmark = pytest.mark.anyio
NAMES = ("Quai 10", "Quai 9", "quai 9", "Éclair", "Zoo", "Abri")


def scope(**more: object) -> Scope:
    known = {"person_id": 1, "person_name": "C", "organisation_id": 1, "role": "super-admin", "plan": "business"}
    return Scope(**(known | more))  # type: ignore[arg-type]


async def fill(database: Database, organisation_id: int = 1) -> None:
    async with database.transaction() as tx:
        location_id = await tx.insert(locations, {"organisation_id": organisation_id, "name": "L", "created_ms": 0})
        for number, name in enumerate(NAMES):
            row = {
                "organisation_id": organisation_id,
                "location_id": location_id,
                "name": name,
                "serial": "",
                "model": "other",
                "identity": f"{organisation_id}-{number}",
                "created_ms": 0,
                "changed_ms": 0,
                "search": search_text(name),
            }
            await tx.insert(chargers, row)


async def test_all_are_seen_once_in_order_and_none_of_others(database: Database) -> None:
    await fill(database)
    await fill(database, 2)
    seen: list[tuple[str, int]] = []
    after = ("", 0)
    while rows := await charger_pages.page(database, scope(), after, 2):
        seen += [(row.search, row.id) for row in rows]
        after = seen[-1]
    assert seen == sorted(seen)
    assert len(seen) == len(NAMES)
    few = await charger_pages.page(database, scope(charger_ids=(seen[2][1],)), ("", 0), 10)
    assert [row.id for row in few] == [seen[2][1]]
    assert await charger_pages.page(database, scope(location_ids=()), ("", 0), 10) == []
