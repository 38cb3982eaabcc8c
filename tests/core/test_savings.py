"""What charging saves: figures computed by hand, and a slow exact oracle."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borne.core.metering_slots import HOUR_MS, SLOT_MS
from borne.core.savings import (
    USUAL,
    Assumption,
    Inputs,
    against_charging_at_once,
    against_petrol,
    counting,
)
from borne.core.statistics import PricedSlot

T0 = 1_790_000_100_000  # the beginning of a slot


def inputs(**other: int) -> Inputs:
    usual = {"pump_price": 2_000_000, "petrol_use": 7_000, "electric_use": 18_000, "efficiency": 900, "grid_co2": 44}
    return Inputs(**(usual | other))


def slot(number: int, energy_wh: int, micros: int | None) -> PricedSlot:
    return PricedSlot(T0 + number * SLOT_MS, energy_wh, 0, SLOT_MS, 0, micros)


def test_twenty_kilowatt_hours_are_a_hundred_kilometres_and_seven_litres() -> None:
    found = against_petrol(20_000, 4_000_000_000, inputs())  # 20 kWh for 4.00
    assert (found.metres, found.millilitres) == (100_000, 7_000)
    assert found.petrol_nanos == 14_000_000_000
    assert found.saved_nanos == 10_000_000_000
    assert (found.petrol_g, found.grid_g, found.saved_g) == (16_436, 880, 15_556)


def test_dear_energy_is_a_loss_and_shown_so() -> None:
    found = against_petrol(20_000, 20_000_000_000, inputs(grid_co2=900))
    assert found.saved_nanos == -6_000_000_000
    assert found.saved_g < 0


def test_energy_without_a_cost_saves_litres_and_no_money() -> None:
    assert against_petrol(20_000, None, inputs()).saved_nanos is None


def test_waiting_for_the_night_saves_and_waiting_for_the_day_loses() -> None:
    late = [slot(0, 0, 300_000), slot(1, 0, 300_000), slot(2, 1_800, 100_000), slot(3, 1_800, 100_000)]
    found = against_charging_at_once(T0, T0 + HOUR_MS, late, 7_200)
    assert found is not None
    assert found.slots == ((T0, 1_800), (T0 + SLOT_MS, 1_800))
    assert found.saved_nanos == 3_600 * 200_000
    dear = [slot(0, 0, 100_000), slot(1, 1_800, 300_000)]
    found = against_charging_at_once(T0, T0 + HOUR_MS // 2, dear, 7_200)
    assert found is not None
    assert found.saved_nanos == -1_800 * 200_000


@pytest.mark.parametrize("slots", [[slot(0, 0, 1)], [slot(0, 100, None)], [slot(0, 0, None), slot(1, 100, 5)]])
def test_what_cannot_be_priced_says_nothing(slots: list[PricedSlot]) -> None:
    assert against_charging_at_once(T0, T0 + HOUR_MS, slots, 7_200) is None


def test_the_last_assumption_that_began_counts() -> None:
    known = [
        Assumption("pump_price", 1, 100, "a"),
        Assumption("pump_price", 2, 200, "b"),
        Assumption("grid_co2", 3, 0, "c"),
    ]
    assert counting(known, "pump_price", 150).value == 1
    assert counting(known, "pump_price", 200).value == 2
    assert counting(known, "pump_price", 99) == USUAL["pump_price"]


@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(-500_000, 900_000)), min_size=1, max_size=40),
    st.integers(0, SLOT_MS - 1),
    st.integers(1, 22_000),
)
def test_charging_at_once_by_an_exact_oracle(shares: list[tuple[int, int]], begins: int, power_w: int) -> None:
    """Minute by minute in fractions: within a Wh a slot of the integers, and the sums are the same."""
    slots = [slot(number, energy_wh, micros) for number, (energy_wh, micros) in enumerate(shares)]
    begun_ms, over_ms = T0 + begins, T0 + len(slots) * SLOT_MS
    found = against_charging_at_once(begun_ms, over_ms, slots, power_w)
    total = sum(energy_wh for energy_wh, _ in shares)
    if not total:
        assert found is None
        return
    assert found is not None
    assert sum(energy_wh for _, energy_wh in found.slots) == total
    left = Fraction(total)
    for number, (slot_ms, energy_wh) in enumerate(found.slots):
        length_ms = min(slot_ms + SLOT_MS, over_ms) - max(slot_ms, begun_ms)
        share = left if slot_ms + SLOT_MS >= over_ms else min(left, Fraction(power_w * length_ms, HOUR_MS))
        left -= share
        assert abs(share - energy_wh) <= 1 + (slot_ms + SLOT_MS >= over_ms), number
    exact = sum(wh * micros for wh, micros in shares)
    at_once = sum(wh * shares[(slot_ms - T0) // SLOT_MS][1] for slot_ms, wh in found.slots)
    assert (found.cost_nanos, found.saved_nanos) == (at_once, at_once - exact)
