"""One charger's WebSocket: what picows leaves to its user, as the transport of a link.

Here are fragments, reserved bits, binary frames, text that is not UTF-8, pings, slow readers and the ways to close. picows itself
ends unmasked frames, unknown opcodes and bad lengths (1002) and frames over the limit (1009).
"""

from __future__ import annotations

import asyncio
from typing import Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from borne.gateway.close_codes import BAD_TEXT, NO_CODE, POLICY, PROTOCOL_ERROR, TOO_BIG, UNSUPPORTED
from borne.gateway.link import Link
from borne.gateway.links import Links
from borne.gateway.settings import GatewaySettings

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

WRITE_HIGH = 64 * 1024  # unsent bytes at which a charger counts as a slow reader
WRITE_MOST = 256 * 1024  # unsent bytes at which it is cut off at once
LINGER_S = 0.5  # for a charger to answer our close frame
ABORT_S = 5.0  # for what is unsent to leave


class Quiet:
    """picows' logger: what strangers do to a socket is not worth a line, and a logger for each socket costs memory."""

    name = "borne.gateway.sockets"

    def isEnabledFor(self, _level: int) -> bool:  # noqa: N802 - logging's own spelling
        return False

    def _drop(self, *_args: Any, **_more: Any) -> None:
        return None

    log = debug = info = warning = error = exception = _drop


class Socket(WSListener):
    """Listener of picows and transport of a link in one: every link has one of these."""

    __slots__ = ("_closing", "_fragments", "_links", "_settings", "_size", "_slow", "_ws", "link")

    def __init__(self, links: Links, settings: GatewaySettings) -> None:
        self.link: Link | None = None
        self._links = links
        self._settings = settings
        self._ws: WSTransport | None = None
        self._closing = False
        self._fragments: list[bytes] | None = None
        self._size = 0
        self._slow: asyncio.TimerHandle | None = None

    # ---- picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._ws = transport
        transport.request.headers.clear()  # they held the password
        transport.underlying_transport.set_write_buffer_limits(WRITE_HIGH)
        if self.link is not None:
            self._links.admit(self.link)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind: Any = frame.msg_type
        link = self.link
        if self._closing or link is None:
            if kind == CLOSE:
                transport.disconnect()
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._misbehaved(PROTOCOL_ERROR, "reserved bits")
            return
        link.on_sign_of_life()
        if kind == TEXT and frame.fin and self._fragments is None:
            try:
                text = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError:
                self._misbehaved(BAD_TEXT, "not UTF-8")
                return
            link.on_text(text)
        elif kind == PONG:
            return
        elif kind == PING:
            if self._slow is None:
                transport.send_pong(frame.get_payload_as_bytes())
        elif kind == CLOSE:
            self._goodbye(transport, frame)
        elif kind == BINARY:
            self._misbehaved(UNSUPPORTED, "text only")
        else:
            self._fragment(link, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._closing = True
        if self._slow is not None:
            self._slow.cancel()
        link, self.link = self.link, None
        if link is not None:
            shake: Any = transport.close_handshake
            # A close frame of ours that the link did not ask for is picows': a broken or an oversized frame.
            broke = shake is not None and shake.sent is not None and shake.recv is None
            link.on_closed(None, misbehaved=broke)

    def pause_writing(self) -> None:
        if self._slow is None:
            self._slow = self._links.loop.call_later(self._settings.send_timeout_s, self._too_slow)

    def resume_writing(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    # ---- frames

    def _fragment(self, link: Link, frame: WSFrame) -> None:
        """Part of a message. The whole of it is bounded like a single frame, and so is the number of parts."""
        kind: Any = frame.msg_type
        if (kind == CONTINUATION) == (self._fragments is None):
            self._misbehaved(PROTOCOL_ERROR, "fragments out of order")
            return
        parts = self._fragments = self._fragments if self._fragments is not None else []
        parts.append(frame.get_payload_as_bytes())
        self._size += frame.payload_size
        if self._size > self._settings.max_frame_bytes or len(parts) > self._settings.max_fragments:
            self._misbehaved(TOO_BIG, "message too big")
            return
        if not frame.fin:
            return
        self._fragments, self._size = None, 0
        try:
            text = b"".join(parts).decode()
        except UnicodeDecodeError:
            self._misbehaved(BAD_TEXT, "not UTF-8")
            return
        link.on_text(text)

    def _goodbye(self, transport: WSTransport, frame: WSFrame) -> None:
        code: Any = frame.get_close_code()
        link, self.link = self.link, None
        self._closing = True
        transport.send_close(WSCloseCode.OK)
        transport.disconnect()
        if link is not None:
            link.on_closed(int(code) or NO_CODE)

    def _misbehaved(self, code: int, reason: str) -> None:
        link = self.link
        if link is not None:
            link.close(code, reason, "misbehaved", ours=True)

    def _too_slow(self) -> None:
        link = self.link
        if link is not None:
            link.close(POLICY, "reads too slowly", "misbehaved", ours=True)
        self.abort()

    # ---- the link calls

    def send(self, text: str) -> None:
        ws = self._ws
        if ws is None or self._closing:
            return
        ws.send(WSMsgType.TEXT, text)
        if self._slow is not None and ws.underlying_transport.get_write_buffer_size() > WRITE_MOST:
            self._too_slow()

    def ping(self) -> None:
        if self._ws is not None and not self._closing:
            self._ws.send_ping()

    def close(self, code: int, reason: str) -> None:
        """Say goodbye; the socket ends when the charger answers, or a moment later."""
        ws = self._ws
        if ws is None or self._closing:
            return
        self._closing = True
        self.link = None
        self._fragments = None
        ws.send_close(WSCloseCode(code), reason)
        ws.underlying_transport.resume_reading()
        self._links.loop.call_later(LINGER_S, self._hang_up)

    def _hang_up(self) -> None:
        if self._ws is not None and not self._ws.is_disconnected:
            self._ws.disconnect()
            self._links.loop.call_later(ABORT_S, self.abort)

    def abort(self) -> None:
        self._closing = True
        if self._ws is not None and not self._ws.is_disconnected:
            self._ws.disconnect(False)

    def pause_reading(self) -> None:
        if self._ws is not None and not self._closing:
            self._ws.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        if self._ws is not None and not self._closing:
            self._ws.underlying_transport.resume_reading()
