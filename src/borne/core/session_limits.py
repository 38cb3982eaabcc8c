"""What a session could have drawn at most: what its charger offered over time, else the most that its model gives.

A current becomes a power by the voltage and the phases that were told beside it. Where no phase was told, it is taken for as many
phases as the power that was drawn needs.

Sources: OCPP 1.6 §7.31 and 2.0.1 part 2 §3.50: Power.Offered, Current.Offered (of each phase).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from borne.core.models import Model

MILLIVOLTS = 230_000  # between a phase and neutral
FLOWS_MA = 500  # below that nothing flows in a phase
PHASES = (1, 3)  # nobody builds for two


class Offer(msgspec.Struct, frozen=True):
    """What a charger offered at an instant. `phases`: in how many a current flowed, None where it told none."""

    at_ms: int
    power_w: int | None = None
    current_ma: int | None = None
    phases: int | None = None
    voltage_mv: int | None = None


class Limit(msgspec.Struct, frozen=True):
    """Steps (instant, W): each holds until the next. `amps` and `phases`: what a model's limit is made of."""

    source: Literal["charger", "model"]
    steps: tuple[tuple[int, int], ...]
    amps: int | None = None
    phases: int | None = None

    @property
    def top_w(self) -> int:
        return max((power_w for _, power_w in self.steps), default=0)


def offered(offers: Sequence[Offer], peak_w: int) -> Limit | None:
    """The limit that the charger told; None where it told none. `peak_w`: the highest power that was drawn."""
    steps: list[tuple[int, int]] = []
    for offer in sorted(offers, key=lambda one: one.at_ms):
        power_w = _power_w(offer, peak_w)
        if power_w is not None and (not steps or steps[-1][1] != power_w):
            steps.append((offer.at_ms, power_w))
    return Limit("charger", tuple(steps)) if steps else None


def _power_w(offer: Offer, peak_w: int) -> int | None:
    if offer.power_w is not None:
        return max(0, offer.power_w)
    if offer.current_ma is None or offer.current_ma < 0:
        return None
    millivolts = offer.voltage_mv or MILLIVOLTS
    phases = offer.phases or _phases(offer.current_ma, peak_w)
    return round(offer.current_ma * millivolts * phases / 1_000_000)


def _phases(current_ma: int, peak_w: int) -> int:
    """The fewest phases whose current explains the power, with a tenth more voltage than usual."""
    return next((n for n in PHASES if peak_w <= current_ma * MILLIVOLTS * n * 11 / 10_000_000), 3)


def of_model(model: Model, peak_w: int, from_ms: int) -> Limit | None:
    """The most that a model gives; None where the catalogue does not say it."""
    if model.max_w is not None:
        return Limit("model", ((from_ms, model.max_w),))
    if model.amps is None:
        return None
    amps = model.amps[1]
    phases = _phases(amps * 1_000, peak_w)
    return Limit("model", ((from_ms, amps * MILLIVOLTS * phases // 1_000),), amps, phases)


def over_ms(limit: Limit, powers: Sequence[tuple[int, int]], allowance_permille: int = 50) -> int:
    """For how long more was drawn than the limit and an allowance (meters are not exact) let."""
    steps, found, at = [*limit.steps], 0, 0
    for (from_ms, power_w), (until_ms, _) in pairwise(powers):
        while at + 1 < len(steps) and steps[at + 1][0] <= from_ms:
            at += 1
        if from_ms >= steps[at][0] and power_w * 1_000 > steps[at][1] * (1_000 + allowance_permille):
            found += until_ms - from_ms
    return found
