"""Effects: what a rule asks for. The engine carries them out: `Record` inside the transaction, the others after the commit."""

from __future__ import annotations

import msgspec

Details = dict[str, str | int | None]


class Effect(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What a step asks of the engine."""


class Record(Effect, frozen=True, gc=False):
    """A line for the charger's timeline. `kind` is a word of the page's list (`link_opened`, `booted`, `status`, `restart_…`)."""

    kind: str
    details: Details = {}


class SendRestart(Effect, frozen=True, gc=False):
    """A restart is due: wake the link that holds the charger."""

    restart_id: int


class CloseLink(Effect, frozen=True, gc=False):
    """End the link of this epoch (damping, takeover)."""

    epoch: int
    reason: str


class TellBatch(Effect, frozen=True, gc=False):
    """A restart of a batch moved: it freed its slot, or it ended with this verdict.

    `left_queue`: it ended without ever having had a slot.
    """

    restart_id: int
    slot_freed: bool
    verdict: str | None = None
    left_queue: bool = False
