"""The overview: its numbers are those of the store, each role sees its own locations, and one charger is no control room."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from borne.core import plans
from borne.core.statistics import NOT_COUNTED, Changes, Counted, PricedSlot
from borne.core.tariff import Dynamic, EnergyPrice
from borne.store import chargers, energy_prices, metering, organisations
from borne.store.chargers import NewCharger
from borne.store.schema import chargers as chargers_table
from borne.store.schema import restarts, sessions
from tests.support.portal import START_MS, Portal, log_in, running_portal

pytestmark = pytest.mark.anyio
CAMILLE, ALI, OSCAR, ZOE, EVE = "camille@a.test", "ali@a.test", "oscar@a.test", "zoe@a.test", "eve@b.test"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SLOT_MS = START_MS // 900_000 * 900_000
TODAY = datetime.fromtimestamp(START_MS / 1_000, UTC).date()


@dataclass
class Company:
    portal: Portal
    organisation_id: int
    lyon_id: int
    nantes_id: int
    charger_ids: list[int] = field(default_factory=list)


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    """Lyon with three chargers, Nantes with four."""
    async with running_portal(tmp_path) as portal:
        organisation_id, lyon_id = await portal.add_organisation("Atelier")
        other_id, _ = await portal.add_organisation("Other")
        async with portal.db.transaction() as tx:
            nantes_id = await organisations.create_location(tx, organisation_id, name="Nantes", now_ms=1)
        here = Company(portal, organisation_id, lyon_id, nantes_id)
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        await portal.add_person(ALI, (organisation_id, "admin"), location_ids=(nantes_id,))
        await portal.add_person(OSCAR, (organisation_id, "operator"), location_ids=(nantes_id,))
        await portal.add_person(ZOE, (organisation_id, "user"))
        await portal.add_person(EVE, (other_id, "super-admin"))
        for number, location_id in enumerate((lyon_id,) * 3 + (nantes_id,) * 4):
            await add_charger(here, f"Bay {number}", location_id)
        yield here


async def add_charger(here: Company, name: str, location_id: int) -> None:
    new = NewCharger(
        organisation_id=here.organisation_id, location_id=location_id, name=name, identity=name, serial=name
    )
    async with here.portal.db.transaction() as tx:
        here.charger_ids.append(await chargers.create(tx, new, 1))


async def set_charger(here: Company, number: int, **values: object) -> None:
    async with here.portal.db.transaction() as tx:
        wanted = chargers_table.c.id == here.charger_ids[number]
        await tx.run(update(chargers_table).where(wanted).values(**values))


async def charge(here: Company, location_id: int, days_ago: int, energy_wh: int) -> None:
    """A session of a quarter of an hour, priced at 0.2 a kWh."""
    slot = PricedSlot(SLOT_MS - days_ago * DAY_MS, energy_wh, 900_000, 900_000, 4 * energy_wh, 200_000)
    changes = Changes()
    changes.take(NOT_COUNTED, Counted(None, (slot,), False), location_id=location_id, charger_id=1, zone=UTC)
    async with here.portal.db.transaction() as tx:
        await metering.add_changes(tx, here.organisation_id, changes)


async def run(here: Company, number: int, location_id: int, power_w: int) -> None:
    row = {
        "charger_id": here.charger_ids[number], "organisation_id": here.organisation_id, "location_id": location_id,
        "evse": 1, "connector": 1, "transaction": str(number), "start_key": str(number), "started_ms": START_MS - HOUR_MS,
        "power_w": power_w, "dirty": 0, "measured": 1,
    }  # fmt: skip
    async with here.portal.db.transaction() as tx:
        await tx.insert(sessions, row)


async def look(here: Company, who: str, path: str = "/dashboard") -> str:
    async with here.portal.client() as browser:
        await log_in(browser, who)
        answer = await browser.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text


def tiles(text: str) -> dict[str, str]:
    """key: value of what is going on."""
    found = re.findall(r'id="now-(\w+)" href="[^"]*" data-look="([^"]*)"', text)
    return {key: value.replace("\u202f", " ").replace("\xa0", " ") for key, value in found}


def figures(text: str) -> dict[str, tuple[str, str, str]]:
    """label: (value, change, note) of this month."""
    cards = re.findall(r'<div class="card figure">(.*?)</div>', text, re.S)
    found = {}
    for card in cards:
        label, value = re.search(r'small">([^<]*)</span><b class="num">([^<]*)</b>', card).groups()  # type: ignore[union-attr]
        change = re.search(r'small num quiet">([^<]*) <', card)
        note = re.search(r'class="note">([^<]*)<', card)
        found[label] = (value, change[1] if change else "", note[1] if note else "")
    return found


async def test_what_is_going_on_and_where_it_leads(company: Company) -> None:
    await set_charger(company, 0, status="charging", online=1)
    await set_charger(company, 1, status="fault", online=1, attention=1)
    await set_charger(company, 2, status="offline", attention=1)
    await set_charger(company, 3, status="charging", online=1)
    await run(company, 0, company.lyon_id, 7_400)
    await run(company, 2, company.lyon_id, 11_000)  # out of contact: nobody knows what it draws now
    await run(company, 3, company.nantes_id, 22_000)
    text = await look(company, CAMILLE)
    expected = {"attention": "2", "online": "3", "offline": "1", "charging": "2", "running": "3", "power": "29.4 kW"}
    assert tiles(text) == expected
    assert "1 session out of contact left out" in text
    for link in ("/chargers?attention=1", "/chargers?status=offline", "/sessions?kind=running"):
        assert f'href="{link}"' in text
    names = [name for name in ("Bay 0", "Bay 1", "Bay 2", "Bay 3") if name in text]
    assert names == ["Bay 1", "Bay 2"], "those in trouble by name"
    here = tiles(await look(company, ALI))
    assert here == {"attention": "0", "online": "1", "offline": "0", "charging": "1", "running": "1", "power": "22 kW"}
    assert tiles(await look(company, OSCAR)) == here


async def test_this_month_beside_the_same_days_of_the_one_before(company: Company) -> None:
    """Today is the 28th of May 2026: the 29th and 30th of April are left aside."""
    assert (TODAY.month, TODAY.day) == (5, 28)
    for days_ago, energy_wh in ((0, 1_000), (27, 2_000), (28, 70_000), (30, 6_000), (57, 4_000), (58, 90_000)):
        await charge(company, company.lyon_id, days_ago, energy_wh)
    await charge(company, company.nantes_id, 0, 5_000)
    found = figures(await look(company, CAMILLE))
    assert found["Energy"] == ("8 kWh", "−20\u202f%", "today 6 kWh")
    assert found["Sessions"] == ("3", "+50\u202f%", "today 2")
    assert figures(await look(company, ALI))["Energy"] == ("5 kWh", "", "today 5 kWh")


async def test_thirty_days_and_places(company: Company) -> None:
    for days_ago, energy_wh in ((0, 1_000), (29, 2_000), (30, 4_000)):
        await charge(company, company.lyon_id, days_ago, energy_wh)
    await charge(company, company.nantes_id, 3, 5_000)
    await set_charger(company, 3, status="fault", attention=1)
    text = await look(company, CAMILLE)
    rows = re.findall(r'<tr><th scope="row">[^<]*</th><td class="right num">([\d.]+) kWh', text)
    assert len(rows) == 30
    assert sum(map(float, rows)) == 8
    assert text.index(">Nantes</a>") < text.index(">Atelier, Lyon</a>")
    assert f"/chargers?attention=1&amp;location={company.nantes_id}" in text
    assert 'class="places"' not in await look(company, ALI), "one place needs no ranking"


async def test_restarts_of_a_week_by_verdict(company: Company) -> None:
    since = START_MS // DAY_MS * DAY_MS - 6 * DAY_MS
    for verdict, requested_ms, place in (
        ("succeeded", START_MS, company.lyon_id), ("succeeded", since, company.lyon_id),
        ("failed", START_MS, company.nantes_id), (None, START_MS, company.lyon_id), ("unknown", since - 1, company.lyon_id),
    ):  # fmt: skip
        row = {
            "charger_id": 1, "organisation_id": company.organisation_id, "location_id": place, "model": "copper",
            "person_name": "C", "kind": "soft", "phase": "ended", "verdict": verdict, "requested_ms": requested_ms,
        }  # fmt: skip
        async with company.portal.db.transaction() as tx:
            await tx.insert(restarts, row)
    said = re.compile(r'verdict=(\w+)&amp;from=([\d-]+)">.*?<b class="num">(\d+)</b>', re.S)
    first = (TODAY - timedelta(days=6)).isoformat()
    assert said.findall(await look(company, CAMILLE)) == [
        ("succeeded", first, "2"), ("failed", first, "1"), ("open", first, "1"),
    ]  # fmt: skip
    assert said.findall(await look(company, ALI)) == [("failed", first, "1")]


async def test_prices_of_now_where_they_change(company: Company) -> None:
    async with company.portal.db.transaction() as tx:
        list_id = await energy_prices.add_list(
            tx, company.organisation_id, name="Day ahead", currency="EUR", url=None, now_ms=1
        )
        await energy_prices.put_listed(
            tx, company.organisation_id, list_id, [(SLOT_MS, 150_000), (SLOT_MS + 4 * HOUR_MS, 80_000)]
        )
        await energy_prices.add(
            tx, company.organisation_id, company.nantes_id, EnergyPrice(1, Dynamic(list_id, markup_micros=10_000)),
            currency="EUR", person_name="C", now_ms=1,
        )  # fmt: skip
    text = await look(company, ALI)
    assert "€0.16/kWh" in text
    assert "Cheapest of the next 24 h: €0.09/kWh" in text
    assert "Day ahead · Nantes" in text


async def test_fragments_follow_what_changes(company: Company) -> None:
    async with company.portal.client() as browser:
        await log_in(browser, CAMILLE)
        assert tiles((await browser.get("/dashboard")).text)["charging"] == "0"
        await set_charger(company, 0, status="charging", online=1)
        await charge(company, company.lyon_id, 0, 3_000)
        assert figures((await browser.get("/dashboard/figures")).text)["Energy"][0] == "3 kWh"
        saved = await browser.get("/dashboard/savings")
        assert saved.status_code == 200


async def test_one_charger_is_no_control_room(company: Company) -> None:
    for number in range(1, 7):
        await set_charger(company, number, organisation_id=999)
    text = await look(company, CAMILLE)
    assert not tiles(text)
    assert "Bay 0" in text
    assert "Nothing charged for two months" in text
    assert 'class="places"' not in text
    assert "Restarts of" not in text
    assert "Price of energy now" not in text


async def test_without_chargers_it_says_what_to_do(company: Company) -> None:
    text = await look(company, EVE)
    assert "No charger yet" in text
    assert 'href="/chargers/add"' in text
    assert "Nothing charged" not in text


async def test_a_user_has_no_overview(company: Company) -> None:
    async with company.portal.client() as browser:
        await log_in(browser, ZOE)
        for path in ("/dashboard", "/dashboard/now", "/dashboard/figures", "/dashboard/savings"):
            assert (await browser.get(path)).status_code == 404
        assert 'href="/dashboard"' not in (await browser.get("/home")).text


async def test_a_plan_without_statistics_says_so_where_they_would_be(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    await charge(company, company.lyon_id, 0, 1_000)
    monkeypatch.setattr(plans, "has", lambda plan, feature: feature != "STATISTICS")
    text = await look(company, CAMILLE)
    assert tiles(text)["online"] == "0"
    assert "data-plan-needed" in text
    assert 'class="chart"' not in text
