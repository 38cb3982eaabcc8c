"""The one clock: wall time in milliseconds that runs evenly while Borne runs, and says when the system's clock was moved."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

STEP_MS = 1_000  # a smaller difference is drift


class NowMs(Protocol):
    """What most need of a clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...


class Clock:
    """Anchored wall time: read once, then carried on by the monotonic clock, so that a step of the system's clock
    makes no deadline early or endless. `check_step` notices the step, takes over the new time and returns by how much
    it moved."""

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._offset_ms = wall_ns() // 1_000_000 - monotonic_ns() // 1_000_000

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return self._monotonic_ns() // 1_000_000 + self._offset_ms

    def check_step(self) -> int:
        """Milliseconds by which the system's clock was moved since the last call (positive: forward), 0 for mere drift."""
        by_ms = self._wall_ns() // 1_000_000 - self.now_ms()
        if abs(by_ms) < STEP_MS:
            return 0
        self._offset_ms += by_ms
        return by_ms
