"""Files of a location's meter: looked at first, each bad line named; then kept whole, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from borne.store.schema import audit_log, energy_prices, jobs, locations, site_slots
from tests.support.portal import Portal, csrf, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE, OSCAR = "camille@a.test", "oscar@a.test"
HEAD = "start;import_kwh;export_kwh;solar_kwh\n"
FILE = HEAD + "2026-03-01T12:00+01:00;0,15;0;2,3\n2026-03-01T12:15+01:00;0;0,41;2,45\n"


@dataclass
class Place:
    portal: Portal
    lyon_id: int
    camille: httpx.AsyncClient

    @property
    def path(self) -> str:
        return f"/locations/{self.lyon_id}/site-meter"

    async def look(self, text: str) -> httpx.Response:
        return await self.camille.post(
            self.path,
            files={"file": ("meter.csv", text.encode(), "text/csv")},
            headers={"x-csrftoken": await csrf(self.camille)},
        )

    async def keep(self, text: str) -> httpx.Response:
        return await post(self.camille, f"{self.path}/keep", text=text)

    async def slots(self) -> list[tuple[Any, ...]]:
        columns = (site_slots.c.import_wh, site_slots.c.export_wh, site_slots.c.solar_wh)
        return [tuple(row) for row in await self.portal.db.all(select(*columns).order_by(site_slots.c.slot_ms))]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_portal(tmp_path) as portal:
        here, lyon_id = await portal.add_organisation("Atelier")
        async with portal.db.transaction() as tx:
            await tx.run(update(locations).values(time_zone="Europe/Paris"))
        await portal.add_person(CAMILLE, (here, "super-admin"))
        await portal.add_person(OSCAR, (here, "operator"), location_ids=(lyon_id,))
        async with portal.client() as camille:
            await log_in(camille, CAMILLE)
            yield Place(portal, lyon_id, camille)


async def test_a_file_is_looked_at_and_then_kept(place: Place) -> None:
    looked = await place.look(FILE)
    assert looked.status_code == 200
    assert "2 quarters of an hour would be kept" in looked.text
    # Used: 2.3 + 0.15 and 2.04 kWh; its own: 4.34 of 4.49.
    assert "97%" in looked.text
    assert await place.slots() == []
    kept = await place.keep(FILE)
    assert kept.status_code == 303
    assert await place.slots() == [(150, 0, 2_300), (0, 410, 2_450)]
    page = (await place.camille.get(place.path)).text
    assert "97%" in page
    assert "97%" in (await place.camille.get(f"/locations/{place.lyon_id}/prices")).text
    assert "All of it is known" in (await place.look(FILE)).text
    changed = await place.look(FILE.replace("2,45", "2,5"))
    assert "1 quarter of an hour would be kept" in changed.text
    db = place.portal.db
    assert await db.value(select(func.count()).where(audit_log.c.action == "location.site_meter")) == 1
    assert await db.value(select(func.count()).where(jobs.c.kind == "measure_again")) == 1


WRONG = [
    ("2026-03-01T12:00+01:00;-1;0;2", "From the grid", "Energy is never negative"),
    ("2026-03-01T12:00+01:00;1;0;2 kWh", "From the roof", "It is no number like 1250. “2 kWh”"),
    ("2026-03-01T12:00+01:00;1;0;" + "9" * 13, "From the roof", "more than 25 MWh"),
    ("2026-03-01T12:00+01:00;1;0;1/0", "From the roof", "It is no number"),
    ("2026-03-01T12:00;1;0;2", "Start", "has no offset"),
    ("2026-03-01T12:07Z;1;0;2", "Start", "does not begin on a quarter"),
    ("<b>;1;0;2", "Start", "“<b>”"),
    ("2099-03-01T12:00Z;1;0;2", "Start", "not over yet"),
    ("2026-03-01T12:00Z;1;0;2;9", "–", "more cells than columns"),
]


async def test_bad_lines_are_named_and_nothing_is_kept(place: Place) -> None:
    text = HEAD + "2026-03-02T12:00Z;1;0;2\n" + "".join(f"{line}\n" for line, _, _ in WRONG)
    for answer in (await place.look(text), await place.keep(text)):
        assert answer.status_code == 422
        rows = [unescape(row) for row in answer.text.partition("<tbody>")[2].split("</tr>")]
        for number, (line, column, said) in enumerate(WRONG, 3):
            row = next((row for row in rows if f">{number}</td>" in row), "")
            assert said in row, line
            assert f'<td class="nowrap">{column}</td>' in row
        assert "<b>" not in answer.text.partition("<tbody>")[2].partition("</table>")[0]
    assert await place.slots() == []


async def test_lines_that_contradict_each_other_are_named(place: Place) -> None:
    text = HEAD + "2026-03-02T12:00Z;1;0;2\n2026-03-02T12:00Z;7;0;2\n2026-03-02T13:00Z;1;3;2\n"
    answer = await place.look(text)
    assert "has other values elsewhere" in answer.text
    assert "More was fed in than the roof gave" in answer.text
    assert (await place.keep(text)).status_code == 422
    assert await place.slots() == []


NO_FILES = [("", "Choose a file"), ("time,wh\n1,2\n", "The first line must name the columns"), ("[1]", "It is no JSON list"),
     (HEAD, "There is no value in it"), (HEAD + "2026-03-01T12:00Z;1;0;2\n" * 40_001, "more lines than a year")]  # fmt: skip


async def test_files_that_are_none(place: Place) -> None:
    for text, said in NO_FILES:
        answer = await place.look(text)
        assert answer.status_code == 422
        assert said in answer.text


async def test_json_and_finer_values(place: Place) -> None:
    values = ",".join(
        f'{{"start": "2026-03-01T12:{minute:02}Z", "minutes": 5, "import_wh": 10, "solar_wh": 1.5}}'
        for minute in (0, 5, 10)
    )
    assert (await place.keep(f"[{values}]")).status_code == 303
    assert await place.slots() == [(30, 0, 6)], "each to the nearest Wh"


async def test_an_operator_sees_and_brings_nothing(place: Place) -> None:
    async with place.portal.client() as oscar:
        await log_in(oscar, OSCAR)
        page = await oscar.get(place.path)
        assert page.status_code == 200
        assert "An admin of this location can bring them" in page.text
        assert 'type="file"' not in page.text
        assert (await post(oscar, f"{place.path}/keep", text=FILE)).status_code == 404


async def test_a_price_says_what_feeding_in_earns(place: Place) -> None:
    path = f"/locations/{place.lyon_id}/prices"
    wrong = await post(place.camille, path, kind="fixed", price="0.25", feed_in="much")
    assert wrong.status_code == 422
    assert 'id="feed_in-note"' in wrong.text
    assert (await post(place.camille, path, kind="fixed", price="0.25", feed_in="0,08")).status_code == 303
    assert await place.portal.db.value(select(energy_prices.c.feed_in_micros)) == 80_000
    assert "feeding in earns €0.08/kWh" in (await place.camille.get(path)).text
