"""Energy prices of locations and lists of prices: who sets them, from when they count, and what waits for them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import select, update

from borne.core.metering_slots import SLOT_MS
from borne.core.tariff import Band, Dynamic, Fixed, TimeOfUse
from borne.engine import measure_again
from borne.store import energy_prices
from borne.store.schema import jobs, locations
from tests.support.portal import Portal, csrf, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE, ALI, NADIA, OSCAR, EVE = "camille@a.test", "ali@a.test", "nadia@a.test", "oscar@a.test", "eve@b.test"
PARIS = ZoneInfo("Europe/Paris")


@dataclass
class Place:
    portal: Portal
    organisation_id: int
    lyon_id: int
    camille: httpx.AsyncClient

    async def add(self, client: httpx.AsyncClient | None = None, **form: Any) -> httpx.Response:
        return await post(client or self.camille, f"/locations/{self.lyon_id}/prices", **form)

    async def prices(self) -> list[Any]:
        return await energy_prices.of_location(self.portal.db, self.lyon_id)

    async def client(self, email: str) -> httpx.AsyncClient:
        client = self.portal.client()
        await log_in(client, email)
        return client


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_portal(tmp_path) as portal:
        here, lyon_id = await portal.add_organisation("Atelier")
        there, _ = await portal.add_organisation("Other")
        async with portal.db.transaction() as tx:
            await tx.run(update(locations).values(time_zone="Europe/Paris"))
        await portal.add_person(CAMILLE, (here, "super-admin"))
        await portal.add_person(ALI, (here, "admin"), location_ids=(lyon_id,))
        await portal.add_person(NADIA, (here, "admin"))
        await portal.add_person(OSCAR, (here, "operator"), location_ids=(lyon_id,))
        await portal.add_person(EVE, (there, "super-admin"))
        async with portal.client() as camille:
            await log_in(camille, CAMILLE)
            yield Place(portal, here, lyon_id, camille)


# ---- energy prices -----------------------------------------------------------------------------------------------


async def test_a_fixed_price_counts_from_the_next_quarter_of_an_hour(place: Place) -> None:
    answer = await place.add(kind="fixed", price="0,2516", when="now")
    assert answer.status_code == 303
    (price,) = await place.prices()
    now_ms = place.portal.clock.at_ms
    assert price.tariff == Fixed(251_600)
    assert now_ms < price.from_ms <= now_ms + 2 * SLOT_MS
    assert price.from_ms % SLOT_MS == 0
    text = (await place.camille.get(f"/locations/{place.lyon_id}/prices")).text
    assert "€0.2516/kWh" in text
    assert "Planned" in text
    assert "No price counts yet" in text
    place.portal.clock.at_ms = price.from_ms
    text = (await place.camille.get(f"/locations/{place.lyon_id}/prices")).text
    assert "Counts now" in text
    assert "€0.2516/kWh" in (await place.camille.get("/locations")).text


async def test_the_same_moment_twice_is_said(place: Place) -> None:
    assert (await place.add(kind="fixed", price="0.2")).status_code == 303
    answer = await place.add(kind="fixed", price="0.3")
    assert answer.status_code == 422
    assert "There is a price from this very moment already" in answer.text
    assert 'value="0.3"' in answer.text
    assert len(await place.prices()) == 1


async def test_a_price_from_a_later_day_begins_at_its_midnight_there(place: Place) -> None:
    assert (await place.add(kind="fixed", price="0.2", when="day", day="2026-10-26")).status_code == 303
    (price,) = await place.prices()
    assert datetime.fromtimestamp(price.from_ms / 1_000, UTC) == datetime(2026, 10, 26, tzinfo=PARIS)


@pytest.mark.parametrize("day", ["2026-05-28", "2020-01-01", "", "tomorrow", "9999-12-31", "0001-01-01"])
async def test_never_in_the_past_nor_today(place: Place, day: str) -> None:
    answer = await place.add(kind="fixed", price="0.2", when="day", day=day)
    assert answer.status_code == 422
    assert "Choose a day after today" in answer.text
    assert await place.prices() == []


async def test_a_tariff_by_the_time_of_use(place: Place) -> None:
    form = {"kind": "time_of_use", "rows": "2", "price": "0.24", "days_0": ["0", "1", "2", "3", "4"], "since_0": "22:00",
            "until_0": "06:00", "price_0": "0.15", "days_1": ["5", "6"], "since_1": "00:00", "until_1": "00:00",
            "price_1": "0.18"}  # fmt: skip
    assert (await place.add(None, **form)).status_code == 303
    (price,) = await place.prices()
    night, weekend = Band((0, 1, 2, 3, 4), 1_320, 360, 150_000), Band((5, 6), 0, 1_440, 180_000)
    assert price.tariff == TimeOfUse((night, weekend), 240_000)
    text = (await place.camille.get(f"/locations/{place.lyon_id}/prices")).text
    assert "Mon–Fri, 22:00–06:00: €0.15/kWh" in text
    assert "Sat, Sun, all day: €0.18/kWh" in text
    place.portal.clock.at_ms = price.from_ms + 86_400_000  # a Friday
    text = (await place.camille.get(f"/locations/{place.lyon_id}/prices")).text
    found = re.findall(r'class="num">(\d\d:\d\d–\d\d:\d\d)</th><td class="right num">([^<]*)', text)
    assert found == [("00:00–06:00", "€0.15/kWh"), ("06:00–22:00", "€0.24/kWh"), ("22:00–00:00", "€0.15/kWh")]


async def test_one_more_row_keeps_what_was_typed(place: Place) -> None:
    answer = await place.add(kind="time_of_use", rows="2", since_0="22:00", until_0="06:00", price_0="0.15", more="1")
    assert answer.status_code == 200
    assert 'id="since_2"' in answer.text
    assert 'value="22:00"' in answer.text
    assert await place.prices() == []


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"kind": "fixed", "price": "cheap"}, "A price like 0.25"),
        ({"kind": "fixed", "price": "1" + "0" * 30}, "A price like 0.25"),
        ({"kind": "fixed", "price": "-1"}, "A price like 0.25"),
        ({"kind": "fixed", "price": "0.1\x00x"}, "A price like 0.25"),
        ({"kind": "time_of_use", "price": "0.2"}, "Say at least one time"),
        ({"kind": "time_of_use", "price": "0.2", "since_0": "22:07", "until_0": "06:00", "price_0": "1", "days_0": "1"},
         "Times are quarters of an hour"),
        ({"kind": "time_of_use", "price": "0.2", "since_0": "22:00", "until_0": "06:00", "price_0": "1"},
         "Choose at least one day"),
        ({"kind": "time_of_use", "price": "0.2", "since_0": "06:00", "until_0": "06:00", "price_0": "1", "days_0": "1"},
         "It ends when it begins"),
        ({"kind": "time_of_use", "price": "0.2", "since_0": "06:00", "price_0": "1", "days_0": "1"}, "Say from when until"),
        ({"kind": "dynamic", "list_id": "999999"}, "Choose a list"),
        ({"kind": "dynamic", "factor": "10.5"}, "A number like 1.2"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_at_its_field(place: Place, form: dict[str, Any], said: str) -> None:
    await post(place.camille, "/price-lists", name="A list", currency="EUR")
    answer = await place.add(**form)
    assert answer.status_code == 422
    assert said in answer.text
    assert await place.prices() == []


async def test_a_planned_price_is_taken_back_and_one_that_counts_is_not(place: Place) -> None:
    await place.add(kind="fixed", price="0.2")
    await place.add(kind="fixed", price="0.3", when="day", day="2026-09-01")
    rows = await energy_prices.history(place.portal.db, place.organisation_id, place.lyon_id)
    place.portal.clock.at_ms = rows[-1].from_ms
    path = f"/locations/{place.lyon_id}/prices"
    assert (await post(place.camille, f"{path}/{rows[-1].id}/withdraw")).status_code == 404
    assert (await post(place.camille, f"{path}/{rows[0].id}/withdraw")).status_code == 303
    assert [price.tariff for price in await place.prices()] == [Fixed(200_000)]


async def test_who_may(place: Place) -> None:
    for who, sees, changes in ((ALI, 200, 303), (NADIA, 404, 404), (OSCAR, 200, 404), (EVE, 404, 404)):
        async with place.portal.client() as client:
            await log_in(client, who)
            assert (await client.get(f"/locations/{place.lyon_id}/prices")).status_code == sees, who
            assert (await place.add(client, kind="fixed", price="0.2")).status_code == changes, who
    assert len(await place.prices()) == 1


async def test_a_location_with_prices_keeps_its_currency(place: Place) -> None:
    await place.add(kind="fixed", price="0.2")
    form = {"name": "Lyon", "time_zone": "Europe/Paris", "currency": "CHF"}
    answer = await post(place.camille, f"/locations/{place.lyon_id}/edit", **form)
    assert answer.status_code == 422
    assert "keeps this currency" in answer.text


# ---- lists -------------------------------------------------------------------------------------------------------

FILE = "start,price\n2026-05-29T00:00+02:00,0.10\n2026-05-29T01:00+02:00,0.20\n"


async def give(place: Place, list_id: int, text: str) -> httpx.Response:
    return await place.camille.post(
        f"/price-lists/{list_id}/prices",
        files={"file": ("prices.csv", text.encode(), "text/csv")},
        headers={"x-csrftoken": await csrf(place.camille)},
        follow_redirects=False,
    )


async def a_list(place: Place, **form: str) -> int:
    answer = await post(place.camille, "/price-lists", **{"name": "Day ahead", "currency": "EUR", **form})
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rpartition("/")[2])


async def test_a_list_is_filled_by_a_file_and_followed_by_a_location(place: Place) -> None:
    list_id = await a_list(place)
    assert (await give(place, list_id, FILE)).status_code == 303
    answer = await place.add(kind="dynamic", list_id=str(list_id), factor="1,2", markup="0.05")
    assert answer.status_code == 303
    (price,) = await place.prices()
    assert price.tariff == Dynamic(list_id, 1_200, 50_000, None)
    place.portal.clock.at_ms = price.from_ms + 86_400_000 // 2
    text = (await place.camille.get(f"/locations/{place.lyon_id}/prices")).text
    assert "prices of Day ahead × 1.2 + €0.05/kWh" in text
    assert '00:00–01:00</th><td class="right num">€0.17/kWh' in text, "0.10 x 1.2 + 0.05"


async def test_a_wrong_file_names_its_lines_and_brings_nothing(place: Place) -> None:
    list_id = await a_list(place)
    answer = await give(place, list_id, FILE + "2026-05-29T02:00,0.3\n2026-05-29T03:01Z,<b>\n")
    assert answer.status_code == 422
    assert "Line 4: The instant has no offset" in answer.text
    assert "Line 5" in answer.text
    assert await energy_prices.span(place.portal.db, place.organisation_id, list_id) == (0, None, None)


async def test_what_was_charged_in_slots_that_a_list_did_not_know_is_measured_again(place: Place) -> None:
    """In a job of its own: of the locations that use the list, and only for slots that are new to it."""
    list_id, other_id = await a_list(place), await a_list(place, name="Other")
    await place.add(kind="dynamic", list_id=str(list_id))
    for _ in range(2):
        await give(place, list_id, FILE)
    await give(place, other_id, FILE)
    start_ms = round(datetime(2026, 5, 29, tzinfo=PARIS).timestamp() * 1_000)
    wanted = {"organisation_id": place.organisation_id, "location_ids": [place.lyon_id],
              "ranges": [[start_ms, start_ms + 8 * SLOT_MS]]}  # fmt: skip
    rows = await place.portal.db.all(select(jobs.c.payload).where(jobs.c.kind == measure_again.KIND))
    assert [json.loads(row.payload) for row in rows] == [wanted]


@pytest.mark.parametrize(
    ("url", "said"),
    [("http://prices.test/x", "must begin with https"), ("file:///etc/passwd", "no address"),
     ("https://u:p@x.test/", "no address")],
)  # fmt: skip
async def test_addresses_that_are_not_asked(place: Place, url: str, said: str) -> None:
    answer = await post(place.camille, "/price-lists", name="A", currency="EUR", url=url)
    assert answer.status_code == 422
    assert said in answer.text


async def test_a_fetch_into_our_own_network_says_so_and_keeps_nothing(place: Place) -> None:
    list_id = await a_list(place, url="https://127.0.0.1/prices.csv")
    assert (await post(place.camille, f"/price-lists/{list_id}/fetch")).status_code == 303
    assert "leads into a private network" in (await place.camille.get(f"/price-lists/{list_id}")).text


async def test_only_a_super_admin_changes_lists_that_all_locations_share(place: Place) -> None:
    list_id = await a_list(place)
    async with place.portal.client() as ali:
        await log_in(ali, ALI)
        assert (await ali.get(f"/price-lists/{list_id}")).status_code == 200
        assert (await post(ali, f"/price-lists/{list_id}", name="Mine")).status_code == 404
    async with place.portal.client() as eve:
        await log_in(eve, EVE)
        assert (await eve.get(f"/price-lists/{list_id}")).status_code == 404
        assert (await post(eve, f"/price-lists/{list_id}", name="Mine")).status_code == 404
