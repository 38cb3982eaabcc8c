"""Sessions for files and their details, on both databases: inside the scope, page by page, whole and in order."""

from __future__ import annotations

import pytest

from borne.core.metering import Sample
from borne.core.scope import Role, Scope
from borne.core.statistics import PricedSlot
from borne.store import (
    events,
    metering,
    organisations,
    saved_views,
    session_count,
    session_detail,
    session_export,
    session_list,
    session_readings,
)
from borne.store.charger_list import search_text
from borne.store.db import Database
from borne.store.schema import (
    archived_chargers,
    chargers,
    locations,
    memberships,
    people,
    readings,
    session_messages,
    sessions,
)
from borne.store.session_list import Filter

pytestmark = pytest.mark.anyio
LYON, NANTES, ELSEWHERE = 10, 11, 20
COLUMNS = (
    "id", "charger_id", "organisation_id", "location_id", "evse", "connector", "transaction", "start_key", "tag", "person_id",
    "started_ms", "ended_ms", "end_reason", "energy_wh", "measured",
)  # fmt: skip


def scope(role: Role = "super-admin", **more: object) -> Scope:
    fields = {"person_id": 7, "person_name": "C", "organisation_id": 1, "role": role, "plan": "business", **more}
    return Scope(**fields)  # type: ignore[arg-type]


@pytest.fixture
async def filled(database: Database) -> Database:
    """Eight sessions here (the even ones in Lyon, the first two of 7; the last runs), two elsewhere."""
    async with database.transaction() as tx:
        for name in ("Here", "There"):
            await organisations.create(tx, name=name, plan="business", now_ms=1)
        await tx.insert_many(people, ("id", "email", "name", "created_ms"), [(7, "zoe@a.test", "Zoe", 1)])
        await tx.insert_many(
            memberships, ("person_id", "organisation_id", "role", "search"), [(7, 1, "user", search_text("Zoe"))]
        )
        rows = [
            (
                n, 100 + n, 1 if n < 9 else 2, (LYON if n % 2 == 0 else NANTES) if n < 9 else ELSEWHERE, 1, 1, f"t{n}",
                f"k{n}", "CARD" if n < 5 else "other", 7 if n < 3 else None, n * 1_000, None if n == 8 else n * 1_000 + 1,
                "no stop received" if n == 6 else "Local", None if n in (5, 8) else n * 10, 1,
            )
            for n in range(1, 11)
        ]  # fmt: skip
        await tx.insert_many(sessions, COLUMNS, rows)
    return database


async def exported(db: Database, who: Scope, wanted: Filter | None = None) -> list[int]:
    found = [row.id async for rows in session_export.pages(db, who, wanted or Filter()) for row in rows]
    bare = [row.id async for rows, _ in session_export.bare_pages(db, who, wanted or Filter()) for row in rows]
    assert bare == found
    assert await session_count.count(db, who, wanted or Filter()) == len(found)
    newest = max(found, default=0)
    assert not await session_list.has_newer(db, who, wanted or Filter(), newest)
    assert await session_list.has_newer(db, who, wanted or Filter(), newest - 1) is bool(found)
    return found


async def test_everything_of_the_scope_is_exported_once(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 3, 4, 8, 1_000):
        monkeypatch.setattr(session_export, "PAGE_ROWS", size)
        monkeypatch.setattr(session_export, "BARE_ROWS", size)
        assert await exported(filled, scope()) == [8, 7, 6, 5, 4, 3, 2, 1], size
        assert await exported(filled, scope(), Filter(from_ms=2_000, to_ms=7_000)) == [6, 5, 4, 3, 2], size
    assert await exported(filled, scope("admin", location_ids=(LYON,))) == [8, 6, 4, 2]
    assert await exported(filled, scope("operator", location_ids=())) == []
    assert await exported(filled, scope("user")) == [2, 1]
    assert await exported(filled, scope(organisation_id=2)) == [10, 9]
    assert await exported(filled, scope(), Filter(location_id=ELSEWHERE)) == []


