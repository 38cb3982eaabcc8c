"""The embedded database: one SQLite file, one writer, a few readers.

Statements of the writer run on the loop's own thread: a row costs a few microseconds, handing it to a thread would cost
more. Only COMMIT, which waits for the disk, runs in a thread of its own. Readers have threads with a connection each.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from sqlalchemy import Executable, Table
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.dialects.sqlite.pysqlite import dialect as sqlite_dialect
from sqlalchemy.engine import Dialect

from borne.store.db import (
    BadValue,
    Broken,
    Busy,
    Columns,
    Conflict,
    Corrupt,
    Database,
    DiskFull,
    InDoubt,
    Params,
    Row,
    StoreError,
    Transaction,
    Values,
)
from borne.store.statements import Statements, listed
from borne.store.threads import Threads
from borne.store.turn import Turn

READERS = 3
BUSY_PATIENCE_S = 5.0
PAUSE_S = 0.001
PAUSE_MAX_S = 0.05
CHECKPOINT_PAGES = 8000
CACHED_STATEMENTS = 512

T = TypeVar("T")


class _Compiler(SQLiteCompiler):
    """Writes the hint of a statement behind its table: `INDEXED BY name`, where SQLite would choose badly."""

    def get_from_hint_text(self, table: object, text: str | None) -> str | None:
        return text


def _dialect() -> Dialect:
    found: Dialect = sqlite_dialect()
    found.statement_compiler = _Compiler
    return found


class SqliteDatabase(Database):
    """One file. See `borne.store.db.create_database` for `threads` and `durable`."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self, path: str, *, threads: bool = True, durable: bool = True) -> None:
        self.path = Path(path)
        self.broken: StoreError | None = None
        self.statements = Statements(_dialect())
        self.turn = Turn()
        self._threads = threads
        self._durable = durable
        self._changes_committed = 0
        self._writer: sqlite3.Connection | None = None
        self._near: sqlite3.Connection | None = None
        self._committer: Threads[sqlite3.Connection] | None = None
        self._readers: Threads[sqlite3.Connection] | None = None

    @property
    def writer(self) -> sqlite3.Connection:
        if self._writer is None:
            raise Broken("the database is not open")
        return self._writer

    async def open(self) -> None:
        self.broken = None
        make_private(self.path)
        try:
            self._changes_committed = 0
            self._writer = await self._patiently(lambda: connect(self.path, durable=self._durable))
            self._near = connect(self.path, reads_only=True)
            if self._threads:
                self._committer = Threads("borne-commit", [self._writer])
                readers = [connect(self.path, reads_only=True, wait_s=BUSY_PATIENCE_S) for _ in range(READERS)]
                self._readers = Threads("borne-read", readers)
        except sqlite3.Error as error:
            raise explained(error, self.path) from error

    async def close(self) -> None:
        await self.turn.take(urgent=False)
        try:
            for threads in (self._readers, self._committer):
                if threads is not None:
                    await threads.stop()
            for connection in (self._near, self._writer, *(self._readers.owned if self._readers else ())):
                if connection is not None:
                    connection.close()
        finally:
            self._writer = self._near = self._committer = self._readers = None
            self.turn.give_back()

    async def all(self, statement: Executable, params: Params = None, *, fast: bool = False) -> list[Row]:
        prepared = self.statements.prepare(statement)
        sql, arguments = prepared.filled(params)

        def read(connection: sqlite3.Connection) -> list[Row]:
            cursor = connection.execute(sql, arguments)
            return prepared.rows(_names(cursor), cursor)

        if self._near is None:
            raise Broken("the database is not open")
        try:
            if fast or self._readers is None:
                return read(self._near)
            return await self._readers.call(read)
        except _FAULTS as error:
            raise explained(error, self.path) from error

    def transaction(self, urgent: bool = False) -> SqliteTransaction:
        return SqliteTransaction(self, urgent)

    async def begin(self) -> None:
        """Start writing. Another program may be writing too: wait for it without stopping the loop."""
        if self.broken is not None:
            raise self.broken
        try:
            await self._patiently(lambda: self.writer.execute("BEGIN IMMEDIATE"))
        except sqlite3.Error as error:
            raise explained(error, self.path) from error

    def commit(self) -> asyncio.Future[None]:
        """Commit in the commit thread. The turn is given back when that is done, whoever still waits for it."""
        loop = asyncio.get_running_loop()
        if self._committer is None or self.writer.total_changes == self._changes_committed:
            done: asyncio.Future[None] = loop.create_future()
            try:
                _commit(self.writer)
                done.set_result(None)
            except sqlite3.Error as error:
                done.set_exception(error)
            self._committed(done)
        else:
            done = self._committer.call(_commit)
            done.add_done_callback(self._committed)
        return done

    def rollback(self) -> None:
        try:
            if self._writer is not None and self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.broken = explained(error, self.path)
        finally:
            self.turn.give_back()

    def _committed(self, done: asyncio.Future[None]) -> None:
        error = done.exception()
        if error is None:
            self._changes_committed = self.writer.total_changes
            self.turn.give_back()
            return
        told = explained(error, self.path)
        if isinstance(told, Broken | Corrupt):
            # After a failed fsync nobody knows which pages are on the disk: a second one would only pretend.
            self.broken = told
        self.rollback()

    async def _patiently(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        give_up, pause = loop.time() + BUSY_PATIENCE_S, PAUSE_S
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or loop.time() >= give_up:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_MAX_S)


