"""Requests to addresses that people typed: bounded, not redirected, never into a private network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from borne.engine import outgoing
from borne.engine.outgoing import FetchError, Outgoing, is_public

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def answering(answer: bytes, *, wait_s: float = 0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers every request with these bytes; its address, and what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        await asyncio.sleep(wait_s)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", heard


def ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def why(client: Outgoing, url: str, **more: Any) -> str:
    with pytest.raises(FetchError) as caught:
        await client.json(url, **more)
    return f"{caught.value.why} {caught.value.detail}".strip()


async def test_json_is_fetched_and_forms_are_sent() -> None:
    async with answering(ok(b'{"a": 1}')) as (url, heard):
        assert await Outgoing(allow_private=True).json(url) == {"a": 1}
        await Outgoing(allow_private=True).json(url, form={"code": "é&="}, headers={"authorization": "Basic x"})
    assert heard[0].startswith(b"GET /x HTTP/1.1\r\n")
    assert heard[1].startswith(b"POST /x HTTP/1.1\r\n")
    assert b"authorization: Basic x" in heard[1].lower().replace(b"basic x", b"Basic x")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n", "redirect 302"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "status 404"),
        (b'HTTP/1.1 400 Bad\r\ncontent-length: 25\r\n\r\n{"error":"invalid_grant"}', "status invalid_grant"),
        (b'HTTP/1.1 400 Bad\r\ncontent-length: 19\r\n\r\n{"error":"<script>"', "status 400"),
        (ok(b"<html>"), "json"),
        (ok(b"[1]"), "json"),
        (ok(b"[" * 100_000), "json"),
        (ok(b"\xff\xfe"), "json"),
        (ok(b"x" * (outgoing.SIZE_BOUND + 1)), "large"),
        (ok(b"\x1f\x8b", "content-encoding: gzip"), "json"),
        (b"nonsense\r\n\r\n", "unreachable"),
        (b"", "unreachable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_answers_that_are_refused(answer: bytes, expected: str) -> None:
    async with answering(answer) as (url, _):
        assert await why(Outgoing(allow_private=True), url) == expected


async def test_an_answer_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT_S", 0.05)
    async with answering(ok(b"{}"), wait_s=0.3) as (url, _):
        assert await why(Outgoing(allow_private=True), url) == "slow"


async def test_nobody_there() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        assert await why(Outgoing(allow_private=True), f"http://127.0.0.1:{held.getsockname()[1]}/") == "unreachable"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://id.example.com/", "plain"),
        ("ftp://id.example.com/", "address"),
        ("https:///x", "address"),
        ("https://u:p@id.example.com/", "address"),
        ("https://id.example.com/#x", "address"),
        ("https://id.example.com:99999/", "address"),
        ("https://id.example.com/\r\nx", "address"),
        ("https://id.example.com/é", "address"),
        ("https://id.example.com/" + "x" * 3000, "address"),
        ("", "address"),
        ("https://127.0.0.1/", "private"),
        ("https://[::1]/", "private"),
        ("https://169.254.169.254/latest/meta-data", "private"),
        ("https://10.0.0.1/", "private"),
        ("https://2130706433/", "private"),
        ("https://0x7f.1/", "private"),
        ("https://localhost/", "private"),
        ("https://0.0.0.0/", "private"),
    ],
)
async def test_addresses_that_are_not_asked(url: str, expected: str) -> None:
    assert await why(Outgoing(), url) == expected


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2001:0:4136:e378::", "2001:db8::1", "x", "",
    ],
)  # fmt: skip
def test_addresses_of_ones_own(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)


async def test_a_name_is_looked_up_once_and_that_address_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers something else the second time (DNS rebinding) changes nothing."""
    async with answering(ok(b"{}")) as (url, heard):
        port, asked = int(url.split(":")[2].split("/")[0]), []
        monkeypatch.setattr(
            asyncio.get_running_loop(), "getaddrinfo", resolver(asked, [["127.0.0.1"], ["10.0.0.1"]], port)
        )
        await Outgoing(allow_private=True).json(f"http://id.example.com:{port}/x")
    assert asked == ["id.example.com"]
    assert f"host: id.example.com:{port}".encode() in heard[0].lower()


async def test_one_private_address_among_others_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = [["1.1.1.1", "10.0.0.1"]]
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolver(asked, answers, 443))
    assert await why(Outgoing(), "https://id.example.com/") == "private"


def resolver(asked: list[str], answers: list[list[str]], port: int) -> Callable[..., Any]:
    async def getaddrinfo(host: str, _port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in answers[len(asked) - 1]]

    return getaddrinfo
