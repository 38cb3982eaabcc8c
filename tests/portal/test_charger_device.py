"""The pages of a device that changes: replace, archive and back, hand over."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from borne.store.schema import archived_chargers, chargers, events
from borne.store.secrets import matches
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
KEY = b"k" * 32
EVE = "eve@b.test"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        running.portal.services.charger_key = KEY
        yield running


@asynccontextmanager
async def browser(site: Site, who: str = "camille@a.test", **headers: str) -> AsyncIterator[Any]:
    async with site.portal.client(**headers) as client:
        await log_in(client, who)
        yield client


async def other_organisation(site: Site) -> int:
    """Eve's; its location."""
    organisation_id, place = await site.portal.add_organisation("Other")
    await site.portal.add_person(EVE, (organisation_id, "super-admin"))
    return place


def shown(page: str, element: str) -> str:
    found = re.search(rf'id="{element}">([^<]+)<', page)
    assert found, element
    return found[1]


async def row_of(site: Site, charger_id: int) -> Any:
    return await site.portal.db.first(select(chargers).where(chargers.c.id == charger_id))


async def test_replacing_shows_what_to_type_in_once(site: Site) -> None:
    charger_id = await site.online_charger("Quai 4")
    before = await row_of(site, charger_id)
    async with browser(site) as camille:
        assert f'href="/chargers/{charger_id}/replace"' in (await camille.get(f"/chargers/{charger_id}/edit")).text
        form = (await camille.get(f"/chargers/{charger_id}/replace")).text
        assert 'value="Quai 4"' in form
        assert before.serial not in form, "the new device has another one"
        wrong = await post(camille, f"/chargers/{charger_id}/replace", name="", serial="", model="toaster")
        assert wrong.status_code == 422
        assert "Choose the model." in wrong.text
        elsewhere = {"location": str(site.nantes_id)}  # no field of this form
        made = await post(
            camille, f"/chargers/{charger_id}/replace", name="Quai 4", serial="N-1", model="copper", **elsewhere
        )
        password, identity = shown(made.text, "charger-password"), shown(made.text, "charger-identity")
        row = await row_of(site, charger_id)
        assert (row.identity, row.serial, row.location_id) == (identity, "N-1", site.lyon_id)
        assert matches(KEY, password, row.secret_hash)
        assert identity != before.identity
        page = (await camille.get(f"/chargers/{charger_id}")).text
        assert "Another device put in its place by Camille" in page
        assert "Never connected" in page
        assert password not in page


async def test_archived_leaves_the_lists_and_comes_back(site: Site) -> None:
    charger_id = await site.online_charger("Quai <7>")
    restart_id = await site.request(charger_id, when="free")
    async with browser(site) as camille:
        await site.send(charger_id)
        assert "Archive Quai &lt;7&gt;?" in (await camille.get(f"/chargers/{charger_id}/archive")).text
        answer = await post(camille, f"/chargers/{charger_id}/archive")
        assert answer.headers["location"] == f"/chargers/archived/{charger_id}"
        assert "Quai" not in (await camille.get("/chargers/rows?ids=" + str(charger_id))).text
        listed = (await camille.get("/chargers/archived")).text
        assert "Quai &lt;7&gt;" in listed
        assert "Camille" in listed
        assert "Quai" in (await camille.get("/chargers/archived?q=quai")).text
        assert "No archived charger matches" in (await camille.get("/chargers/archived?q=%25")).text
        page = (await camille.get(f"/chargers/archived/{charger_id}")).text
        assert "Archived by Camille" in page
        assert "The charger was archived before it was known how the restart went." in page
        history = (await camille.get("/restarts")).text
        assert f'href="/chargers/{charger_id}">Quai &lt;7&gt;' in history, "the history says its name"
        assert (await camille.get(f"/chargers/{charger_id}")).headers["location"].endswith(f"/archived/{charger_id}")
        assert (await post(camille, f"/restarts/{restart_id}/withdraw")).status_code in (303, 404)
        assert (await post(camille, f"/chargers/archived/{charger_id}/restore", location="1" * 30)).status_code == 422
        back = await post(camille, f"/chargers/archived/{charger_id}/restore", location=str(site.nantes_id))
        row = await row_of(site, charger_id)
        assert matches(KEY, shown(back.text, "charger-password"), row.secret_hash)
        assert row.location_id == site.nantes_id
        again = await post(camille, f"/chargers/archived/{charger_id}/restore", location=str(site.nantes_id))
        assert again.status_code == 404


