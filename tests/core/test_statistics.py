"""What a session adds to sums."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from borne.core.statistics import NOT_COUNTED, SUMS, Changes, Counted, PricedSlot

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
