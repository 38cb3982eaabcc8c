"""The Chargers page: who sees which rows, what the address means, the fragments, and text that stays text."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from borne.core.charger import STATUSES
from borne.portal.chargers import TILES, View
from borne.portal.language import LANGUAGES, translations
from borne.portal.statuses import connector_look, event_line, status_look
from borne.store.schema import assignments, chargers
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

HTMX = {"hx-request": "true"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@asynccontextmanager
async def browser(site: Site, who: str, **headers: str) -> AsyncIterator[Any]:
    async with site.portal.client(**headers) as client:
        await log_in(client, f"{who}@a.test")
        yield client


async def names(client: Any, query: str = "") -> list[str]:
    text = (await client.get(f"/chargers?{query}", headers=HTMX)).text
    return re.findall(r'<a class="name" href="/chargers/\d+">([^<]+)</a>', text)


async def three(site: Site) -> tuple[int, int, int]:
    """Offline in Lyon, free in Lyon, charging in Nantes."""
    first, second = await site.add_charger("Cour 10"), await site.online_charger("Cour 2")
    third = await site.online_charger("Quai 1", location_id=site.nantes_id)
    await site.start_session(third)
    return first, second, third


async def test_everybody_sees_their_own_chargers(site: Site) -> None:
    first, second, third = await three(site)
    async with browser(site, "camille") as camille:
        assert await names(camille) == ["Cour 2", "Cour 10", "Quai 1"]
    async with browser(site, "ali") as ali:
        assert await names(ali) == ["Cour 2", "Cour 10"]
        assert await names(ali, f"location={site.nantes_id}") == []
        rows = (await ali.get(f"/chargers/rows?ids={first},{second},{third}")).text
        assert f'id="charger-{second}"' in rows
        assert "Quai 1" not in rows
    async with browser(site, "zoe") as zoe:
        assert await names(zoe) == []
        async with site.portal.db.transaction() as tx:
            await tx.insert_many(assignments, ("person_id", "charger_id"), [(site.zoe_id, third)])
    async with browser(site, "zoe") as zoe:
        page = await zoe.get("/chargers")
        assert "Quai 1" in page.text
        assert 'type="checkbox"' not in page.text  # nothing that a user could do with a ticked row
        assert "/chargers/add" not in page.text


async def test_the_address_filters_searches_and_sorts(site: Site) -> None:
    await three(site)
    async with browser(site, "camille") as camille:
        assert await names(camille, "sort=-name") == ["Quai 1", "Cour 10", "Cour 2"]
        assert await names(camille, "sort=location") == ["Cour 2", "Cour 10", "Quai 1"]
        assert await names(camille, "q=COUR") == ["Cour 2", "Cour 10"]
        assert await names(camille, "status=charging") == ["Quai 1"]
        assert await names(camille, f"location={site.nantes_id}") == ["Quai 1"]
        assert await names(camille, "status=never&q=quai") == []
        assert await names(camille, "page=77") == ["Cour 2", "Cour 10", "Quai 1"]  # beyond the last page: the last page


async def test_nonsense_in_the_address_is_left_aside(site: Site) -> None:
    await three(site)
    async with browser(site, "camille") as camille:
        queries = (
            "sort=drop&page=-3",
            "status=x&location=y&attention=2",
            "page=99999999999999999999",
            "q=%00%25",
            "sort=--name",
        )
        for query in queries:
            answer = await camille.get(f"/chargers?{query}")
            assert answer.status_code == 200, query


async def test_needs_attention_comes_first_and_filters(site: Site) -> None:
    _, second, _ = await three(site)
    await site.leave(second)
    async with browser(site, "camille") as camille:
        text = (await camille.get("/chargers")).text
        tiles = re.findall(r'id="tile-(\w+)".*?<b>(\d+)</b>', text, re.DOTALL)
        assert tiles[0] == ("attention", "1")
        assert ("offline", "1") in tiles
        assert await names(camille, "attention=1") == ["Cour 2"]


async def test_a_fragment_brings_list_and_tiles_and_its_address(site: Site) -> None:
    await three(site)
    async with browser(site, "camille") as camille:
        answer = await camille.get("/chargers?q=cour&status=&location=&sort=-name", headers=HTMX)
    assert answer.headers["hx-push-url"] == "/chargers?q=cour&sort=-name"
    assert answer.text.lstrip().startswith('<div id="charger-list"')
    assert 'id="charger-tiles"' in answer.text
    assert "<html" not in answer.text


async def test_rows_follow_their_chargers(site: Site) -> None:
    first, second, _ = await three(site)
    async with browser(site, "camille") as camille:
        assert 'class="st ready"' in (await camille.get(f"/chargers/rows?ids={second}")).text
        await site.request(second)
        await site.send(second)
        row = (await camille.get(f"/chargers/rows?ids={second}")).text
        assert 'class="st gone busy"' in row
        assert "Restarting" in row
        assert re.search(rf'<input type="checkbox"[^>]*value="{second}"[^>]*disabled', row)
        gone = (await camille.get(f"/chargers/rows?ids={first},424242,x")).text
        assert '<tr id="charger-424242" hx-swap-oob="delete">' in gone


async def test_ticks_restart_many_where_the_plan_has_it(site: Site) -> None:
    await three(site)
    async with browser(site, "camille") as camille:
        text = (await camille.get("/chargers")).text
        assert 'action="/restarts/batch/new"' in text
        assert 'form="selection"' in text
        await site.set_plan("standard")
    async with browser(site, "camille") as camille:
        text = (await camille.get("/chargers")).text
        assert "Business plan" in text
        assert 'aria-disabled="true" aria-describedby="many-refused"' in text


async def test_pages_of_fifty(site: Site) -> None:
    async with site.portal.db.transaction() as tx:
        columns = ("organisation_id", "location_id", "name", "identity", "created_ms", "changed_ms", "search")
        rows = [(site.organisation_id, site.lyon_id, f"P {n:03d}", f"p{n}", 0, 0, f"{n:03d}\x1fp") for n in range(120)]
        await tx.insert_many(chargers, columns, rows)
    async with browser(site, "camille") as camille:
        assert len(await names(camille)) == 50
        assert (await names(camille, "page=3"))[0] == "P 100"
        assert "101 to 120 of 120" in (await camille.get("/chargers?page=3")).text


async def test_what_a_charger_is_called_is_text(site: Site) -> None:
    wicked = "<img src=x onerror=alert(1)>"
    charger_id = await site.online_charger(wicked)
    async with site.portal.db.transaction() as tx:
        await tx.run(
            update(chargers).where(chargers.c.id == charger_id).values(serial=wicked, vendor=wicked, model="other")
        )
    async with browser(site, "camille") as camille:
        for path in (
            "/chargers",
            f"/chargers/rows?ids={charger_id}",
            f"/chargers/{charger_id}",
            f"/chargers/{charger_id}/edit",
        ):
            text = (await camille.get(path)).text
            assert "<img" not in text, path
            assert "&lt;img" in text, path


async def test_an_empty_list_teaches_the_next_step(site: Site) -> None:
    async with browser(site, "camille") as camille:
        text = (await camille.get("/chargers")).text
        assert "No charger yet" in text
        assert 'href="/chargers/add"' in text
        fields = {"name": "Cour 1", "model": "copper", "location": site.lyon_id}
        assert (await post(camille, "/chargers/add", **fields)).status_code == 200
        assert await names(camille) == ["Cour 1"]  # at once, whatever was counted a moment ago
        assert "No charger matches" in (await camille.get("/chargers?q=zebra")).text


async def test_counts_are_never_older_than_a_second(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from borne.portal import charger_counts

    asked = 0
    plain = charger_counts.charger_list.counts

    async def counted(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return await plain(*arguments)

    monkeypatch.setattr(charger_counts.charger_list, "counts", counted)
    now_s = [100.0]
    monkeypatch.setattr(charger_counts.time, "monotonic", lambda: now_s[0])
    overviews = charger_counts.Overviews(site.portal.db, site.portal.services.bus)
    assert (await overviews.of(site.scope)).counts.total == 0
    await site.add_charger("A")
    now_s[0] += 0.4
    assert (await overviews.of(site.scope)).counts.total == 0
    assert asked == 1
    now_s[0] += 0.7
    assert (await overviews.of(site.scope)).counts.total == 1
    assert asked == 2


def test_every_status_has_a_tile_and_a_word_in_every_language() -> None:
    assert set(TILES) == set(STATUSES)
    for language in LANGUAGES:
        for status in STATUSES:
            assert status_look(status, language).word != status
    assert status_look("offline", "fr").word == "Hors ligne"
    assert connector_look("available", "fr").word == "Libre"


def test_lines_of_the_timeline_say_what_happened() -> None:
    from borne.portal.formats import Formats

    formats = {language: Formats(language, lambda: 0) for language in LANGUAGES}

    def line(kind: str, language: Any = "en", **details: Any) -> tuple[str, str]:
        made = event_line(kind, 0, details, language, formats[language])
        return made.words, made.said

    assert line("link_lost", how="dropped", lasted_ms=92_000) == (
        "Connection ended", "connection cut without a goodbye · after 1 min 32 s",
    )  # fmt: skip
    assert line("link_lost", "fr", how="dropped", lasted_ms=92_000)[0] == translations("fr").gettext("Connection ended")
    assert line("status", evse=2, connector=1, status="faulted", error="GroundFailure") == (
        "Connector 2: Fault",
        "GroundFailure",
    )
    assert line("status", evse=0, connector=0, status="unavailable")[0] == "Whole charger: Out of service"
    assert line("restart_ended", verdict="succeeded")[0] == "Restart: succeeded"
    assert line("security_event", type="Tamper", note=None) == ("Security event", "Tamper")


def test_an_address_says_only_what_differs() -> None:
    view = View(q="a b", status="ready", sort="last_seen", descending=True, page=3)
    assert view.address() == "/chargers?q=a+b&status=ready&sort=-last_seen"
    assert view.address(page=4) == "/chargers?q=a+b&status=ready&sort=-last_seen&page=4"
    assert view.sorted_by("last_seen") == "/chargers?q=a+b&status=ready&sort=last_seen"
    assert View().sorted_by("restart") == "/chargers?sort=-restart"
    assert View().address() == "/chargers"
