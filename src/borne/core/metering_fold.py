"""An open session that goes on: a sample that comes in order changes its last quarters of an hour alone.

What a fold says is what `measure` would say of all samples, exactly. It follows the plain case, a register that grows as the
charger can give; of anything else (late values, resets, leaps, clocks that cannot be right) it wants no part, and the session is
measured anew from everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from msgspec.structs import replace

from borne.core.metering import Course, Measured, Metering, Sample, course, fits, instant_ms, measured, order
from borne.core.metering_slots import SLOT_MS, Slot, Slots, slot_of

Key = tuple[int, int, int, int, int]  # of core.metering.order: the instant comes first
Said = tuple[int | None, int | None, int | None]  # the values of a sample


def fold(session: Metering, samples: Iterable[Sample]) -> tuple[Measured, Fold | None]:
    """Measure a session from everything known of it; and what follows it, if it goes on in the plain way."""
    went = course(session, samples)
    found = measured(went)
    return found, Fold(session, went, found) if _is_plain(session, went) else None


def _is_plain(session: Metering, went: Course) -> bool:
    if session.ended_ms is not None or len(went.points) < 2 or not went.steps:
        return False
    is_at_edge = went.end_ms % SLOT_MS == 0 and any(
        at_ms == went.end_ms and sample.power_w is not None for at_ms, sample in went.placed
    )
    return not is_at_edge and fits(went.points[-2], went.points[-1], session.max_w)


class Fold:
    """A session up to its last sample; `fold` makes it."""

    __slots__ = (
        "_at_ms", "_edge_w", "_last", "_max_w", "_point", "_same", "_shift_wh", "_slots", "_summed", "end_ms", "energy_wh",
        "power_w", "start_ms", "suspects",
    )  # fmt: skip

    def __init__(self, session: Metering, went: Course, found: Measured) -> None:
        self.start_ms, self.end_ms = found.start_ms, found.end_ms
        self.energy_wh = found.energy_wh or 0
        self.power_w = found.power_w
        self.suspects = found.suspects
        self._max_w = session.max_w
        self._at_ms, last = went.placed[-1]
        self._last = _key(last)
        self._same = {_said(one) for _, one in went.placed if _key(one)[0] == self._last[0]}
        self._point = went.points[-1]  # the last register value: its instant, and Wh
        self._shift_wh = (session.meter_start_wh or 0) if "relative_register" in found.suspects else 0
        self._slots = Slots(found.slots)
        self._summed = (0, 0)  # charging_ms and peak_w of the slots that cannot change any more
        self._edge_w = 0  # said at the end, which is the edge of a slot: of the slot before, until the session goes on
        self.close()

    @property
    def charging_ms(self) -> int:
        return self._summed[0] + sum(slot.charging_ms for slot in self._slots.made())

    @property
    def peak_w(self) -> int:
        return max(self._summed[1], self._edge_w, *(slot.peak_w for slot in self._slots.made()))

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots that may still change, in order, as they are now."""
        made = self._slots.made()
        if not self._edge_w:
            return made
        edge_ms = slot_of(self.end_ms - 1)
        return tuple(
            replace(one, peak_w=max(one.peak_w, self._edge_w)) if one.slot_ms == edge_ms else one for one in made
        )

    def close(self) -> None:
        """Sum up the slots that no sample in order can change any more: what `slots` said of them was the last word."""
        open_ms = min(slot_of(self._point[0]), slot_of(max(self.end_ms - 1, self.start_ms)))
        charging_ms, peak_w = self._summed
        for slot in self._slots.take_before(open_ms):
            charging_ms += slot.charging_ms
            peak_w = max(peak_w, slot.peak_w)
        self._summed = (charging_ms, peak_w)

    def take(self, samples: Iterable[Sample]) -> bool:
        """Go on with samples. False: the session wants to be measured anew, and this fold is of no use any more."""
        return all(self._take(*one) for one in sorted(((_key(one), one) for one in samples), key=itemgetter(0)))

    def _take(self, key: Key, sample: Sample) -> bool:
        if instant_ms(sample) is None and "clock" not in self.suspects:
            return False
        said = _said(sample)
        is_same_instant = key[0] == self._last[0]
        if is_same_instant and key[1] >= self._last[1] and said in self._same:
            return True  # a repeat
        if key < self._last:
            return False
        at_ms = max(self._at_ms, min(key[0], sample.received_ms))
        if sample.register_wh is not None and not self._grow(at_ms, sample.register_wh + self._shift_wh):
            return False
        if at_ms > self.end_ms:
            self._last_until(at_ms)
        if sample.power_w is not None:
            self._reach(at_ms, sample.power_w)
        self._at_ms, self._last = at_ms, key
        self._same = {*self._same, said} if is_same_instant else {said}
        return True

    def _grow(self, at_ms: int, register_wh: int) -> bool:
        (from_ms, before_wh), self._point = self._point, (at_ms, register_wh)
        if not fits((from_ms, before_wh), self._point, self._max_w):
            return False
        self._slots.share(from_ms, at_ms, register_wh - before_wh)
        self.energy_wh += register_wh - before_wh
        return True

    def _last_until(self, at_ms: int) -> None:
        if self._edge_w:
            self._slots.reach(self.end_ms, self._edge_w)
            self._edge_w = 0
        self._slots.plug(self.end_ms, at_ms)
        self.end_ms = at_ms

    def _reach(self, at_ms: int, power_w: int) -> None:
        self.power_w = power_w
        if at_ms == self.end_ms and at_ms % SLOT_MS == 0 and at_ms > self.start_ms:
            self._edge_w = max(self._edge_w, power_w)
        else:
            self._slots.reach(at_ms, power_w)


def _key(sample: Sample) -> Key:
    said_ms = instant_ms(sample)
    return order((sample.received_ms if said_ms is None else said_ms, sample))


def _said(sample: Sample) -> Said:
    return sample.register_wh, sample.interval_wh, sample.power_w
