"""The statistics page: what each role sees of a measured past, periods, and figures that add up."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import delete, func, select, update

from borne.bus.memory import MemoryBus
from borne.core.statistics import NOT_COUNTED, Changes, Counted, PricedSlot, day_start_ms
from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.portal import statistics as statistics_page
from borne.portal.periods import LONGEST_DAYS, Period, grain_of, grains_of, hours, number_of_day, period_of, starts
from borne.sim.keep_past import Place, keep_past
from borne.sim.past import PastSession, past
from borne.store import chargers, metering, organisations
from borne.store.chargers import NewCharger
from borne.store.schema import chargers as chargers_table
from borne.store.schema import location_slots, locations, sessions
from tests.support.portal import Portal, log_in, running_portal

pytestmark = pytest.mark.anyio
PARIS = ZoneInfo("Europe/Paris")
CAMILLE, ALI, ZOE, EVE = "camille@a.test", "ali@a.test", "zoe@a.test", "eve@b.test"


@dataclass
class Measured:
    portal: Portal
    past: list[PastSession]
    nantes_id: int
    zoe_id: int
    chargers: dict[str, int]
    browsers: dict[str, httpx.AsyncClient] = field(default_factory=dict)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for the file: what was measured is looked at by many tests."""
    return "asyncio"


@pytest.fixture(scope="module")
async def measured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Measured]:
    """Two locations with a charger each, and forty days of sessions; some of them Zoé's."""
    async with running_portal(tmp_path_factory.mktemp("measured")) as portal:
        organisation_id, lyon_id = await portal.add_organisation("Atelier")
        other_id, _ = await portal.add_organisation("Other")
        async with portal.db.transaction() as tx:
            nantes_id = await organisations.create_location(
                tx, organisation_id, name="Nantes", now_ms=1, time_zone="Europe/Paris"
            )
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        await portal.add_person(ALI, (organisation_id, "admin"), location_ids=(nantes_id,))
        zoe_id = await portal.add_person(ZOE, (organisation_id, "user"))
        await portal.add_person(EVE, (other_id, "super-admin"))
        places = {}
        for serial, location_id in (("11", lyon_id), ("12", nantes_id)):
            new = NewCharger(
                organisation_id=organisation_id,
                location_id=location_id,
                name=f"Bay {serial}",
                identity=serial,
                serial=serial,
            )
            async with portal.db.transaction() as tx:
                charger_id = await chargers.create(tx, new, 1)
            places[serial] = Place(charger_id, organisation_id, location_id, {"van-01": zoe_id})
        until = datetime.fromtimestamp(portal.clock.at_ms / 1_000, UTC)
        found = past([("11", "Lyon, Atelier"), ("12", "Nantes, Entrepôt")], seed=3, until=until, days=40, zone=PARIS)
        await keep_past(portal.db, found, places)
        await Meter(portal.db, MemoryBus(), portal.clock, Prices(portal.db, portal.clock)).once()
        ids = {serial: place.charger_id for serial, place in places.items()}
        yield Measured(portal, found, nantes_id, zoe_id, ids)


async def browser_of(measured: Measured, who: str) -> httpx.AsyncClient:
    """A browser in which this person is logged in; the same for all tests."""
    if who not in measured.browsers:
        measured.browsers[who] = measured.portal.client()
        await log_in(measured.browsers[who], who)
    return measured.browsers[who]


async def page(measured: Measured, who: str, query: str = "?period=12") -> str:
    answer = await (await browser_of(measured, who)).get(f"/statistics{query}")
    assert answer.status_code == 200
    return answer.text


async def change_charger(measured: Measured, **values: object) -> None:
    """Of Nantes."""
    async with measured.portal.db.transaction() as tx:
        await tx.run(update(chargers_table).where(chargers_table.c.serial == "12").values(**values))


def figures(text: str) -> list[str]:
    return re.findall(r'<b class="num">([^<]*)</b>', text)


def kwh(some: list[PastSession]) -> str:
    return f"{sum(one.meter_stop_wh - one.meter_start_wh for one in some) / 1_000:,.1f}".removesuffix(".0") + " kWh"


async def test_everything_is_in_the_sums_of_the_super_admin(measured: Measured) -> None:
    assert figures(await page(measured, CAMILLE))[:2] == [kwh(measured.past), f"{len(measured.past):,}"]


async def test_an_admin_counts_their_locations_alone(measured: Measured) -> None:
    there = [one for one in measured.past if one.charger == "12"]
    text = await page(measured, ALI)
    assert figures(text)[:2] == [kwh(there), str(len(there))]
    assert "Bay 11" not in text
    assert figures(await page(measured, ALI, "?period=12&location=1"))[:2] == [kwh(there), str(len(there))]


