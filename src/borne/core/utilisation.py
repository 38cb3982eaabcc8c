"""How much of what chargers could deliver they did: kWh / (Pmax x hours), over the hours that each of them existed."""

from __future__ import annotations

from fractions import Fraction

from borne.core.metering_slots import HOUR_MS
from borne.core.models import model_of

VOLTS = 230  # of a phase


def max_power_w(model_id: str, phases: int | None) -> int | None:
    """The most that a charger can deliver: what its model says, else its amperes on the phases of the location's supply.

    None: neither is known. Amperes of a DC charger are those of its supply and say nothing of what it delivers.
    """
    model = model_of(model_id)
    if model.max_w is not None:
        return model.max_w
    if model.current == "DC" or model.amps is None or not phases:
        return None
    return model.amps[1] * VOLTS * phases


def could_deliver_wh(power_w: int, existed_ms: int) -> int:
    """Pmax x hours; `existed_ms`: the time that chargers of this power existed, added up."""
    return power_w * existed_ms // HOUR_MS


def permille(energy_wh: int, could_wh: int) -> int | None:
    """Thousandths of what could have been delivered; None where that is nothing."""
    return None if could_wh <= 0 else round(Fraction(1_000 * energy_wh, could_wh))
