"""Values of a location's meter: whatever a file says, slots that can be come out, or what is wrong with it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from borne.core.metering_slots import SLOT_MS
from borne.core.site_meter import SLOT_WH_MOST, SiteSlot, read, slots_of, solar_of

NOW_MS = 1_800_000_000_000
HEAD = "start,minutes,import_kwh,export_wh,solar_wh\n"
energies = st.integers(0, SLOT_WH_MOST)
cells = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "1,5", "1e999999999", "9" * 5_000, "nan", "inf", "٣", "1_0", "0x1", " 7 ", "1/3", "\0"]
    ),
    st.integers(-5, 10**30).map(str),
    st.text(max_size=5),
)
starts = st.one_of(
    st.sampled_from(
        ["2026-03-01T12:00Z", "2026-03-01T12:05Z", "2026-03-01T12:10Z", "2026-03-01T12:15:00.001Z", "", "Z"]
    ),
    st.text(max_size=12),
)
minutes = st.sampled_from(["", "1", "5", "15", "60", "-5", "x"])
lines = st.lists(st.tuples(starts, minutes, cells, cells, cells).map(",".join), max_size=8).map("\n".join)


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(max_size=200), lines.map(lambda some: HEAD + some)))
@example(text='[{"start": "2026-03-01T12:00Z", "import_wh": 1e308, "solar_wh": true}]')
@example(text='[{"start": ["2026"], "minutes": {}, "import_wh": -' + "9" * 400 + ', "solar_wh": 1}]')
@example(text='[{"start": "2026-03-01T12:00Z", "import_wh": 1' + "0" * 400 + ', "solar_wh": 1}]')
@example(text='[{"start": "2026-03-01T12:00Z", "minutes": 1' + "0" * 400 + ', "import_wh": 1, "solar_wh": 1}]')
@example(text="[" * 50_000)
@example(text=HEAD + '"')
def test_whatever_a_file_says(text: str) -> None:
    found = read(text, NOW_MS)
    assert bool(found.slots) != bool(found.problems), "something, or why not"
    for slot in found.slots:
        assert slot.slot_ms % SLOT_MS == 0
        assert all(0 <= value <= SLOT_WH_MOST for value in (slot.import_wh, slot.export_wh, slot.solar_wh))


@given(energy_wh=st.integers(0, 10**6), imported=energies, exported=energies, solar=energies)
def test_a_share_is_never_below_nought_and_never_more_than_was_taken(
    energy_wh: int, imported: int, exported: int, solar: int
) -> None:
    share = solar_of(energy_wh, SiteSlot(0, imported, exported, solar))
    assert 0 <= share <= energy_wh
    if imported == 0 and solar > exported:
        assert share == energy_wh
    if solar <= exported:
        assert share == 0


def test_no_meter_no_share() -> None:
    assert solar_of(1_000, None) == solar_of(1_000, SiteSlot(0, 0, 0, 0)) == 0


@pytest.mark.parametrize(("exported", "is_refused"), [(1_120, False), (1_121, True)])
def test_two_meters_may_differ_a_little(exported: int, is_refused: bool) -> None:
    row = {"start": "2026-03-01T12:00Z", "import_wh": 0, "export_wh": exported, "solar_wh": 1_000}
    assert bool(slots_of([(1, row)], NOW_MS).problems) == is_refused


def test_kwh_are_taken_to_the_nearest_wh_in_any_spelling() -> None:
    text = "start;import_kwh;solar_kwh\n2026-03-01T12:00Z;0,0004;1.2345\n"
    assert read(text, NOW_MS).slots == (SiteSlot(1_772_366_400_000, 0, 0, 1_235),)


def test_parts_that_are_too_much_together() -> None:
    row = {"minutes": 5, "import_wh": SLOT_WH_MOST // 2, "solar_wh": 0}
    rows = [(number, {**row, "start": f"2026-03-01T12:{minute}Z"}) for number, minute in enumerate(("00", "05", "10"))]
    (problem,) = slots_of(rows, NOW_MS).problems
    assert (problem.word, problem.column) == ("absurd", "import")