async def test_a_user_counts_their_own_sessions_alone(measured: Measured) -> None:
    mine = [one for one in measured.past if one.tag == "VAN-01"]
    text = await page(measured, ZOE)
    assert figures(text)[:2] == [kwh(mine), str(len(mine))]
    assert "Bay 1" not in text
    assert 'class="heat"' not in text, "it would tell of others"


async def test_a_stranger_counts_nothing(measured: Measured) -> None:
    text = await page(measured, EVE, f"?period=12&location={measured.nantes_id}")
    assert figures(text)[:2] == ["0 kWh", "0"]
    assert "No energy in this period" in text


async def test_the_table_behind_the_chart_adds_up(measured: Measured) -> None:
    text = await page(measured, CAMILLE, "?period=30")
    rows = re.findall(r'<tr><th scope="row">[^<]*</th><td class="right num">([\d,.]+)\s*kWh', text)
    total = float(figures(text)[0].split()[0].replace(",", ""))
    assert len(rows) == 30
    assert abs(sum(float(row.replace(",", "")) for row in rows) - total) < 0.06 * 30


@pytest.mark.parametrize(
    "query", ["?period=zzz", "?period=&since=x&until=y", "?period=&since=2026-05-01&until=2026-04-01", "?location=9e9&group=x",
              "?period=&since=0001-01-01&until=9999-12-31", "?location=999999999999999999999"],
)  # fmt: skip
async def test_an_address_that_makes_no_sense_shows_thirty_days(measured: Measured, query: str) -> None:
    assert "30 days" in await page(measured, CAMILLE, query)


async def test_the_sum_of_sessions_is_the_statistics(measured: Measured) -> None:
    total = await measured.portal.db.value(select(func.sum(sessions.c.energy_wh)))
    assert total == sum(one.meter_stop_wh - one.meter_start_wh for one in measured.past)


def energies(text: str) -> list[float]:
    """The rows of the table behind the chart, in kWh."""
    rows = re.findall(r'<tr><th scope="row">[^<]*</th><td class="right num">([\d,.]+)\s*kWh', text)
    return [float(row.replace(",", "")) for row in rows]


def added(some: list[PastSession]) -> float:
    return sum(one.meter_stop_wh - one.meter_start_wh for one in some) / 1_000


async def test_one_charger_and_one_user(measured: Measured) -> None:
    of_one = [one for one in measured.past if one.charger == "12"]
    text = await page(measured, CAMILLE, f"?period=12&charger={measured.chargers['12']}")
    assert figures(text)[:2] == [kwh(of_one), str(len(of_one))]
    assert "Charger: Bay 12" in text
    assert abs(sum(energies(text)) - added(of_one)) < 0.06 * 12
    mine = [one for one in measured.past if one.tag == "VAN-01"]
    text = await page(measured, CAMILLE, f"?period=12&person={measured.zoe_id}")
    assert figures(text)[:2] == [kwh(mine), str(len(mine))]
    assert "User: Zoe" in text
    assert "By charger" not in text


async def test_an_admin_reaches_no_charger_of_another_location(measured: Measured) -> None:
    text = await page(measured, ALI, f"?period=12&charger={measured.chargers['11']}")
    assert figures(text)[:2] == ["0 kWh", "0"]
    assert "Bay 11" not in text
    assert "Bay 11" not in await page(measured, ALI, "?find=bay")


async def test_a_user_is_narrowed_to_nothing_but_themselves(measured: Measured) -> None:
    mine = [one for one in measured.past if one.tag == "VAN-01"]
    for query in (f"charger={measured.chargers['11']}", "person=1", "find=camille"):
        text = await page(measured, ZOE, f"?period=12&{query}")
        assert figures(text)[:2] == [kwh(mine), str(len(mine))], query
        assert "amille" not in text.partition("<main")[2]


@pytest.mark.parametrize("measure", ["sessions", "charging", "idle", "peak"])
async def test_every_measure_has_its_chart_and_table(measured: Measured, measure: str) -> None:
    text = await page(measured, CAMILLE, f"?period=30&show={measure}")
    assert 'class="chart-bar"' in text
    if measure == "sessions":
        rows = re.findall(r'<tr><th scope="row">[^<]*</th><td class="right num">(\d+)</td>', text)
        assert sum(map(int, rows)) == int(figures(text)[1])


