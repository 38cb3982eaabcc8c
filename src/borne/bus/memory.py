"""Hints inside one process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from borne.bus.port import Hint, Topic

log = logging.getLogger(__name__)


class MemoryBus:
    """Delivers on the next turn of the loop, so that a publisher is never inside its listener."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[[Hint], None]]] = {}

    def publish(self, hint: Hint) -> None:
        if self._listeners.get(hint.topic):
            asyncio.get_running_loop().call_soon(self._deliver, hint)

    def listen(self, topic: Topic, listener: Callable[[Hint], None]) -> Callable[[], None]:
        listeners = self._listeners.setdefault(topic, [])
        listeners.append(listener)

        def stop() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return stop

    def _deliver(self, hint: Hint) -> None:
        for listener in list(self._listeners.get(hint.topic, ())):
            try:
                listener(hint)
            except Exception:
                log.exception("a listener failed on %s", hint)
