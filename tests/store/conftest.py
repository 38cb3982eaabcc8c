"""Every test of the store runs on both databases, unless it names one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy

from borne.store.db import Database, create_database
from borne.store.schema import PARTITIONED, metadata
from borne.store.schema.sessions import rest_of


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/borne.sqlite3"
    url: str = request.getfixturevalue("postgres_database")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database with all tables, empty."""
    database = create_database(database_url)
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
        yield database
    finally:
        await database.close()
