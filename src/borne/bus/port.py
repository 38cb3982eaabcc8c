"""Hints: "something about this id changed, look again". They carry ids only; a lost one costs time, never data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

Topic = Literal[
    "charger", "restart", "batch", "restart_due", "directory", "login", "close_link", "job", "location", "notices",
    "session",
]  # fmt: skip


class Hint(msgspec.Struct, frozen=True, gc=False):
    """`id` is that of the noun named by `topic` (of notices: of the person).

    Organisation and location let a page's stream drop what is not its own.
    """

    topic: Topic
    id: int
    organisation_id: int = 0
    location_id: int = 0
    charger_id: int = 0
    detail: str = ""  # close_link: the reason


class Bus(Protocol):
    """Publish never blocks and never fails; listeners are called soon after, in order, on the loop's thread."""

    def publish(self, hint: Hint) -> None: ...

    def listen(self, topic: Topic, listener: Callable[[Hint], None]) -> Callable[[], None]:
        """Call `listener` for each hint of the topic; returns the function that ends it."""
        ...
