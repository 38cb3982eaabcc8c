"""Following an open session: whatever is said, in whatever order, a fold says what measuring everything anew says."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from borne.core.metering import Measured, Metering, Sample, measure
from borne.core.metering_fold import Fold, fold
from borne.core.metering_slots import SLOT_MS, Slot

T0 = 1_790_000_100_000  # on the edge of a slot
FIRST = 1_000_000

# How a charger goes on, and how often of a hundred times: most of it plain, as in the field.
HOW = {
    "plain": 60, "edge": 8, "same instant": 5, "power alone": 5, "no clock": 3, "repeat": 4, "repeat of long ago": 2,
    "late": 3, "wrong clock": 2, "reset": 2, "outlier": 2, "ahead": 2, "our clock set back": 2,
}  # fmt: skip


class Charger:
    """Says something new, or something wrong."""

    def __init__(self, chance: random.Random, first_wh: int, is_relative: bool) -> None:
        self.chance = chance
        self.at_ms = T0
        self.received_off_ms = 0
        self.register_wh = 0 if is_relative else first_wh
        self.said: list[Sample] = []

    def say(self) -> Sample:
        how = self.chance.choices(list(HOW), list(HOW.values()))[0]
        if how == "edge":
            self.at_ms += SLOT_MS - self.at_ms % SLOT_MS
        elif how != "same instant":
            self.at_ms += self.chance.choice((1_000, 10_000, 60_000, 400_000, SLOT_MS, 3 * SLOT_MS))
        if how == "reset":
            self.register_wh = 0
        self.register_wh += self.chance.choice((0, 0, 30, 200, 900))
        received_ms = self.at_ms + self.received_off_ms + self.chance.choice((0, 40, 2_000))
        power_w = self.chance.choice((None, 0, 3_600, self.chance.randrange(22_000)))
        sample = Sample(received_ms, self.at_ms, self.register_wh, None, power_w)
        sample = self._bent(how, sample)
        self.said.append(sample)
        return sample

    def _bent(self, how: str, sample: Sample) -> Sample:
        match how:
            case "power alone":
                return replace(sample, register_wh=None)
            case "no clock":
                return replace(sample, device_ms=None)
            case "wrong clock":
                return replace(sample, device_ms=5)
            case "ahead":
                return replace(sample, device_ms=sample.received_ms + self.chance.choice((200_000, 400_000)))
            case "late":
                return replace(sample, device_ms=sample.device_ms - self.chance.randrange(7_200_000))  # type: ignore[operator]
            case "outlier":
                return replace(sample, register_wh=self.register_wh + 10**8)
            case "our clock set back":
                self.received_off_ms -= 200_000
            case "repeat" | "repeat of long ago" if self.said:
                old = self.said[-1] if how == "repeat" else self.chance.choice(self.said)
                return replace(old, received_ms=old.received_ms + self.chance.choice((0, 5_000)))
        return sample


class Follower:
    """What engine.metering does: follow as long as that goes, else measure anew; the slots that were closed are kept."""

    def __init__(self) -> None:
        self.fold: Fold | None = None
        self.slots: dict[int, Slot] = {}
        self.followed = 0

    def take(self, known: Metering, batch: list[Sample], everything: list[Sample]) -> Measured:
        if self.fold is not None and self.fold.take(batch):
            self.followed += 1
        else:
            found, self.fold = fold(known, everything)
            self.slots = {slot.slot_ms: slot for slot in found.slots}
            if self.fold is None:
                return found
        self.slots |= {slot.slot_ms: slot for slot in self.fold.slots}
        self.fold.close()
        slots = tuple(self.slots[slot_ms] for slot_ms in sorted(self.slots))
        one = self.fold
        found = Measured(one.start_ms, one.end_ms, one.energy_wh, slots, one.suspects, one.power_w)
        assert (one.charging_ms, one.peak_w) == (found.charging_ms, found.peak_w)
        return found


@settings(max_examples=150)
@given(
    st.randoms(use_true_random=False),
    st.lists(st.integers(1, 4), min_size=1, max_size=30),
    st.sampled_from((None, 0, FIRST)),
    st.booleans(),
    st.booleans(),
)
def test_after_each_batch_it_is_what_measuring_everything_anew_gives(
    chance: random.Random, batches: list[int], first_wh: int | None, is_relative: bool, no_start: bool
) -> None:
    charger, follower = Charger(chance, first_wh or 0, is_relative), Follower()
    known = Metering(started_ms=T0, device_started_ms=T0, meter_start_wh=first_wh, max_w=22_000, no_start=no_start)
    for count in batches:
        batch = [charger.say() for _ in range(count)]
        chance.shuffle(batch)
        anew = measure(known, charger.said)
        assert follower.take(known, batch, charger.said) == anew
        known = replace(known, heard_ms=anew.end_ms)


@pytest.mark.parametrize(
    ("begin_wh", "device_ahead_ms"),
    [(FIRST, 0), (0, 0), (FIRST, -T0)],
    ids=["for life", "from the session's start", "a clock of 1970"],
)
def test_a_session_that_simply_grows_is_followed_from_its_first_value_on(begin_wh: int, device_ahead_ms: int) -> None:
    known, follower, said = Metering(started_ms=T0, meter_start_wh=FIRST), Follower(), []
    for minute in range(1, 400):
        at_ms = T0 + minute * 60_000
        said.append(Sample(at_ms, at_ms + device_ahead_ms, begin_wh + minute * 120, None, 7_200))
        assert follower.take(known, said[-1:], said) == measure(known, said)
    assert follower.followed == 398
    assert follower.fold is not None
    assert len(follower.fold.slots) <= 2, "what cannot change any more takes no memory"


@pytest.mark.parametrize(
    "sample",
    [
        Sample(T0 + 120_000, T0 + 30_000, 1_050),  # late
        Sample(T0 + 120_000, 5, 1_200),  # a clock of 1970
        Sample(T0 + 120_000, T0 + 120_000, 300),  # a register that fell
        Sample(T0 + 120_000, T0 + 120_000, 10**9),  # more than it can give
    ],
)
def test_what_is_not_plain_is_measured_anew(sample: Sample) -> None:
    known = Metering(started_ms=T0, meter_start_wh=1_000)
    _, follows = fold(known, [Sample(T0 + 60_000, T0 + 60_000, 1_100)])
    assert follows is not None
    assert not follows.take([sample])


@pytest.mark.parametrize(
    ("known", "samples"),
    [
        (Metering(started_ms=T0, meter_start_wh=0, ended_ms=T0 + 60_000, meter_stop_wh=9), []),
        (Metering(started_ms=T0), [Sample(T0 + 60_000, None, 1_000)]),
        (Metering(started_ms=T0), [Sample(T0 + 60_000, None, None, 1_000)]),
        (Metering(started_ms=T0, meter_start_wh=9_000), [Sample(T0 + 60_000, None, 8_000)]),
    ],
    ids=["over", "one value", "intervals", "in doubt"],
)
def test_what_no_sample_could_simply_follow_has_no_fold(known: Metering, samples: list[Sample]) -> None:
    found, follows = fold(known, samples)
    assert found == measure(known, samples)
    assert follows is None