async def test_what_a_charger_offered_and_did_in_a_session(filled: Database) -> None:
    columns = ("received_ms", "charger_id", "idx", "evse", "connector", "quantity", "value", "phase")
    rows = [
        (3_000, 103, 0, 1, 1, "power_import_w", 7_000, None),
        (3_000, 103, 1, 1, 1, "power_offered_w", 11_000, None),
        (3_000, 103, 2, 2, 1, "power_offered_w", 22_000, None),  # of another EVSE
        (3_000, 104, 0, 1, 1, "power_offered_w", 33_000, None),  # of another charger
        (3_500, 103, 0, 1, 0, "current_offered_ma", 16_000, None),
        (3_700, 103, 0, 1, 1, "power_offered_w", 44_000, None),  # not asked for
        (4_000, 103, 0, 1, 1, "voltage_mv", None, "L1"),
    ]
    async with filled.transaction() as tx:
        await tx.insert_many(readings, columns, rows)
        told = [(103, at_ms, kind, "{}") for at_ms, kind in ((1, "status"), (5, "status"), (6, "moved"), (9, "booted"))]
        await events.add_many(tx, [*told, (104, 5, "status", "{}")])
    row = await session_detail.one(filled, scope(), 3)
    assert row is not None
    found = await session_readings.offers(filled, row, [3_000, 3_500, 4_000])
    assert [(one.received_ms, one.quantity, one.value) for one in found] == [
        (3_000, "power_offered_w", 11_000),
        (3_500, "current_offered_ma", 16_000),
    ]
    assert await session_readings.offers(filled, row, []) == []
    during = await events.during(filled, 103, 2, 9, ("status", "booted"), 10)
    assert [(one.at_ms, one.kind) for one in during] == [(5, "status"), (9, "booted")]
    assert len(await events.during(filled, 103, 2, 9, ("status", "booted"), 1)) == 1


