"""The HTTP request of a charger, read strictly: path, credentials, subprotocols, origin. Pure functions."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from functools import cache
from typing import Literal
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

# OCPP 2.0.1's identifierString, up to 48 characters; 1.6 says nothing stricter.
IDENTITY = re.compile(r"[A-Za-z0-9_=:+|@.*-]{1,48}")
SECRET = re.compile(r"[A-Za-z0-9_~.*=-]{8,128}")
MAX_PATH = 512


class Asked(msgspec.Struct, frozen=True, gc=False):
    """Who a charger says it is. `secret` comes from the path, else from Basic; None when there is none."""

    identity: str
    secret: str | None = None


class Refused(msgspec.Struct, frozen=True, gc=False):
    """Why a request is refused. `identity` is what it seemed to mean, for the list of attempts."""

    status: Literal[400, 403, 404]
    reason: Literal["path", "identity"]
    identity: str


def read_path(raw: bytes, prefix: str) -> Asked | Refused:
    """`{prefix}/{identity}` or `{prefix}/{secret}/{identity}`. Percent escapes are read once; nothing here touches files."""
    path = raw.split(b"?", 1)[0]
    last = _readable(path.rsplit(b"/", 1)[-1])
    if len(raw) > MAX_PATH:
        return Refused(400, "identity", last)
    head = prefix.rstrip("/").encode() + b"/"
    if not path.startswith(head):
        return Refused(404, "path", last)
    parts = path[len(head) :].split(b"/")
    if len(parts) > 2:
        return Refused(404, "path", last)
    identity = _readable(parts[-1])
    if not IDENTITY.fullmatch(identity) or identity in (".", ".."):
        return Refused(400 if identity else 404, "identity" if identity else "path", identity)
    if len(parts) == 1:
        return Asked(identity)
    secret = _readable(parts[0])
    if not SECRET.fullmatch(secret):
        return Refused(404, "path", identity)
    return Asked(identity, secret)


def _readable(part: bytes) -> str:
    return unquote_to_bytes(part).decode("utf-8", "backslashreplace")


def hide_secret(raw: bytes) -> str:
    """The path for logs: a secret in it is masked, nothing in it can break a line."""
    parts = raw.split(b"?", 1)[0].split(b"/")
    if len(parts) > 3:
        parts[2:-1] = [b"***"]
    return b"/".join(parts).decode("ascii", "backslashreplace").encode("unicode_escape").decode()[:200]


def read_basic(header: str | None, identity: str) -> tuple[str, str] | None:
    """(user, password) of an Authorization header; None when there is none that can be read.

    A user name ends at the first colon, unless it is the identity, which may hold colons of its own.
    """
    if header is None:
        return None
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(token.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    if text.startswith(identity + ":"):
        return identity, text[len(identity) + 1 :]
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


def subprotocols(headers: list[str]) -> list[str]:
    """What Sec-WebSocket-Protocol offers, in order."""
    names = [name.strip() for header in headers for name in header.split(",")]
    return [name for name in names if name and name.isascii() and len(name) <= 64][:16]


def is_foreign_origin(origin: str | None, host: str | None) -> bool:
    """Whether a browser's page of another site opens this socket.

    Chargers' libraries send no Origin, or one of their own making (`file://`, their own address, the server's): only web origins
    other than the host that was dialled, and browsers' `null`, are foreign.
    """
    if origin is None:
        return False
    origin = origin.strip().lower()
    if origin == "null":
        return True
    if not origin.startswith(("http://", "https://")):
        return False
    return urlsplit(origin).netloc != (host or "").strip().lower()


def has_token(header: str | None, token: str) -> bool:
    """Whether a comma separated header holds a token, in any case."""
    return header is not None and any(part.strip().lower() == token for part in header.split(","))


def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address is one of these addresses, or lies in one of these networks."""
    if not networks:
        return False
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in _networks(networks))


@cache
def _networks(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)
