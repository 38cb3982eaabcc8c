"""The engine runs on a real SQLite file; tests marked `on_both` run on PostgreSQL too."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from borne.store.db import Database, create_database
from borne.store.migrate import migrate
from tests.support.house import House, Small
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "borne.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def empty_template(postgres_server: PostgresServer) -> str:
    """The name of a PostgreSQL database with all tables, to be copied."""
    return postgres_server.template(migrate)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_file: Path) -> Iterator[str]:
    """URL of a database with all tables, empty."""
    if getattr(request, "param", "sqlite") == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        with server.database(request.getfixturevalue("empty_template")) as url:
            yield url
        return
    path = tmp_path / "borne.sqlite3"
    shutil.copy(empty_file, path)
    yield f"sqlite:///{path}"


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """The open database."""
    database = create_database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def house(db: Database) -> AsyncIterator[House]:
    """A running engine."""
    running = House(db)
    await running.begin()
    yield running
    await running.engine.stop()


@pytest.fixture
async def small(house: House) -> Small:
    """A running engine with one connected charger and its super-admin."""
    return await Small(house).fill()
