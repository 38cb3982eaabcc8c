"""Statistics: sums over the slots of sessions, by place and time. What a session adds is what it has now less what it had before.

So the sum of the sessions is the statistics at any time, in one transaction, and measuring a session again changes nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import TypeVar

import msgspec

SUMS = ("energy_wh", "charging_ms", "plugged_ms", "cost_nanos", "unpriced_wh", "sessions", "unknown", "solar_wh")
EPOCH = date(1970, 1, 1).toordinal()
HOURS_A_WEEK = 168


class PricedSlot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A quarter of an hour of a session, with the price of its time (micros a kWh; None: not known yet).

    `solar_wh` of its energy came from the location's own roof, which costs what feeding it in would have earned.
    """

    slot_ms: int
    energy_wh: int
    charging_ms: int
    plugged_ms: int
    peak_w: int
    price_micros: int | None
    solar_wh: int = 0
    feed_in_micros: int | None = None  # None: nothing is earned
    is_provisional: int = 0  # 1: the price may still change

    @property
    def grid_wh(self) -> int:
        return self.energy_wh - self.solar_wh

    @property
    def cost_nanos(self) -> int:
        return self.grid_wh * (self.price_micros or 0) + self.solar_wh * (self.feed_in_micros or 0)

    @property
    def unpriced_wh(self) -> int:
        return self.grid_wh if self.price_micros is None else 0


class Counted(msgspec.Struct, frozen=True):
    """A session as it is counted: for whom, and its slots. `is_unknown`: its energy is not known."""

    person_id: int | None
    slots: tuple[PricedSlot, ...]
    is_unknown: bool


NOT_COUNTED = Counted(None, (), False)
Sums = dict[tuple[int, ...], list[int]]  # key -> the numbers of SUMS
Key = TypeVar("Key")


class Changes:
    """What to add to each table of sums. Keys are without the organisation, whose sessions alone are gathered."""

    def __init__(self) -> None:
        self.location_slots: Sums = {}  # location, slot
        self.location_days: Sums = {}  # location, day
        self.location_months: Sums = {}  # location, month
        self.location_hours: Sums = {}  # location, month, hour of the week
        self.organisation_hours: Sums = {}  # month, hour of the week
        self.charger_days: Sums = {}  # charger, location, day
        self.charger_months: Sums = {}  # charger, location, month
        self.person_days: Sums = {}  # person, location, day
        self.person_months: Sums = {}  # person, location, month

    def take(self, before: Counted, after: Counted, *, location_id: int, charger_id: int, zone: tzinfo) -> None:
        """Count a session anew. What it had at its beginning, and has still, is passed by: while it grows that is nearly all."""
        for (slot_ms, person_id), values in _differences(before, after).items():
            when = local(slot_ms, zone)
            _add(self.location_slots, (location_id, slot_ms), values)
            _add(self.location_days, (location_id, when.day), values)
            _add(self.location_months, (location_id, when.month), values)
            _add(self.location_hours, (location_id, when.month, when.hour), values)
            _add(self.organisation_hours, (when.month, when.hour), values)
            _add(self.charger_days, (charger_id, location_id, when.day), values)
            _add(self.charger_months, (charger_id, location_id, when.month), values)
            if person_id is not None:
                _add(self.person_days, (person_id, location_id, when.day), values)
                _add(self.person_months, (person_id, location_id, when.month), values)


class Local(msgspec.Struct, frozen=True):
    """An instant in a zone: days and months since the first of January 1970, the hour of the week from Monday midnight."""

    day: int
    month: int
    hour: int


@lru_cache(maxsize=10_000)
def local(at_ms: int, zone: tzinfo) -> Local:
    there = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone)
    month = (there.year - 1970) * 12 + there.month - 1
    return Local(there.toordinal() - EPOCH, month, there.weekday() * 24 + there.hour)


