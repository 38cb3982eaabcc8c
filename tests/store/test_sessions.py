"""Sessions and tags, on both databases."""

from typing import Any

import pytest
from msgspec.structs import replace

from borne.core.session import SessionRow
from borne.store import sessions, tags
from borne.store.db import Conflict, Database

pytestmark = pytest.mark.anyio

START = {
    "charger_id": 1, "organisation_id": 1, "location_id": 1, "evse": 1, "connector": 2, "transaction": "77", "start_key": "s|1",
    "tag": "AB", "person_id": None, "started_ms": 100, "device_started_ms": 90, "meter_start_wh": 5,
}  # fmt: skip


async def create(database: Database, **others: Any) -> int:
    async with database.transaction() as tx:
        return await sessions.create(tx, **{**START, **others})


async def test_a_session_is_found_by_its_start_and_by_its_transaction(database: Database) -> None:
    number = await create(database)
    row = SessionRow(number, 1, 2, "77", 100, "AB")
    assert await sessions.find_by_key(database, 1, "s|1") == row
    assert await sessions.find_by_transaction(database, 1, "77") == row
    assert await sessions.open_sessions(database, 1) == [row]


async def test_never_by_another_chargers_name(database: Database) -> None:
    await create(database)
    assert await sessions.find_by_key(database, 2, "s|1") is None
    assert await sessions.find_by_transaction(database, 2, "77") is None
    assert await sessions.open_sessions(database, 2) == []


async def test_one_start_makes_one_session(database: Database) -> None:
    await create(database)
    with pytest.raises(Conflict):
        await create(database, transaction="78")


async def test_a_transaction_used_again_means_the_newest(database: Database) -> None:
    await create(database)
    newest = await create(database, start_key="s|2")
    found = await sessions.find_by_transaction(database, 1, "77")
    assert found is not None
    assert found.id == newest


async def test_an_end_and_its_conflicts_are_kept(database: Database) -> None:
    await create(database)
    row = await sessions.find_by_key(database, 1, "s|1")
    assert row is not None
    ended = replace(
        row, ended_ms=200, device_ended_ms=None, meter_stop_wh=9, end_reason="Local", conflicts=('{"a":"é"}', "b")
    )
    async with database.transaction() as tx:
        await sessions.save(tx, ended)
    assert await sessions.find_by_transaction(database, 1, "77") == ended
    assert await sessions.open_sessions(database, 1) == []


async def test_tags_are_known_by_organisation_in_any_letter_case(database: Database) -> None:
    async with database.transaction() as tx:
        await tags.put(tx, 1, "AbCd", name="Zoé", person_id=3)
        await tags.put(tx, 2, "abcd", blocked=True, expires_ms=9)
    mine, other = await tags.find(database, 1, "ABCD"), await tags.find(database, 2, "abCD")
    assert mine is not None
    assert other is not None
    assert (mine.name, mine.person_id, mine.blocked, mine.expires_ms) == ("Zoé", 3, 0, None)
    assert (other.name, other.blocked, other.expires_ms) == ("", 1, 9)
    assert await tags.find(database, 3, "abcd") is None
    async with database.transaction() as tx:
        await tags.put(tx, 1, "ABCD", blocked=True)
    changed = await tags.find(database, 1, "abcd")
    assert changed is not None
    assert (changed.name, changed.person_id, changed.blocked) == ("", None, 1)
