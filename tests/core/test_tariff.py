"""Tariffs: slots and sessions priced by hand (clocks change, midnight, a new price in the middle), and a slow oracle."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from borne.core.metering_slots import SLOT_MS, Slot
from borne.core.site_meter import SiteSlot
from borne.core.statistics import PricedSlot
from borne.core.tariff import (
    Band,
    Dynamic,
    EnergyPrice,
    Fixed,
    Tariff,
    TimeOfUse,
    price_at,
    price_micros,
    problem_of,
    rounded,
)
from borne.engine.prices import Place, Prices
from borne.store import energy_prices, site_meter

PARIS = ZoneInfo("Europe/Paris")
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
NIGHT = TimeOfUse((Band(EVERY_DAY, 1_320, 360, 150_000),), 240_000)  # 22:00 to 06:00


def ms(text: str) -> int:
    """An instant with its offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def cost(prices: Iterable[EnergyPrice], energy: Mapping[int, int], listed: Mapping[int, int] | None = None) -> int:
    """What slots cost in Paris, as measuring adds it up."""
    total = 0
    for slot_ms, energy_wh in energy.items():
        price = price_at(prices, slot_ms)
        assert price is not None
        micros = price_micros(price.tariff, slot_ms, PARIS, listed or {})
        assert micros is not None
        total += energy_wh * micros
    return total


def even(since: str, until: str, slot_wh: int) -> dict[int, int]:
    return dict.fromkeys(range(ms(since), ms(until), SLOT_MS), slot_wh)


# ---- by hand -----------------------------------------------------------------------------------------------------


def test_a_fixed_price() -> None:
    assert (
        cost([EnergyPrice(0, Fixed(251_600))], even("2026-03-03T10:00+01:00", "2026-03-03T11:00+01:00", 1_000))
        == 1_006_400_000
    )


def test_over_midnight_the_night_goes_on() -> None:
    """21:00 to 07:00 with 1 kWh an hour: one hour before ten and one after six by day, eight by night."""
    found = cost([EnergyPrice(0, NIGHT)], even("2026-03-03T21:00+01:00", "2026-03-04T07:00+01:00", 250))
    assert found == (2 * 240_000 + 8 * 150_000) * 1_000


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [("2026-03-28T22:00+01:00", "2026-03-29T06:00+02:00", 7), ("2026-10-24T22:00+02:00", "2026-10-25T06:00+01:00", 9)],
)
def test_a_night_when_clocks_change_has_seven_or_nine_hours(since: str, until: str, hours: int) -> None:
    energy = even(since, until, 250)
    assert len(energy) == hours * 4
    assert cost([EnergyPrice(0, NIGHT)], energy) == hours * 1_000 * 150_000


def test_the_hour_that_comes_twice_has_its_price_twice_and_the_missing_one_never() -> None:
    tariff = TimeOfUse((Band(EVERY_DAY, 120, 180, 1_000_000),), 0)  # two to three o'clock
    prices = [EnergyPrice(0, tariff)]
    assert cost(prices, even("2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00", 250)) == 2 * 1_000 * 1_000_000
    assert cost(prices, even("2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", 250)) == 0


def test_a_band_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    """Friday's night: from Friday 22:00 to Saturday 06:00, not from Thursday's midnight."""
    prices = [EnergyPrice(0, TimeOfUse((Band((4,), 1_320, 360, 100_000),), 300_000))]
    assert cost(prices, even("2026-03-06T00:00+01:00", "2026-03-06T06:00+01:00", 250)) == 6 * 1_000 * 300_000
    assert cost(prices, even("2026-03-06T22:00+01:00", "2026-03-07T06:00+01:00", 250)) == 8 * 1_000 * 100_000
    assert cost(prices, even("2026-03-07T22:00+01:00", "2026-03-08T06:00+01:00", 250)) == 8 * 1_000 * 300_000


def test_a_new_price_in_the_middle_of_a_session_counts_from_its_instant() -> None:
    changed_ms = ms("2026-03-03T10:30+01:00")
    prices = [EnergyPrice(changed_ms, Fixed(300_000)), EnergyPrice(0, Fixed(200_000))]
    found = cost(prices, even("2026-03-03T10:00+01:00", "2026-03-03T11:00+01:00", 1_000))
    assert found == 2 * 1_000 * 200_000 + 2 * 1_000 * 300_000


def test_before_the_first_price_there_is_none() -> None:
    assert price_at([EnergyPrice(1_000, Fixed(1))], 999) is None


def test_the_first_band_that_fits_counts() -> None:
    tariff = TimeOfUse((Band((6,), 0, 1_440, 1), Band(EVERY_DAY, 0, 720, 2)), 3)
    sunday, monday = ms("2026-03-01T08:00+01:00"), ms("2026-03-02T08:00+01:00")
    assert [price_micros(tariff, at, PARIS, {}) for at in (sunday, monday, monday + 12 * 4 * SLOT_MS)] == [1, 2, 3]


