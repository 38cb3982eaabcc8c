"""Locations: listed and searched, added, changed with an audit row, deleted once nothing needs them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from borne.core.actor import Actor
from borne.engine import locations as engine
from borne.engine.locations import Locations
from borne.portal import location_form
from borne.store.schema import (
    audit_log,
    chargers,
    invitation_locations,
    invitations,
    jobs,
    locations,
    membership_locations,
)
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@asynccontextmanager
async def browser(site: Site, who: str = "camille", language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
    async with site.portal.client(**{"accept-language": language}) as client:
        await log_in(client, f"{who}@a.test")
        yield client


FORM = {"name": "Lyon, Dépôt", "address": "1 rue du Rhône", "time_zone": "Europe/Paris", "currency": "EUR",
        "energy_cost": "0,2516", "supply_a": "63", "supply_phases": "3"}  # fmt: skip


async def add(client: httpx.AsyncClient, **changes: str) -> httpx.Response:
    return await post(client, "/locations", **(FORM | changes))


async def row_of(site: Site, name: str) -> Any:
    return await site.portal.db.first(select(locations).where(locations.c.name == name))


async def audited(site: Site, action: str) -> list[dict[str, Any]]:
    rows = await site.portal.db.all(select(audit_log.c.details).where(audit_log.c.action == action))
    return [json.loads(row.details) for row in rows]


# ---- adding and changing -------------------------------------------------------------------------------------------


async def test_a_location_is_added_with_its_cost_in_millionths(site: Site) -> None:
    async with browser(site) as camille:
        answer = await add(camille, accepts_unknown_tags="1")
        row = await row_of(site, "Lyon, Dépôt")
        assert answer.headers["location"] == f"/locations/{row.id}"
        assert (row.supply_a, row.supply_phases) == (63, 3)
        assert "€0.2516/kWh" in (await camille.get(f"/locations/{row.id}")).text
        assert (row.organisation_id, row.accepts_unknown_tags) == (site.organisation_id, 1)
        page = (await camille.get(answer.headers["location"])).text
        for said in ("1 rue du Rhône", "Europe/Paris", "€0.2516", "3 × 63 A", "may charge"):
            assert said in page
    [told] = await audited(site, "location.added")
    assert (told["name"], told["object"], told["after"]["energy_cost_micros"]) == ("Camille", "Lyon, Dépôt", 251_600)


WRONG = (
    ({"name": " \0 "}, "Give the location a name."),
    ({"name": "x" * 101}, "100 characters at most."),
    ({"address": "x" * 100_000}, "200 characters at most."),
    ({"time_zone": "Mars/Olympus"}, "There is no such time zone."),
    ({"time_zone": "../../etc/passwd"}, "There is no such time zone."),
    ({"currency": "XYZ"}, "Choose a currency of the list."),
    ({"energy_cost": "cheap"}, "A price like 0.25"),
    ({"energy_cost": "-1"}, "A price like 0.25"),
    ({"energy_cost": "1e3"}, "A price like 0.25"),
    ({"energy_cost": "9" * 30}, "A price like 0.25"),
    ({"energy_cost": "0.1234567"}, "A price like 0.25"),
    ({"supply_a": "0"}, "A whole number of amperes"),
    ({"supply_a": "63.5"}, "A whole number of amperes"),
    ({"supply_a": "1" + "0" * 30}, "A whole number of amperes"),
    ({"supply_phases": "2"}, "Choose one phase or three."),
    ({"supply_phases": ""}, "Say also whether"),
    ({"name": "  nantes,  ENTREPOT "}, "Another location has this name already."),
)


async def test_what_is_wrong_is_said_at_its_field_and_the_rest_is_kept(site: Site) -> None:
    async with browser(site) as camille:
        for wrong, said in WRONG:
            answer = await add(camille, **wrong)
            assert answer.status_code == 422, wrong
            assert said in answer.text, wrong
            assert "Nothing was added yet." in answer.text
            if "address" not in wrong:
                assert 'value="1 rue du Rhône"' in answer.text
    assert await row_of(site, "Lyon, Dépôt") is None
    assert await audited(site, "location.added") == []


async def test_a_plan_has_room_for_so_many(site: Site) -> None:
    await site.set_plan("basic")  # two locations, and there are two
    async with browser(site) as camille:
        answer = await add(camille)
        assert answer.status_code == 409
        assert "No room for more" in answer.text
    assert await row_of(site, "Lyon, Dépôt") is None


async def test_a_change_is_audited_with_what_was_before(site: Site) -> None:
    async with browser(site, language="fr") as camille:
        await add(camille)
        row = await row_of(site, "Lyon, Dépôt")
        page = (await camille.get(f"/locations/{row.id}/edit")).text
        assert 'name="energy_cost"' not in page, "prices have a page of their own"
        same = await post(camille, f"/locations/{row.id}/edit", **FORM)
        assert same.status_code == 303
        assert await audited(site, "location.changed") == [], "nothing changed"
        changed = FORM | {"supply_a": "125", "time_zone": "europe/zurich"}
        assert (await post(camille, f"/locations/{row.id}/edit", **changed)).status_code == 303
        page = (await camille.get(f"/locations/{row.id}")).text.replace("\u00a0", " ").replace("\u202f", " ")
        assert "3 × 125 A" in page
    [told] = await audited(site, "location.changed")
    assert told["before"] == {"supply_a": 63, "time_zone": "Europe/Paris"}
    assert told["after"] == {"supply_a": 125, "time_zone": "Europe/Zurich"}


async def test_an_admin_changes_the_own_location_alone(site: Site) -> None:
    async with browser(site, "ali") as ali:
        page = (await ali.get("/locations")).text
        assert "Atelier Lumière, Lyon" in page
        assert "Nantes" not in page
        assert "/locations/add" not in page
        assert (await add(ali)).status_code == 404
        for path in ("", "/edit", "/tiles"):
            assert (await ali.get(f"/locations/{site.nantes_id}{path}")).status_code == 404
        assert (await post(ali, f"/locations/{site.nantes_id}/edit", **FORM)).status_code == 404
        assert (await post(ali, f"/locations/{site.lyon_id}/edit", **FORM)).status_code == 303
        assert (await ali.get(f"/locations/{site.lyon_id}/delete")).status_code == 404
        assert (await post(ali, f"/locations/{site.lyon_id}/delete")).status_code == 404
    assert (await row_of(site, "Lyon, Dépôt")).id == site.lyon_id


async def test_no_number_breaks_an_address(site: Site) -> None:
    async with browser(site) as camille:
        for odd in ("999999", "10" * 30, "0", "-1", "x"):
            assert (await camille.get(f"/locations/{odd}")).status_code == 404
        for odd in ("?page=99999999999999", "?page=-1", "?q=%00", "?q=" + "x" * 5000, "?q=%25_"):
            assert (await camille.get("/locations" + odd)).status_code == 200


# ---- the list ------------------------------------------------------------------------------------------------------


async def test_the_list_counts_searches_and_pages(site: Site) -> None:
    await site.online_charger("One", location_id=site.nantes_id)
    await site.add_charger("Two", location_id=site.nantes_id)
    async with site.portal.db.transaction() as tx:
        rows = [(site.organisation_id, f"Park {n}", "Mulhouse" if n == 7 else "", 1) for n in range(1, 61)]
        await tx.insert_many(locations, ("organisation_id", "name", "address", "created_ms"), rows)
    async with browser(site) as camille:
        first = (await camille.get("/locations")).text
        assert "1 to 50 of 62" in first
        assert first.index("Park 2<") < first.index("Park 10<"), "by number"
        second = (await camille.get("/locations?page=2")).text
        assert "51 to 62 of 62" in second
        nantes = (await camille.get("/locations?q=ENTREPOT")).text
        assert "Ready" in nantes
        assert "Never connected" in nantes
        assert "Park" not in nantes
        assert "Park 7<" in (await camille.get("/locations?q=mulhouse")).text
        assert "No location matches" in (await camille.get("/locations?q=nowhere")).text


# ---- the name, where chargers are found by it ------------------------------------------------------------------------


async def test_chargers_are_found_by_the_new_name_however_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SLICE", 3)
    ids = [await site.add_charger(f"Quai {n}", location_id=site.nantes_id) for n in range(8)]
    elsewhere = await site.add_charger("Quai 9")
    before = await site.portal.db.value(select(chargers.c.search).where(chargers.c.id == elsewhere))
    heard: list[int] = []
    site.portal.services.bus.listen("charger", lambda hint: heard.append(hint.id))
    async with browser(site) as camille:
        assert (
            await post(camille, f"/locations/{site.nantes_id}/edit", **(FORM | {"name": "Rezé Sud"}))
        ).status_code == 303
        payload = await site.portal.db.value(select(jobs.c.payload).where(jobs.c.kind == engine.KIND))
        services = site.portal.services
        await Locations(services.db, services.bus, services.clock, services.audit).name_chargers(payload)
        found = (await camille.get("/chargers?q=reze")).text
        assert all(f'id="charger-{one}"' in found for one in ids)
        assert f'id="charger-{elsewhere}"' not in found
        assert f'id="charger-{ids[0]}"' not in (await camille.get("/chargers?q=entrepot")).text
    assert sorted(heard) == ids, "each page that shows one is told"
    assert await site.portal.db.value(select(chargers.c.search).where(chargers.c.id == elsewhere)) == before


# ---- deleting ------------------------------------------------------------------------------------------------------


async def test_a_location_that_is_needed_says_by_what(site: Site) -> None:
    charger_id = await site.add_charger("Quai 1")
    async with site.portal.db.transaction() as tx:
        row = {"organisation_id": site.organisation_id, "email": "new@a.test", "role": "admin", "token_hash": b"t",
               "person_name": "C", "created_ms": 1, "expires_ms": site.now_ms + 1000}  # fmt: skip
        invitation_id = await tx.insert(invitations, row)
        columns = ("invitation_id", "organisation_id", "location_id")
        await tx.insert_many(invitation_locations, columns, [(invitation_id, site.organisation_id, site.lyon_id)])
    async with browser(site) as camille:
        page = await camille.get(f"/locations/{site.lyon_id}/delete")
        for said in (
            "1 charger stands here.",
            "1 person works here.",
            "1 open invitation names it.",
            f"/chargers?location={site.lyon_id}",
        ):
            assert said in page.text
        assert (await post(camille, f"/locations/{site.lyon_id}/delete")).status_code == 409
        async with site.portal.db.transaction() as tx:
            await tx.run(update(invitations).where(invitations.c.id == invitation_id).values(revoked_ms=2))
            await tx.run(chargers.delete().where(chargers.c.id == charger_id))
        assert (await post(camille, f"/locations/{site.lyon_id}/delete")).status_code == 409, "Ali works there"
        async with site.portal.db.transaction() as tx:
            await tx.run(membership_locations.delete())
        assert (await post(camille, f"/locations/{site.lyon_id}/delete")).status_code == 303
        assert (await camille.get(f"/locations/{site.lyon_id}")).status_code == 404
    [told] = await audited(site, "location.deleted")
    assert told["object"] == "Atelier Lumière, Lyon"


async def test_another_organisations_location_does_not_exist(site: Site) -> None:
    _, other_id = await site.portal.add_organisation("Other")
    async with browser(site) as camille:
        for path in ("", "/edit", "/delete", "/tiles"):
            assert (await camille.get(f"/locations/{other_id}{path}")).status_code == 404
        assert (await post(camille, f"/locations/{other_id}/edit", **FORM)).status_code == 404
        assert (await post(camille, f"/locations/{other_id}/delete")).status_code == 404
    services, nobody = site.portal.services, Actor(None, "x")
    acting = Locations(services.db, services.bus, services.clock, services.audit)
    assert not await acting.change(site.organisation_id, other_id, nobody, location_form.Details(name="X"))
    assert await acting.remove(site.organisation_id, other_id, nobody) is None
    assert await row_of(site, "Other, Lyon") is not None
