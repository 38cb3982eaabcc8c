"""A few threads that each own a connection, and a light way to let them work for the loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from borne.store.db import Busy

WAITING_MAX = 1000

C = TypeVar("C")
T = TypeVar("T")
_Work = tuple[Callable[[Any], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Threads(Generic[C]):
    """One thread for each of `owned`; they share one queue. At most WAITING_MAX calls wait: then Busy."""

    def __init__(self, name: str, owned: Sequence[C]) -> None:
        self.owned = tuple(owned)
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=_work, args=(self._queue, one), name=f"{name}-{number}", daemon=True)
            for number, one in enumerate(owned)
        ]
        for thread in self._threads:
            thread.start()

    def call(self, work: Callable[[C], T]) -> asyncio.Future[T]:
        """Run `work(owned)` in a free thread. Cancelling the future does not stop the work."""
        if self._queue.qsize() >= WAITING_MAX:
            raise Busy(f"{WAITING_MAX} calls wait for the database")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put((work, loop, future))
        return future

    async def stop(self) -> None:
        """Let the threads finish what they have and end them."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            while thread.is_alive():
                await asyncio.sleep(0.001)


def _work(queue: SimpleQueue[_Work | None], owned: Any) -> None:
    while (item := queue.get()) is not None:
        work, loop, future = item
        result: Any = None
        error: BaseException | None = None
        try:
            result = work(owned)
        except BaseException as raised:
            error = raised
        # The loop may be closed by now: then nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, future, result, error)
        del item, work, future, result, error


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
