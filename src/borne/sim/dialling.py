"""What a simulated charger needs from a network: a dial function and the connection it gives.

Two networks fit: real WebSockets (`borne.sim.websocket_dial`) and any in-memory one that keeps these promises. The
charger never sees which.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable


class ConnectionLost(Exception):
    """The connection is gone: closed by either side, dropped, or aborted. Raised by `recv` and `send` from then on.

    `code` is the close code of a close frame (1005: a frame without code), None when none came; `reason` its text.
    """

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(f"code {code} {reason}".rstrip() if code is not None else "no close frame")
        self.code = code
        self.reason = reason


class DialRefused(Exception):
    """No connection came of a dial: the handshake was answered with HTTP `status`, or nobody answered (None)."""

    def __init__(self, status: int | None, reason: str = "") -> None:
        super().__init__(f"HTTP {status} {reason}".rstrip() if status is not None else reason or "nobody answered")
        self.status = status
        self.reason = reason


class Connection(Protocol):
    """One open OCPP-J link, seen from the charger: whole text frames in both directions."""

    async def recv(self) -> str:
        """Return the next text frame. Raises ConnectionLost; cancelling it loses no frame."""
        ...

    async def send(self, text: str) -> None:
        """Hand one text frame to the network. Raises ConnectionLost when the connection is known to be gone."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye with a close frame; never raises. A waiting `recv` raises ConnectionLost."""
        ...

    def abort(self) -> None:
        """Drop TCP without a close frame; never raises. A waiting `recv` raises ConnectionLost."""
        ...


@runtime_checkable
class CanFreeze(Protocol):
    """A connection that can play a charger which lost its power: open, but answering nothing, not even pings."""

    def freeze(self) -> None:
        """Stop reading and answering pings for good, without closing."""
        ...


Dial = Callable[[str, Sequence[str], Mapping[str, str]], Awaitable[Connection]]
"""`await dial(url, subprotocols, headers)`: url ends with /{identity}. Raises DialRefused."""
