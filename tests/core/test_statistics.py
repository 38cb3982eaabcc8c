"""What a session adds to sums."""

from __future__ import annotations

import random
from collections import Counter
from zoneinfo import ZoneInfo

from borne.core.statistics import NOT_COUNTED, SUMS, Changes, Counted, PricedSlot, first_day, parts_of

PARIS = ZoneInfo("Europe/Paris")


def test_what_a_slot_costs_by_where_its_energy_came_from() -> None:
    slot = PricedSlot(0, 1_000, 1, 1, 1, 250_000, solar_wh=400, feed_in_micros=80_000)
    assert (slot.grid_wh, slot.cost_nanos, slot.unpriced_wh) == (600, 600 * 250_000 + 400 * 80_000, 0)
    assert PricedSlot(0, 1_000, 1, 1, 1, 250_000).cost_nanos == 250_000_000
    assert PricedSlot(0, 1_000, 1, 1, 1, 250_000, solar_wh=1_000).cost_nanos == 0, "it would have earned nothing"
    waiting = PricedSlot(0, 1_000, 1, 1, 1, None, solar_wh=400, feed_in_micros=80_000)
    assert (waiting.cost_nanos, waiting.unpriced_wh) == (400 * 80_000, 600)


def test_sums_say_how_much_was_solar() -> None:
    changes = Changes()
    counted = Counted(7, (PricedSlot(0, 1_000, 1, 2, 3, 250_000, 400, 80_000),), is_unknown=False)
    changes.take(NOT_COUNTED, counted, location_id=1, charger_id=2, zone=PARIS)
    cost_nanos = 600 * 250_000 + 400 * 80_000
    values = dict(zip(SUMS, changes.charger_days[2, 1, 0], strict=True))
    assert values == {
        "energy_wh": 1_000, "charging_ms": 1, "plugged_ms": 2, "cost_nanos": cost_nanos, "unpriced_wh": 0, "sessions": 1,
        "unknown": 0, "solar_wh": 400,
    }  # fmt: skip


def test_a_period_is_months_and_few_days() -> None:
    chance = random.Random(1)
    for number in range(3_000):
        from_day = 20_000 + chance.randrange(400)
        until_day = from_day + chance.choice((0, 1, 20, 25, 28, 29, 30, 31, 365, chance.randrange(900)))
        parts = parts_of(from_day, until_day, adds_only=number % 2 == 0)
        counted: Counter[int] = Counter(range(first_day(parts.from_month), first_day(parts.until_month)))
        for end in (parts.head, parts.tail):
            for day in range(end.from_day, end.until_day):
                assert first_day(end.month) <= day < first_day(end.month + 1)
                counted[day] += end.sign
            if number % 2:
                assert end.until_day - end.from_day <= 16
            else:
                assert end.sign > 0 or end.from_day == end.until_day
        assert {day for day, times in counted.items() if times} == set(range(from_day, until_day))
        assert set(counted.values()) <= {0, 1}


def test_what_a_session_has_still_is_passed_by() -> None:
    slots = tuple(PricedSlot(n * 900_000, 1_000, 1, 2, 3, 250_000) for n in range(40))
    grown = (*slots[:-1], PricedSlot(39 * 900_000, 1_500, 1, 2, 3, 250_000), PricedSlot(40 * 900_000, 7, 1, 2, 3, 1))
    changes = Changes()
    changes.take(Counted(7, slots, False), Counted(7, grown, False), location_id=1, charger_id=2, zone=PARIS)
    assert list(changes.location_slots) == [(1, 39 * 900_000), (1, 40 * 900_000)]
    assert changes.person_months[7, 1, 0][:1] == [507]
    other = Changes()
    other.take(Counted(7, slots, False), Counted(8, slots, False), location_id=1, charger_id=2, zone=PARIS)
    assert (other.person_days[7, 1, 0][0], other.person_days[8, 1, 0][0]) == (-40_000, 40_000)
    assert not any(other.charger_months[2, 1, 0])
    unknown = Changes()
    unknown.take(Counted(7, slots, True), Counted(7, slots, False), location_id=1, charger_id=2, zone=PARIS)
    assert unknown.charger_days[2, 1, 0][SUMS.index("unknown")] == -1
