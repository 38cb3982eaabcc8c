"""What the gateway asks of the rest of the house."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

from borne.core.facts import Fact, RestartKind
from borne.core.tags import TagAnswer
from borne.engine.clock import NowMs


class Outcome(Protocol):
    """What the engine says once a fact is committed."""

    @property
    def epoch(self) -> int | None: ...
    @property
    def registration(self) -> str: ...
    @property
    def transaction(self) -> str | None: ...
    @property
    def tag(self) -> TagAnswer | None: ...
    @property
    def ignored(self) -> bool: ...


class Due(Protocol):
    """A restart whose `sent` is committed: write it now."""

    @property
    def restart_id(self) -> int: ...
    @property
    def kind(self) -> RestartKind: ...
    @property
    def evse(self) -> int | None: ...


class Engine(Protocol):
    """The only writer of machine state."""

    @property
    def clock(self) -> NowMs: ...

    @property
    def full(self) -> bool:
        """The inbox is at its bound: links wait before they hand over more."""
        ...

    def submit(
        self, fact: Fact, done: Callable[[Outcome | BaseException], None] | None = None, urgent: bool = False
    ) -> None:
        """In order per charger; `done` is called on the loop after the commit."""
        ...


# charger, epoch -> what to write now, committed as sent
TakeRestart = Callable[[int, int], Coroutine[Any, Any, Due | None]]
Authorise = Callable[[int, str], Coroutine[Any, Any, TagAnswer]]  # charger, id tag


class Transport(Protocol):
    """One socket, as a link sees it. Nothing here blocks or raises when the socket is gone."""

    def send(self, text: str) -> None: ...
    def ping(self) -> None: ...

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and end soon, whether the charger answers or not."""
        ...

    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


Direction = Literal["in", "out"]
Recorder = Callable[[int, int, Direction, str], None]  # charger, at_ms, direction, masked text
