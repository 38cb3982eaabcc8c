"""What a user may do at a charger, and why not: every cause alone, and which one is said first."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from borne.core.driver import Seen, chance

FREE = Seen(status="ready", connectors=("available",))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "free"),
        ({"connectors": ()}, "free"),
        ({"has_tag": False}, "no_tag"),
        ({"disabled": True}, "disabled"),
        ({"status": "offline"}, "offline"),
        ({"status": "offline", "disabled": True}, "disabled"),
        ({"status": "never", "has_tag": False}, "never"),
        ({"status": "fault"}, "fault"),
        ({"status": "updating"}, "updating"),
        ({"status": "restarting"}, "restarting"),
        ({"status": "unavailable"}, "unavailable"),
        ({"status": "charging", "connectors": ("charging",)}, "taken"),
        ({"status": "charging", "connectors": ("charging", "available")}, "free"),
        ({"status": "charging", "connectors": ("charging",), "runs_mine": True}, "yours"),
        ({"status": "offline", "runs_mine": True}, "yours"),
        ({"status": "waiting", "connectors": ("preparing",)}, "plugged"),
        ({"status": "waiting", "connectors": ("preparing",), "has_tag": False}, "no_tag"),
        ({"status": "waiting", "connectors": ("suspended",)}, "taken"),
        ({"status": "waiting", "connectors": ("occupied",)}, "plugged"),
        ({"status": "reserved", "connectors": ("reserved", "unavailable")}, "reserved"),
    ],
)
def test_what_they_may_do(changes: dict[str, Any], word: str) -> None:
    assert chance(replace(FREE, **changes)) == word
