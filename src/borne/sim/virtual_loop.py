"""An event loop on virtual time: it never sleeps, never leaves its thread, and runs the same way every time.

Time jumps to the next timer. What one simulated process started is marked by its context, so that a process can be killed like a
real one: not a single line of it runs any more, no `finally` of a task is waited for, nothing says goodbye.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")

MAX_TURNS_AT_ONE_INSTANT = 20_000
MOST_VIRTUAL_S = 48 * 3600.0


class Killed(BaseException):
    """Raised inside a process that dies at this very line. No handler of the program's own may stop it."""


class Process:
    """All that runs on behalf of one program. `dead`: nothing of it runs any more."""

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self.name = name
        self.dead = False
        self._loop = loop
        self._tasks: dict[SimTask, None] = {}
        self.context: Context = copy_context()
        self.context.run(_PROCESS.set, self)

    def spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run a coroutine as part of this process."""
        task: asyncio.Task[Result] = self._loop.create_task(work, context=self.context.copy())
        return task

    def own(self, task: SimTask) -> None:
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)  # type: ignore[call-overload]

    def kill(self) -> None:
        """End at once. Callbacks on their way are dropped, tasks stay where they are for ever."""
        self.dead = True
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            asyncio._unregister_task(task)  # nobody shall wait for its end
            work = task.get_coro()
            if inspect.getcoroutinestate(work) == inspect.CORO_CREATED:  # type: ignore[arg-type]
                work.close()  # it had not begun
        self._loop.drop(self)


_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class SimTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address in memory."""

    number = 0

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class _Never:
    """What a loop takes for its selector: nothing ever comes from outside."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits for ever")
        self.now_s += max(0.0, timeout)
        if self.now_s > MOST_VIRTUAL_S:
            raise RuntimeError("this world never ends")
        return []


_BASE: Any = asyncio.BaseEventLoop  # untyped: what follows lives on its insides


class VirtualLoop(_BASE):  # type: ignore[misc]
    """The loop of a simulated world."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Never()
        self._clock_resolution = 1e-9
        self._task_count = 0
        self._left = 0.0, MAX_TURNS_AT_ONE_INSTANT
        self.faults: list[str] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._keep_fault)

    def time(self) -> float:
        """Virtual seconds since the world began."""
        return self._selector.now_s

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        process = handle._context.get(_PROCESS)  # type: ignore[attr-defined]
        if process is not None and process.dead:
            handle.cancel()
        else:
            self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        handle: Any = asyncio.TimerHandle(when, callback, args, self, context)
        process = handle._context.get(_PROCESS)
        if process is not None and process.dead:
            handle.cancel()
        else:
            heapq.heappush(self._scheduled, handle)
            handle._scheduled = True
        return handle

    def drop(self, process: Process) -> None:
        """Nothing that was to be called in this process will be."""
        for handle in (*self._ready, *self._scheduled):
            if handle._context.get(_PROCESS) is process:
                handle.cancel()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        raise AssertionError("something in the simulated world used a thread")

    def call_soon_threadsafe(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("something in the simulated world used a thread")

    def _run_once(self) -> None:
        now_s, left = self._left
        if now_s == self._selector.now_s:
            if left == 0:
                raise RuntimeError(f"time stands still at {now_s:.3f} s: something runs in circles")
            self._left = now_s, left - 1
        else:
            self._left = self._selector.now_s, MAX_TURNS_AT_ONE_INSTANT
        super()._run_once()

    def _process_events(self, event_list: list[Any]) -> None:
        return

    def _write_to_self(self) -> None:
        return

    def _make_task(self, loop: Any, coro: Any, context: Context | None = None) -> SimTask:
        task = SimTask.__new__(SimTask)
        self._task_count += 1
        task.number = self._task_count
        context = context if context is not None else copy_context()
        task.__init__(coro, loop=loop, context=context)  # type: ignore[misc]
        process = context.get(_PROCESS)
        if process is not None:
            process.own(task)
        return task

    def _keep_fault(self, _loop: Any, about: dict[str, Any]) -> None:
        error = about.get("exception")
        if isinstance(error, Killed):
            return
        self.faults.append(f"{about.get('message')}: {error!r}")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on a virtual loop of its own. What it leaves behind is dropped, not waited for."""
    loop = VirtualLoop()
    try:
        result: Result = loop.run_until_complete(work)
        return result
    finally:
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()