@pytest.mark.parametrize(
    ("who", "query"), [(CAMILLE, ""), (CAMILLE, "&charger={charger}"), (CAMILLE, "&person={zoe}"), (ZOE, "")]
)
async def test_hours_are_those_of_the_days(measured: Measured, who: str, query: str) -> None:
    """By hour the same energy as by day: of all, of a charger, of a user, of one's own."""
    query = query.format(charger=measured.chargers["12"], zoe=measured.zoe_id)
    by_day, by_hour = [await page(measured, who, f"?period=7&by={grain}{query}") for grain in ("day", "hour")]
    assert (len(energies(by_day)), len(energies(by_hour))) == (7, 7 * 24)
    assert abs(sum(energies(by_day)) - sum(energies(by_hour))) < 0.06 * (7 * 24)
    assert sum(energies(by_day)) > 0


async def test_search_finds_chargers_and_users(measured: Measured) -> None:
    text = await page(measured, CAMILLE, "?period=12&find=bay")
    assert "Charger: Bay 11" in text
    assert "Charger: Bay 12" in text
    assert f"person={measured.zoe_id}" in await page(measured, CAMILLE, "?find=zoe")
    assert "No charger or user is called that." in await page(measured, CAMILLE, "?find=nobody")


async def test_utilisation_says_what_it_is_made_of(measured: Measured) -> None:
    assert "what these chargers could deliver is not known" in await page(measured, CAMILLE)
    there = [one for one in measured.past if one.charger == "12"]
    await change_charger(measured, model="supernova-60")
    text = await page(measured, CAMILLE)
    await change_charger(measured, model="other")
    first_ms = day_start_ms(number_of_day(date(2025, 6, 1)), ZoneInfo("UTC"))
    expected = 100 * added(there) / (60 * (measured.portal.clock.at_ms - first_ms) / 3_600_000)
    said = re.search(r'([\d.]+)\u202f%</b><span class="note">of what', text)
    assert said
    assert abs(float(said[1]) - expected) < 0.06
    assert "1 charger is left out" in text
    assert "Revenue is not shown" in text


