"""The network between simulated chargers and a simulated server: latency, cuts, half-open links, proxies that answer pings.

It is TCP: nothing is reordered or doubled, but from some instant on everything may be lost, and either side may go on believing
in the link. What the server's process had handed to its socket still arrives when the process is killed, as it does in reality.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Literal, Protocol

from borne.sim.dialling import ConnectionLost
from borne.sim.virtual_loop import Process

Kind = Literal["text", "ping", "pong", "close", "reset"]
Direction = Literal["sent", "received"]
LINGER_S = 0.5  # how long the server waits for the answer to its close frame
CLOSING_S = 0.05  # how long a system takes to close what a dead process leaves
NO_STATUS = 1005


@dataclass(frozen=True, slots=True)
class Packet:
    """One thing on its way: a frame, or the end of the connection."""

    kind: Kind
    text: str = ""
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A text frame, as it left or reached the charger's own end of the wire."""

    at_s: float
    direction: Direction
    text: str


class LinkEnd(Protocol):
    """What the gateway's link does with what comes in."""

    def on_text(self, text: str) -> None: ...
    def on_sign_of_life(self) -> None: ...
    def on_closed(self, code: int | None, misbehaved: bool = False) -> None: ...


class Pipe:
    """One direction of a wire: first in, first out, each `latency_s` after it was sent."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, latency_s: float, arrive: Callable[[Packet], None], context: Context
    ) -> None:
        self.latency_s = latency_s
        self.is_cut = False
        self._loop = loop
        self._arrive = arrive
        self._context = context
        self._under_way: deque[Packet] = deque()
        self._last_s = 0.0

    def send(self, packet: Packet) -> None:
        if self.is_cut:
            return
        self._under_way.append(packet)
        self._last_s = max(self._last_s, self._loop.time() + self.latency_s)
        self._loop.call_at(self._last_s, self._next, context=self._context)

    def cut(self) -> None:
        """Everything under way, and everything sent from now on, is lost."""
        self.is_cut = True
        self._under_way.clear()

    def _next(self) -> None:
        if self._under_way:
            self._arrive(self._under_way.popleft())


class ServerEnd:
    """The gateway's socket (`borne.gateway.ports.Transport`)."""

    def __init__(self, wire: Wire, process: Process, on_frame: Callable[[Wire, str, Callable[[], None]], None]) -> None:
        self.link: LinkEnd | None = None
        self._wire = wire
        self._process = process
        self._on_frame = on_frame
        self._is_open = True  # towards the link
        self._is_closing = False
        self._paused: list[Packet] | None = None

    # what the link does

    def send(self, text: str) -> None:
        if not self._process.dead and self._is_open and not self._is_closing:
            self._on_frame(self._wire, text, lambda: self._wire.to_charger.send(Packet("text", text)))

    def ping(self) -> None:
        if not self._process.dead and self._is_open and not self._is_closing:
            self._wire.to_charger.send(Packet("ping"))

    def close(self, code: int, reason: str) -> None:
        if not self._process.dead and self._is_open and not self._is_closing:
            self._is_closing = True
            self._wire.to_charger.send(Packet("close", reason, code))
            self._wire.loop.call_later(LINGER_S, self._ended, None)

    def abort(self) -> None:
        if not self._process.dead and self._is_open:
            self._wire.to_charger.send(Packet("reset"))
            self._wire.loop.call_soon(self._ended, None)

    def pause_reading(self) -> None:
        self._paused = [] if self._paused is None else self._paused

    def resume_reading(self) -> None:
        held, self._paused = self._paused or [], None
        for packet in held:
            self.arrive(packet)

    # what the network does

    def arrive(self, packet: Packet) -> None:
        """Something came from the charger."""
        if self.link is None or not self._is_open or (self._is_closing and packet.kind not in ("close", "reset")):
            return
        if self._paused is not None:
            self._paused.append(packet)
            return
        match packet.kind:
            case "text":
                self.link.on_sign_of_life()
                self.link.on_text(packet.text)
            case "ping" | "pong":
                self.link.on_sign_of_life()
            case "close":
                if not self._is_closing:
                    self._wire.to_charger.send(Packet("close", "", packet.code))
                self._ended(packet.code)
            case "reset":
                self._ended(None)

    def _ended(self, code: int | None) -> None:
        if self._is_open:
            self._is_open = False
            self._wire.closed_by_server = True
            if self.link is not None:
                self.link.on_closed(code)


