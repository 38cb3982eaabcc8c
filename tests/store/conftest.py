"""Every test of the store runs on both databases, unless it names one."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy

from borne.store.db import Database, create_database
from borne.store.schema import PARTITIONED, metadata
from borne.store.schema.sessions import rest_of
from tests.support.postgres import PostgresServer


async def _make_tables(url: str) -> None:
    """Those of the schema, which test_migrate.py compares with what migrations make."""
    database = create_database(url)
    await database.open()
    try:
        async with database.transaction() as tx:
            for table in metadata.sorted_tables:
                await tx.run(sqlalchemy.schema.CreateTable(table))
                for index in table.indexes:
                    await tx.run(sqlalchemy.schema.CreateIndex(index))
            if database.dialect == "postgresql":
                for table in PARTITIONED:
                    await tx.run(rest_of(table))
    finally:
        await database.close()


@pytest.fixture(scope="session")
def file_of_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("tables") / "borne.sqlite3"
    asyncio.run(_make_tables(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def template_of_tables(postgres_server: PostgresServer) -> str:
    """The name of a PostgreSQL database with all tables, to be copied."""
    return postgres_server.template(lambda url: asyncio.run(_make_tables(url)))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database: with all tables, and nothing in them, for a test that wants the `database`; else without any."""
    has_tables = "database" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "borne.sqlite3"
        if has_tables:
            shutil.copy(request.getfixturevalue("file_of_tables"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database(*([request.getfixturevalue("template_of_tables")] if has_tables else [])) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database with all tables, empty."""
    database = create_database(database_url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()
