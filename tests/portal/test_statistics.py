"""The statistics page: what each role sees of a measured past, periods, and figures that add up."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from borne.bus.memory import MemoryBus
from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.portal.statistics import period_of
from borne.sim.keep_past import Place, keep_past
from borne.sim.past import PastSession, past
from borne.store import chargers, organisations
from borne.store.chargers import NewCharger
from borne.store.schema import sessions
from tests.support.portal import Portal, log_in, running_portal

pytestmark = pytest.mark.anyio
PARIS = ZoneInfo("Europe/Paris")
CAMILLE, ALI, ZOE, EVE = "camille@a.test", "ali@a.test", "zoe@a.test", "eve@b.test"


@dataclass
class Measured:
    portal: Portal
    past: list[PastSession]
    nantes_id: int


@pytest.fixture
async def measured(tmp_path: Path) -> AsyncIterator[Measured]:
    """Two locations with a charger each, and forty days of sessions; some of them Zoé's."""
    async with running_portal(tmp_path) as portal:
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
        yield Measured(portal, found, nantes_id)


async def page(measured: Measured, who: str, query: str = "?period=12") -> str:
    async with measured.portal.client() as browser:
        await log_in(browser, who)
        answer = await browser.get(f"/statistics{query}")
        assert answer.status_code == 200
        return answer.text


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


def test_periods() -> None:
    today = date(2024, 3, 31)
    month = period_of("month", "", "", today)
    assert (month.first, month.end, month.before().first) == (date(2024, 3, 1), date(2024, 4, 1), date(2024, 2, 1))
    assert month.before().end == date(2024, 3, 1), "a shorter month is whole"
    last = period_of("last", "", "", today)
    assert (last.first, last.end) == (date(2024, 2, 1), date(2024, 3, 1))
    year = period_of("year", "", "", date(2024, 2, 29))
    assert (year.before().first, year.before().end) == (date(2023, 1, 1), date(2023, 3, 1))
    assert period_of("", "2024-01-01", "2024-01-31", today).days == 31
