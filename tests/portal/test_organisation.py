"""The organisation's page and the switcher: who sees what, what is changed and audited, and that nothing is carried over."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from borne.store import people
from borne.store.schema import audit_log, organisations
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@asynccontextmanager
async def browser(site: Site, who: str = "camille") -> AsyncIterator[httpx.AsyncClient]:
    async with site.portal.client(**{"accept-language": "en"}) as client:
        await log_in(client, f"{who}@a.test")
        yield client


async def row(site: Site) -> Any:
    return await site.portal.db.first(select(organisations).where(organisations.c.id == site.organisation_id))


async def test_the_super_admin_changes_name_and_second_factor(site: Site) -> None:
    async with browser(site) as camille:
        page = (await camille.get("/organisation")).text
        assert 'value="Atelier Lumière"' in page
        assert "Business plan" in page
        answer = await post(
            camille, "/organisation/settings", name=" Atelier  <b>Nord</b> ", requires_second_factor="1", plan="basic"
        )
        assert answer.status_code == 303
    kept = await row(site)
    assert (kept.name, kept.requires_second_factor, kept.plan) == ("Atelier <b>Nord</b>", 1, "business")
    details = await site.portal.db.value(
        select(audit_log.c.details).where(audit_log.c.action == "organisation.changed")
    )
    told = json.loads(details)
    assert told["before"] == {"name": "Atelier Lumière", "requires_second_factor": False}
    assert told["after"] == {"name": "Atelier <b>Nord</b>", "requires_second_factor": True}


@pytest.mark.parametrize(
    "name", ["", " \0 ", "x" * 101, "x" * 1_000_000], ids=["empty", "nothing", "long", "a megabyte"]
)
async def test_a_name_that_cannot_be_is_said_at_its_field(site: Site, name: str) -> None:
    async with browser(site) as camille:
        answer = await post(camille, "/organisation/settings", name=name)
        assert answer.status_code == 422
        assert 'aria-invalid="true"' in answer.text
    assert (await row(site)).name == "Atelier Lumière"


async def test_an_admin_sees_the_ways_but_no_settings(site: Site) -> None:
    async with browser(site, "ali") as ali:
        page = (await ali.get("/organisation")).text
        assert "/organisation/settings" not in page
        assert 'href="/locations"' in page
        for owners_alone in ('href="/plan"', 'href="/audit"'):
            assert owners_alone not in page
        assert (await post(ali, "/organisation/settings", name="Mine")).status_code == 404
    async with browser(site, "zoe") as zoe:
        assert (await zoe.get("/organisation")).status_code == 404
        assert 'href="/organisation"' not in (await zoe.get("/chargers")).text


# ---- the switcher ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 60])
async def test_the_switcher_names_all_and_can_be_searched_when_they_are_many(site: Site, count: int) -> None:
    others = [await site.portal.add_organisation(f"Org {n:02}") for n in range(1, count)]
    async with site.portal.db.transaction() as tx:
        for organisation_id, _ in others:
            await people.add_membership(tx, person_id=site.camille_id, organisation_id=organisation_id, role="admin")
    async with browser(site) as camille:
        page = (await camille.get("/chargers")).text
        named = re.findall(r'name="organisation_id" value="(\d+)"', page)
        assert len(set(named)) == (count if count > 1 else 0)
        assert ("data-narrow-by" in page) is (count > 8)


async def test_switching_shows_nothing_of_the_other_organisation(site: Site) -> None:
    await site.online_charger("Quai d’avant")
    other_id, other_place = await site.portal.add_organisation("Maison Durand", plan="basic")
    async with site.portal.db.transaction() as tx:
        await people.add_membership(tx, person_id=site.camille_id, organisation_id=other_id, role="super-admin")
    async with browser(site) as camille:
        before = (await camille.get("/chargers")).text
        assert f'data-organisation="{site.organisation_id}"' in before
        assert (await post(camille, "/organisation", organisation_id=str(other_id))).headers["location"] == "/"
        for path in ("/chargers", "/locations", "/organisation", "/restarts"):
            page = await camille.get(path)
            assert page.headers["cache-control"] == "no-store"
            assert f'data-organisation="{other_id}"' in page.text
            for of_the_other in ("Quai d’avant", "Atelier Lumière, Lyon", "Nantes"):
                assert of_the_other not in page.text, path
        assert "Basic plan" in (await camille.get("/organisation")).text
        assert (await camille.get(f"/locations/{site.lyon_id}")).status_code == 404
        assert (await camille.get(f"/locations/{other_place}")).status_code == 200
