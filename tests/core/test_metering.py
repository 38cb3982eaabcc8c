"""Measuring a session: a table of what chargers do, and what must hold whatever they say."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borne.core.metering import Measured, Metering, Sample, curve, measure
from borne.core.metering_slots import HOUR_MS, SLOT_MS

T0 = 1_790_000_200_000  # 100 s into a slot
KW = 1_000


def at(minutes: float) -> int:
    return T0 + round(minutes * 60_000)


def sample(minutes: float, register_wh: int | None = None, **said: int | None) -> Sample:
    return Sample(at(minutes), at(minutes), register_wh, said.get("interval_wh"), said.get("power_w"))


def session(
    start_wh: int | None = 1_000, stop_wh: int | None = None, minutes: float | None = None, max_w: int = 22_000
) -> Metering:
    return Metering(
        started_ms=T0,
        device_started_ms=T0,
        meter_start_wh=start_wh,
        ended_ms=None if minutes is None else at(minutes),
        device_ended_ms=None if minutes is None else at(minutes),
        meter_stop_wh=stop_wh,
        max_w=max_w,
    )


def assert_sound(found: Measured) -> None:
    assert sum(slot.energy_wh for slot in found.slots) == (found.energy_wh or 0)
    assert all(slot.energy_wh >= 0 and slot.charging_ms >= 0 and slot.plugged_ms >= 0 for slot in found.slots)
    assert all(slot.slot_ms % SLOT_MS == 0 for slot in found.slots)
    assert [slot.slot_ms for slot in found.slots] == sorted({slot.slot_ms for slot in found.slots})
    assert sum(slot.plugged_ms for slot in found.slots) == found.end_ms - found.start_ms
    assert found.end_ms >= found.start_ms


# fmt: off
TABLE = {
    "start and stop": (session(1_000, 8_000, 60), [], 7_000, ()),
    "samples in between": (session(1_000, 8_000, 60), [sample(30, 5_000)], 7_000, ()),
    "open, with samples": (session(1_000), [sample(30, 5_000)], 4_000, ()),
    "only samples": (session(None, None, 60), [sample(0, 500), sample(50, 2_500)], 2_000, ()),
    "nothing at all": (session(None, None, 60), [], None, ("no_energy_value",)),
    "a stop below the start": (session(5_000, 4_000, 60), [], None, ("stop_below_start",)),
    "a register that begins anew": (
        session(500_000, 3_000, 60), [sample(20, 503_000), sample(40, 1_000)], 3_000 + 1_000 + 2_000, ("register_reset",),
    ),
    "a register that falls to somewhere": (
        session(500_000, 401_000, 60), [sample(20, 503_000), sample(40, 400_000)], None, ("register_fell",),
    ),
    "relative in between": (
        session(500_000, 507_000, 60), [sample(20, 2_000), sample(40, 5_000)], 7_000, ("relative_register",),
    ),
    "relative and open": (session(500_000), [sample(20, 800), sample(40, 5_000)], 5_000, ("relative_register",)),
    "a leap": (session(1_000, 940_000, 60), [], None, ("leap",)),
    "one value far off": (
        session(1_000, 8_000, 60), [sample(20, 3_000), sample(30, 9_999_999), sample(40, 5_000)], 7_000, ("outlier",),
    ),
    "intervals": (
        session(None, None, 60),
        [sample(15, None, interval_wh=1_500), sample(30, None, interval_wh=1_600)],
        3_100, ("intervals",),
    ),
    "power alone": (
        session(None, None, 60), [sample(0, None, power_w=6_000), sample(30, None, power_w=3_000)], 4_500, ("estimated",),
    ),
    "a repeat": (session(1_000, 8_000, 60), [sample(30, 5_000)] * 3, 7_000, ()),
    "a clock of 1970": (session(1_000, 8_000, 60), [Sample(at(30), 86_400_000, 5_000)], 7_000, ("clock",)),
    "a clock that was never set": (session(1_000, 8_000, 60), [Sample(at(30), at(-300_000), 5_000)], 7_000, ("clock",)),
    "intervals that no charger gives": (
        session(None, None, 60),
        [sample(15, None, interval_wh=2**52), sample(30, None, interval_wh=2**52)], None, ("intervals", "leap"),
    ),
    "a power that no charger has": (session(None, None, 60), [sample(0, power_w=2**52)], None, ("estimated", "leap")),
    "a clock years ahead": (session(1_000, 8_000, 60), [Sample(at(30), at(30) + 10**12, 5_000)], 7_000, ("clock",)),
    "late, after the stop": (session(1_000, 8_000, 60), [Sample(at(600), at(30), 5_000)], 7_000, ()),
}
# fmt: on


@pytest.mark.parametrize("name", TABLE)
def test_what_chargers_do(name: str) -> None:
    known, samples, energy_wh, suspects = TABLE[name]
    found = measure(known, samples)
    assert (found.energy_wh, found.suspects) == (energy_wh, suspects)
    assert_sound(found)


def test_a_clock_that_was_never_set_makes_no_session_of_years() -> None:
    known = Metering(started_ms=T0, device_started_ms=1_609_459_200_000, meter_start_wh=1_000)
    found = measure(known, [sample(30, 5_000)])
    assert (found.start_ms, found.energy_wh, found.suspects) == (T0, 4_000, ("clock",))


def test_energy_is_shared_evenly_over_the_quarters() -> None:
    found = measure(session(0, 6_000, 60, max_w=22_000), [])
    assert [slot.energy_wh for slot in found.slots] == [1_333, 1_500, 1_500, 1_500, 167]
    assert {slot.peak_w for slot in found.slots} == {6_000}


def test_a_car_that_is_full_is_plugged_in_and_not_charging() -> None:
    found = measure(session(1_000, 5_000, 240), [sample(60, 5_000)])
    assert found.charging_ms == HOUR_MS
    assert sum(slot.plugged_ms for slot in found.slots) == 4 * HOUR_MS


def test_an_end_before_the_start_takes_no_time() -> None:
    known = Metering(started_ms=T0, device_started_ms=T0, ended_ms=T0 + 5_000, device_ended_ms=T0 - 900_000)
    found = measure(known, [])
    assert found.end_ms - found.start_ms == 5_000
    assert "clock" in found.suspects


VALUES = st.one_of(st.none(), st.integers(0, 2**53))
SAMPLES = st.lists(
    st.builds(
        Sample,
        st.integers(T0, T0 + 40 * HOUR_MS),
        st.one_of(st.none(), st.integers(0, 2**53), st.integers(T0, T0 + 40 * HOUR_MS)),
        VALUES,
        VALUES,
        VALUES,
    ),
    max_size=30,
)
SESSIONS = st.builds(
    Metering,
    started_ms=st.just(T0),
    device_started_ms=st.one_of(st.none(), st.integers(0, 2**53), st.just(T0)),
    meter_start_wh=VALUES,
    ended_ms=st.one_of(st.none(), st.integers(T0, T0 + 30 * HOUR_MS)),
    device_ended_ms=st.one_of(st.none(), st.integers(0, 2**53), st.integers(T0, T0 + 30 * HOUR_MS)),
    meter_stop_wh=VALUES,
)


@given(SESSIONS, SAMPLES, st.randoms(use_true_random=False))
def test_whatever_is_said_it_is_sound_and_order_and_repeats_do_not_count(
    known: Metering, samples: list[Sample], chance: random.Random
) -> None:
    found = measure(known, samples)
    assert_sound(found)
    again = [*samples, *chance.choices(samples, k=3)] if samples else []
    chance.shuffle(again)
    assert measure(known, again) == found


@given(st.lists(st.integers(0, 400), min_size=1, max_size=200), st.integers(0, 10**9))
def test_a_register_that_only_grows_gives_its_difference(grown: list[int], start_wh: int) -> None:
    total, samples = start_wh, []
    for minute, wh in enumerate(grown, 1):
        total += wh
        samples.append(sample(minute, total))
    found = measure(session(start_wh, total, len(grown) + 1, max_w=50 * KW), samples)
    assert (found.energy_wh, found.suspects) == (total - start_wh, ())
    assert_sound(found)


# ---- over time -----------------------------------------------------------------------------------------------------------


def test_a_curve_ends_with_the_energy_that_was_measured() -> None:
    samples = [sample(15, 2_000, power_w=7_000), sample(30, 5_000, power_w=0)]
    one = session(1_000, 5_000, 60)
    found, drawn = measure(one, samples), curve(one, samples)
    assert drawn.energies[0] == (found.start_ms, 0)
    assert drawn.energies[-1] == (found.end_ms, found.energy_wh)
    assert drawn.powers == ((found.start_ms, 4_000), (at(15), 7_000), (at(30), 0)), "the mean until the first value"


def test_a_curve_without_powers_shows_their_means_and_none_where_the_energy_is_in_doubt() -> None:
    fallen = session(5_000, 4_000, 60)
    assert curve(fallen, [sample(5, power_w=7)]).energies == ()
    means = curve(session(0, 1_000, 60), [])
    assert {power_w for _, power_w in means.powers} == {1_000 * HOUR_MS // (means.end_ms - means.start_ms)}


def test_our_clock_set_back_in_the_middle_leaves_the_order_of_the_charger() -> None:
    """200 s: less than a charger may be ahead of us, so that its own times are believed."""
    early = [Sample(at(minute), at(minute), 1_000 + minute * 100) for minute in (5, 10)]
    late = [Sample(at(minute) - 200_000, at(minute), 1_000 + minute * 100) for minute in (11, 12, 13)]
    found = measure(session(), [*late, *early])
    assert (found.energy_wh, found.suspects) == (1_300, ())
    assert_sound(found)


def test_a_value_after_the_stop_adds_nothing_and_one_before_it_finds_its_place() -> None:
    ended = session(1_000, 5_000, 60)
    after = Sample(at(61), at(60), 5_500)
    queued = Sample(at(61), at(30), 3_000)
    assert measure(ended, [after]).energy_wh == 4_000
    assert measure(session(None, None, 60), [sample(0, 1_000), sample(60, 5_000), after]).energy_wh == 4_000
    assert len([slot for slot in measure(ended, [queued]).slots if slot.energy_wh]) == 5


def test_a_session_known_from_its_end_begins_with_what_is_known_first() -> None:
    orphan = Metering(started_ms=at(60), ended_ms=at(60), device_ended_ms=at(59), no_start=True)
    found = measure(orphan, [Sample(at(60), at(20), 1_000), Sample(at(60), at(59), 4_000)])
    assert (found.start_ms, found.end_ms, found.energy_wh, found.suspects) == (at(20), at(59), 3_000, ("no_start",))