class SqliteTransaction(Transaction):
    """A transaction of the one writer."""

    __slots__ = ("_connection", "_database", "_failed", "_urgent")

    def __init__(self, database: SqliteDatabase, urgent: bool) -> None:
        self._database = database
        self._urgent = urgent
        self._failed: StoreError | None = None
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> SqliteTransaction:
        database = self._database
        await database.turn.take(self._urgent)
        try:
            await database.begin()
        except BaseException:
            database.turn.give_back()
            raise
        self._connection = database.writer
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection = None
        if error is not None or self._failed is not None:
            self._database.rollback()
            if error is None and self._failed is not None:
                raise self._failed
            return
        try:
            await asyncio.shield(self._database.commit())
        except sqlite3.Error as failure:
            raise explained(failure, self._database.path, committing=True) from failure

    async def all(self, statement: Executable, params: Params = None, *, fast: bool = False) -> list[Row]:
        prepared = self._database.statements.prepare(statement)
        cursor = self._execute(*prepared.filled(params))
        try:
            return prepared.rows(_names(cursor), cursor)
        except _FAULTS as error:
            raise self._fail(error) from error

    async def run(self, statement: Executable, params: Params = None) -> int:
        prepared = self._database.statements.prepare(statement)
        cursor = self._execute(*prepared.filled(params))
        if cursor.description is not None:
            return len(cursor.fetchall())
        return cursor.rowcount

    async def run_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            prepared = self._database.statements.prepare(statement)
            self._execute_many(prepared.sql, [prepared.arguments(row) for row in rows])

    async def insert_many(self, table: Table, columns: Columns, rows: Sequence[Values]) -> None:
        self._execute_many(self._database.statements.text(_insert, table, columns), rows)

    async def insert_ids(self, table: Table, columns: Columns, rows: Sequence[Values]) -> list[int]:
        sql = self._database.statements.text(_insert, table, columns)
        return [self._execute(sql, row).lastrowid or 0 for row in rows]

    async def update_many(self, table: Table, keys: Columns, columns: Columns, rows: Sequence[Values]) -> int:
        return self._execute_many(self._database.statements.text(_update, table, keys, columns), rows)

    async def upsert_many(
        self, table: Table, keys: Columns, columns: Columns, rows: Sequence[Values], *, keep: bool = False
    ) -> int:
        sql = self._database.statements.upsert(_insert, table, keys, columns, keep)
        return self._execute_many(sql, rows)

    async def add_many(self, table: Table, keys: Columns, added: Columns, rows: Sequence[Values]) -> None:
        self._execute_many(self._database.statements.add(_insert, table, keys, added), rows)

    def _execute(self, sql: str, arguments: Values) -> sqlite3.Cursor:
        try:
            return self._usable().execute(sql, arguments)
        except _FAULTS as error:
            raise self._fail(error) from error

    def _execute_many(self, sql: str, rows: Sequence[Values]) -> int:
        try:
            return self._usable().executemany(sql, rows).rowcount
        except _FAULTS as error:
            raise self._fail(error) from error

    def _usable(self) -> sqlite3.Connection:
        if self._failed is not None:
            raise self._failed
        if self._connection is None:
            raise StoreError("the transaction is over")
        return self._connection

    def _fail(self, error: Exception) -> StoreError:
        if not isinstance(error, StoreError):
            self._failed = explained(error, self._database.path)
            if isinstance(self._failed, Broken | Corrupt):
                self._database.broken = self._failed
            return self._failed
        return error


