"""Browsers that never finish what they ask, on real sockets; and those who may take their time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from borne.portal import connection
from borne.portal.connection import Connection

pytestmark = pytest.mark.anyio
WITHIN_S = 0.3
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the size of the body; /slow takes longer than a request may."""
    size = 0
    while (message := await receive())["type"] == "http.request":
        size += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * WITHIN_S)
    await send({"type": "http.response.body", "body": b"%8d" % size})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(connection, "REQUEST_WITHIN_S", WITHIN_S)
    config, state = uvicorn.Config(app, log_config=None, lifespan="off", ws="none"), ServerState()
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()[1]
    server.close()


async def everything(reader: asyncio.StreamReader, within_s: float) -> bytes:
    """What comes until the server ends the connection."""
    try:
        return await asyncio.wait_for(reader.read(), within_s)
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "said",
    [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow", HALF_A_BODY, REQUEST + b"GET /"],
    ids=["nothing", "an empty line", "half a head", "half a body", "half of the second"],
)  # fmt: skip
async def test_t8_who_never_finishes_is_cut_off_at_the_deadline(port: int, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    began = asyncio.get_running_loop().time()
    answers = (await everything(reader, 5)).count(b"HTTP/1.1 200")
    assert asyncio.get_running_loop().time() - began >= WITHIN_S * 0.9
    assert answers == (1 if said.startswith(REQUEST) else 0)
    writer.close()


async def test_t8_a_byte_now_and_then_does_not_move_the_deadline(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = asyncio.get_running_loop().time()
    reading = asyncio.ensure_future(everything(reader, 5))
    while not reading.done():
        writer.write(b"G" if asyncio.get_running_loop().time() == began else b"E")
        await asyncio.sleep(0.02)
        assert asyncio.get_running_loop().time() - began < 10 * WITHIN_S
    writer.close()


async def test_an_endless_head_is_cut_off_at_its_bound(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_WITHIN_S", 60)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    try:
        for number in range(100_000):
            writer.write(b"X-%d: %s\r\n" % (number, b"x" * 100))
            await writer.drain()
        raise AssertionError("it took 10 MB of headers")
    except ConnectionError:
        pass
    assert b"200" not in await everything(reader, 5)
    writer.close()


async def test_answers_may_take_their_time_and_connections_are_used_again(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path in (b"/slow", b"/", b"/slow"):
        writer.write(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" % path + b"x" * 200_000)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b" 200 " in head
        assert await reader.readexactly(8) == b"  200000"
        await asyncio.sleep(1.2 * WITHIN_S)  # a quiet connection is uvicorn's own business
    writer.close()
