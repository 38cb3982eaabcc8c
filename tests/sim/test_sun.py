"""Worlds with a roof and a market: whatever is killed when, shares follow the meter, gaps are filled, final prices stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from borne.core import pricing
from borne.engine.measure_again import MeasureAgain
from borne.sim.scenario import from_seed
from borne.sim.trial import run_world

SEEDS = (1, 2, 3, 7, 11)  # 2: the server is killed twice; 3: its clock steps; 11: most quarters of an hour


def violations(seed: int) -> list[str]:
    return run_world(from_seed(seed), seed, sunny=True).report.violations


@pytest.mark.parametrize("seed", SEEDS)
def test_worlds_with_a_sun_hold_their_promises(seed: int) -> None:
    assert violations(seed) == []


async def _forgotten(*_: Any) -> None:
    """Nothing is measured again."""


def _given_again(_known: object, found: Any) -> Any:
    """A slot takes whatever counts now."""
    return found


PLANTS: tuple[tuple[object, str, Callable[..., Any], str], ...] = (
    (MeasureAgain, "carry_out", _forgotten, "its share is"),
    (pricing, "_price", _given_again, "now"),
)


@pytest.mark.parametrize(("owner", "name", "crooked", "said"), PLANTS, ids=["forgotten", "given again"])
def test_a_planted_bug_is_found(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, crooked: Callable[..., Any], said: str
) -> None:
    monkeypatch.setattr(owner, name, crooked)
    assert any(said in one for one in violations(11))
