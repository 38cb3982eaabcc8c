"""A fleet as data: who its simulated chargers are, from a file or from a plan."""

from pathlib import Path
from typing import Literal

import msgspec

from borne.sim.behaviour import Habits
from borne.sim.behaviours import behaviour_named

DEFAULT_URL = "ws://127.0.0.1:9000/ocpp"


class FleetMember(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated charger. `url` is the endpoint without the identity; with a secret in the path, no password.

    `behaviour` is a name of `borne simulate --list`; `scale` multiplies its durations, then `tweaks` replaces fields.
    Without `habits` nobody charges here; `idle_status` is what its connectors then show.
    """

    identity: str
    password: str = ""
    url: str = DEFAULT_URL
    protocol: Literal["1.6", "2.0.1"] = "1.6"
    vendor: str = "Borne"
    model: str = "Simulated"
    serial: str = ""
    firmware: str = "1.0.0"
    behaviour: str = "by-the-book"
    scale: float = 1.0
    tweaks: dict[str, str | int | float | bool] = {}
    connectors: int = 1
    habits: Habits | None = None
    idle_status: str = "Available"


class _FleetFile(msgspec.Struct, forbid_unknown_fields=True):
    members: list[FleetMember]


def load_fleet(path: Path) -> list[FleetMember]:
    """Read `members` from a .toml or .json file. Raises ValueError saying in one line what is wrong with which file."""
    decode = msgspec.toml.decode if path.suffix == ".toml" else msgspec.json.decode
    try:
        members = decode(path.read_bytes(), type=_FleetFile).members
        for member in members:
            behaviour_named(member.behaviour, member.scale, member.tweaks)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    identities = [member.identity for member in members]
    if len(set(identities)) < len(identities):
        raise ValueError(f"{path}: two chargers have the same identity")
    return members
