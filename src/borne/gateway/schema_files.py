"""The official schema files, as the package `ocpp` brings them. Read from disk here, because `borne.ocpp` does no I/O."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import cast

import msgspec

from borne.core.facts import Protocol
from borne.ocpp.dialects import Dialects, dialects
from borne.ocpp.schemas import Schema

_PACKAGES: dict[Protocol, str] = {"1.6": "v16", "2.0.1": "v201"}


def load_schema(protocol: Protocol, name: str) -> Schema | None:
    """The schema in file `name`.json of a version; None when the standard has no such message."""
    if not name.isascii() or not name.isalnum():
        return None
    path = _folder(protocol) / f"{name}.json"
    try:
        return cast(Schema, msgspec.json.decode(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        return None


@lru_cache
def _folder(protocol: Protocol) -> resources.abc.Traversable:
    # Only finds the package: importing it would compile its thousand classes at start-up.
    return resources.files("ocpp") / _PACKAGES[protocol] / "schemas"


def load_dialects() -> Dialects:
    """Every version that Borne speaks, with its schemas."""
    return dialects(load_schema)
