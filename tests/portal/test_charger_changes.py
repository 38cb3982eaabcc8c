"""Changing many chargers: what is confirmed and what is left out, done by a job that a crash does not confuse."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from borne.bus.port import Hint
from borne.engine import charger_changes as engine
from borne.engine.charger_changes import ChargerChanges
from borne.store.schema import audit_log, charger_changes, chargers, events, jobs, locations, memberships
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@asynccontextmanager
async def browser(site: Site, who: str = "camille") -> AsyncIterator[httpx.AsyncClient]:
    async with site.portal.client(**{"accept-language": "en"}) as client:
        await log_in(client, f"{who}@a.test")
        yield client


async def work(site: Site) -> None:
    """Let the job do what was asked for."""
    services = site.portal.services
    payload = await site.portal.db.value(
        select(jobs.c.payload).where(jobs.c.kind == engine.KIND).order_by(jobs.c.id.desc())
    )
    await ChargerChanges(services.engine, services.audit).carry_out(payload)


async def row(site: Site, charger_id: int) -> Any:
    return await site.portal.db.first(select(chargers).where(chargers.c.id == charger_id))


async def kept(site: Site) -> Any:
    return await site.portal.db.first(select(charger_changes))


async def asked(client: httpx.AsyncClient, ids: list[int], **change: str) -> httpx.Response:
    return await post(client, "/chargers/changes", charger=[str(one) for one in ids], **{"key": "k", **change})


# ---- asking ----------------------------------------------------------------------------------------------------------


async def test_the_confirmation_says_what_changes_and_what_is_left_out(site: Site) -> None:
    here, there = await site.add_charger("Quai 1"), await site.add_charger("Quai 2", location_id=site.nantes_id)
    async with browser(site) as camille:
        ids = [str(here), str(there), "999999", "x", "1" + "0" * 30]
        page = (await post(camille, "/chargers/change", charger=ids)).text
        assert "Change 2 chargers" in page
        none = await post(camille, "/chargers/change/review", charger=ids)
        assert none.status_code == 422
        assert "Choose what to change, and to what." in none.text
        page = (await post(camille, "/chargers/change/review", charger=ids, what="move", to=str(site.nantes_id))).text
        assert "Change 1 charger?" in page
        assert "They move to Nantes, Entrepôt." in page
        will, left_out = page.split('id="left-out"')
        assert "Quai 1" in will
        assert "Quai 2" in left_out
        assert "It stands there already." in left_out
    assert (await row(site, here)).location_id == site.lyon_id
    assert await kept(site) is None


async def test_all_that_match_a_filter_can_be_chosen(site: Site) -> None:
    for n in range(3):
        await site.add_charger(f"Quai {n}", location_id=site.nantes_id)
    await site.add_charger("Elsewhere")
    async with browser(site) as camille:
        page = (await post(camille, "/chargers/change", all="1", location=str(site.nantes_id))).text
        assert "Change 3 chargers" in page


@pytest.mark.parametrize(
    "change",
    [{}, {"what": "fly"}, {"what": "move"}, {"what": "move", "to": "999"}, {"what": "model", "model": "warp"}],
    ids=["nothing", "unknown", "nowhere", "no such place", "no such model"],
)
async def test_what_is_no_change_changes_nothing(site: Site, change: dict[str, str]) -> None:
    charger_id = await site.add_charger("Quai 1")
    async with browser(site) as camille:
        assert (await post(camille, "/chargers/change/review", charger=str(charger_id), **change)).status_code == 422
        assert (await asked(camille, [charger_id], **change)).status_code == 422
    assert await kept(site) is None


async def test_a_smaller_plan_says_so_where_the_button_would_be(site: Site) -> None:
    charger_id = await site.add_charger("Quai 1")
    await site.set_plan("standard")
    async with browser(site) as camille:
        page = (await camille.get("/chargers")).text
        assert "Changing many chargers at once comes with the Business plan." in page
        assert 'formaction="/chargers/change"' not in page
        for path in ("/chargers/change", "/chargers/change/review", "/chargers/changes"):
            answer = await post(camille, path, charger=str(charger_id), what="disable")
            assert answer.status_code == 403
            assert "Business" in answer.text
    assert await kept(site) is None


# ---- doing -----------------------------------------------------------------------------------------------------------


async def test_they_move_in_slices_with_their_history(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SLICE", 2)
    ids = [await site.online_charger(f"Quai {n}") for n in range(5)]
    await site.request(ids[0], when=site.now_ms + DAY_MS)
    heard: list[Hint] = []
    site.portal.services.bus.listen("charger", heard.append)
    async with browser(site) as camille:
        answer = await asked(camille, ids, what="move", to=str(site.nantes_id))
        assert re.fullmatch(r"/chargers/changes/\d+", answer.headers["location"])
        page = (await camille.get(answer.headers["location"])).text
        assert "0 / 5" in page
        assert 'id="change-progress" class="stack" data-live="chargers"' in page, "it follows what is changed"
        await work(site)
        page = (await camille.get(answer.headers["location"])).text
        assert "5 chargers were changed." in page
        assert 'class="stack" data-live' not in page, "it is over"
        assert "Quai 3" in (await camille.get("/chargers?q=entrepot")).text, "found by its new location"
    for charger_id in ids:
        assert (await row(site, charger_id)).location_id == site.nantes_id
    assert {hint.location_id for hint in heard if hint.id == ids[4]} >= {site.lyon_id, site.nantes_id}
    kinds = await site.portal.db.all(
        select(events.c.kind).where(events.c.charger_id == ids[1], events.c.kind == "moved")
    )
    assert len(kinds) == 1
    told = await site.portal.db.all(select(audit_log.c.details).where(audit_log.c.action == "charger.changed"))
    assert len(told) == 5
    assert json.loads(told[0].details)["after"] == {"location": "Nantes, Entrepôt"}
    [restart] = await site.rows()
    assert (restart.verdict, restart.location_id) == (None, site.nantes_id), "it went along"


@pytest.mark.parametrize(
    ("change", "column", "value", "action"),
    [
        ({"what": "disable"}, "disabled", 1, "charger.disabled"),
        ({"what": "model", "model": "copper"}, "model", "copper", "charger.changed"),
    ],
    ids=["disable", "model"],
)
async def test_others_are_changed_and_those_that_are_so_already_left_out(
    site: Site, change: dict[str, str], column: str, value: Any, action: str
) -> None:
    ids = [await site.add_charger("One"), await site.add_charger("Two", model="copper")]
    async with site.portal.db.transaction() as tx:
        await tx.run(update(chargers).where(chargers.c.id == ids[1]).values(disabled=1))
    async with browser(site) as camille:
        where = (await asked(camille, ids, **change)).headers["location"]
        await work(site)
        page = (await camille.get(where)).text
        assert "1 charger was changed." in page
        assert "Two" in page.split("Left out")[1]
    assert getattr(await row(site, ids[0]), column) == value
    assert len(await site.portal.db.all(select(audit_log.c.seq).where(audit_log.c.action == action))) == 1


async def test_a_form_sent_twice_is_one_change_and_a_job_that_runs_twice_changes_once(site: Site) -> None:
    charger_id = await site.add_charger("Quai 1")
    async with browser(site) as camille:
        first, second = (
            await asked(camille, [charger_id], what="disable"),
            await asked(camille, [charger_id], what="disable"),
        )
        assert first.headers["location"] == second.headers["location"]
    await work(site)
    await work(site)
    assert (await kept(site)).changed == 1
    assert len(await site.portal.db.all(select(audit_log.c.seq).where(audit_log.c.action == "charger.disabled"))) == 1


async def test_after_a_crash_it_goes_on_where_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SLICE", 2)
    ids = [await site.add_charger(f"Quai {n}") for n in range(5)]
    note, calls = engine.note, 0

    async def fails_at_the_fourth(*arguments: Any, **more: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise RuntimeError("power cut")
        await note(*arguments, **more)

    monkeypatch.setattr(engine, "note", fails_at_the_fourth)
    async with browser(site) as camille:
        await asked(camille, ids, what="disable")
    with pytest.raises(RuntimeError):
        await work(site)
    assert [(await row(site, one)).disabled for one in ids] == [1, 1, 0, 0, 0], "a slice is whole or not at all"
    assert (await kept(site)).position == 2
    await work(site)
    assert [(await row(site, one)).disabled for one in ids] == [1] * 5
    assert ((await kept(site)).changed, (await kept(site)).ended_ms is None) == (5, False)
    assert len(await site.portal.db.all(select(audit_log.c.seq).where(audit_log.c.action == "charger.disabled"))) == 5


async def test_what_changed_meanwhile_counts(site: Site) -> None:
    ids = [await site.add_charger("Quai 1"), await site.add_charger("Gone")]
    async with browser(site, "ali") as ali:
        where = (await asked(ali, ids, what="disable")).headers["location"]
        async with site.portal.db.transaction() as tx:
            await tx.run(chargers.delete().where(chargers.c.id == ids[1]))
            await tx.run(update(memberships).where(memberships.c.person_id == site.ali_id).values(role="operator"))
        await work(site)
    assert (await row(site, ids[0])).disabled == 0
    assert [one[2] for one in json.loads((await kept(site)).left_out)] == ["role", "gone"]
    async with browser(site) as camille:
        assert "You do not administer it there." in (await camille.get(where)).text


async def test_a_location_that_is_deleted_meanwhile_takes_none(site: Site) -> None:
    charger_id = await site.add_charger("Quai 1")
    async with browser(site) as camille:
        await asked(camille, [charger_id], what="move", to=str(site.nantes_id))
    async with site.portal.db.transaction() as tx:
        await tx.run(locations.delete().where(locations.c.id == site.nantes_id))
    await work(site)
    assert (await row(site, charger_id)).location_id == site.lyon_id
    assert json.loads((await kept(site)).left_out)[0][2] == "location"


async def test_an_admin_changes_nothing_elsewhere(site: Site) -> None:
    mine, other = await site.add_charger("Quai 1"), await site.add_charger("Nantais", location_id=site.nantes_id)
    async with browser(site, "ali") as ali:
        page = await post(ali, "/chargers/change/review", charger=[str(mine), str(other)], what="disable")
        assert "Nantais" not in page.text
        assert (await asked(ali, [mine], what="move", to=str(site.nantes_id))).status_code == 422
        assert (await asked(ali, [other], what="disable")).status_code == 422
        where = (await asked(ali, [mine, other], what="disable")).headers["location"]
        await work(site)
        assert (await ali.get(where)).status_code == 200
    assert (await row(site, mine)).disabled == 1
    assert (await row(site, other)).disabled == 0
    await site.portal.add_person("nadia@a.test", (site.organisation_id, "admin"), location_ids=(site.nantes_id,))
    async with browser(site, "nadia") as nadia:
        assert (await nadia.get(where)).status_code == 404