def day_start_ms(day: int, zone: tzinfo) -> int:
    """The instant at which a day begins in a zone."""
    there = datetime.combine(date.fromordinal(day + EPOCH), datetime.min.time(), zone)
    return int(there.timestamp() * 1_000)


def month_of(day: int) -> int:
    """The month of a day, both as in Local."""
    found = date.fromordinal(day + EPOCH)
    return (found.year - 1970) * 12 + found.month - 1


def first_day(month: int) -> int:
    """The day on which a month begins, both as in Local."""
    return date(1970 + month // 12, month % 12 + 1, 1).toordinal() - EPOCH


class Days(msgspec.Struct, frozen=True):
    """Days at an end of a period, all of the month `month`; `sign` -1: they are of a month that was counted whole."""

    from_day: int
    until_day: int
    month: int
    sign: int = 1


class Parts(msgspec.Struct, frozen=True):
    """A period as months from `from_month` until before `until_month`, and days at its beginning and at its end."""

    from_month: int
    until_month: int
    head: Days
    tail: Days


def parts_of(from_day: int, until_day: int, *, adds_only: bool) -> Parts:
    """How a period is summed from months and few days: a month is counted whole where fewer days of it are then taken away.

    `adds_only`: no days are taken away, as a highest value could not be.
    """
    first, last = month_of(from_day), month_of(until_day)
    start, end = first_day(first), first_day(last)
    before, after = from_day - start, first_day(last + 1) - until_day  # of these months, outside the period
    if first == last:
        if adds_only or before + after >= until_day - from_day:
            return Parts(first, first, Days(from_day, until_day, first), Days(until_day, until_day, first))
        return Parts(first, first + 1, Days(start, from_day, first, -1), Days(until_day, until_day + after, first, -1))
    head = Days(from_day, first_day(first + 1), first)
    if not before or (not adds_only and before < head.until_day - from_day):
        head = Days(start, from_day, first, -1)
    tail = Days(end, until_day, last)
    if not adds_only and after < until_day - end:
        tail = Days(until_day, until_day + after, last, -1)
    return Parts(first + (head.sign > 0), last + (tail.sign < 0), head, tail)


def changed(sums: Sums) -> list[tuple[tuple[int, ...], list[int]]]:
    """The keys whose numbers change, in their order: always the same, so that two writers never wait for each other in a ring."""
    return sorted((key, values) for key, values in sums.items() if any(values))


def _differences(before: Counted, after: Counted) -> dict[tuple[int, int | None], list[int]]:
    """By slot and person, the numbers of SUMS that are to be added."""
    same = _alike(before, after)
    found: dict[tuple[int, int | None], list[int]] = {}
    for counted, sign in ((before, -1), (after, 1)):
        for slot, values in _values(counted, same):
            _add(found, (slot.slot_ms, counted.person_id), [sign * value for value in values])
    return {key: values for key, values in found.items() if any(values)}


def _alike(before: Counted, after: Counted) -> int:
    """How many slots at the beginning are counted in the same way."""
    if (before.person_id, before.is_unknown) != (after.person_id, after.is_unknown):
        return 0
    pairs = enumerate(zip(before.slots, after.slots, strict=False))
    return next((index for index, (old, new) in pairs if old != new), min(len(before.slots), len(after.slots)))


def _values(counted: Counted, since: int) -> Iterable[tuple[PricedSlot, tuple[int, ...]]]:
    """Each slot from the one of that index on, with its numbers. A session is counted where it begins."""
    for index, slot in enumerate(counted.slots[since:], since):
        is_first = int(index == 0)
        yield (
            slot,
            (
                slot.energy_wh, slot.charging_ms, slot.plugged_ms, slot.cost_nanos, slot.unpriced_wh, is_first,
                is_first * counted.is_unknown, slot.solar_wh,
            ),
        )  # fmt: skip


def _add(sums: dict[Key, list[int]], key: Key, values: list[int]) -> None:
    kept = sums.get(key)
    sums[key] = [*values] if kept is None else list(map(operator.add, kept, values))
