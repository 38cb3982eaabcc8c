"""The database of a cluster: PostgreSQL through asyncpg. Batches travel as one statement each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

import asyncpg
from sqlalchemy import Executable, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql.asyncpg import dialect as postgres_dialect

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

READERS = 6
WRITERS = 4
CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 60
LOCK_TIMEOUT_MS = 10_000
CACHED_STATEMENTS = 512
COPY_FROM_ROWS = 20  # measured: below this one INSERT … unnest costs less than a COPY


class PostgresDatabase(Database):
    """One PostgreSQL database, with separate connections for readers so that pages never hold up the chargers."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url
        self.statements = Statements(postgres_dialect())  # type: ignore[no-untyped-call]
        self._readers: asyncpg.Pool | None = None
        self._writers: asyncpg.Pool | None = None

    @property
    def writers(self) -> asyncpg.Pool:
        if self._writers is None:
            raise Broken("the database is not open")
        return self._writers

    async def open(self) -> None:
        try:
            self._writers = await self._pool(WRITERS)
            self._readers = await self._pool(READERS)
        except FAULTS as error:
            await self.close()
            raise Broken(f"PostgreSQL cannot be reached: {error or type(error).__name__}") from error

    async def close(self) -> None:
        for pool in (self._readers, self._writers):
            if pool is not None:
                await pool.close()
        self._readers = self._writers = None

    async def all(self, statement: Executable, params: Params = None, *, fast: bool = False) -> list[Row]:
        prepared = self.statements.prepare(statement)
        sql, arguments = prepared.filled(params)
        if self._readers is None:
            raise Broken("the database is not open")
        try:
            connection = await _acquired(self._readers)
            try:
                found = await connection.fetch(sql, *arguments)
            finally:
                await self._readers.release(connection)
        except FAULTS as error:
            raise explained(error) from error
        return prepared.rows(found[0].keys(), found) if found else []

    def transaction(self, urgent: bool = False) -> PostgresTransaction:
        return PostgresTransaction(self)

    async def _pool(self, size: int) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            self._url,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            statement_cache_size=CACHED_STATEMENTS,
            max_cached_statement_lifetime=0,
            max_queries=2**31,  # asyncpg would make a new connection, without its plans, every 50,000
            max_inactive_connection_lifetime=0,
            server_settings={
                "application_name": "borne",
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "timezone": "UTC",
                "jit": "off",  # a statement of milliseconds would be compiled for half a second
            },
            init=_prepare_connection,
            reset=_leave_as_it_is,
        )


class PostgresTransaction(Transaction):
    """A transaction on a connection of its own."""

    __slots__ = ("_connection", "_database", "_failed")

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._connection: Any = None
        self._failed: StoreError | None = None

    async def __aenter__(self) -> PostgresTransaction:
        pool = self._database.writers
        try:
            connection = await _acquired(pool)
        except FAULTS as error:
            raise explained(error) from error
        try:
            await connection.execute("BEGIN")
        except BaseException as error:
            _terminate(connection)
            await pool.release(connection)
            if isinstance(error, FAULTS):
                raise explained(error) from error
            raise
        self._connection = connection
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        try:
            if error is not None or self._failed is not None:
                await _roll_back(connection)
                if error is None and self._failed is not None:
                    raise self._failed
                return
            if _is_lost(connection):
                raise Broken("the connection to PostgreSQL was lost before the commit")
            await connection.execute("COMMIT")
        except FAULTS as failure:
            _terminate(connection)
            raise explained(failure, committing=True) from failure
        except asyncio.CancelledError:
            _terminate(connection)
            raise
        finally:
            await self._database.writers.release(connection)

    async def all(self, statement: Executable, params: Params = None, *, fast: bool = False) -> list[Row]:
        prepared = self._database.statements.prepare(statement)
        sql, arguments = prepared.filled(params)
        try:
            found = await self._usable().fetch(sql, *arguments)
        except FAULTS as error:
            raise self._fail(error) from error
        return prepared.rows(found[0].keys(), found) if found else []

    async def run(self, statement: Executable, params: Params = None) -> int:
        prepared = self._database.statements.prepare(statement)
        sql, arguments = prepared.filled(params)
        return await self._execute(sql, *arguments)

    async def run_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        prepared = self._database.statements.prepare(statement)
        try:
            await self._usable().executemany(prepared.sql, [prepared.arguments(row) for row in rows])
        except FAULTS as error:
            raise self._fail(error) from error

    async def insert_many(self, table: Table, columns: Columns, rows: Sequence[Values]) -> None:
        if len(rows) < COPY_FROM_ROWS:
            if rows:
                await self._execute(self._database.statements.text(_insert, table, columns), *zip(*rows, strict=True))
            return
        try:
            await self._usable().copy_records_to_table(table.name, records=rows, columns=columns)
        except FAULTS as error:
            raise self._fail(error) from error

    async def insert_ids(self, table: Table, columns: Columns, rows: Sequence[Values]) -> list[int]:
        if not rows:
            return []
        sql = self._database.statements.text(_insert_ids, table, columns)
        try:
            found = await self._usable().fetch(sql, *zip(*rows, strict=True))
        except FAULTS as error:
            raise self._fail(error) from error
        return sorted(row[0] for row in found)

    async def update_many(self, table: Table, keys: Columns, columns: Columns, rows: Sequence[Values]) -> int:
        if not rows:
            return 0
        return await self._execute(
            self._database.statements.text(_update, table, keys, columns), *zip(*rows, strict=True)
        )

    async def upsert_many(
        self, table: Table, keys: Columns, columns: Columns, rows: Sequence[Values], *, keep: bool = False
    ) -> int:
        if not rows:
            return 0
        sql = self._database.statements.upsert(_insert, table, keys, columns, keep)
        return await self._execute(sql, *zip(*rows, strict=True))

    async def add_many(self, table: Table, keys: Columns, added: Columns, rows: Sequence[Values]) -> None:
        if rows:
            sql = self._database.statements.add(_insert, table, keys, added)
            await self._execute(sql, *zip(*rows, strict=True))

    async def _execute(self, sql: str, *arguments: Any) -> int:
        try:
            status: str = await self._usable().execute(sql, *arguments)
        except FAULTS as error:
            raise self._fail(error) from error
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    def _usable(self) -> Any:
        if self._failed is not None:
            raise self._failed
        if self._connection is None:
            raise StoreError("the transaction is over")
        return self._connection

    def _fail(self, error: Exception) -> StoreError:
        if not isinstance(error, StoreError):
            self._failed = explained(error)
            return self._failed
        return error


