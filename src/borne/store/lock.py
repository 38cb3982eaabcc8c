"""One server on a database: a second one is refused with a sentence.

Only the server takes this lock. `borne admin` and backups do not, and work beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from borne.store.db import StoreError

LOCK_KEY = 0x426F726E66  # beside the migrations' key
CONNECT_TIMEOUT_S = 10
WATCH_S = 5


class AlreadyServedError(StoreError):
    """Another Borne server works on this database."""


class ServerLock(ABC):
    """Held inside `async with`; ends with the process, however that ends. Raises AlreadyServedError."""

    @abstractmethod
    async def __aenter__(self) -> ServerLock: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def server_lock(url: str, on_lost: Callable[[], None] = lambda: None) -> ServerLock:
    """Return the lock of the database at `url`.

    `on_lost` is called on the loop's thread when the lock is gone while it should be held (PostgreSQL: the connection that
    holds it broke). Another server may start then, so this one must stop.
    """
    if url.startswith("sqlite:///"):
        return _FileLock(Path(url.removeprefix("sqlite:///")))
    return _PostgresLock(url, on_lost)


class _FileLock(ServerLock):
    """A locked file beside the database. It is left there: removing it would let two servers lock two files of one name."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file: int | None = None

    async def __aenter__(self) -> _FileLock:
        # The same database under two names (links) must have one lock.
        path = Path(f"{os.path.realpath(self._database)}.lock")
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the lock {path} cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(file, 20, 0).decode(errors="replace").strip()
            os.close(file)
            by = f" (process {holder})" if holder.isdigit() else ""
            raise AlreadyServedError(
                f"another Borne server{by} works on the database {self._database}: stop that one first"
            ) from error
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _PostgresLock(ServerLock):
    """An advisory lock, held by a connection that does nothing else."""

    def __init__(self, url: str, on_lost: Callable[[], None]) -> None:
        self._url = url
        self._on_lost = on_lost
        self._connection: Any = None
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _PostgresLock:
        import asyncpg

        from borne.store.postgres import FAULTS, explained

        try:
            connection = await asyncpg.connect(
                self._url, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "borne lock"}
            )
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
                await connection.close()
                raise AlreadyServedError("another Borne server works on this PostgreSQL database: stop that one first")
        except FAULTS as error:
            raise explained(error) from error
        self._connection = connection
        connection.add_termination_listener(self._lost)
        self._watch = asyncio.create_task(self._keep_asking())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.remove_termination_listener(self._lost)
            with contextlib.suppress(Exception):
                await connection.close(timeout=CONNECT_TIMEOUT_S)

    async def _keep_asking(self) -> None:
        """A server that vanished without a word is noticed only by asking it."""
        connection = self._connection
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await connection.fetchval("SELECT 1", timeout=WATCH_S)
            except Exception:
                connection.terminate()
                return

    def _lost(self, connection: Any) -> None:
        if self._connection is not None:
            self._connection = None
            self._on_lost()
