"""Bring a database to the tables that this program knows. Alembic does it; it is loaded only when there is something to do.

All that one start has to do is one transaction, on both databases: killed in the middle, nothing has happened. Of two
programs that start at once, one migrates and the other finds it done.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from borne.store.db import StoreError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_KEY = 0x426F726E65  # "Borne"; the server's own lock has another key
BUSY_TIMEOUT_S = 30

Say = Callable[[str], None]


class TooNewError(StoreError):
    """The database was written by a newer program than this one."""


def migrate(url: str, say: Say | None = None) -> list[str]:
    """Bring the database at `url` up to date, and return one sentence for each migration that was made (none: nothing to do).

    Blocking; without a running loop in this thread. `say` hears each sentence as it becomes true. Raises TooNewError, and
    other StoreErrors with a sentence.
    """
    said: list[str] = []

    def tell(sentence: str) -> None:
        said.append(sentence)
        if say is not None:
            say(sentence)

    if url.startswith("sqlite:///"):
        _migrate_sqlite(url, tell)
    else:
        asyncio.run(_migrate_postgres(url, tell))
    return said


def known_revisions() -> list[str]:
    """The revisions of this program, oldest first: their files are named by them."""
    return sorted(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _migrate_sqlite(url: str, tell: Say) -> None:
    from borne.store.sqlite import connect, explained, make_private

    path = Path(url.removeprefix("sqlite:///"))
    make_private(path)
    try:
        # Says so when the file is no database, and switches it to WAL.
        connection = connect(path, wait_s=BUSY_TIMEOUT_S)
        try:
            if _current(connection) == known_revisions()[-1]:
                return
        finally:
            connection.close()
        _upgrade_sqlite(url, tell)
    except sqlite3.Error as error:
        raise explained(error, path) from error


def _current(connection: sqlite3.Connection) -> str | None:
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None  # no such table: empty
    return found[0] if found else None


def _upgrade_sqlite(url: str, tell: Say) -> None:
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    options = {"isolation_level": None, "timeout": BUSY_TIMEOUT_S}
    engine = create_engine(url, poolclass=NullPool, connect_args=options)
    # The driver would begin only before INSERT and leave CREATE TABLE outside: begin ourselves, as the only writer.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            _upgrade(connection, tell)
    except DBAPIError as error:
        raise (error.orig or error) from error
    finally:
        engine.dispose()


async def _migrate_postgres(url: str, tell: Say) -> None:
    import asyncpg

    from borne.store.postgres import FAULTS, explained

    try:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            table = await connection.fetchval("SELECT to_regclass('alembic_version')::text")
            current = await connection.fetchval("SELECT version_num FROM alembic_version") if table else None
        finally:
            await connection.close()
        if current != known_revisions()[-1]:
            await _upgrade_postgres(url, tell)
    except FAULTS as error:
        raise explained(error) from error


async def _upgrade_postgres(url: str, tell: Say) -> None:
    import asyncpg
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url, timeout=10), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            await connection.run_sync(_upgrade, tell)
    except DBAPIError as error:
        raise StoreError(f"the migration failed: {error.orig}") from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, tell: Say) -> None:
    """Run Alembic inside the connection's transaction."""
    from alembic import command
    from alembic.runtime.migration import MigrationContext

    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known_revisions():
        raise TooNewError(
            f"the database was written by a newer Borne (its tables are of version {current}, this program knows them up to "
            f"{known_revisions()[-1]}): start that one again, or restore a backup from before"
        )

    def migrated(*, step: Any, **_: Any) -> None:
        for script in step.up_revisions:
            tell(f"The database is now of version {script.revision}: {script.doc}")

    command.upgrade(_config(connection, migrated), "head")


def _config(connection: Connection, on_version_apply: Callable[..., None]) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes.update(connection=connection, on_version_apply=on_version_apply)
    return config
