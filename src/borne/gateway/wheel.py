"""One timer for all links: each is looked at when its next deadline falls due, in slices that never stall the loop."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Protocol

log = logging.getLogger(__name__)

SLICE = 200  # links looked at in one turn of the loop


class Spoke(Protocol):
    """What hangs on the wheel."""

    def on_tick(self, now_s: float) -> float | None:
        """Do what is due; returns when to come again (loop time, seconds), None for never."""
        ...


class Wheel:
    """Deadlines rounded up to `tick_s`. A spoke may hang on it more than once: looking too early does nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tick_s: float = 0.25) -> None:
        self._loop = loop
        self._tick_s = tick_s
        self._slots: dict[int, list[Spoke]] = {}
        self._done = self._slot_of(loop.time()) - 1
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def add(self, spoke: Spoke, at_s: float) -> None:
        """Call `spoke.on_tick` at `at_s` (loop time) or a tick later."""
        slot = max(self._slot_of(at_s), self._done + 1)
        self._slots.setdefault(slot, []).append(spoke)
        if self._timer is None and not self._stopped:
            self._arm()

    def stop(self) -> None:
        """No tick comes any more."""
        self._stopped = True
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _slot_of(self, at_s: float) -> int:
        return math.ceil(at_s / self._tick_s)

    def _arm(self) -> None:
        self._timer = self._loop.call_later(self._tick_s, self._turn)

    def _turn(self) -> None:
        now_s = self._loop.time()
        last = math.floor(now_s / self._tick_s)
        due: list[Spoke] = []
        after_pause = last - self._done > len(self._slots)
        if after_pause:  # look at what there is, not at every tick of a long pause of the process
            for slot in sorted(slot for slot in self._slots if slot <= last):
                due += self._slots.pop(slot)
        else:
            for slot in range(self._done + 1, last + 1):
                due += self._slots.pop(slot, ())
        self._done = max(self._done, last)
        self._timer = None
        self._visit(due)
        if self._slots and not self._stopped and self._timer is None:
            self._arm()

    def _visit(self, due: list[Spoke]) -> None:
        now_s = self._loop.time()
        for spoke in due[:SLICE]:
            try:
                again_s = spoke.on_tick(now_s)
            except Exception:
                log.exception("a link failed on its tick")
                again_s = now_s + 1
            if again_s is not None:
                self.add(spoke, again_s)
        if len(due) > SLICE and not self._stopped:
            self._loop.call_soon(self._visit, due[SLICE:])