async def test_of_very_many_chargers_rankings_come_after_the_page(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await page(measured, CAMILLE, "?period=7")
    monkeypatch.setattr(statistics_page, "AT_ONCE_MOST", 1)
    text, part = await page(measured, CAMILLE, "?period=7"), await page(measured, CAMILLE, "/rankings?period=7")
    assert 'hx-get="/statistics/rankings?period=7"' in text
    assert 'class="ranking"' not in text
    assert "of=charger" in text  # the files are there at once
    assert re.findall(r"<tbody>.*?</tbody>", part, re.DOTALL) == [
        one for one in re.findall(r"<tbody>.*?</tbody>", whole, re.DOTALL) if "link-quiet" in one
    ]
    assert "/statistics/rankings" not in await page(measured, ZOE, "?period=7")  # their own are few


async def test_of_very_many_chargers_utilisation_comes_after_the_page(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_page, "AT_ONCE_MOST", 1)
    await change_charger(measured, model="supernova-60")
    text = await page(measured, CAMILLE, "?period=7")
    assert 'hx-get="/statistics/utilisation?period=7"' in text
    assert "of what they could deliver" not in text
    part = await page(measured, CAMILLE, "/utilisation?period=7")
    other = await page(measured, ZOE, "/utilisation?period=7")
    await change_charger(measured, model="other")
    assert "of what they could deliver" in part
    assert "Supernova 60" in part
    assert "Utilisation" not in other


async def test_a_charger_counts_for_the_days_it_existed(measured: Measured) -> None:
    await change_charger(measured, model="supernova-60", created_ms=measured.portal.clock.at_ms - 86_400_000)
    text = await page(measured, CAMILLE, "?period=30")
    await change_charger(measured, model="other", created_ms=1)
    assert ">24 h</td>" in text
    await change_charger(measured, model="supernova-60", created_ms=measured.portal.clock.at_ms - 60_000)
    young = await page(measured, CAMILLE, "?period=30")
    await change_charger(measured, model="other", created_ms=1)
    assert "from before these chargers were added" in young


async def test_files_hold_what_is_shown(measured: Measured) -> None:
    browser = await browser_of(measured, CAMILLE)
    total = float(figures(await page(measured, CAMILLE, "?period=30"))[0].split()[0].replace(",", ""))
    for of, rows in (("time", 30), ("location", 2), ("charger", 2)):
        lines = list(csv.DictReader(io.StringIO((await browser.get(f"/statistics.csv?period=30&of={of}")).text)))
        assert len(lines) == rows
        assert abs(sum(float(line["energy_kwh"]) for line in lines) - total) < 0.06
    assert (await browser.get("/statistics.csv?of=else")).status_code == 404


async def test_a_file_of_a_user_holds_their_own_alone(measured: Measured) -> None:
    browser = await browser_of(measured, ZOE)
    assert (await browser.get("/statistics.csv?of=charger")).status_code == 404
    mine = [one for one in measured.past if one.tag == "VAN-01"]
    lines = list(csv.DictReader(io.StringIO((await browser.get("/statistics.csv?period=12&of=time")).text)))
    assert abs(sum(float(line["energy_kwh"]) for line in lines) - added(mine)) < 0.01


# ---- clocks that are put back and forward ------------------------------------------------------------------------------

BACK, FORWARD = date(2026, 10, 25), date(2026, 3, 29)


@pytest.mark.parametrize(("day", "count"), [(BACK, 25), (FORWARD, 23), (date(2026, 6, 1), 24)])
def test_a_day_has_as_many_hours_as_its_clocks_say(day: date, count: int) -> None:
    assert len(hours(Period("", day, day + timedelta(days=1)), PARIS)) == count


async def test_the_hour_that_comes_twice_is_told_apart(tmp_path: Path) -> None:
    """Sessions in both of the hours from two o'clock, and around midnight, in the page: each in its own hour and day."""
    async with running_portal(tmp_path) as portal:
        organisation_id, _ = await portal.add_organisation("Atelier")
        portal.clock.at_ms = int(datetime(2026, 10, 27, 12, tzinfo=PARIS).timestamp() * 1_000)
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        async with portal.db.transaction() as tx:
            await tx.run(update(locations).values(time_zone="Europe/Paris"))
        begins_ms = day_start_ms(number_of_day(BACK), PARIS)
        changes = Changes()
        told = ((-1, 500), (0, 1_000), (2, 2_000), (3, 4_000), (24, 8_000), (25, 300))
        for hour, energy_wh in told:
            slot = PricedSlot(begins_ms + hour * 3_600_000, energy_wh, 900_000, 900_000, 4 * energy_wh, 200_000)
            changes.take(NOT_COUNTED, Counted(None, (slot,), False), location_id=1, charger_id=1, zone=PARIS)
        async with portal.db.transaction() as tx:
            await metering.add_changes(tx, organisation_id, changes)
        async with portal.client() as browser:
            await log_in(browser, CAMILLE)
            text = (await browser.get("/statistics?period=&since=2026-10-25&until=2026-10-25&by=hour")).text
            days = (await browser.get("/statistics?period=&since=2026-10-24&until=2026-10-26")).text
            async with portal.db.transaction() as tx:
                await tx.run(delete(location_slots))
            expired = (await browser.get("/statistics?period=&since=2026-10-25&until=2026-10-25&by=hour")).text
    rows = dict(re.findall(r'<tr><th scope="row">([^<]*)</th><td class="right num">([\d.]+) kWh', text))
    assert len(rows) == 25
    charged = {hour: value for hour, value in rows.items() if value != "0"}
    assert charged == {"00:00": "1", "02:00 (GMT+02:00)": "2", "02:00 (GMT+01:00)": "4", "23:00": "8"}
    assert figures(text)[0] == "15 kWh"
    assert energies(days) == [0.5, 15.0, 0.3]
    assert "no longer kept" in expired


def test_how_a_period_is_cut() -> None:
    one_day, month, year = (
        Period("", date(2026, 1, 31), end) for end in (date(2026, 2, 1), date(2026, 3, 5), date(2027, 2, 3))
    )
    assert (grain_of("", one_day, has_hours=True), grain_of("", one_day, has_hours=False)) == ("hour", "day")
    assert grains_of(month, has_hours=True) == ("day", "month")
    assert grains_of(year, has_hours=True) == ("day", "month", "year")
    assert grain_of("hour", year, has_hours=True) == "month"
    assert starts(month, "month") == [date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 1)]
    assert starts(year, "year") == [date(2026, 1, 31), date(2027, 1, 1)]


def test_periods() -> None:
    today = date(2024, 3, 31)
    month = period_of("month", "", "", today)
    assert (month.first, month.end, month.before().first) == (date(2024, 3, 1), date(2024, 4, 1), date(2024, 2, 1))
    assert month.before().end == date(2024, 3, 1), "a shorter month is whole"
    last = period_of("last", "", "", today)
    assert (last.first, last.end) == (date(2024, 2, 1), date(2024, 3, 1))
    year = period_of("year", "", "", date(2024, 2, 29))
    assert (year.before().first, year.before().end) == (date(2023, 1, 1), date(2023, 3, 1))
    twelve = period_of("12", "", "", today)
    assert (twelve.first, twelve.before().first, twelve.before().end) == (
        date(2023, 4, 1),
        date(2022, 4, 1),
        date(2023, 4, 1),
    )
    assert period_of("", "2024-01-01", "2024-01-31", today).days == 31
    assert period_of("", "2150-01-01", "2150-01-02", today).key == "30", "what is yet to come is no period"
    assert period_of("", "2000-01-01", "2199-01-01", today).days == LONGEST_DAYS + 1
