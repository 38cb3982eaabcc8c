"""A real SQLite file for what follows the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from borne.store.db import Database, create_database
from borne.store.migrate import migrate


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path / 'borne.sqlite3'}"
    migrate(url)
    database = create_database(url)
    await database.open()
    yield database
    await database.close()
