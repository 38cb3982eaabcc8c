"""Real sockets for simulated chargers: the dial function over the `websockets` client."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from borne.sim.dialling import ConnectionLost, DialRefused

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
FRAME_LIMIT_BYTES = 1 << 20


class WebSocketConnection:
    """A `Connection` over one real WebSocket. Pings of the server are answered by the library while it is not frozen."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def recv(self) -> str:
        try:
            frame = await self._socket.recv()
        except ConnectionClosed as closed:
            raise _loss(closed) from closed
        return frame if isinstance(frame, str) else frame.decode("utf-8", "replace")

    async def send(self, text: str) -> None:
        try:
            await self._socket.send(text)
        except ConnectionClosed as closed:
            raise _loss(closed) from closed

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.close(code, reason)

    def abort(self) -> None:
        self._socket.transport.abort()

    def freeze(self) -> None:
        # Reading no more means that no ping is seen, hence none answered; TCP itself stays open.
        # (Not every loop's transports say that they are an asyncio.ReadTransport.)
        transport = cast(asyncio.ReadTransport, self._socket.transport)
        if not transport.is_closing():
            transport.pause_reading()


def _loss(closed: ConnectionClosed) -> ConnectionLost:
    """Tell a close frame from a plain drop."""
    return ConnectionLost(closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else ConnectionLost()


async def dial_websocket(url: str, subprotocols: Sequence[str], headers: Mapping[str, str]) -> WebSocketConnection:
    """Open a WebSocket the way a charger does: no compression, no pings of its own, no proxy from the environment.

    Raises DialRefused with the HTTP status, or with None when nobody answered.
    """
    try:
        socket = await connect(
            url,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            additional_headers=dict(headers),
            compression=None,
            proxy=None,
            ping_interval=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=FRAME_LIMIT_BYTES,
            user_agent_header=None,
        )
    except InvalidStatus as refusal:
        raise DialRefused(refusal.response.status_code, refusal.response.reason_phrase) from refusal
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as failure:
        raise DialRefused(None, str(failure) or type(failure).__name__) from failure
    return WebSocketConnection(socket)
