"""Whose turn it is to write, where only one may write at a time."""

from __future__ import annotations

import asyncio
from collections import deque


class Turn:
    """First come, first served, but the urgent before the others."""

    __slots__ = ("_taken", "_urgent", "_waiting")

    def __init__(self) -> None:
        self._taken = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, urgent: bool) -> None:
        if not self._taken:
            self._taken = True
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._waiting).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.give_back()  # it was ours already
            raise

    def give_back(self) -> None:
        for queue in (self._urgent, self._waiting):
            while queue:
                following = queue.popleft()
                if not following.done():
                    following.set_result(None)
                    return
        self._taken = False
