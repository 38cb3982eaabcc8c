"""Metering: what a session's register values and samples say it took, slot by slot. Integer Wh, exact sums, never negative.

A charger's registers reset, count from the session's start in between and for life at its ends, leap, and come late and twice.
Everything is computed anew from all that is known of the session, so that a repeat changes nothing and late values find their
place. Slots are 15 minutes of UTC: every zone's hours and days, and every price, are sums of them.

Sources: OCPP 1.6 §3.16, §7.31; 2.0.1 part 2 J02; rows M1 to M9 of what is known to go wrong in the field: a stop below the start,
registers relative to the session, registers that reset, leaps of a restarted server's or charger's memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Literal

import msgspec

from borne.core.metering_slots import HOUR_MS, Slot, Slots, mean_w

Suspect = Literal[
    "stop_below_start",  # the last register value lies below the first, and nothing explains it
    "register_reset",  # it fell back to the beginning: what it counted since was added
    "register_fell",  # it fell by something that is no reset
    "leap",  # it grew by more than the charger can give
    "outlier",  # one value far off between others that fit: left out
    "relative_register",  # values in between count from the session's start: moved up
    "intervals",  # no register: the sum of its interval values
    "estimated",  # no register: power over time
    "no_energy_value",
    "clock",  # the charger's time could not be: the time of receipt counts
    "no_stop",  # it ended without a stop
    "no_start",  # it is known from its end, or from the middle
]

# What says that the energy is not to be believed; the others explain how it was found.
DOUBTFUL: frozenset[Suspect] = frozenset(("stop_below_start", "register_fell", "leap"))

MAX_W = 1_000_000  # no charger gives more; used where its own limit is not known
SLACK_WH = 1_000  # a register may be late by so much
AHEAD_MS = 300_000  # a charger's clock may be ahead of ours by this
OFFLINE_MOST_MS = 100 * 86_400_000  # before that a clock was never set: it says 1970, or when it was built


class Sample(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a charger said at one instant of its clock. Values that it did not give are None.

    `register_wh`: Energy.Active.Import.Register; `interval_wh`: energy of the interval that ends here; `power_w`: the sum of
    its phases.
    """

    received_ms: int
    device_ms: int | None = None
    register_wh: int | None = None
    interval_wh: int | None = None
    power_w: int | None = None


