"""A real database behind a wrapper that can hold back or fail its commits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from sqlalchemy import Executable, Table

from borne.store.db import Columns, Database, Params, Row, StoreError, Transaction, Values


class FaultyDatabase(Database):
    """`error`: what every commit meets (nothing is kept). `gate`: a commit waits until it is set."""

    def __init__(self, real: Database) -> None:
        self.real = real
        self.dialect = real.dialect
        self.error: StoreError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()  # a commit waits at the gate
        self.commits = 0

    async def open(self) -> None:
        await self.real.open()

    async def close(self) -> None:
        await self.real.close()

    async def all(self, statement: Executable, params: Params = None, *, fast: bool = False) -> list[Row]:
        return await self.real.all(statement, params, fast=fast)

    def transaction(self, urgent: bool = False) -> FaultyTransaction:
        return FaultyTransaction(self, self.real.transaction(urgent))


class FaultyTransaction(Transaction):
    """Passes everything on, until its end."""

    def __init__(self, database: FaultyDatabase, real: Transaction) -> None:
        self.database = database
        self.real = real

    async def __aenter__(self) -> FaultyTransaction:
        await self.real.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        database = self.database
        if error is None:
            if not database.gate.is_set():
                database.waiting.set()
                await database.gate.wait()
            if database.error is not None:
                await self.real.__aexit__(type(database.error), database.error, None)
                raise database.error
            database.commits += 1
        await self.real.__aexit__(kind, error, trace)

    async def all(self, statement: Executable, params: Params = None, *, fast: bool = False) -> list[Row]:
        return await self.real.all(statement, params, fast=fast)

    async def run(self, statement: Executable, params: Params = None) -> int:
        return await self.real.run(statement, params)

    async def run_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        await self.real.run_many(statement, rows)

    async def insert_many(self, table: Table, columns: Columns, rows: Sequence[Values]) -> None:
        await self.real.insert_many(table, columns, rows)

    async def insert_ids(self, table: Table, columns: Columns, rows: Sequence[Values]) -> list[int]:
        return await self.real.insert_ids(table, columns, rows)

    async def update_many(self, table: Table, keys: Columns, columns: Columns, rows: Sequence[Values]) -> int:
        return await self.real.update_many(table, keys, columns, rows)

    async def upsert_many(
        self, table: Table, keys: Columns, columns: Columns, rows: Sequence[Values], *, keep: bool = False
    ) -> int:
        return await self.real.upsert_many(table, keys, columns, rows, keep=keep)

    async def add_many(self, table: Table, keys: Columns, added: Columns, rows: Sequence[Values]) -> None:
        await self.real.add_many(table, keys, added, rows)
