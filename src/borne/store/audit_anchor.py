"""The audit log's anchor: a head of the chain, noted in a file of the data folder. A database older than it is found out."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

FILE = "audit.head"


class Anchor(msgspec.Struct, frozen=True):
    """The number and the hash of a row, as the database held it at `at_ms`."""

    seq: int
    hash: bytes
    at_ms: int


class BadAnchorError(ValueError):
    """The file is there and is no anchor."""


def read(folder: Path) -> Anchor | None:
    """The anchor; None before the first. Raises BadAnchorError."""
    try:
        text = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(text, type=Anchor)
    except msgspec.DecodeError:
        raise BadAnchorError(f"{folder / FILE} is no head of an audit log") from None


def write(folder: Path, anchor: Anchor) -> None:
    """Put an anchor in the place of the one before; it is on the disk when this returns."""
    made = folder / f".{FILE}.{secrets.token_hex(4)}"
    made.touch(mode=0o600)
    with made.open("r+b") as file:
        file.write(msgspec.json.encode(anchor) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    made.replace(folder / FILE)