class Metering(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a session apart from its samples. `heard_ms`: until when an open one is known to last."""

    started_ms: int
    device_started_ms: int | None = None
    meter_start_wh: int | None = None
    ended_ms: int | None = None
    device_ended_ms: int | None = None
    meter_stop_wh: int | None = None
    heard_ms: int | None = None
    max_w: int = MAX_W
    no_stop: bool = False  # it was closed because no stop came
    no_start: bool = False


class Measured(msgspec.Struct, frozen=True):
    """What a session took. `energy_wh` None: not known, `suspects` say why. The slots' energies add up to it exactly.

    `power_w`: the last one that was said.
    """

    start_ms: int
    end_ms: int
    energy_wh: int | None
    slots: tuple[Slot, ...]
    suspects: tuple[Suspect, ...]
    power_w: int | None = None

    @property
    def charging_ms(self) -> int:
        return sum(slot.charging_ms for slot in self.slots)

    @property
    def peak_w(self) -> int:
        return max((slot.peak_w for slot in self.slots), default=0)


class Curve(msgspec.Struct, frozen=True):
    """A session over time: (instant, W) as said or as its energy says, and (instant, Wh since the start), which is empty where
    the energy is not known."""

    start_ms: int
    end_ms: int
    powers: tuple[tuple[int, int], ...]
    energies: tuple[tuple[int, int], ...]


class Step(msgspec.Struct, frozen=True, gc=False):
    """Energy between two instants."""

    from_ms: int
    until_ms: int
    energy_wh: int


class Course(msgspec.Struct, frozen=True):
    """A session in the order of time: samples with their instants, register values that are believed, the energy between them.

    Where the energy is not to be believed there are no steps.
    """

    start_ms: int
    end_ms: int
    placed: list[tuple[int, Sample]]
    points: list[tuple[int, int]]
    steps: list[Step]
    suspects: frozenset[Suspect]

    @property
    def energy_wh(self) -> int | None:
        return sum(step.energy_wh for step in self.steps) if self.steps else None

    @property
    def power_w(self) -> int | None:
        return next((one.power_w for _, one in reversed(self.placed) if one.power_w is not None), None)


def measure(session: Metering, samples: Iterable[Sample]) -> Measured:
    """Compute a session from everything known of it, in any order, with repeats."""
    return measured(course(session, samples))


def measured(went: Course) -> Measured:
    """What a session took, by its course."""
    slots = Slots()
    slots.plug(went.start_ms, went.end_ms)
    for step in went.steps:
        slots.share(step.from_ms, step.until_ms, step.energy_wh)
    last_ms = max(went.end_ms - 1, went.start_ms)
    for at_ms, sample in went.placed:
        if sample.power_w is not None:
            slots.reach(min(at_ms, last_ms), sample.power_w)
    suspects = tuple(sorted(went.suspects))
    return Measured(went.start_ms, went.end_ms, went.energy_wh, slots.made(), suspects, went.power_w)


def course(session: Metering, samples: Iterable[Sample]) -> Course:
    """Put everything known of a session in the order of time, whatever order it came in, and leave out repeats."""
    suspects: set[Suspect] = set()
    start_ms, placed = _placed(session, samples, suspects)
    end_ms = _end_ms(session, start_ms, placed, suspects)
    placed = [(min(max(at_ms, start_ms), end_ms), sample) for at_ms, sample in placed]
    points = _points(session, start_ms, end_ms, placed, suspects)
    steps = _steps(session, start_ms, end_ms, placed, points, suspects)
    if session.no_stop:
        suspects.add("no_stop")
    if session.no_start:
        suspects.add("no_start")
    return Course(start_ms, end_ms, placed, points, [] if suspects & DOUBTFUL else steps, frozenset(suspects))


def curve(session: Metering, samples: Iterable[Sample]) -> Curve:
    """How a session went, from the same values as `measure`."""
    went = course(session, samples)
    start_ms, steps = went.start_ms, went.steps
    energies = list(accumulate(steps, lambda sum_wh, step: sum_wh + step.energy_wh, initial=0))
    means = tuple(_mean_powers(steps))
    said = tuple((at_ms, sample.power_w) for at_ms, sample in went.placed if sample.power_w is not None)
    unsaid = means[:1] if said and said[0][0] > start_ms else ()  # until the first value
    return Curve(
        start_ms,
        went.end_ms,
        (*unsaid, *said) or means,
        tuple(zip([start_ms, *(step.until_ms for step in steps)], energies, strict=True)) if steps else (),
    )


def _mean_powers(steps: Iterable[Step]) -> Iterator[tuple[int, int]]:
    """Both ends of each step with its mean power."""
    for step in steps:
        if step.until_ms > step.from_ms:
            power_w = mean_w(step.from_ms, step.until_ms, step.energy_wh)
            yield step.from_ms, power_w
            yield step.until_ms, power_w


# ---- time ----------------------------------------------------------------------------------------------------------------


def plausible_ms(device_ms: int | None, received_ms: int) -> int | None:
    """The charger's time if it can be: not ahead of its receipt, and before it by OFFLINE_MOST_MS at most."""
    return min(device_ms, received_ms) if device_ms is not None and _can_be(device_ms, received_ms) else None


def _can_be(device_ms: int, received_ms: int) -> bool:
    return received_ms - OFFLINE_MOST_MS <= device_ms <= received_ms + AHEAD_MS


def instant_ms(sample: Sample) -> int | None:
    """When a sample says that it was taken; None: by a clock that cannot be right.

    By the charger's own clock, which may be a little ahead of ours, and ours may be set back; by its receipt where it says none.
    """
    device_ms = sample.device_ms
    if device_ms is None:
        return sample.received_ms
    return device_ms if _can_be(device_ms, sample.received_ms) else None


def _placed(
    session: Metering, samples: Iterable[Sample], suspects: set[Suspect]
) -> tuple[int, list[tuple[int, Sample]]]:
    """The session's start, and each different sample with its instant, in the order of time."""
    start_ms = plausible_ms(session.device_started_ms, session.started_ms)
    if start_ms is None:
        start_ms = session.started_ms
        if session.device_started_ms is not None:
            suspects.add("clock")
    known: dict[tuple[int | None, ...], tuple[int, Sample]] = {}
    for sample in samples:
        said_ms = instant_ms(sample)
        if said_ms is None:
            suspects.add("clock")
            said_ms = sample.received_ms
        # A repeat has the same device time and values, and was received later.
        key = (said_ms, sample.register_wh, sample.interval_wh, sample.power_w)
        before = known.get(key)
        if before is None or sample.received_ms < before[1].received_ms:
            known[key] = (said_ms, sample)
    ordered = sorted((one for one in known.values() if not _is_after_end(session, *one)), key=order)
    times = accumulate((min(at_ms, sample.received_ms) for at_ms, sample in ordered), max)
    placed = [(at_ms, sample) for at_ms, (_, sample) in zip(times, ordered, strict=True)]
    if session.no_start:  # it began before it was known, with what is known of it first at the latest
        ended_ms = plausible_ms(session.device_ended_ms, session.ended_ms or session.started_ms)
        start_ms = min(
            at_ms for at_ms in (start_ms, ended_ms, *(at_ms for at_ms, _ in placed[:1])) if at_ms is not None
        )
    return start_ms, placed


def _is_after_end(session: Metering, at_ms: int, sample: Sample) -> bool:
    """Said of a time after the stop by a message that came after it: no late value makes a session go on.

    What was ended because no stop came goes on as long as the charger says so.
    """
    is_stopped = not session.no_stop or session.device_ended_ms is not None
    if session.ended_ms is None or sample.received_ms <= session.ended_ms or not is_stopped:
        return False
    if session.device_ended_ms is None or plausible_ms(session.device_ended_ms, session.ended_ms) is None:
        return at_ms > session.ended_ms
    return at_ms >= session.device_ended_ms


def order(said: tuple[int, Sample]) -> tuple[int, int, int, int, int]:
    """By time; what one instant says in an order that is always the same, a register that is higher later."""
    said_ms, sample = said
    register_wh, interval_wh, power_w = sample.register_wh, sample.interval_wh, sample.power_w
    return (
        said_ms,
        sample.received_ms,
        -1 if register_wh is None else register_wh,
        -1 if interval_wh is None else interval_wh,
        -1 if power_w is None else power_w,
    )


def _end_ms(session: Metering, start_ms: int, placed: Sequence[tuple[int, Sample]], suspects: set[Suspect]) -> int:
    if session.ended_ms is None:
        last_ms = placed[-1][0] if placed else start_ms
        return max(start_ms, last_ms, session.heard_ms or 0)
    if session.no_stop and session.device_ended_ms is None and placed:
        return max(start_ms, placed[-1][0])  # when it was last heard of
    end_ms = plausible_ms(session.device_ended_ms, session.ended_ms)
    if end_ms is None or end_ms < start_ms:
        if session.device_ended_ms is not None:
            suspects.add("clock")
        end_ms = session.ended_ms
    return max(start_ms, end_ms)


# ---- energy --------------------------------------------------------------------------------------------------------------


def _points(
    session: Metering, start_ms: int, end_ms: int, placed: Sequence[tuple[int, Sample]], suspects: set[Suspect]
) -> list[tuple[int, int]]:
    """Register values in the order of time, all on the same footing where they can be brought to it."""
    between = [(at_ms, sample.register_wh) for at_ms, sample in placed if sample.register_wh is not None]
    first, last = session.meter_start_wh, session.meter_stop_wh
    if first is not None and _is_relative(first, last, between):
        suspects.add("relative_register")
        between = [(at_ms, value + first) for at_ms, value in between]
    points = [(start_ms, first)] if first is not None else []
    points += between
    if session.ended_ms is not None and last is not None:
        points.append((end_ms, last))
    return _without_outliers(points, session.max_w, suspects)


def _steps(
    session: Metering,
    start_ms: int,
    end_ms: int,
    placed: Sequence[tuple[int, Sample]],
    points: list[tuple[int, int]],
    suspects: set[Suspect],
) -> list[Step]:
    if len(points) >= 2:
        return _register_steps(points, session.max_w, is_open=session.ended_ms is None, suspects=suspects)
    steps = _said_steps(start_ms, end_ms, placed, suspects)
    if sum(step.energy_wh for step in steps) > _most_wh(end_ms - start_ms + HOUR_MS, session.max_w):
        suspects.add("leap")  # an interval may have begun before the session: an hour more
    return steps


def _said_steps(start_ms: int, end_ms: int, placed: Sequence[tuple[int, Sample]], suspects: set[Suspect]) -> list[Step]:
    """Where no register says it."""
    intervals = [(at_ms, sample.interval_wh) for at_ms, sample in placed if sample.interval_wh is not None]
    if intervals:
        suspects.add("intervals")
        return list(_interval_steps(start_ms, intervals))
    powers = [(at_ms, sample.power_w) for at_ms, sample in placed if sample.power_w is not None]
    if powers:
        suspects.add("estimated")
        return list(_power_steps(powers, end_ms))
    suspects.add("no_energy_value")
    return []


def _is_relative(first: int, last: int | None, between: list[tuple[int, int]]) -> bool:
    """Whether the values in between count from the session's start, while the ends count for life."""
    if not between or first < SLACK_WH or between[0][1] >= first:
        return False
    values = [value for _, value in between]
    grows = all(one <= other for one, other in pairwise(values))
    if last is not None:
        return grows and last >= first and values[-1] <= last - first + SLACK_WH
    return grows and values[0] <= SLACK_WH


def _without_outliers(points: list[tuple[int, int]], max_w: int, suspects: set[Suspect]) -> list[tuple[int, int]]:
    """Leave out a single value that fits neither side, while its neighbours fit each other."""
    kept: list[tuple[int, int]] = []
    for index, point in enumerate(points):
        if kept and index + 1 < len(points):
            before, after = kept[-1], points[index + 1]
            is_off = not (fits(before, point, max_w) and fits(point, after, max_w))
            if is_off and fits(before, after, max_w):
                suspects.add("outlier")
                continue
        kept.append(point)
    return kept


def fits(before: tuple[int, int], after: tuple[int, int], max_w: int) -> bool:
    """Whether a register can have come from one value (instant, Wh) to the other, as far as the charger gives."""
    return 0 <= after[1] - before[1] <= _most_wh(after[0] - before[0], max_w)


def _most_wh(duration_ms: int, max_w: int) -> int:
    return duration_ms * max_w // HOUR_MS + SLACK_WH


def _register_steps(points: list[tuple[int, int]], max_w: int, *, is_open: bool, suspects: set[Suspect]) -> list[Step]:
    """Differences of a register; after a reset it counts from nought."""
    steps: list[Step] = []
    fell_at_end = False
    for (from_ms, before), (until_ms, after) in pairwise(points):
        most_wh = _most_wh(until_ms - from_ms, max_w)
        if after >= before:
            if after - before > most_wh:
                suspects.add("leap")
            steps.append(Step(from_ms, until_ms, after - before))
        elif after <= min(most_wh, before // 2):
            suspects.add("register_reset")
            steps.append(Step(from_ms, until_ms, after))
        else:
            fell_at_end = True
    if fell_at_end:
        is_whole = len(points) == 2 and not is_open
        suspects.add("stop_below_start" if is_whole else "register_fell")
    return steps


def _interval_steps(start_ms: int, intervals: Iterable[tuple[int, int]]) -> Iterator[Step]:
    from_ms = start_ms
    for until_ms, energy_wh in intervals:
        yield Step(from_ms, max(from_ms, until_ms), max(energy_wh, 0))
        from_ms = max(from_ms, until_ms)


def _power_steps(powers: Sequence[tuple[int, int]], end_ms: int) -> Iterator[Step]:
    """Power held until the next value; the rest of a Wh is carried on, so that the sum is right to 1 Wh."""
    carried = 0
    for (from_ms, power_w), (until_ms, _) in zip(powers, [*powers[1:], (end_ms, 0)], strict=True):
        carried += max(power_w, 0) * (until_ms - from_ms)
        energy_wh, carried = divmod(carried, HOUR_MS)
        yield Step(from_ms, until_ms, energy_wh)
