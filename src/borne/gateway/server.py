"""The listener: sockets and TLS, and the door through which a charger becomes a link.

picows frames and unmasks. What it leaves to its user stands in `borne.gateway.sockets`; who may come in is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from typing import Any

from picows import WSUpgradeRequest, WSUpgradeResponse
from picows import WSUpgradeResponseWithListener as Upgrade
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from borne.gateway import handshake
from borne.gateway.attempts import Attempts, Failures, Reason
from borne.gateway.directory import Directory, Entry
from borne.gateway.handshake import Asked, Refused
from borne.gateway.link import Link, Security
from borne.gateway.links import Links
from borne.gateway.metrics import count
from borne.gateway.settings import GatewaySettings
from borne.gateway.sockets import Quiet, Socket
from borne.gateway.tls import common_name, server_context
from borne.ocpp.dialects import Dialects, choose

log = logging.getLogger(__name__)

BACKLOG = 4_096
KERNEL_BUFFER = 64 * 1024  # each way; it bounds how far picows' own buffer grows, and what a slow reader can pile up
TLS_END_S = 5.0
REALM = 'Basic realm="OCPP", charset="UTF-8"'
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")


class Gateway:
    """The listening sockets and everything behind them."""

    def __init__(
        self,
        links: Links,
        directory: Directory,
        attempts: Attempts,
        dialects: Dialects,
        settings: GatewaySettings,
    ) -> None:
        self.links = links
        self.directory = directory
        self.attempts = attempts
        self.dialects = dialects
        self.settings = settings
        self.failures = Failures(settings.failures_a_minute)
        self.tls: ssl.SSLContext | None = None
        self.open_sockets = 0
        self.port = 0
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken or a certificate file cannot be read, ssl.SSLError when it is none."""
        settings, loop = self.settings, self.links.loop
        self.tls = server_context(settings)
        limits: dict[str, Any] = {}
        if self.tls is not None:  # who never finishes TLS is dropped at the same deadline as who never finishes HTTP
            limits = {"ssl_handshake_timeout": settings.handshake_timeout_s, "ssl_shutdown_timeout": TLS_END_S}
        for sock in await _listening(loop, settings.host, settings.port):
            self.port = self.port or sock.getsockname()[1]
            server = await loop.create_server(lambda: Door(self), sock=sock, ssl=self.tls, backlog=BACKLOG, **limits)
            self._servers.append(server)

    async def stop(self) -> None:
        """Listen no more and end every link."""
        for server in self._servers:
            server.close()
        await self.links.stop()

    # ---- who may come in

    def admit(self, request: WSUpgradeRequest, door: Door) -> Upgrade:
        """The answer to a charger's handshake: a link, or why not."""
        try:
            return self._admit(request, door)
        except Exception:
            log.exception("a handshake failed")
            return _refusal(500)

    def _admit(self, request: WSUpgradeRequest, door: Door) -> Upgrade:
        headers = request.headers
        if handshake.has_token(headers.get("connection"), "upgrade"):
            headers["connection"] = "Upgrade"  # "keep-alive, Upgrade" is right too, but not to picows
        asked = handshake.read_path(request.path, self.settings.path)
        address = door.address(headers, self.settings.trusted_proxies)
        log.debug("a handshake for %s from %s", handshake.hide_secret(request.path), address)
        if isinstance(asked, Refused):
            return self._refuse(asked.status, asked.reason, address, asked.identity, None)
        entry = self.directory.find(asked.identity)
        if handshake.is_foreign_origin(headers.get("origin"), headers.get("host")):
            return self._refuse(403, "origin", address, asked.identity, entry)
        is_secure = door.is_secure(headers, self.settings.trusted_proxies)
        reason, security = self._proof(asked, headers.get("authorization"), entry, door.certificate_name(), is_secure)
        if reason or entry is None:
            return self._unauthorised(reason or "identity", address, asked.identity, entry)
        retry_s = self.links.retry_after_s(entry.charger_id)
        if retry_s:
            return self._refuse(503, "busy", address, asked.identity, None, {"Retry-After": str(retry_s)})
        offered = handshake.subprotocols(headers.getall("sec-websocket-protocol", []))
        chosen = choose([name for name in offered if _TOKEN.fullmatch(name)])
        if chosen is None:
            return self._refuse(400, "subprotocol", address, asked.identity, entry)
        if not handshake.has_token(headers.get("upgrade"), "websocket"):
            return self._refuse(400, "not_websocket", address, asked.identity, entry)
        subprotocol, protocol = chosen
        if subprotocol is None:
            self.attempts.note(self.links.clock.now_ms(), address, asked.identity, "no_subprotocol", entry)
        listener = Socket(self.links, self.settings)
        listener.link = Link(self.links, entry, self.dialects[protocol], listener, address, security)
        accepted = {"Sec-WebSocket-Protocol": subprotocol} if subprotocol else {}
        return Upgrade(WSUpgradeResponse.create_101_response(accepted), listener)

    def _proof(
        self, asked: Asked, header: str | None, entry: Entry | None, name: str | None, is_secure: bool
    ) -> tuple[Reason | None, Security]:
        """(why the charger is refused, None when it is who it says; how its link is protected). `name`: of its certificate."""
        security: Security = "tls" if is_secure else "none"
        basic = handshake.read_basic(header, asked.identity)
        user, password = basic or ("", None)
        secret = asked.secret if asked.secret is not None else password
        fits = self.directory.is_secret_of(entry, secret)  # always looked at: unknown chargers must take as long
        if name is not None:
            is_its = entry is not None and not entry.disabled and name == asked.identity
            return (None, "mutual_tls") if is_its else ("certificate", security)
        if entry is None:
            return "identity", security
        if basic is not None and user not in ("", asked.identity):
            return "password", security
        if not fits:
            return "password" if secret else "no_password", security
        return ("disabled", security) if entry.disabled else (None, security)

    def _unauthorised(self, reason: Reason, address: str, identity: str, entry: Entry | None) -> Upgrade:
        """401, and after too many of them 429: the same for unknown identities and for wrong passwords."""
        if self.failures.add(self.links.loop.time(), "a:" + address, "i:" + identity):
            return self._refuse(429, "limit", address, identity, entry, {"Retry-After": "60"})
        return self._refuse(401, reason, address, identity, entry, {"WWW-Authenticate": REALM})

    def _refuse(
        self,
        status: int,
        reason: Reason,
        address: str,
        identity: str,
        entry: Entry | None,
        headers: dict[str, str] | None = None,
    ) -> Upgrade:
        count(self.links.counts.refused_links, reason)
        self.attempts.note(self.links.clock.now_ms(), address, identity, reason, entry)
        return _refusal(status, headers)