FAULTS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    asyncio.TimeoutError,
    ValueError,
    TypeError,
    OverflowError,
)

_BY_STATE: dict[str, type[StoreError]] = {
    "23505": Conflict,
    "53100": DiskFull,
    "40001": Busy,
    "40P01": Busy,
    "55P03": Busy,
    "57014": Busy,
    "58030": Broken,
}
_BY_CLASS: dict[str, type[StoreError]] = {
    "22": BadValue,
    "23": BadValue,
    "53": Busy,
    "XX": Corrupt,
    "57": Broken,
    "08": Broken,
}


def explained(error: BaseException, *, committing: bool = False) -> StoreError:
    """Return the store's own error for what asyncpg raised."""
    if isinstance(error, StoreError):
        return error
    text = str(error) or type(error).__name__
    kind: type[StoreError]
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        kind = _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or StoreError
        if state == "XX000":
            kind = StoreError
    elif isinstance(error, asyncpg.DataError) or not isinstance(error, asyncpg.InterfaceError | OSError | TimeoutError):
        kind = BadValue
    else:
        kind = Broken
    if kind is Broken and committing:
        kind = InDoubt
    return kind(text)


async def _acquired(pool: asyncpg.Pool) -> Any:
    try:
        return await pool.acquire(timeout=CONNECT_TIMEOUT_S)
    except TimeoutError:
        raise Busy(f"no connection to PostgreSQL was free for {CONNECT_TIMEOUT_S} s") from None


def _terminate(connection: Any) -> None:
    with contextlib.suppress(asyncpg.InterfaceError):  # the pool has noticed before us
        connection.terminate()


def _is_lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


async def _roll_back(connection: Any) -> None:
    """Roll back; a connection that cannot is closed, which is the same to the database."""
    try:
        await connection.execute("ROLLBACK")
    except BaseException as error:
        _terminate(connection)
        if not isinstance(error, FAULTS):
            raise


async def _prepare_connection(connection: Any) -> None:
    """Sums of integers come back as int, as on SQLite. What is acknowledged is on the disk, whatever the server's default."""
    await connection.set_type_codec("numeric", encoder=str, decoder=_number, schema="pg_catalog", format="text")
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )


async def _leave_as_it_is(connection: Any) -> None:
    """Nothing that Borne does changes a connection: resetting it after each use would be one more journey."""


def _number(text: str) -> int | float:
    return float(text) if "." in text or "N" in text else int(text)


def _insert(table: Table, columns: Columns) -> str:
    return f"INSERT INTO {table.name} ({listed(columns)}) SELECT * FROM unnest({_arrays(table, columns)})"


def _insert_ids(table: Table, columns: Columns) -> str:
    numbered = f"unnest({_arrays(table, columns)}) WITH ORDINALITY AS v({listed((*columns, 'ordinal__'))})"
    source = f"SELECT {listed(columns)} FROM {numbered} ORDER BY ordinal__"
    return f"INSERT INTO {table.name} ({listed(columns)}) {source} RETURNING id"


def _update(table: Table, keys: Columns, columns: Columns) -> str:
    # A column may be both, a version for instance: as key its old value, as column its new one.
    given = ", ".join(f'"{name}"=v.c{number}' for number, name in enumerate(columns, start=len(keys) + 1))
    where = " AND ".join(f't."{name}"=v.c{number}' for number, name in enumerate(keys, start=1))
    names = ", ".join(f"c{number}" for number in range(1, len(keys) + len(columns) + 1))
    source = f"unnest({_arrays(table, (*keys, *columns))}) AS v({names})"
    return f"UPDATE {table.name} AS t SET {given} FROM {source} WHERE {where}"


def _arrays(table: Table, columns: Columns) -> str:
    return ", ".join(f"${index}::{_kind(table, name)}[]" for index, name in enumerate(columns, start=1))


def _kind(table: Table, column: str) -> str:
    kind = table.c[column].type
    if isinstance(kind, Text):
        return "text"
    return "bytea" if isinstance(kind, LargeBinary) else "bigint"
