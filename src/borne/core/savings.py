"""What charging saves: against petrol, and against charging at once. Signed: a loss is shown as a loss.

Every figure is made of named inputs, so that a page can open it to its formula. Amounts are integers; divisions are exact
fractions that are rounded once, at the end.

Sources: 2.348 kg of CO2 a litre of petrol at the tailpipe (8.887 kg a US gallon, US EPA, "Greenhouse Gas Emissions from a Typical
Passenger Vehicle"); grams a kWh of 2024 by country (Ember, Electricity Data Explorer), location-based.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, get_args

import msgspec
from msgspec.structs import replace

from borne.core.metering_slots import HOUR_MS, SLOT_MS
from borne.core.site_meter import SiteSlot, solar_of
from borne.core.statistics import PricedSlot

NO_METER: Mapping[int, SiteSlot] = MappingProxyType({})
PETROL_G_LITRE = 2_348
KIND = Literal["pump_price", "petrol_use", "electric_use", "efficiency", "grid_co2"]
KINDS: tuple[KIND, ...] = get_args(KIND)
GRID_G_KWH_2024 = {"World": 473, "EU": 284, "DE": 344, "FR": 44, "US": 384, "GB": 211}


class Assumption(msgspec.Struct, frozen=True):
    """An input that nobody measured, with the day from which it counts (days since 1970-01-01) and where it is from.

    Units: pump_price micros a litre; petrol_use ml a 100 km; electric_use Wh a 100 km; efficiency permille of the grid's energy
    that reaches the battery; grid_co2 g a kWh.
    """

    kind: KIND
    value: int
    from_day: int
    source: str


# What counts until an organisation says otherwise.
USUAL: dict[KIND, Assumption] = {
    "pump_price": Assumption("pump_price", 1_750_000, 0, "Borne: a round figure for the EU; set your own"),
    "petrol_use": Assumption("petrol_use", 7_000, 0, "Borne: a round figure for a family car; set your own"),
    "electric_use": Assumption("electric_use", 18_000, 0, "Borne: a round figure for a family car; set your own"),
    "efficiency": Assumption("efficiency", 900, 0, "Borne: a round figure for charging on alternating current"),
    "grid_co2": Assumption("grid_co2", GRID_G_KWH_2024["EU"], 0, "Ember, 2024, EU, location-based"),
}


def counting(known: Sequence[Assumption], kind: KIND, day: int) -> Assumption:
    """The assumption of a kind that counts on a day: the last that began, else the usual one."""
    fitting = [one for one in known if one.kind == kind and one.from_day <= day]
    return max(fitting, key=lambda one: one.from_day, default=USUAL[kind])


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison with petrol rests on; the units of Assumption."""

    pump_price: int
    petrol_use: int
    electric_use: int
    efficiency: int
    grid_co2: int


class Petrol(msgspec.Struct, frozen=True):
    """The same kilometres with petrol. Costs in nanos of the currency, CO2 in grams; `saved_…` may be negative."""

    metres: int
    millilitres: int
    petrol_nanos: int
    saved_nanos: int | None  # None: what the energy cost is not known
    petrol_g: int
    grid_g: int

    @property
    def saved_g(self) -> int:
        return self.petrol_g - self.grid_g


def against_petrol(energy_wh: int, cost_nanos: int | None, inputs: Inputs) -> Petrol:
    """km = kWh x efficiency / (kWh a 100 km) x 100; litres = km x litres a 100 km; money = litres x pump price - cost."""
    hundred_km = Fraction(energy_wh * inputs.efficiency, 1_000 * inputs.electric_use)
    millilitres = hundred_km * inputs.petrol_use
    petrol_nanos = nearest(millilitres * inputs.pump_price)  # ml x micros a litre: nanos
    return Petrol(
        metres=nearest(hundred_km * 100_000),
        millilitres=nearest(millilitres),
        petrol_nanos=petrol_nanos,
        saved_nanos=None if cost_nanos is None else petrol_nanos - cost_nanos,
        petrol_g=nearest(millilitres * PETROL_G_LITRE / 1_000),
        grid_g=nearest(Fraction(energy_wh * inputs.grid_co2, 1_000)),
    )


class AtOnce(msgspec.Struct, frozen=True):
    """The same energy at full power from plug-in. `saved_nanos` is what it would have cost more than it did."""

    slots: tuple[tuple[int, int], ...]  # slot, Wh
    cost_nanos: int
    saved_nanos: int


def against_charging_at_once(
    begun_ms: int,
    over_ms: int,
    slots: Sequence[PricedSlot],
    power_w: int,
    site: Mapping[int, SiteSlot] = NO_METER,
) -> AtOnce | None:
    """The session simulated anew: all its energy at `power_w` from its beginning, priced by the very prices of its slots.

    `site`: what the location's meter says of them; what is moved gets the solar share of its new slot.
    None where a price that it needs is not known, or where nothing was charged.
    """
    energy_wh = sum(slot.energy_wh for slot in slots)
    if not energy_wh or power_w <= 0:
        return None
    shares = _at_full_power(begun_ms, over_ms, energy_wh, power_w)
    known = {slot.slot_ms: slot for slot in slots}
    moved = [
        replace(known.get(slot_ms, _unknown(slot_ms)), energy_wh=wh, solar_wh=solar_of(wh, site.get(slot_ms)))
        for slot_ms, wh in shares
    ]
    if any(slot.unpriced_wh for slot in (*moved, *slots)):
        return None
    cost_nanos = sum(slot.cost_nanos for slot in moved)
    return AtOnce(tuple(shares), cost_nanos, cost_nanos - sum(slot.cost_nanos for slot in slots))


def _unknown(slot_ms: int) -> PricedSlot:
    return PricedSlot(slot_ms, 0, 0, 0, 0, None)


def _at_full_power(begun_ms: int, over_ms: int, energy_wh: int, power_w: int) -> list[tuple[int, int]]:
    """Whole Wh a slot whose sum is exact; what is left when the car leaves goes into the last slot."""
    shares: list[tuple[int, int]] = []
    given_wh, slot_ms = 0, begun_ms // SLOT_MS * SLOT_MS
    while given_wh < energy_wh:
        until_ms = min(slot_ms + SLOT_MS, over_ms)
        could_wh = power_w * (until_ms - begun_ms) // HOUR_MS
        is_last = slot_ms + SLOT_MS >= over_ms
        share_wh = energy_wh - given_wh if is_last else min(could_wh, energy_wh) - given_wh
        shares.append((slot_ms, share_wh))
        given_wh += share_wh
        slot_ms += SLOT_MS
    return shares


def nearest(value: Fraction) -> int:
    """Half away from nought, as a bill would round."""
    whole = int(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole
