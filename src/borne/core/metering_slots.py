"""Quarters of an hour of a session: what happened between two instants is shared among them, in whole Wh whose sum is exact."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

SLOT_MS = 900_000
HOUR_MS = 3_600_000
CHARGING_W = 100  # below that a car is plugged in, not charging
WH, CHARGING, PLUGGED, PEAK = range(4)  # the numbers of a slot that is being made


class Slot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A quarter of an hour of a session."""

    slot_ms: int
    energy_wh: int
    charging_ms: int
    plugged_ms: int
    peak_w: int


def slot_of(at_ms: int) -> int:
    """The slot in which an instant lies, by its beginning."""
    return at_ms // SLOT_MS * SLOT_MS


def mean_w(from_ms: int, until_ms: int, energy_wh: int) -> int:
    """The power that gives this energy in this time; nought in no time."""
    return energy_wh * HOUR_MS // (until_ms - from_ms) if until_ms > from_ms else 0


class Slots:
    """Slots in the making: whatever is told of them adds up, in any order."""

    __slots__ = ("_found",)

    def __init__(self, made: tuple[Slot, ...] = ()) -> None:
        self._found = {slot.slot_ms: [slot.energy_wh, slot.charging_ms, slot.plugged_ms, slot.peak_w] for slot in made}

    def made(self) -> tuple[Slot, ...]:
        """The slots, in order."""
        return tuple(Slot(slot_ms, *values) for slot_ms, values in sorted(self._found.items()))

    def plug(self, from_ms: int, until_ms: int) -> None:
        """The car was plugged in. An instant has its slot, and no time."""
        for slot_ms, part_ms in _parts(from_ms, until_ms):
            self._of(slot_ms)[PLUGGED] += part_ms

    def reach(self, at_ms: int, power_w: int) -> None:
        """It took so much power at an instant."""
        slot = self._of(slot_of(at_ms))
        if power_w > slot[PEAK]:
            slot[PEAK] = power_w

    def share(self, from_ms: int, until_ms: int, energy_wh: int) -> None:
        """It took energy evenly over a time: whole Wh whose sum is exact."""
        duration_ms, power_w = until_ms - from_ms, mean_w(from_ms, until_ms, energy_wh)
        passed_ms = given_wh = 0
        for slot_ms, part_ms in _parts(from_ms, until_ms):
            passed_ms += part_ms
            until_here_wh = energy_wh * passed_ms // duration_ms if passed_ms < duration_ms else energy_wh
            slot = self._of(slot_ms)
            slot[WH] += until_here_wh - given_wh
            given_wh = until_here_wh
            if power_w >= CHARGING_W:
                slot[CHARGING] += part_ms
                if power_w > slot[PEAK]:
                    slot[PEAK] = power_w

    def take_before(self, slot_ms: int) -> list[Slot]:
        """Take out the slots before this one: nothing more is told of them."""
        old = sorted(one for one in self._found if one < slot_ms)
        return [Slot(one, *self._found.pop(one)) for one in old]

    def _of(self, slot_ms: int) -> list[int]:
        slot = self._found.get(slot_ms)
        if slot is None:
            slot = self._found[slot_ms] = [0, 0, 0, 0]
        return slot


def _parts(from_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
    """(slot, how much of it) of a stretch of time; an instant has its slot, and no time."""
    slot_ms = slot_of(from_ms)
    if until_ms <= slot_ms + SLOT_MS:
        yield slot_ms, max(0, until_ms - from_ms)
        return
    while slot_ms < until_ms:
        yield slot_ms, min(until_ms, slot_ms + SLOT_MS) - max(from_ms, slot_ms)
        slot_ms += SLOT_MS
