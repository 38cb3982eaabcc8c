"""The history: filters, paging by id, rows drawn anew, CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from borne.core.cells import neutral
from borne.portal.restarts import CSV_COLUMNS
from tests.support.portal import log_in
from tests.support.restart_site import Site, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@pytest.fixture
async def camille(site: Site) -> AsyncIterator[Any]:
    async with site.portal.client() as client:
        await log_in(client, "camille@a.test")
        yield client


async def refuse(site: Site, charger_id: int, **options: Any) -> int:
    restart_id = await site.request(charger_id, **options)
    await site.send(charger_id, answer="rejected")
    return restart_id


def shown(text: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-restart-row="(\d+)"', text)]


async def test_empty_history_teaches_the_next_step(site: Site, camille: Any) -> None:
    text = (await camille.get("/restarts")).text
    assert "Nothing has been restarted yet" in text
    assert 'href="/chargers"' in text


async def test_who_when_why_and_how_it_went(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    await refuse(site, charger_id, why="frozen")
    for path in ("/restarts", f"/chargers/{charger_id}/restarts", f"/chargers/{charger_id}/restarts/last"):
        text = (await camille.get(path)).text
        assert "Refused by the charger" in text, path
        assert "The charger answered “Rejected”. It did not restart." in text, path
        assert "Camille" in text
    text = (await camille.get("/restarts")).text
    assert "“frozen”" in text
    assert "Commander 2" in text
    assert "catalogue’s figure" in text


async def test_filters(site: Site, camille: Any) -> None:
    lyon, nantes = await site.online_charger("L"), await site.online_charger("N", location_id=site.nantes_id)
    first = await refuse(site, lyon)
    site.later(86_400 * 3)
    second = await site.request(nantes)
    assert shown((await camille.get("/restarts")).text) == [second, first]
    assert shown((await camille.get("/restarts?verdict=failed")).text) == [first]
    assert shown((await camille.get("/restarts?verdict=open")).text) == [second]
    assert shown((await camille.get(f"/restarts?location={site.nantes_id}")).text) == [second]
    assert shown((await camille.get(f"/restarts?person={site.camille_id}&verdict=failed")).text) == [first]
    assert shown((await camille.get(f"/restarts?person={site.ali_id}")).text) == []
    # START_MS is 28 May 2026, 20:26 UTC: in Lyon the same day
    assert shown((await camille.get("/restarts?from=2026-05-28&to=2026-05-28")).text) == [first]
    assert shown((await camille.get("/restarts?from=2026-05-29")).text) == [second]
    assert shown((await camille.get("/restarts?from=nonsense&verdict=nonsense&location=x")).text) == [second, first]
    assert "No restart matches this filter" in (await camille.get("/restarts?verdict=unknown")).text


async def test_paging_follows_ids_both_ways(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    await site.add_history(charger_id, 120)
    first = (await camille.get("/restarts?verdict=not_sent")).text
    assert (len(shown(first)), 'rel="prev"' in first) == (50, False)
    older = re.search(r'href="([^"]+)" rel="next"', first)
    assert older is not None
    second = (await camille.get(older[1].replace("&amp;", "&"))).text
    assert shown(second) == list(range(shown(first)[-1] - 1, shown(first)[-1] - 51, -1))
    newer = re.search(r'href="([^"]+)" rel="prev"', second)
    assert newer is not None
    assert shown((await camille.get(newer[1].replace("&amp;", "&"))).text) == shown(first)
    last = (await camille.get(f"/restarts?older={shown(second)[-1]}")).text
    assert (len(shown(last)), 'rel="next"' in last) == (20, False)


async def test_rows_that_changed_are_drawn_anew(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    restart_id = await site.request(charger_id)
    page = (await camille.get("/restarts")).text
    assert f'data-live="restart:{restart_id}" data-live-rows="/restarts/rows/all"' in page
    await site.send(charger_id, answer="rejected")
    text = (await camille.get(f"/restarts/rows/all?ids={restart_id},99999,x")).text
    assert shown(text) == [restart_id]
    assert 'hx-swap-oob="true"' in text
    assert "Refused by the charger" in text
    assert (await camille.get(f"/restarts/rows/nonsense?ids={restart_id}")).status_code == 404


async def test_an_admin_of_a_location_sees_its_restarts_alone(site: Site) -> None:
    here, there = await site.online_charger("Here"), await site.online_charger("There", location_id=site.nantes_id)
    mine, other = await refuse(site, here), await refuse(site, there)
    async with site.portal.client() as client:
        await log_in(client, "ali@a.test")
        assert shown((await client.get("/restarts")).text) == [mine]
        assert shown((await client.get(f"/restarts?location={site.nantes_id}")).text) == []
        assert shown((await client.get(f"/restarts/rows/all?ids={mine},{other}")).text) == [mine]
        assert "There" not in (await client.get("/restarts.csv")).text


# ---- CSV ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert neutral(f"{start}cmd") == f"'{start}cmd"
    assert neutral(f"a{start}") == f"a{start}"


async def test_export_is_whole_and_neutral(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger('=cmd|" /C calc"!A0')
    await refuse(site, charger_id, why="@SUM(1,2)")
    await site.add_history(charger_id, 1_200)
    answer = await camille.get("/restarts.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "restarts.csv" in answer.headers["content-disposition"]
    assert not answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == list(CSV_COLUMNS)
    assert len(rows) == 1_202
    refused = dict(zip(CSV_COLUMNS, rows[-1], strict=True))
    assert refused["charger"] == '\'=cmd|" /C calc"!A0'
    assert refused["why"] == "'@SUM(1,2)"
    assert (refused["verdict"], refused["reason"]) == ("failed", "rejected")
    assert refused["requested_at"].endswith("Z")
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows[1:] for cell in row)


async def test_export_takes_the_filter_and_the_charger(site: Site, camille: Any) -> None:
    one, two = await site.online_charger("One"), await site.online_charger("Two")
    await refuse(site, one)
    await site.request(two)
    page = (await camille.get(f"/chargers/{two}/restarts?verdict=open")).text
    address = re.search(r'href="(/restarts\.csv[^"]*)"', page)
    assert address is not None
    text = (await camille.get(address[1].replace("&amp;", "&"))).text
    assert "Two" in text
    assert "One" not in text
    assert "<time" not in text
