"""Migrations: the tables they make are those of the schema, and a killed one has not happened."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from borne.store import partitions
from borne.store.db import Corrupt, Database, Row, StoreError, create_database
from borne.store.migrate import TooNewError, _config, known_revisions, migrate
from borne.store.schema import readings, session_messages

pytestmark = pytest.mark.anyio

# Columns may have been added after others: their order is not part of what they are.
SQLITE_TABLES = """
    SELECT 'column', m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk,
        instr(m.sql, 'AUTOINCREMENT') > 0, instr(m.sql, 'WITHOUT ROWID') > 0
    FROM sqlite_schema m, pragma_table_xinfo(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'alembic%'
    UNION ALL SELECT 'index', tbl_name, name, sql, 0, '', 0, 0, 0 FROM sqlite_schema
    WHERE type = 'index' AND sql IS NOT NULL AND name NOT LIKE 'alembic%'
"""
POSTGRES_TABLES = """
    SELECT 'column', table_name, column_name, data_type, is_nullable, column_default, collation_name
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    UNION ALL SELECT 'index', tablename, indexname, indexdef, '', '', '' FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    UNION ALL SELECT 'partitions', partrelid::regclass::text, pg_get_partkeydef(partrelid), partdefid::regclass::text,
        '', '', '' FROM pg_partitioned_table
"""


async def tables_of(database: Database) -> list[Row]:
    query = SQLITE_TABLES if database.dialect == "sqlite" else POSTGRES_TABLES
    return sorted(await database.all(text(query)), key=repr)


async def migrated(url: str) -> list[str]:
    return await asyncio.to_thread(migrate, url)


async def opened(url: str) -> Database:
    database = create_database(url)
    await database.open()
    return database


async def test_migrations_make_the_tables_of_the_schema(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """When this fails the schema has changed: add a migration that changes the tables in the same way."""
    wanted = await tables_of(database)
    if database.dialect == "sqlite":
        url = f"sqlite:///{tmp_path}/migrated.sqlite3"
        await migrated(url)
        other = await opened(url)
        assert await tables_of(other) == wanted
        await other.close()
        return
    async with database.transaction() as tx:
        await tx.run(text("DROP SCHEMA public CASCADE"))
        await tx.run(text("CREATE SCHEMA public"))
    await migrated(request.getfixturevalue("database_url"))
    assert await tables_of(database) == wanted


async def test_it_says_what_it_did_and_does_nothing_twice(database_url: str) -> None:
    heard: list[str] = []
    said = await asyncio.to_thread(migrate, database_url, heard.append)
    assert [sentence.split(":")[0] for sentence in said] == [
        f"The database is now of version {revision}" for revision in known_revisions()
    ]
    assert heard == said
    assert await migrated(database_url) == []


def test_nothing_to_do_does_not_load_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.sqlite3"
    migrate(url)
    program = (
        "import sys; from borne.store.migrate import migrate; migrate(sys.argv[1]); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, url], check=True, timeout=60)


async def test_a_database_of_a_newer_program_is_refused(database_url: str) -> None:
    await migrated(database_url)
    database = await opened(database_url)
    async with database.transaction() as tx:
        await tx.run(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(TooNewError, match=r"newer Borne.*9999"):
        await migrated(database_url)
    assert await database.value(text("SELECT version_num FROM alembic_version")) == "9999"
    await database.close()


async def test_a_file_that_is_no_database_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary " * 500)
    with pytest.raises(Corrupt, match="is damaged or is no database"):
        await migrated(f"sqlite:///{tmp_path}/notes.txt")


async def test_a_database_that_cannot_be_reached_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        await migrated("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreError, match="cannot be opened"):
        await migrated(f"sqlite:///{tmp_path}/no/such/folder/a.sqlite3")


async def test_two_programs_that_start_at_once_both_succeed(database_url: str) -> None:
    said = await asyncio.gather(*(migrated(database_url) for _ in range(3)))
    assert sorted(len(sentences) for sentences in said) == [0, 0, len(known_revisions())]


async def upgraded(url: str, revision: str) -> None:
    """As an older program left it."""

    def upgrade(connection: Connection) -> None:
        command.upgrade(_config(connection, lambda **_: None), revision)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url))
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()


async def test_what_was_there_becomes_the_first_partition(postgres_database: str) -> None:
    """Nothing is copied but what some wrong clock dated ahead; new rows beside it, and old ones go as before."""
    now_ms = round(time.time() * 1_000)
    columns = ("received_ms", "charger_id", "idx", "evse", "connector", "quantity", "value")
    row = (1, 0, 1, 1, "x", 1)
    await upgraded(postgres_database, "0005")
    database = await opened(postgres_database)
    async with database.transaction() as tx:
        times = [0, now_ms - 10**10, *range(now_ms - 1_000, now_ms), now_ms + 10**10]
        await tx.insert_many(readings, columns, [(at_ms, *row) for at_ms in times])
        (path,) = (await tx.all(text("SELECT pg_relation_filenode('readings')")))[0]
    await database.close()
    await migrated(postgres_database)
    database = await opened(postgres_database)
    assert await database.value(text("SELECT pg_relation_filenode('readings_before')")) == path
    async with database.transaction() as tx:
        await tx.insert_many(readings, columns, [(at_ms, *row) for at_ms in (1, now_ms, now_ms + 30 * 86_400_000)])
    held = "SELECT tableoid::regclass::text, count(*) FROM readings GROUP BY 1 ORDER BY 1"
    assert [tuple(one) for one in await database.all(text(held))] == [("readings_before", 1_004), ("readings_rest", 2)]
    (before, rest) = await partitions.of(database, readings)
    assert before.until_ms is not None
    assert before.until_ms == partitions.start_of(readings, before.until_ms) > now_ms
    assert partitions.missing(readings, [before, rest], now_ms, now_ms + 7 * 86_400_000) == [before.until_ms]
    async with database.transaction() as tx:
        assert await partitions.prune(tx, before, now_ms, 2) == 3
        await partitions.take_off(tx, readings, before)
    assert await database.value(text("SELECT count(*) FROM readings")) == 2
    # Its messages were none: nothing is left of the old table.
    assert [one.name for one in await partitions.of(database, session_messages)] == ["session_messages_rest"]
    await database.close()


KILLED = """
import os, signal, sys
import sqlalchemy as sa
from sqlalchemy import event
from borne.store.migrate import migrate
left = int(sys.argv[2])
def count(connection, cursor, statement, *others):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(sa.Engine, "after_cursor_execute", count)
migrate(sys.argv[1])
"""


@pytest.mark.parametrize("statements", [2, 4, 6, 25, 60, 75])
async def test_killed_after_any_statement_it_resumes(database_url: str, statements: int) -> None:
    arguments = [sys.executable, "-c", KILLED, database_url, str(statements)]
    killed = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, timeout=60)
    assert killed.returncode in (0, -signal.SIGKILL), killed.stderr
    assert killed.returncode != 0 or statements >= 60
    await migrated(database_url)
    database = await opened(database_url)
    assert await database.value(text("SELECT count(*) FROM chargers")) == 0
    assert await database.value(text("SELECT version_num FROM alembic_version")) == known_revisions()[-1]
    await database.close()


DAYS = (  # of organisation 1: the last of October 2026, the first and the second of November; and of organisation 2
    (1, 10, 20_757, 100, 30), (1, 10, 20_758, 200, 50), (1, 10, 20_759, 300, 40), (1, 11, 20_759, 400, 60),
    (2, 20, 20_757, 500, 70),
)  # fmt: skip


async def test_days_that_are_there_are_added_up_to_months(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _head, to_head=command.upgrade: to_head(config, "0003"))
        await migrated(database_url)
    database = await opened(database_url)
    async with database.transaction() as tx:
        for table, keys in (("location", ""), ("charger", "charger_id, "), ("person", "person_id, ")):
            for owner, place, day, energy_wh, peak_wh in DAYS:
                peak = ("", "") if keys else (", peak_wh", f", {peak_wh}")
                one = "7, " if keys else ""
                sql = f"INSERT INTO {table}_days ({keys}organisation_id, location_id, day, energy_wh{peak[0]})"
                await tx.run(text(f"{sql} VALUES ({one}{owner}, {place}, {day}, {energy_wh}{peak[1]})"))
        await tx.run(text("INSERT INTO location_hours (organisation_id, location_id, month, hour, sessions) "
                          "VALUES (1, 10, 682, 5, 2), (1, 11, 682, 5, 3), (2, 20, 682, 5, 9)"))  # fmt: skip
    await database.close()
    await migrated(database_url)
    database = await opened(database_url)
    months = "SELECT organisation_id, location_id, month, energy_wh{} FROM {}_months ORDER BY 1, 2, 3"
    sums = [(1, 10, 681, 100), (1, 10, 682, 500), (1, 11, 682, 400), (2, 20, 681, 500)]
    peaks = [30, 50, 60, 70]
    assert await database.all(text(months.format(", peak_wh", "location"))) == [
        (*one, peak) for one, peak in zip(sums, peaks, strict=True)
    ]
    for table in ("charger", "person"):
        assert await database.all(text(months.format("", table))) == sums
    assert await database.value(text("SELECT sum(energy_wh) FROM charger_days WHERE solar_wh = 0")) == 1_500
    hours = "SELECT organisation_id, month, hour, sessions FROM organisation_hours ORDER BY 1"
    assert await database.all(text(hours)) == [(1, 682, 5, 5), (2, 682, 5, 9)]
    await database.close()
