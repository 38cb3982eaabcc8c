"""The list of chargers on both databases: orders, filters, searches and scopes, held against the plain way of doing it."""

from __future__ import annotations

import random
from typing import Any

import pytest
import sqlalchemy

from borne.core.scope import Scope
from borne.store import charger_list, schema
from borne.store.charger_list import SORTS, STATUS_ORDER, Counts, Filter, search_text, words_of
from borne.store.db import Database
from borne.store.schema import chargers

pytestmark = pytest.mark.anyio

LOCATIONS = {1: "Lyon", 2: "Brest", 3: "Nantes, Entrepôt"}
COLUMNS = (
    "id", "organisation_id", "location_id", "name", "identity", "created_ms", "changed_ms", "search", "status", "attention",
    "last_seen_ms", "restart_id",
)  # fmt: skip


def scope(**others: Any) -> Scope:
    return Scope(person_id=1, person_name="P", organisation_id=1, role="super-admin", plan="business", **others)


@pytest.fixture
async def rows(database: Database) -> list[dict[str, Any]]:
    """Some 150 chargers of organisation 1, in no order, and one of organisation 2."""
    chance = random.Random(7)
    made: list[dict[str, Any]] = []
    for number in range(1, 151):
        status = chance.choice(STATUS_ORDER)
        location_id = chance.choice(list(LOCATIONS))
        name = f"{chance.choice(['Quai', 'Cour', 'Étage'])} {chance.randrange(40)}"
        made.append(
            {
                "id": number,
                "organisation_id": 1,
                "location_id": location_id,
                "name": name,
                "identity": f"cp-{number:03d}",
                "created_ms": 0,
                "changed_ms": 0,
                "search": search_text(name, LOCATIONS[location_id], f"cp-{number:03d}"),
                "status": status,
                "attention": int(chance.random() < 0.2),
                "last_seen_ms": None if status == "never" else chance.randrange(10**6),
                "restart_id": chance.choice([None, number]),
            }
        )
    foreign = {**made[0], "id": 999, "organisation_id": 2, "location_id": 9, "identity": "cp-foreign"}
    async with database.transaction() as tx:
        places = [(number, 1, name, 0) for number, name in LOCATIONS.items()] + [(9, 2, "Elsewhere", 0)]
        await tx.insert_many(schema.locations, ("id", "organisation_id", "name", "created_ms"), places)
        await tx.insert_many(chargers, COLUMNS, [tuple(row[name] for name in COLUMNS) for row in [*made, foreign]])
    return made


def plain_order(rows: list[dict[str, Any]], sort: str, descending: bool) -> list[int]:
    """The order as anybody would write it."""
    ranks = {name: rank for rank, name in enumerate(sorted(LOCATIONS.values(), key=search_text))}
    keys: dict[str, Any] = {
        "name": lambda row: (row["search"], row["id"]),
        "status": lambda row: (STATUS_ORDER.index(row["status"]), row["search"], row["id"]),
        "location": lambda row: (ranks[LOCATIONS[row["location_id"]]], row["search"], row["id"]),
        "last_seen": lambda row: (row["last_seen_ms"] is not None, row["last_seen_ms"] or 0, row["id"]),
        "restart": lambda row: (row["restart_id"] is not None, row["restart_id"] or 0, row["id"]),
    }
    return [row["id"] for row in sorted(rows, key=keys[sort], reverse=descending)]


def shown(rows: list[dict[str, Any]], chosen: Filter) -> list[dict[str, Any]]:
    return [
        row
        for row in rows
        if chosen.status in (None, row["status"])
        and (row["attention"] or not chosen.attention)
        and chosen.location_id in (None, row["location_id"])
        and all(word in row["search"].partition("\x1f")[2] for word in chosen.words)
    ]


async def all_pages(
    database: Database, who: Scope, chosen: Filter, sort: Any, descending: bool, limit: int = 7
) -> list[int]:
    known, order = await charger_list.counts(database, who), await charger_list.places(database, who)
    found: list[int] = []
    while True:
        page = await charger_list.page(
            database,
            who,
            chosen,
            sort=sort,
            descending=descending,
            offset=len(found),
            known=known,
            order=order,
            limit=limit,
        )
        if not page.rows:
            assert page.total == len(found)
            return found
        found += [row.id for row in page.rows]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
async def test_pages_are_the_plain_order_cut(
    database: Database, rows: list[dict[str, Any]], sort: Any, descending: bool
) -> None:
    filters = (
        Filter(), Filter(status="ready"), Filter(attention=True), Filter(location_id=2), Filter(status="fault", location_id=3),
        Filter(attention=True, status="offline"), Filter(words=("quai",)), Filter(words=("entrepot", "cour"), status="ready"),
    )  # fmt: skip
    for chosen in filters:
        wanted = plain_order(shown(rows, chosen), sort, descending)
        assert await all_pages(database, scope(), chosen, sort, descending) == wanted, chosen


async def test_counts_are_those_of_the_rows(database: Database, rows: list[dict[str, Any]]) -> None:
    known = await charger_list.counts(database, scope())
    assert known.total == len(rows)
    assert known.attention == sum(row["attention"] for row in rows)
    assert known.by_status()["ready"] == sum(row["status"] == "ready" for row in rows)
    for chosen in (Filter(status="fault"), Filter(location_id=1, attention=True)):
        assert known.of(chosen) == len(shown(rows, chosen))


