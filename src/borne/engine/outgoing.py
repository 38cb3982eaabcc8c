"""Requests that Borne makes to addresses which people typed in: an identity provider's, a price list's. Bounded in time and size.

An address of somebody's own network must not be reached through us: every name is resolved here, each of its addresses is
looked at, and the connection goes to one that was looked at (a second answer of the name server changes nothing). No
redirect is followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 8.0
SIZE_BOUND = 256 * 1024
ADDRESSES_TRIED = 4
URL_BOUND = 2_000

Why = Literal[
    "address", "plain", "private", "name", "unreachable", "tls", "slow", "redirect", "status", "large", "json"
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class FetchError(Exception):
    """What stands in the way; `detail`: a word of the other side (a status, an error code), never a body."""

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(f"{why} {detail}".strip())
        self.why = why
        self.detail = detail


class Outgoing:
    """Fetches JSON or text. `allow_private`: also from private and loopback addresses, and without TLS (a setting)."""

    def __init__(self, allow_private: bool = False) -> None:
        self.allow_private = allow_private
        self._client: httpx.AsyncClient | None = None

    def check(self, url: str) -> SplitResult:
        """The parts of an address that may be asked. Raises FetchError."""
        if len(url) > URL_BOUND or not url.isascii() or any(sign <= " " or sign in "\\\x7f" for sign in url):
            raise FetchError("address")
        try:
            parts = urlsplit(url)
            is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            raise FetchError("address") from None
        if parts.scheme not in {"http", "https"} or not is_whole or parts.username is not None or parts.fragment:
            raise FetchError("address")
        if parts.scheme == "http" and not self.allow_private:
            raise FetchError("plain")
        return parts

    async def json(
        self, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object at an address, or what answers a form sent there. Raises FetchError."""
        parts = self.check(url)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, body = await self._ask(parts, url, form, headers or {})
        except TimeoutError:
            raise FetchError("slow") from None
        if 300 <= status < 400:
            raise FetchError("redirect", str(status))
        answer = _object(body)
        if status != 200:
            raise FetchError("status", _error_word(answer) or str(status))
        if answer is None:
            raise FetchError("json")
        return answer

    async def text(self, url: str) -> bytes:
        """The bytes at an address. Raises FetchError."""
        parts = self.check(url)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, body = await self._ask(parts, url, None, {"accept": "text/csv, application/json"})
        except TimeoutError:
            raise FetchError("slow") from None
        if status != 200:
            raise FetchError("redirect" if 300 <= status < 400 else "status", str(status))
        return body

    async def _ask(
        self, parts: SplitResult, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        import httpx

        client = await self._open()
        said: httpx.ConnectError | None = None
        for address in await self._addresses(parts):
            target = httpx.URL(url).copy_with(host=address)
            request = client.build_request(
                "GET" if form is None else "POST",
                target,
                data=dict(form) if form is not None else None,
                headers={"accept": "application/json", **headers, "host": parts.netloc, "accept-encoding": "identity"},
                extensions={"sni_hostname": parts.hostname},
            )
            try:
                return await _read(client, request)
            except httpx.ConnectError as error:
                said = error
            except httpx.TimeoutException:
                raise FetchError("slow") from None
            except (httpx.HTTPError, httpx.InvalidURL, ValueError):
                raise FetchError("unreachable") from None
        raise FetchError("tls" if "CERTIFICATE" in str(said) or "SSL" in str(said) else "unreachable")

    async def _addresses(self, parts: SplitResult) -> list[str]:
        """Where a name leads. Raises FetchError when any of its addresses is one that is not asked."""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise FetchError("name") from None
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not self.allow_private and not all(is_public(address) for address in addresses):
            raise FetchError("private")
        return addresses[:ADDRESSES_TRIED]

    async def _open(self) -> httpx.AsyncClient:
        """The client; its certificates are read in a thread, once."""
        if self._client is None:
            self._client = await asyncio.to_thread(_make_client)
        return self._client


def _make_client() -> httpx.AsyncClient:
    import httpx

    limits = httpx.Limits(
        max_connections=20, max_keepalive_connections=0
    )  # a kept connection would not be looked at again
    return httpx.AsyncClient(
        timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, verify=httpx.create_ssl_context(), limits=limits
    )


async def _read(client: httpx.AsyncClient, request: httpx.Request) -> tuple[int, bytes]:
    answer = await client.send(request, stream=True)
    try:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise FetchError("json")  # it was asked not to: nothing is unpacked
        body = b""
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > SIZE_BOUND:
                raise FetchError("large")
        return answer.status_code, body
    finally:
        await answer.aclose()


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None


def _error_word(answer: dict[str, Any] | None) -> str:
    """The `error` of an OAuth answer (RFC 6749, 5.2): a short word, or nothing."""
    word = (answer or {}).get("error")
    return word[:60] if isinstance(word, str) and word.isascii() and word.replace("_", "").isalnum() else ""


def is_public(address: str) -> bool:
    """Whether an address is one of the internet at large: not of a machine, a private network, or a cloud's metadata."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip.sixtofour is not None or ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