# What sqlite3 raises: its own errors, and those of values that it cannot bind.
_FAULTS = (sqlite3.Error, OverflowError, UnicodeError, TypeError, ValueError)


def connect(path: Path, *, durable: bool = True, reads_only: bool = False, wait_s: float = 0) -> sqlite3.Connection:
    """Connect as Borne does everywhere: WAL, nothing acknowledged before it is on the disk, waiting at most `wait_s`."""
    connection = sqlite3.connect(
        path, timeout=wait_s, isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS
    )
    try:
        if reads_only:
            pragmas = ["query_only=1"]
        else:
            synchronous = "FULL" if durable else "OFF"
            pragmas = ["journal_mode=WAL", f"synchronous={synchronous}", f"wal_autocheckpoint={CHECKPOINT_PAGES}"]
            # macOS: its fsync does not reach the disk. Elsewhere these two do nothing.
            # What is deleted is overwritten in the page that held it: an erased name does not stay in the file.
            pragmas += ["secure_delete=FAST"]
            pragmas += ["fullfsync=1", "checkpoint_fullfsync=1", "cache_size=-65536", "temp_store=MEMORY"]
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")  # a file that is no database says so now
    except BaseException:
        connection.close()
        raise
    return connection


def explained(error: BaseException, path: Path, *, committing: bool = False) -> StoreError:
    """Return the store's own error for what sqlite3 raised."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return BadValue(str(error))
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return DiskFull(f"no space left for the database {path}")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(f"another program is writing to the database {path}")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Corrupt(f"the database {path} is damaged or is no database: restore a backup ({error})")
    if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        return Conflict(str(error))
    if primary in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE):
        return BadValue(str(error))
    if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        kind = InDoubt if committing else Broken
        return kind(f"the disk failed under the database {path}: {error}")
    return StoreError(f"{error} ({path})")


def _commit(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")


def _names(cursor: sqlite3.Cursor) -> list[str]:
    return [column[0] for column in cursor.description]


def make_private(path: Path) -> None:
    """Create the file readable by its owner only; SQLite gives its companions the same rights.

    One that exists is never opened here: closing it would drop the locks that SQLite holds on it in this process.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise Broken(f"the database {path} cannot be opened: it is a folder") from None
    except OSError as error:
        raise Broken(f"the database {path} cannot be opened: {error.strerror}") from error


def _insert(table: Table, columns: Columns) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table.name} ({listed(columns)}) VALUES ({marks})"


def _update(table: Table, keys: Columns, columns: Columns) -> str:
    given = ", ".join(f'"{name}"=?{number}' for number, name in enumerate(columns, start=len(keys) + 1))
    where = " AND ".join(f'"{name}"=?{number}' for number, name in enumerate(keys, start=1))
    return f"UPDATE {table.name} SET {given} WHERE {where}"