def test_a_list_times_its_factor_plus_its_markup_and_what_counts_in_its_gaps() -> None:
    slot_ms = ms("2026-03-03T10:00+01:00")
    assert price_micros(Dynamic(1, 1_200, 50_000), slot_ms, PARIS, {slot_ms: 100_000}) == 170_000
    assert price_micros(Dynamic(1, 1_200, 50_000), slot_ms, PARIS, {slot_ms: -100_000}) == -70_000
    assert price_micros(Dynamic(1, 1_005), slot_ms, PARIS, {slot_ms: 100}) == 101, "half away from nought, once"
    assert price_micros(Dynamic(1, micros=7), slot_ms, PARIS, {}) == 7
    assert price_micros(Dynamic(1), slot_ms, PARIS, {}) is None


@pytest.mark.parametrize(("amount", "said"), [(5, 1), (4, 0), (-5, -1), (-4, 0), (15, 2), (-15, -2), (0, 0)])
def test_rounded_half_away_from_nought(amount: int, said: int) -> None:
    assert rounded(amount, 10) == said


@pytest.mark.parametrize(
    ("band", "word"),
    [
        (Band((0,), 0, 1_440, 1), None), (Band((0,), 7, 1_440, 1), "band_minutes"), (Band((0,), 0, 1_455, 1), "band_minutes"),
        (Band((), 0, 60, 1), "band_days"), (Band((7,), 0, 60, 1), "band_days"), (Band((0,), 60, 60, 1), "band_empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_band(band: Band, word: str | None) -> None:
    assert problem_of(TimeOfUse((band,), 0)) == word


# ---- a slow exact oracle -----------------------------------------------------------------------------------------


def oracle_price(
    history: list[EnergyPrice], slot_ms: int, zone: ZoneInfo, listed: Mapping[int, int]
) -> Fraction | None:
    """The same by other means: the wall clock is walked, bands are laid out as sets of minutes of the week."""
    counting = None
    for one in sorted(history, key=lambda one: one.from_ms):
        if one.from_ms <= slot_ms:
            counting = one.tariff
    if counting is None:
        return None
    if isinstance(counting, Fixed):
        return Fraction(counting.micros)
    if isinstance(counting, Dynamic):
        if slot_ms not in listed:
            return None if counting.micros is None else Fraction(counting.micros)
        exact = Fraction(listed[slot_ms] * counting.factor_permille, 1_000)
        whole = int(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
        return Fraction(whole + counting.markup_micros)
    wall = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=slot_ms)
    there = wall.astimezone(zone)
    now = there.isoweekday() * 1_440 - 1_440 + there.hour * 60 + there.minute
    for band in counting.bands:
        lasts = (band.until_minute - band.from_minute) if band.until_minute > band.from_minute else (
            band.until_minute + 1_440 - band.from_minute
        )  # fmt: skip
        for day in band.days:
            begins = day * 1_440 + band.from_minute
            if any(begins + week * 10_080 <= now < begins + week * 10_080 + lasts for week in (-1, 0)):
                return Fraction(band.micros)
    return Fraction(counting.micros)


quarters = st.integers(0, 95).map(lambda quarter: quarter * 15)
bands = (
    st.builds(
        Band,
        st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
        quarters,
        st.integers(0, 96).map(lambda quarter: quarter * 15),
        st.integers(-200_000, 900_000),
    )
    .filter(lambda band: problem_of(TimeOfUse((band,), 0)) is None)
)  # fmt: skip
tariffs: st.SearchStrategy[Tariff] = st.one_of(
    st.builds(Fixed, st.integers(0, 900_000)),
    st.builds(TimeOfUse, st.lists(bands, min_size=1, max_size=4).map(tuple), st.integers(0, 900_000)),
    st.builds(
        Dynamic,
        st.just(1),
        st.integers(0, 3_000),
        st.integers(0, 200_000),
        st.one_of(st.none(), st.integers(0, 900_000)),
    ),
)
# Around the two days of 2026 when European clocks change, and any other time of the year.
beginnings = st.one_of(
    st.integers(-96, 96).map(lambda n: ms("2026-03-29T00:00+01:00") + n * SLOT_MS),
    st.integers(-96, 96).map(lambda n: ms("2026-10-25T00:00+02:00") + n * SLOT_MS),
    st.integers(0, 35_000).map(lambda n: ms("2026-01-01T00:00+01:00") + n * SLOT_MS),
)


class Known:
    """What the store holds: prices, a list, and the values of the location's meter."""

    def __init__(
        self, history: list[EnergyPrice], listed: Mapping[int, int], site: Mapping[int, tuple[int, int, int]]
    ) -> None:
        self.history, self.listed, self.site = history, listed, site

    def now_ms(self) -> int:
        return 0

    async def of_location(self, _db: object, _location_id: int) -> list[EnergyPrice]:
        return self.history

    async def of_list(self, _db: object, _list_id: int, wanted: list[int]) -> dict[int, int]:
        return {slot_ms: micros for slot_ms, micros in self.listed.items() if slot_ms in wanted}

    async def between(self, _db: object, _org: int, _location_id: int, from_ms: int, until_ms: int) -> list[SiteSlot]:
        return [SiteSlot(at, *values) for at, values in sorted(self.site.items()) if from_ms <= at < until_ms]

    def priced(
        self, energy: Mapping[int, int], zone: ZoneInfo, before: tuple[PricedSlot, ...] = ()
    ) -> tuple[PricedSlot, ...]:
        """engine.prices over just this."""
        until_ms = max(self.site, default=None)
        place = Place(1, 1, zone, None if until_ms is None else until_ms + SLOT_MS)
        slots = [Slot(slot_ms, wh, 0, SLOT_MS, 0) for slot_ms, wh in energy.items()]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(energy_prices, "of_location", self.of_location)
            patch.setattr(energy_prices, "listed", self.of_list)
            patch.setattr(site_meter, "between", self.between)
            found, _ = asyncio.run(Prices(None, self).priced(place, slots, before))  # type: ignore[arg-type]
        return found


def oracle_cost(
    known: Known, energy: Mapping[int, int], zone: ZoneInfo
) -> tuple[dict[int, Fraction | None], Fraction, int]:
    """Prices by slot, the whole cost, and the solar energy: each slot by itself, in fractions, floors by counting up."""
    prices, total, sum_wh = {}, Fraction(0), 0
    for slot_ms, wh in energy.items():
        price = prices[slot_ms] = oracle_price(known.history, slot_ms, zone, known.listed)
        imported, exported, solar = known.site.get(slot_ms, (0, 0, 0))
        own = max(solar - exported, 0)
        share = Fraction(own, own + imported) if own + imported else Fraction(0)
        solar_wh = math.floor(wh * share)
        began = [one for one in known.history if one.from_ms <= slot_ms]
        earned = sorted(began, key=lambda one: one.from_ms)[-1].feed_in_micros if began else 0
        total += Fraction(wh - solar_wh) * (price or 0) + Fraction(solar_wh) * earned
        sum_wh += solar_wh
    return prices, total, sum_wh


histories = st.lists(st.tuples(st.integers(-50, 40), tariffs, st.integers(0, 300_000)), min_size=1, max_size=4,
                     unique_by=lambda one: one[0])  # fmt: skip
of_meters = st.tuples(st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 9_000))


@settings(max_examples=150, deadline=None)
@given(
    begun_ms=beginnings,
    zone=st.sampled_from(["Europe/Paris", "America/St_Johns", "Asia/Kathmandu", "UTC"]).map(ZoneInfo),
    quarters=st.lists(
        st.tuples(st.integers(0, 6_000), st.none() | st.integers(-300_000, 900_000), st.none() | of_meters),
        min_size=1,
        max_size=30,
    ),
    told=histories,
    split=st.integers(0, 30),
)
def test_random_sessions_cost_what_the_oracle_says(
    begun_ms: int,
    zone: ZoneInfo,
    quarters: list[tuple[int, int | None, tuple[int, int, int] | None]],
    told: list[tuple[int, Tariff, int]],
    split: int,
) -> None:
    """Against fractions: the price of each slot, its solar share, and the cost of the session to the last nano.

    Once with all that is known at once; and once with a list and a meter whose values come after a part was measured, which must
    end the same.
    """
    slots = [begun_ms + number * SLOT_MS for number in range(len(quarters))]
    energy = {at: wh for at, (wh, _, _) in zip(slots, quarters, strict=True)}
    listed = {at: micros for at, (_, micros, _) in zip(slots, quarters, strict=True) if micros is not None}
    site = {at: values for at, (_, _, values) in zip(slots, quarters, strict=True) if values is not None}
    history = [EnergyPrice(begun_ms + offset * SLOT_MS, tariff, feed_in) for offset, tariff, feed_in in told]
    known = Known(history, listed, site)
    prices, cost, solar_wh = oracle_cost(known, energy, zone)
    at_once = known.priced(energy, zone)
    assert {slot.slot_ms: slot.price_micros for slot in at_once} == prices
    assert sum(slot.cost_nanos for slot in at_once) == cost
    assert sum(slot.solar_wh for slot in at_once) == solar_wh <= sum(energy.values())
    early = {at: micros for at, micros in listed.items() if at < begun_ms + split * SLOT_MS}
    before = Known(history, early, {}).priced(energy, zone)
    assert known.priced(energy, zone, before) == at_once
    changed = [msgspec.structs.replace(one, tariff=Fixed(1), feed_in_micros=1) for one in history]
    final = Known(changed, dict.fromkeys(slots, 7), site).priced(energy, zone, at_once)
    for was, slot in zip(at_once, final, strict=True):
        if was.price_micros is not None and not was.is_provisional:
            assert slot == was, "what was priced stays, whatever counts later"