async def test_drivers_and_others_see_no_archive(site: Site) -> None:
    charger_id = await site.add_charger("Quai 4")
    nantes = await site.add_charger("Nantes 1", location_id=site.nantes_id)
    await other_organisation(site)
    async with browser(site) as camille:
        for one in (charger_id, nantes):
            await post(camille, f"/chargers/{one}/archive")
    async with browser(site, "ali@a.test") as ali:
        listed = (await ali.get("/chargers/archived")).text
        assert "Quai 4" in listed
        assert "Nantes 1" not in listed
        assert (await ali.get(f"/chargers/archived/{nantes}")).status_code == 404
        assert (await post(ali, f"/chargers/archived/{nantes}/restore", location=str(site.lyon_id))).status_code == 404
    async with browser(site, "zoe@a.test") as zoe:
        assert (await zoe.get("/chargers/archived")).status_code == 404
        assert (await zoe.get(f"/chargers/archived/{charger_id}")).status_code == 404
    async with browser(site, EVE) as eve:
        assert "Quai 4" not in (await eve.get("/chargers/archived")).text
        assert (await eve.get(f"/chargers/{charger_id}")).status_code == 404


async def test_handing_over_from_code_to_new_owner(site: Site) -> None:
    charger_id = await site.online_charger("Q")
    there = await other_organisation(site)
    async with browser(site) as camille, browser(site, EVE) as eve:
        named = {"name": "Camille’s secret place", "model": "copper", "location": str(site.lyon_id), "serial": "S-77"}
        await post(camille, f"/chargers/{charger_id}/edit", **named)
        page = (await post(camille, f"/chargers/{charger_id}/hand-over")).text
        code = shown(page, "handover-code")
        again = (await camille.get(f"/chargers/{charger_id}/hand-over")).text
        assert code not in again
        assert "A code made by Camille stands." in again
        wrong = await post(eve, "/chargers/take", code="AAAA-BBBB-CCCC-DDDD", location=str(there))
        assert wrong.status_code == 422
        assert "This code does not work." in wrong.text
        assert 'value="AAAA-BBBB-CCCC-DDDD"' in wrong.text
        foreign = await post(eve, "/chargers/take", code=code, location=str(site.lyon_id))
        assert foreign.status_code == 422
        own = await post(camille, "/chargers/take", code=code, location=str(site.lyon_id))
        assert "This charger is yours already." in own.text
        taken = await post(eve, "/chargers/take", code=code.lower(), location=str(there))
        new_id = int(taken.headers["location"].rpartition("/")[2])
        mine = (await eve.get(f"/chargers/{new_id}")).text
        assert "Taken over from another organisation by Eve" in mine
        for path in (f"/chargers/{new_id}", "/chargers", "/audit", f"/chargers/{new_id}/restarts"):
            assert "secret place" not in (await eve.get(path)).text, path
        assert (await eve.get(f"/chargers/archived/{charger_id}")).status_code == 404
        assert "Charger taken from another organisation" in (await eve.get("/audit")).text
        assert (await camille.get(f"/chargers/{new_id}")).status_code == 404
        old = (await camille.get(f"/chargers/archived/{charger_id}")).text
        assert "Handed over to another organisation" in old
        assert "Bring it back" not in old
        assert "Charger handed over to another organisation" in (await camille.get("/audit")).text
        twice = await post(eve, "/chargers/take", code=code, location=str(there))
        assert twice.status_code == 422
    kinds = await site.portal.db.all(select(events.c.kind).where(events.c.charger_id == charger_id))
    assert [row.kind for row in kinds][-1] == "handed_over"


async def test_guessing_codes_is_slowed_down(site: Site) -> None:
    there = await other_organisation(site)
    async with browser(site, EVE) as eve:
        for _ in range(10):
            await post(eve, "/chargers/take", code="AAAA", location=str(there))
        assert (await post(eve, "/chargers/take", code="AAAA", location=str(there))).status_code == 429
        site.later(16 * 60)
        assert (await post(eve, "/chargers/take", code="AAAA", location=str(there))).status_code == 422


async def test_only_a_super_admin_hands_over(site: Site) -> None:
    charger_id = await site.add_charger("Quai 4")
    async with browser(site, "ali@a.test") as ali:
        assert "hand-over" not in (await ali.get(f"/chargers/{charger_id}/edit")).text
        for what in ("hand-over", "hand-over/cancel"):
            assert (await post(ali, f"/chargers/{charger_id}/{what}")).status_code == 404
    assert await site.portal.db.value(text("SELECT count(*) FROM handovers")) == 0


async def test_a_cancelled_code_takes_nothing(site: Site) -> None:
    charger_id = await site.add_charger("Quai 4")
    there = await other_organisation(site)
    async with browser(site) as camille, browser(site, EVE) as eve:
        code = shown((await post(camille, f"/chargers/{charger_id}/hand-over")).text, "handover-code")
        await post(camille, f"/chargers/{charger_id}/hand-over/cancel")
        assert (await post(eve, "/chargers/take", code=code, location=str(there))).status_code == 422
    assert await site.portal.db.value(select(archived_chargers.c.id)) is None