def _refusal(status: int, headers: dict[str, str] | None = None) -> Upgrade:
    response = WSUpgradeResponse.create_error_response(status, None, {"Content-Length": "0", **(headers or {})})
    return Upgrade(response, None)


class Door(WSProtocol):  # type: ignore[misc]
    """A socket until its handshake is done. picows keeps it as the framer of the link."""

    __slots__ = ("_gateway", "_is_open", "_tcp")

    def __init__(self, gateway: Gateway) -> None:
        settings = gateway.settings
        # host, path, is_client, factory, logger, disconnect_on_exception, handshake timeout, auto ping (4), auto pong, limits
        super().__init__(
            None, None, False, self._on_request, Quiet(), True, settings.handshake_timeout_s, False, 20, 20, 1, False,
            settings.max_frame_bytes, None, 1024,
        )  # fmt: skip
        self._gateway = gateway
        self._is_open = False
        self._tcp: Any = None

    def connection_made(self, transport: Any) -> None:
        gateway = self._gateway
        gateway.open_sockets += 1
        self._is_open = True
        self._tcp = transport
        super().connection_made(transport)
        if gateway.open_sockets > gateway.settings.max_sockets:
            transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_open:
            self._is_open = False
            self._gateway.open_sockets -= 1
        self._tcp = None
        super().connection_lost(error)

    def _on_request(self, request: WSUpgradeRequest) -> Upgrade:
        return self._gateway.admit(request, self)

    def is_secure(self, headers: Any, trusted: tuple[str, ...]) -> bool:
        """Whether TLS ends here, or at a trusted proxy."""
        if self._gateway.tls is not None:
            return True
        return headers.get("x-forwarded-proto", "").lower() in ("https", "wss") and handshake.is_within(
            self._peer(), trusted
        )

    def _peer(self) -> str:
        peer = self._tcp.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) and peer else "unknown"

    def certificate_name(self) -> str | None:
        """The common name of the charger's certificate; None without one."""
        return common_name(self._tcp) if self._gateway.settings.tls_client_ca is not None else None

    def address(self, headers: Any, trusted: tuple[str, ...]) -> str:
        """The charger's address; behind a trusted proxy the one that it names."""
        address = self._peer()
        if handshake.is_within(address, trusted):
            hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",")]
            address = next((hop for hop in reversed(hops) if hop and not handshake.is_within(hop, trusted)), address)
        return address.encode("unicode_escape").decode("ascii")[:64]


async def _listening(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[socket.socket]:
    """Bound sockets for every address of the host. Raises OSError when one is taken."""
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, number, _name, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, number)
            sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port or (sockets[0].getsockname()[1] if len(sockets) > 1 else 0), *address[2:]))
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets
