"""What comes back from applying a fact, after its commit."""

from __future__ import annotations

import msgspec

from borne.core.facts import Registration, RestartKind
from borne.core.tags import TagAnswer


class Outcome(msgspec.Struct, gc=False):
    """Only what the fact's kind has to say is set. `ignored`: an older epoch, or a charger that is gone.

    `dead`: the fact could not be applied and lies in the dead letters; confirm it all the same, or it comes for ever.
    """

    epoch: int | None = None
    registration: Registration = "accepted"
    transaction: str | None = None
    tag: TagAnswer | None = None
    restart_id: int | None = None
    existing: bool = False
    reasons: tuple[str, ...] = ()
    due: Due | None = None
    ignored: bool = False
    dead: bool = False


class Due(msgspec.Struct, frozen=True, gc=False):
    """A Reset to write now; RestartSent is committed. `evse`: only that one (2.x), None for the whole charger."""

    restart_id: int
    kind: RestartKind
    evse: int | None


OK = Outcome()
IGNORED = Outcome(ignored=True)
