"""docs/hand-computed-sessions.md: each session of that page is measured, priced and counted, and compared to what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from borne.core.metering import Measured, Metering, Sample, measure
from borne.core.metering_slots import SLOT_MS
from borne.core.pricing import priced, to_ask
from borne.core.site_meter import SiteSlot
from borne.core.statistics import EPOCH, NOT_COUNTED, SUMS, Changes, Counted, PricedSlot
from borne.core.tariff import Band, Dynamic, EnergyPrice, Fixed, Tariff, TimeOfUse, price_at, slot_price

PAGE = Path(__file__).parents[2] / "docs/hand-computed-sessions.md"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ENERGY, SOLAR, COST, SESSIONS, UNKNOWN = map(SUMS.index, ("energy_wh", "solar_wh", "cost_nanos", "sessions", "unknown"))
Row = tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """A section of the page. `given`: what, value; `counted`: of what, energy, solar energy, cost."""

    title: str
    given: list[Row]
    counted: list[Row]

    def all(self, what: str) -> list[str]:
        return [value for name, value in self.given if name == what]

    def one(self, what: str) -> str | None:
        return next(iter(self.all(what)), None)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.all("zone")[0])


def examples() -> list[Example]:
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        tables: dict[str, list[Row]] = {"given": [], "counted": []}
        name = ""
        for line in section.splitlines():
            cells = tuple(cell.strip() for cell in line.strip().strip("|").split("|")) if line.startswith("|") else ()
            if cells and cells[0] in tables:
                name = cells[0]
            elif cells and not cells[0].startswith("---"):
                tables[name].append(cells)
        found.append(Example(section.splitlines()[0], tables["given"], tables["counted"]))
    return found


EXAMPLES = examples()


# ---- what is given ---------------------------------------------------------------------------------------------------


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def micros(text: str) -> int:
    return int(Decimal(text.replace("−", "-")) * 1_000_000)


def price_of(text: str) -> EnergyPrice:
    """`2026-01-01T00:00+01:00: 0.24; every day 22:00–06:00 0.15, feed-in 0.08`."""
    since, said = text.split(": ", 1)
    said, _, feed_in = said.partition(", feed-in ")
    return EnergyPrice(ms(since), tariff_of(said), micros(feed_in or "0"))


def tariff_of(said: str) -> Tariff:
    listed = re.fullmatch(r"list × (\S+) \+ (\S+), gaps (\S+)", said)
    if listed:
        factor, markup, gaps = listed.groups()
        return Dynamic(1, int(Decimal(factor) * 1_000), micros(markup), micros(gaps))
    usual, *bands = said.split("; ")
    if not bands:
        return Fixed(micros(usual))
    return TimeOfUse(tuple(map(band_of, bands)), micros(usual))


def band_of(text: str) -> Band:
    found = re.fullmatch(r"(.+) (\d\d):(\d\d)–(\d\d):(\d\d) (\S+)", text)
    assert found is not None, text
    days = tuple(range(7)) if found[1] == "every day" else (DAYS.index(found[1]),)
    return Band(days, int(found[2]) * 60 + int(found[3]), int(found[4]) * 60 + int(found[5]), micros(found[6]))


def listed_in(texts: list[str]) -> dict[int, int]:
    found: dict[int, int] = {}
    for text in texts:
        since, *prices = text.split()
        found |= {ms(since) + number * SLOT_MS: micros(price) for number, price in enumerate(prices)}
    return found


def site_of(texts: list[str]) -> dict[int, SiteSlot]:
    found = {}
    for text in texts:
        since, *words = text.split()
        values = dict(zip(words[::2], map(int, words[1::2]), strict=True))
        found[ms(since)] = SiteSlot(ms(since), values["import"], values["export"], values["solar"])
    return found


def point(text: str | None) -> tuple[int | None, int | None]:
    """(instant, register) of a start or a stop."""
    if text is None:
        return None, None
    since, *register = text.split()
    return ms(since), int(register[0]) if register else None


def measured(example: Example) -> Measured:
    """As engine.metering asks core.metering."""
    begun_ms, first = point(example.one("start"))
    ended_ms, last = point(example.one("stop"))
    closed_ms, _ = point(example.one("closed"))
    assert begun_ms is not None
    samples = []
    for text in example.all("value"):
        since, value, unit = text.split()
        register, power = (int(value), None) if unit == "Wh" else (None, int(value))
        samples.append(Sample(ms(since), ms(since), register, None, power))
    session = Metering(
        started_ms=begun_ms, device_started_ms=begun_ms, meter_start_wh=first, ended_ms=closed_ms or ended_ms,
        device_ended_ms=ended_ms, meter_stop_wh=last, no_stop=closed_ms is not None,
    )  # fmt: skip
    return measure(session, samples)


def slots_of(example: Example, found: Measured) -> tuple[PricedSlot, ...]:
    """As engine.prices prices them: once, and again when the list says more."""
    prices, site = [price_of(text) for text in example.all("price")], site_of(example.all("meter"))
    listed = listed_in(example.all("list"))
    slots: tuple[PricedSlot, ...] = ()
    for more in ({}, listed_in(example.all("later list"))):
        listed = listed | more
        before = {slot.slot_ms: slot for slot in slots}
        known = {}
        for slot_ms in to_ask(found.slots, before, site):
            price = price_at(prices, slot_ms)
            assert price is not None
            known[slot_ms] = slot_price(price, slot_ms, example.zone, listed)
        slots = priced(found.slots, before, known, site)
    return slots


# ---- what is counted -------------------------------------------------------------------------------------------------


def nanos(text: str) -> int:
    return int(Decimal(text) * 1_000_000_000)


def counted_by(changes: Changes) -> dict[str, tuple[int, int, int]]:
    """Sums by the names that the page gives them: energy, solar energy, cost."""

    def of(values: list[int]) -> tuple[int, int, int]:
        return values[ENERGY], values[SOLAR], values[COST]

    found = {f"day {date.fromordinal(day + EPOCH)}": of(sums) for (_, day), sums in changes.location_days.items()}
    for (_, month), sums in changes.location_months.items():
        found[f"month {1970 + month // 12}-{month % 12 + 1:02}"] = of(sums)
    for (_, _, hour), sums in changes.location_hours.items():
        found[f"hour {DAYS[hour // 24]} {hour % 24}"] = of(sums)
    for (_, slot_ms), sums in changes.location_slots.items():
        found[f"slot {slot_ms}"] = of(sums)
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.title.partition(".")[0])
def test_what_the_page_says_is_so(example: Example) -> None:
    found = measured(example)
    slots = slots_of(example, found)
    changes = Changes()
    changes.take(
        NOT_COUNTED, Counted(5, slots, found.energy_wh is None), location_id=1, charger_id=2, zone=example.zone
    )
    sums = counted_by(changes)
    assert list(found.suspects) == example.all("suspect")
    provisional = set()
    for name, energy, solar, cost in example.counted:
        if name == "all":
            cost_nanos = None if found.energy_wh is None else sum(slot.cost_nanos for slot in slots)
            said = (None, None) if energy == "unknown" else (int(energy), nanos(cost))
            assert (found.energy_wh, cost_nanos) == said, name
            assert sum(slot.solar_wh for slot in slots) == int(solar)
            continue
        what, _, when = name.partition(" ")
        key = f"slot {ms(when)}" if what == "slot" else name
        amount, _, is_provisional = cost.partition(" ")
        assert sums.get(key, (0, 0, 0)) == (int(energy), int(solar), nanos(amount)), name
        if is_provisional:
            provisional.add(ms(when))
    assert {slot.slot_ms for slot in slots if slot.is_provisional} == provisional
    for kind in ("day ", "month "):
        assert {name for name in sums if name.startswith(kind)} == {
            row[0] for row in example.counted if row[0].startswith(kind)
        }, "all of them are named"
    assert_parts_make_the_whole(example, found, changes)


def assert_parts_make_the_whole(example: Example, found: Measured, changes: Changes) -> None:
    """Each table of sums, by itself, holds the session; it is counted once, where it began."""
    for table in (changes.location_slots, changes.location_days, changes.location_months, changes.location_hours,
                  changes.charger_days, changes.charger_months, changes.person_days, changes.person_months):  # fmt: skip
        assert sum(values[ENERGY] for values in table.values()) == (found.energy_wh or 0)
        assert sum(values[SESSIONS] for values in table.values()) == 1
        assert sum(values[UNKNOWN] for values in table.values()) == int(found.energy_wh is None)
    first = min(changes.location_days)
    assert changes.location_days[first][SESSIONS] == 1, example.title


def test_the_page_has_its_sessions() -> None:
    assert [one.title.partition(".")[0] for one in EXAMPLES] == [str(number) for number in range(1, 15)]
    assert all(one.counted and one.given for one in EXAMPLES)
