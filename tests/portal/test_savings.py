"""Savings: figures computed by hand, signed, inside everybody's scope; and what they rest on, with its day and source."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from borne.core.savings import Assumption
from borne.core.tariff import EnergyPrice, Fixed
from borne.store import energy_prices
from borne.store import savings as store
from borne.store import vehicles as vehicle_store
from borne.store.schema import assumptions, sessions
from tests.support.portal import Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE, ALI, ZOE, EVE = "camille@a.test", "ali@a.test", "zoe@a.test", "eve@b.test"
MAY_MS = 1_779_000_000_000  # 17 May 2026
DAY_MS = 86_400_000


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Portal]:
    """Zoé charged 20 kWh for 4.00 in her car and 10 kWh for 9.00 in no known one; somebody else 5 kWh without a price."""
    async with running_portal(tmp_path) as portal:
        here, lyon_id = await portal.add_organisation("Atelier")
        there, _ = await portal.add_organisation("Other")
        await portal.add_person(CAMILLE, (here, "super-admin"))
        await portal.add_person(ALI, (here, "admin"))
        zoe_id = await portal.add_person(ZOE, (here, "user"))
        await portal.add_person(EVE, (there, "super-admin"))
        async with portal.db.transaction() as tx:
            await energy_prices.add(
                tx, here, lyon_id, EnergyPrice(1, Fixed(1)), currency="EUR", person_name="C", now_ms=1
            )
            car = vehicle_store.Details(person_id=zoe_id, name="Zoé’s car", wh_100km=18_000, replaced_ml_100km=7_000)
            car_id = await vehicle_store.add(tx, here, car, 1)
            for kind, value in (("pump_price", 2_000_000), ("petrol_use", 5_000), ("grid_co2", 44)):
                one = Assumption(kind, value, 0, "a test")  # type: ignore[arg-type]
                await store.assume(tx, here, one, currency="EUR", person_name="C", now_ms=1)
            for number, (person_id, vehicle_id, energy_wh, cost_nanos, at_once) in enumerate([
                (zoe_id, car_id, 20_000, 4_000_000_000, 6_000_000_000),
                (zoe_id, 0, 10_000, 9_000_000_000, 8_500_000_000),
                (None, None, 5_000, None, None),
            ]):  # fmt: skip
                await tx.insert(
                    sessions,
                    {
                        "charger_id": 1, "organisation_id": here, "location_id": lyon_id, "evse": 1, "connector": 1,
                        "transaction": str(number), "start_key": str(number), "person_id": person_id,
                        "vehicle_id": vehicle_id, "started_ms": MAY_MS, "ended_ms": MAY_MS + 1, "energy_wh": energy_wh,
                        "cost_nanos": cost_nanos, "at_once_nanos": at_once, "currency": "EUR", "dirty": 0,
                    },
                )  # fmt: skip
        yield portal


async def figures(portal: Portal, who: str, query: str = "?period=12") -> list[str]:
    async with portal.client() as client:
        await log_in(client, who)
        answer = await client.get(f"/savings{query}")
        assert answer.status_code == 200
        return [re.sub(r"<[^>]*>", "", one) for one in re.findall(r"</span> <b[^>]*>(.*?)</b></summary>", answer.text)]


async def test_the_sums_are_those_computed_by_hand(portal: Portal) -> None:
    """35 kWh x 0.9 / 18 kWh = 175 km; the car's 100 km with 7 l, the others' 75 km with 5 l: 10.75 l.

    Money: 7 l and 2.5 l of the priced energy, at 2.00: 19.00 - 13.00 = 6.00. At once: 14.50 - 13.00 = 1.50.
    CO2: 10.75 l x 2.348 kg - 35 kWh x 44 g = 25.241 - 1.54 = 23.7 kg.
    """
    assert await figures(portal, CAMILLE) == ["€6.00", "€1.50", "23.7 kg", "10.8 l", "175 km", "35 kWh"]


async def test_a_driver_has_their_own_and_a_loss_is_a_loss(portal: Portal) -> None:
    assert await figures(portal, ZOE) == ["€6.00", "€1.50", "21 kg", "9.5 l", "150 km", "30 kWh"]
    async with portal.db.transaction() as tx:
        one = Assumption("pump_price", 500_000, 0, "a later word for the same day")
        await store.assume(tx, 1, one, currency="EUR", person_name="C", now_ms=2)
    found = await figures(portal, ZOE)
    assert found[0] == "-€8.25", "9.5 l at 0.50 less 13.00"


async def test_others_see_nothing_of_it(portal: Portal) -> None:
    assert await figures(portal, ALI) == []
    assert await figures(portal, EVE) == []


async def test_another_currency_at_the_pump_compares_no_money(portal: Portal) -> None:
    async with portal.db.transaction() as tx:
        one = Assumption("pump_price", 1_800_000, 0, "x")
        await store.assume(tx, 1, one, currency="CHF", person_name="C", now_ms=2)
    assert (await figures(portal, CAMILLE))[:2] == ["–", "€1.50"]


async def test_what_is_assumed_from_a_day_on_counts_from_that_day(portal: Portal) -> None:
    async with portal.client() as camille:
        await log_in(camille, CAMILLE)
        form = {"kind": "pump_price", "currency": "EUR", "source": "a gazette"}
        assert (await post(camille, "/savings/assumptions", **form, value="1", day="2026-05-20")).status_code == 303
        assert (await figures(portal, CAMILLE))[0] == "€6.00", "it was charged before"
        assert (await post(camille, "/savings/assumptions", **form, value="1,00", day="2026-05-10")).status_code == 303
        assert (await figures(portal, CAMILLE))[0] == "-€3.50", "9.5 l at 1.00 less 13.00"
        text = (await camille.get("/savings/assumptions")).text
        assert text.count("a gazette") == 3, "today's, and both in the history"


@pytest.mark.parametrize(
    "form",
    [{"kind": "nonsense"}, {"value": "-1"}, {"value": "9" * 30}, {"day": "soon"}, {"source": ""}, {"currency": "XXX"},
     {"kind": "efficiency", "value": "101"}, {"kind": "electric_use", "value": "0"}, {"kind": "grid_co2", "value": "1.5"}],
)  # fmt: skip
async def test_what_is_wrong_is_said_and_nothing_kept(portal: Portal, form: dict[str, str]) -> None:
    before = len(await portal.db.all(select(assumptions)))
    usual = {"kind": "pump_price", "value": "1.8", "day": "2026-05-20", "source": "x", "currency": "EUR"}
    async with portal.client() as camille:
        await log_in(camille, CAMILLE)
        answer = await post(camille, "/savings/assumptions", **(usual | form))
        assert answer.status_code == 422
        assert "note bad" in answer.text
    assert len(await portal.db.all(select(assumptions))) == before


async def test_only_the_super_admin_assumes(portal: Portal) -> None:
    for who in (ALI, ZOE):
        async with portal.client() as client:
            await log_in(client, who)
            assert (await client.get("/savings/assumptions")).status_code == 200
            assert (await post(client, "/savings/assumptions", kind="grid_co2", value="1")).status_code == 404
