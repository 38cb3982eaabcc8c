"""Lists that are read part by part, each from where the one before it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from borne.store.db import Row


class Part(Protocol):
    """Some rows, newest first, and the number to ask for older ones with; None at the end."""

    @property
    def rows(self) -> list[Row]: ...

    @property
    def older_than(self) -> int | None: ...


async def all_of(ask: Callable[[int | None], Awaitable[Part]]) -> AsyncIterator[list[Row]]:
    """The rows of all parts: memory stays flat however many there are. `ask`: the part that is older than a number."""
    older_than: int | None = None
    while True:
        part = await ask(older_than)
        if part.rows:
            yield part.rows
        if part.older_than is None:
            return
        older_than = part.older_than