class ChargerEnd:
    """The charger's socket (`borne.sim.dialling.Connection`)."""

    def __init__(self, wire: Wire, say: Callable[[Said], None]) -> None:
        self.frozen = False
        self.lost: ConnectionLost | None = None
        self._wire = wire
        self._say = say
        self._inbox: deque[str] = deque()
        self._news = asyncio.Event()

    async def recv(self) -> str:
        while not self._inbox:
            if self.lost is not None:
                raise self.lost
            self._news.clear()
            await self._news.wait()
        return self._inbox.popleft()

    async def send(self, text: str) -> None:
        if self.lost is not None:
            raise self.lost
        self._say(Said(self._wire.loop.time(), "sent", text))
        if self._wire.server_is_lost:  # a host that came up anew knows nothing of this connection
            self._lose(ConnectionLost())
            return
        self._wire.to_server.send(Packet("text", text))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self.lost is None:
            self._wire.to_server.send(Packet("close", reason, code))
            self._lose(ConnectionLost(code, reason))

    def abort(self) -> None:
        if self.lost is None:
            self._wire.to_server.send(Packet("reset"))
            self._lose(ConnectionLost())

    def freeze(self) -> None:
        self.frozen = True

    def notice_loss(self) -> None:
        """The charger's network stack gives the connection up."""
        if self.lost is None:
            self._lose(ConnectionLost())

    def arrive(self, packet: Packet) -> None:
        """Something came from the server."""
        if self.frozen or self.lost is not None:
            return
        match packet.kind:
            case "text":
                self._say(Said(self._wire.loop.time(), "received", packet.text))
                self._inbox.append(packet.text)
                self._news.set()
            case "ping":
                self._wire.to_server.send(Packet("pong"))
            case "close":
                self._wire.to_server.send(Packet("close", "", packet.code or NO_STATUS))
                self._lose(ConnectionLost(packet.code or NO_STATUS, packet.text))
            case "reset":
                self._lose(ConnectionLost())
            case "pong":
                pass

    def _lose(self, loss: ConnectionLost) -> None:
        self.lost = loss
        self._news.set()


class Wire:
    """One connection between a charger and a server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        identity: str,
        process: Process,
        *,
        latency_s: float,
        say: Callable[[Said], None],
        on_frame: Callable[[Wire, str, Callable[[], None]], None],
    ) -> None:
        self.loop = loop
        self.identity = identity
        self.process = process
        self.server_is_lost = False
        self.closed_by_server = False
        self.charger = ChargerEnd(self, say)
        self.server = ServerEnd(self, process, on_frame)
        self.to_server = Pipe(loop, latency_s, self.server.arrive, process.context)
        self.to_charger = Pipe(loop, latency_s, self._towards_charger, Context())  # outlives the server's process
        self._behind_proxy = False

    @property
    def is_open(self) -> bool:
        """The two ends can talk: both believe in the connection, and nothing is cut."""
        believed = self.charger.lost is None and not self.charger.frozen and not self.closed_by_server
        return believed and not (self.to_server.is_cut or self.to_charger.is_cut or self.process.dead)

    @property
    def proxy_answers(self) -> bool:
        """The charger is cut off, but something before it keeps the server's end alive."""
        return self._behind_proxy and not (self.closed_by_server or self.to_charger.is_cut or self.process.dead)

    def lag(self, latency_s: float) -> None:
        """From now on everything takes this long."""
        self.to_server.latency_s = self.to_charger.latency_s = latency_s

    def cut(self, *, charger_learns_s: float | None, server_learns_s: float | None, proxied: bool = False) -> None:
        """Nothing comes through any more, what is under way included. Each side learns of it after some time, or never (None).

        `proxied`: something on the server's side of the cut goes on answering pings.
        """
        self.to_server.cut()
        self._behind_proxy = proxied
        if not proxied:
            self.to_charger.cut()
        if charger_learns_s is not None:
            self.loop.call_later(charger_learns_s, self.charger.notice_loss, context=Context())
        if server_learns_s is not None:
            self.loop.call_later(server_learns_s, self.server.arrive, Packet("reset"), context=self.process.context)

    def server_died(self, *, says_so: bool) -> None:
        """The server's process ended: its system closes the sockets. Not `says_so`: the whole host is gone without a word."""
        if says_so:  # after what was handed over, and a moment later
            self.loop.call_later(CLOSING_S, self.to_charger.send, Packet("reset"), context=Context())
        else:
            self.to_server.cut()
            self.to_charger.cut()

    def _towards_charger(self, packet: Packet) -> None:
        if not self._behind_proxy:
            self.charger.arrive(packet)
        elif packet.kind == "ping":
            self.loop.call_later(
                self.to_charger.latency_s, self.server.arrive, Packet("pong"), context=self.process.context
            )
