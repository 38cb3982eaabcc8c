"""The versions that Borne speaks, and how a WebSocket subprotocol names them."""

from __future__ import annotations

from collections.abc import Callable

from borne.core.facts import Protocol
from borne.ocpp import v16, v201
from borne.ocpp.messages import Dialect, Table
from borne.ocpp.schemas import Schema

TABLES: dict[Protocol, Table] = {"1.6": v16.TABLE, "2.0.1": v201.TABLE}
SUBPROTOCOLS: dict[str, Protocol] = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1"}

Dialects = dict[Protocol, Dialect]


def dialects(load: Callable[[Protocol, str], Schema | None]) -> Dialects:
    """All versions. `load` gives a schema by version and file name without its ending."""

    def loader(protocol: Protocol) -> Callable[[str], Schema | None]:
        return lambda name: load(protocol, name)

    return {protocol: Dialect(table, loader(protocol)) for protocol, table in TABLES.items()}


def choose(offered: list[str]) -> tuple[str | None, Protocol] | None:
    """(Subprotocol to confirm, version) for what a charger offers, in its order of preference; None when none is spoken.

    A charger that offers nothing is taken for 1.6. Odd names such as `ocpp2.0.1.1` are taken for what they begin with.
    """
    if not offered:
        return None, "1.6"
    for name in offered:
        if name.lower() in SUBPROTOCOLS:
            return name, SUBPROTOCOLS[name.lower()]
    for name in offered:
        for known, protocol in SUBPROTOCOLS.items():
            if name.lower().startswith(known):
                return name, protocol
    return None
