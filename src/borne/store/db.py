"""The port to the database: what the rest of Borne may ask of SQLite and of PostgreSQL, and what may go wrong.

Statements are SQLAlchemy Core constructs with named parameters (`bindparam("charger_id")`). Keep them at module level:
each is compiled once. Both databases give the same Python values: int, str, bytes, float, None.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Executable, Table

Params = Mapping[str, Any] | None
Columns = tuple[str, ...]
Values = Sequence[Any]


class StoreError(Exception):
    """The database could not do what was asked. Nothing of the transaction was kept, except where a subclass says so."""


class Conflict(StoreError):
    """A row with this unique key exists."""


class BadValue(StoreError):
    """The values are at fault, not the store: out of range, NUL or surrogates in a text, NULL where none may be."""


class Busy(StoreError):
    """Somebody else held the database, or its queue was full, for longer than we wait. Trying again may help."""


class DiskFull(StoreError):
    """No space. The transaction was rolled back cleanly; the store works again by itself when there is space."""


class Corrupt(StoreError):
    """The file is no database or is damaged: restore a backup."""


class Broken(StoreError):
    """The connection is lost, or the disk failed. SQLite stays broken until a new start; PostgreSQL reconnects."""


class InDoubt(Broken):
    """It broke during COMMIT: the transaction may or may not have been kept. Never retry that commit."""


class Row(tuple[Any, ...]):
    """A result row: a tuple whose values can also be read by the name of their column."""

    __slots__ = ()
    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class Reader(ABC):
    """What a database and a transaction have in common: reading."""

    __slots__ = ()

    @abstractmethod
    async def all(self, statement: Executable, params: Params = None, *, fast: bool = False) -> list[Row]:
        """Return all rows.

        `fast` promises a lookup of a few rows by an index: outside a transaction SQLite then reads on the loop's own
        thread (some 10 us) instead of handing over to another one (some 100 us).
        """

    async def first(self, statement: Executable, params: Params = None, *, fast: bool = False) -> Row | None:
        """Return the first row, or None. The others are fetched too: limit the statement."""
        rows = await self.all(statement, params, fast=fast)
        return rows[0] if rows else None

    async def value(self, statement: Executable, params: Params = None, *, fast: bool = False) -> Any:
        """Return the first column of the first row, or None."""
        rows = await self.all(statement, params, fast=fast)
        return rows[0][0] if rows else None


class Transaction(Reader):
    """One transaction: `async with database.transaction() as tx`. Committed at the end, rolled back by an exception.

    Once a statement has failed the transaction cannot go on, on either database: leave the block and begin another.
    Do not wait for anything but the database inside: on SQLite nobody else can write meanwhile.
    """

    __slots__ = ()

    @abstractmethod
    async def __aenter__(self) -> Transaction: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    async def run(self, statement: Executable, params: Params = None) -> int:
        """Execute a statement and return how many rows it touched."""

    @abstractmethod
    async def run_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute a statement once for each row of parameters."""

    @abstractmethod
    async def insert_many(self, table: Table, columns: Columns, rows: Sequence[Values]) -> None:
        """Insert rows, each a tuple in the order of `columns`. The cheapest way to write."""

    @abstractmethod
    async def insert_ids(self, table: Table, columns: Columns, rows: Sequence[Values]) -> list[int]:
        """Insert rows into a table with an `id` and return the new ids in the order of the rows."""

    async def insert(self, table: Table, values: Mapping[str, Any]) -> int:
        """Insert one row and return its id."""
        return (await self.insert_ids(table, tuple(values), [tuple(values.values())]))[0]

    @abstractmethod
    async def update_many(self, table: Table, keys: Columns, columns: Columns, rows: Sequence[Values]) -> int:
        """Set `columns` where all `keys` are equal; a row is the values of keys, then those of columns.

        Returns how many rows were changed: fewer than given when a key (a version, for instance) did not match.
        No two rows may have the same keys.
        """

    @abstractmethod
    async def upsert_many(
        self, table: Table, keys: Columns, columns: Columns, rows: Sequence[Values], *, keep: bool = False
    ) -> int:
        """Insert rows (keys, then columns). Where the unique `keys` exist, set `columns`, or with `keep` leave what is there.

        Returns how many rows were written. No two rows may have the same keys.
        """

    @abstractmethod
    async def add_many(self, table: Table, keys: Columns, added: Columns, rows: Sequence[Values]) -> None:
        """Insert rows (keys, then `added`). Where the unique `keys` exist, the numbers of `added` are added to
        those that are there. No two rows may have the same keys; give them in the order of the keys, always the same.
        """


class Database(Reader):
    """A database, open between `open` and `close`. Reads never block the loop and see only what is committed."""

    dialect: Literal["sqlite", "postgresql"]

    @abstractmethod
    async def open(self) -> None:
        """Connect. Raises StoreError with a sentence for people. The tables are made by `store.migrate`."""

    @abstractmethod
    async def close(self) -> None:
        """Wait for what is under way and disconnect."""

    @abstractmethod
    def transaction(self, urgent: bool = False) -> Transaction:
        """Begin a transaction (at `async with`). Writers go one at a time on SQLite; an urgent one goes first."""


def create_database(url: str, *, threads: bool = True, durable: bool = True) -> Database:
    """Return the database that a URL names: `sqlite:///path` or `postgresql://user@host/name`. Raises ValueError.

    `threads=False` does everything of SQLite on the calling thread, and `durable=False` does not wait for the disk:
    for deterministic simulation only.
    """
    if url.startswith("sqlite:///"):
        from borne.store.sqlite import SqliteDatabase

        return SqliteDatabase(url.removeprefix("sqlite:///"), threads=threads, durable=durable)
    if url.startswith(("postgresql://", "postgres://")):
        from borne.store.postgres import PostgresDatabase

        return PostgresDatabase(url)
    raise ValueError("a database is named by sqlite:///path/to/file or postgresql://user:password@host/name")
