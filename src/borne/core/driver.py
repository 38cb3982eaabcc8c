"""What a user may do at a charger of theirs now, and why not. Pure."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

# In this order they are looked for; the first that holds is said.
Chance = Literal[
    "yours",  # their session runs here
    "disabled", "never", "offline", "fault", "updating", "restarting", "unavailable",
    "no_tag",  # free, but no tag of theirs is accepted
    "free",
    "plugged",  # a cable is plugged in and nothing charges: theirs, perhaps
    "reserved",
    "taken",  # somebody else charges
]  # fmt: skip
CHANCES: tuple[Chance, ...] = get_args(Chance)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A charger as far as somebody who wants to charge asks. `connectors`: the words of its connectors.

    `runs_mine`: their session runs here. `has_tag`: one of their tags is accepted, or the location takes any.
    """

    status: str  # core.charger.Status
    disabled: bool = False
    connectors: tuple[str, ...] = ()
    runs_mine: bool = False
    has_tag: bool = True


def chance(seen: Seen) -> Chance:
    """The one word for what they may do here."""
    if seen.runs_mine:
        return "yours"
    if seen.disabled:
        return "disabled"
    match seen.status:
        case "never" | "offline" | "fault" | "updating" | "restarting" | "unavailable":
            return seen.status
    words = set(seen.connectors)
    if "available" in words or (not words and seen.status == "ready"):
        return "free" if seen.has_tag else "no_tag"
    if words & {"preparing", "occupied"}:
        return "plugged" if seen.has_tag else "no_tag"
    return "reserved" if words and words <= {"reserved", "unavailable", "faulted"} else "taken"