async def test_a_stretch_of_time_is_followed_by_time(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where many began at the same instant, or were known later than others that began after them."""
    async with filled.transaction() as tx:
        for key, started_ms in ((8, 3_000), (7, 3_000), (6, 3_000), (1, 9_000)):
            await tx.run(sessions.update().where(sessions.c.id == key).values(started_ms=started_ms))
    for size in (1, 2, 3, 100):
        monkeypatch.setattr(session_export, "PAGE_ROWS", size)
        monkeypatch.setattr(session_export, "BARE_ROWS", size)
        assert await exported(filled, scope(), Filter(from_ms=3_000)) == [1, 5, 4, 8, 7, 6, 3], size


async def test_states_badges_and_people(filled: Database) -> None:
    found = {kind: await exported(filled, scope(), Filter(kind=kind)) for kind in session_list.KINDS}
    assert found == {"running": [8], "ended": [7, 5, 4, 3, 2, 1], "no_stop": [6], "doubtful": [5]}
    listed = [row.id for row in (await session_list.page(filled, scope(), Filter(kind="no_stop"))).rows]
    assert listed == [6]
    assert await exported(filled, scope(), Filter(tags=("card", "CARD"))) == [4, 3, 2, 1]
    assert await exported(filled, scope(), Filter(tags=("nobody",), people_ids=(7,))) == [2, 1]
    assert await session_list.people_called(filled, scope(), ("zo",)) == (7,)
    assert await session_list.people_called(filled, scope(organisation_id=2), ("zo",)) == ()


async def test_what_a_row_of_a_file_says_of_its_person(filled: Database) -> None:
    (rows,) = [rows async for rows in session_export.pages(filled, scope(), Filter(to_ms=4_000))]
    assert [(row.person, row.email, row.role) for row in rows] == [
        (None, None, None),
        *[("Zoe", "zoe@a.test", "user")] * 2,
    ]


async def test_names_are_those_of_the_organisation(filled: Database) -> None:
    charger = ("id", "organisation_id", "location_id", "name", "serial", "model", "identity", "created_ms")
    gone = (*charger, "vendor", "model_name", "archived_ms", "person_name", "why")
    place = ("id", "organisation_id", "name", "time_zone", "created_ms")
    async with filled.transaction() as tx:
        found = [(101, 1, LYON, "Here", "S1", "m", "A", 0), (103, 2, LYON, "There", "S3", "m", "B", 0)]
        await tx.insert_many(chargers, (*charger, "changed_ms", "search"), [(*row, 0, "") for row in found])
        found = [(102, 1, LYON, "Gone", "S2", "m", "C", 0), (104, 2, LYON, "Gone there", "S4", "m", "D", 0)]
        await tx.insert_many(archived_chargers, gone, [(*row, "", "", 0, "", "archived") for row in found])
        places = [(LYON, 1, "Lyon", "Europe/Paris", 0), (NANTES, 2, "Theirs", "Europe/Paris", 0)]
        await tx.insert_many(locations, place, places)
    ((_, names),) = [page async for page in session_export.bare_pages(filled, scope(), Filter(to_ms=5_000))]
    assert names.chargers == {101: ("Here", "S1"), 102: ("Gone", "S2")}
    assert names.locations == {LYON: ("Lyon", "Europe/Paris")}
    assert names.people == {7: ("Zoe", "zoe@a.test", "user")}
    ((_, names),) = [page async for page in session_export.bare_pages(filled, scope(organisation_id=2), Filter())]
    assert (names.chargers, names.locations, names.people) == ({}, {}, {})


async def test_the_details_of_a_session_inside_the_scope(filled: Database) -> None:
    slots, samples = [PricedSlot(0, 10, 5, 6, 7, 250_000)], [Sample(1, 2, 3, None, 4)]
    columns = ("received_ms", "charger_id", "idx", "kind", "transaction", "seq", "raw")
    async with filled.transaction() as tx:
        await metering.save_slots(tx, [(2, 1, (), slots)])
        await metering.save_curves(tx, [(2, 1, samples)])
        rows = [
            (2_000, 102, 0, "started", None, None, "{}"), (2_001, 102, 0, "ended", "t2", 4, "{}"),
            (2_001, 101, 0, "ended", "t2", 9, "{}"), (1_500, 102, 0, "started", None, None, "{}"),
        ]  # fmt: skip
        await tx.insert_many(session_messages, columns, rows)
    who = scope("admin", location_ids=(LYON,))
    row = await session_detail.one(filled, who, 2)
    assert row is not None
    assert row.person_name == "Zoe"
    assert await session_detail.slots(filled, who, 2) == slots
    assert await session_detail.samples(filled, who, 2) == samples
    assert [tuple(one) for one in await session_detail.messages(filled, row)] == [
        (2_000, "started", None),
        (2_001, "ended", 4),
    ]
    for denied in (scope("admin", location_ids=(NANTES,)), scope("user", person_id=8), scope(organisation_id=2)):
        assert await session_detail.one(filled, denied, 2) is None
        assert await session_list.rows(filled, denied, [2]) == []
    assert await session_detail.slots(filled, scope(organisation_id=2), 2) == []
    assert await session_detail.samples(filled, scope(organisation_id=2), 2) == []


async def test_views_are_everybodys_own(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs, elsewhere = scope(), scope(person_id=8), scope(organisation_id=2)
    async with database.transaction() as tx:
        await saved_views.save(tx, mine, "sessions", "Mine", "kind=running", 1)
        await saved_views.save(tx, mine, "sessions", "Mine", "kind=ended", 2)
    (view,) = await saved_views.of_page(database, mine, "sessions")
    assert (view.name, view.query) == ("Mine", "kind=ended"), "a name stands once"
    assert await saved_views.of_page(database, mine, "others") == []
    for other in (theirs, elsewhere):
        assert await saved_views.of_page(database, other, "sessions") == []
        async with database.transaction() as tx:
            assert not await saved_views.drop(tx, other, view.id)
    monkeypatch.setattr(saved_views, "MOST", 1)
    async with database.transaction() as tx:
        await saved_views.save(tx, mine, "sessions", "Mine", "", 3)
        with pytest.raises(saved_views.TooManyError):
            await saved_views.save(tx, mine, "sessions", "Other", "", 3)
    async with database.transaction() as tx:
        assert await saved_views.drop(tx, mine, view.id)
