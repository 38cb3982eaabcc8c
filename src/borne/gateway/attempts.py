"""Connections that were refused: the last ones in memory, for people who wait for a charger; and limits on guessing."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from borne.bus.port import Bus, Hint
from borne.gateway.directory import Entry

MAX_ATTEMPTS = 1_000
MAX_COUNTED = 4_096  # addresses and identities whose failures are counted at once

# Why an attempt was refused, as the page that waits for a new charger names it. `no_subprotocol` was accepted all the same.
Reason = Literal[
    "path", "identity", "no_password", "password", "subprotocol", "no_subprotocol", "disabled", "certificate", "origin", "limit",
    "busy", "not_websocket",
]  # fmt: skip
REASONS: tuple[Reason, ...] = get_args(Reason)


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """A connection that was refused, or accepted with a remark. `identity` is as received, escaped and cut."""

    at_ms: int
    address: str
    identity: str
    reason: Reason
    charger_id: int = 0  # 0: unknown


class Attempts:
    """The last refused connections. A million random identities add nothing beyond the last thousand."""

    def __init__(self, bus: Bus | None = None) -> None:
        self._bus = bus
        self._last: deque[Attempt] = deque(maxlen=MAX_ATTEMPTS)

    def note(self, at_ms: int, address: str, identity: str, reason: Reason, entry: Entry | None) -> None:
        """Remember one. Whoever looks at the page of a known charger is told."""
        shown = identity.encode("unicode_escape").decode("ascii")[:64]
        self._last.append(Attempt(at_ms, address, shown, reason, entry.charger_id if entry else 0))
        if entry is not None and self._bus is not None:
            self._bus.publish(
                Hint("charger", entry.charger_id, entry.organisation_id, entry.location_id, entry.charger_id)
            )

    def recent(self) -> Sequence[Attempt]:
        """Newest first."""
        return list(reversed(self._last))


class Failures:
    """Failures of each address and each identity within the last minute. Only those who fail are counted and slowed: a
    correct secret always passes, so a stranger cannot lock a charger out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counted: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counted)

    def add(self, now_s: float, *names: str) -> bool:
        """Count a failure under each name. True: one of them has failed too often."""
        too_many = False
        for name in names:
            since_s, failures = self._counted.pop(name, (now_s, 0))
            if now_s - since_s > 60:
                since_s, failures = now_s, 0
            self._counted[name] = (since_s, failures + 1)
            too_many = too_many or failures >= self._most
        while len(self._counted) > MAX_COUNTED:
            self._counted.popitem(last=False)
        return too_many