async def test_a_scope_of_locations_shows_those_alone(database: Database, rows: list[dict[str, Any]]) -> None:
    who = scope(location_ids=(2, 3))
    mine = [row for row in rows if row["location_id"] in (2, 3)]
    for sort in SORTS:
        assert await all_pages(database, who, Filter(), sort, False) == plain_order(mine, sort, False)
    assert await all_pages(database, who, Filter(location_id=1), "name", False) == []
    assert await charger_list.matching_ids(database, who, Filter(words=("lyon",))) == []
    assert [place.id for place in await charger_list.places(database, who)] == [2, 3]
    assert await charger_list.rows(database, who, [row["id"] for row in rows if row["location_id"] == 1]) == []


async def test_a_scope_of_chargers_shows_those_alone(database: Database, rows: list[dict[str, Any]]) -> None:
    who = scope(charger_ids=(3, 70, 71, 999))
    mine = [row for row in rows if row["id"] in (3, 70, 71)]
    for sort in SORTS:
        assert await all_pages(database, who, Filter(), sort, True, limit=2) == plain_order(mine, sort, True)
    assert await charger_list.reached_ids(database, who, [3, 4, 999]) == [3]
    assert (await charger_list.counts(database, who)).total == 3


async def test_an_empty_scope_shows_nothing(database: Database, rows: list[dict[str, Any]]) -> None:
    for who in (scope(location_ids=()), scope(charger_ids=())):
        assert await all_pages(database, who, Filter(), "name", False) == []
        assert await charger_list.reached_ids(database, who, [1, 2]) == []


async def test_another_organisation_is_out_of_reach(database: Database, rows: list[dict[str, Any]]) -> None:
    assert await charger_list.rows(database, scope(), [999, 1]) == await charger_list.rows(database, scope(), [1])
    assert 999 not in await charger_list.matching_ids(database, scope(), Filter())


async def test_a_search_keeps_the_first_matches_and_says_so(
    database: Database, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charger_list, "FEW", 10)
    known, order = await charger_list.counts(database, scope()), await charger_list.places(database, scope())
    page = await charger_list.page(
        database, scope(), Filter(words=("cp",)), sort="name", descending=False, offset=0, known=known, order=order
    )
    assert page.capped
    assert page.total == 10
    assert [row.id for row in page.rows] == plain_order(rows, "name", False)[:10]


async def test_what_was_typed_is_text_not_a_pattern(database: Database, rows: list[dict[str, Any]]) -> None:
    for typed in ("%", "_", "\\", "c_-001", "';--", "\x1f", "\0"):
        wanted = {row["id"] for row in shown(rows, Filter(words=words_of(typed)))}
        assert set(await charger_list.matching_ids(database, scope(), Filter(words=words_of(typed)))) == wanted, typed
    assert await charger_list.matching_ids(database, scope(), Filter(words=("%",))) == []


async def test_rows_come_in_the_order_asked_for_with_their_location(
    database: Database, rows: list[dict[str, Any]]
) -> None:
    ids = [row["id"] for row in rows][::-1]
    found = await charger_list.rows(database, scope(), ids)
    assert [row.id for row in found] == ids
    assert all(row.location_name == LOCATIONS[row.location_id] for row in found)


def test_names_are_ordered_as_people_count() -> None:
    names = ["Quai 2", "Quai 10", "quai 1", "Cour 3", "École 1", "Étage 12", "Étage 9", "quai 007"]
    wanted = ["Cour 3", "École 1", "Étage 9", "Étage 12", "quai 1", "Quai 2", "quai 007", "Quai 10"]
    assert sorted(names, key=search_text) == wanted


def test_a_number_does_not_find_the_key_of_another() -> None:
    text = search_text("Quai 2", "390")
    assert "12" in text.partition("\x1f")[0]  # the key of 2: one digit, 2
    assert "12" not in text.partition("\x1f")[2]


def test_words_are_folded_and_bounded() -> None:
    assert words_of("  Entrepôt   ÉTÉ ") == ("entrepot", "ete")
    assert len(words_of("a b c d e f g h")) == charger_list.MAX_WORDS
    assert len(words_of("x" * 500)[0]) == charger_list.MAX_WORD


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # PostgreSQL plans by size: bench/charger_list.py
async def test_every_page_walks_an_index(database: Database, rows: list[dict[str, Any]]) -> None:
    """What keeps a page quick at 100,000 chargers: SQLite reads no row of the table to find a page's ids."""
    known, order = await charger_list.counts(database, scope()), await charger_list.places(database, scope())
    both = Filter(status="fault", location_id=1)
    filters = (Filter(), Filter(status="ready"), Filter(location_id=2), Filter(attention=True), both)
    for chosen in filters:
        for sort in SORTS:
            for segment in charger_list._segments(chosen, sort, known, order):
                shape = charger_list._shape(scope(), segment.chosen, segment.key, True)
                values = {**charger_list._values(scope(), segment.chosen), "most": 50, "skipped": 0}
                plan = await explain(database, charger_list._ids(shape), values)
                assert "USING" in plan, (chosen, sort, plan)
                assert "INDEX" in plan, (chosen, sort, plan)
                assert "TEMP B-TREE" not in plan, (chosen, sort, plan)


async def explain(database: Database, statement: Any, values: dict[str, Any]) -> str:
    dialect = sqlalchemy.dialects.sqlite.dialect()
    bound = statement.params(**values).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return " ".join(row[-1] for row in await database.all(sqlalchemy.text(f"EXPLAIN QUERY PLAN {bound}")))


def test_counts_of_nothing_are_zero() -> None:
    assert Counts({}).total == Counts({}).attention == Counts({}).of(Filter(status="ready")) == 0
