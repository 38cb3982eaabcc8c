"""Ways to dial the gateway: the websockets client, and a raw socket for what no client would do."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import struct
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

from tests.gateway.fakes import SECRET, House


def basic(user: str, password: str) -> dict[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def dial(
    house: House,
    identity: str = "CP1",
    *,
    secret: str | None = SECRET,
    user: str | None = None,
    subprotocols: list[str] | None = None,
    headers: dict[str, str] | None = None,
    path: str | None = None,
    **more: Any,
) -> connect:
    """The websockets client on its way."""
    extra = {**(basic(user if user is not None else identity, secret) if secret is not None else {}), **(headers or {})}
    url = house.url + (path if path is not None else f"/{identity}")
    offered: Any = ["ocpp1.6"] if subprotocols is None else subprotocols
    return connect(
        url,
        additional_headers=extra,
        subprotocols=offered or None,
        compression=None,
        open_timeout=5,
        proxy=None,
        **more,
    )


async def call(socket: ClientConnection, action: str, payload: dict[str, Any], call_id: str = "1") -> list[Any]:
    """Send a call and wait for what answers it."""
    await socket.send(json.dumps([2, call_id, action, payload]))
    while True:
        frame = json.loads(await asyncio.wait_for(socket.recv(), 5))
        if frame[0] != 2 and frame[1] == call_id:
            return frame  # type: ignore[no-any-return]


async def next_call(socket: ClientConnection, timeout_s: float = 5) -> list[Any]:
    """The next call of the gateway."""
    while True:
        frame = json.loads(await asyncio.wait_for(socket.recv(), timeout_s))
        if frame[0] == 2:
            return frame  # type: ignore[no-any-return]


BOOT = {"chargePointVendor": "Test", "chargePointModel": "One"}


class Raw:
    """A socket that speaks bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, house: House, tls: ssl.SSLContext | None = None) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", house.gateway.port, ssl=tls))

    async def request(self, path: bytes, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str]]:
        """Send a WebSocket handshake, return status and headers of the answer."""
        lines = [b"GET " + path + b" HTTP/1.1", b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade"]
        lines += [b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16))]
        lines += [f"{name}: {value}".encode() for name, value in (headers or {}).items()]
        self.writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        first, *rest = head.decode().split("\r\n")
        found = dict(line.split(": ", 1) for line in rest if ": " in line)
        return int(first.split(" ")[1]), {name.lower(): value for name, value in found.items()}

    async def upgrade(self, identity: str = "CP1") -> None:
        status, _ = await self.request(
            f"/ocpp/{identity}".encode(), {**basic(identity, SECRET), "Sec-WebSocket-Protocol": "ocpp1.6"}
        )
        assert status == 101

    def frame(
        self,
        payload: bytes,
        opcode: int = 1,
        *,
        fin: bool = True,
        rsv: int = 0,
        masked: bool = True,
        length: int | None = None,
    ) -> bytes:
        size = len(payload) if length is None else length
        first = (0x80 if fin else 0) | (rsv << 4) | opcode
        mask_bit = 0x80 if masked else 0
        if size < 126:
            head = struct.pack("!BB", first, mask_bit | size)
        elif size < 65536:
            head = struct.pack("!BBH", first, mask_bit | 126, size)
        else:
            head = struct.pack("!BBQ", first, mask_bit | 127, size)
        if not masked:
            return head + payload
        key = os.urandom(4)
        return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))

    def send(self, payload: bytes, opcode: int = 1, **more: Any) -> None:
        self.writer.write(self.frame(payload, opcode, **more))

    async def read_frame(self) -> tuple[int, bytes]:
        first, second = await asyncio.wait_for(self.reader.readexactly(2), 5)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack("!H", await self.reader.readexactly(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", await self.reader.readexactly(8))[0]
        return first & 0xF, await self.reader.readexactly(size)

    async def close_code(self) -> int | None:
        """The code of the gateway's close frame; None when the socket ended without one."""
        try:
            while True:
                opcode, payload = await self.read_frame()
                if opcode == 8:
                    return int(struct.unpack("!H", payload[:2])[0])
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def ended(self, timeout_s: float = 5) -> None:
        """Until the other side closed the socket."""
        async with asyncio.timeout(timeout_s):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                return

    def close(self) -> None:
        self.writer.close()
