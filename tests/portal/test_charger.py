"""The page of one charger: what it shows to whom, and what its admins change."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from borne.core.facts import LinkLost
from borne.portal.charger import frame_line
from borne.store import chargers
from borne.store.frame_log import FrameLog
from borne.store.schema import assignments
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

HTMX = {"hx-request": "true"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        running.portal.services.charger_key = b"k" * 32
        yield running


@asynccontextmanager
async def browser(site: Site, who: str, **headers: str) -> AsyncIterator[Any]:
    async with site.portal.client(**headers) as client:
        await log_in(client, f"{who}@a.test")
        yield client


async def page(client: Any, charger_id: int, rest: str = "") -> str:
    answer = await client.get(f"/chargers/{charger_id}{rest}")
    assert answer.status_code == 200, rest
    return str(answer.text)


async def test_it_says_what_the_charger_is_doing(site: Site) -> None:
    charger_id = await site.online_charger("Quai 4")
    async with browser(site, "camille") as camille:
        text = await page(camille, charger_id)
        for words in (
            "Quai 4",
            "Commander 2",
            "6.7.17",
            "OCPP 1.6 · not encrypted",
            "10.0.0.9",
            "Connector 1",
            "Ready",
            "Free",
        ):
            assert words in text, words
        assert "Restart Available" in text
        french = (await camille.get(f"/chargers/{charger_id}", headers={"accept-language": "fr"})).text
        for words in ("Prêt", "Libre", "Micrologiciel", "Ce qui s’est passé", "Démarré"):
            assert words in french, words


async def test_an_offline_charger_says_since_when_and_why(site: Site) -> None:
    charger_id = await site.online_charger()
    await site.engine.apply(LinkLost(charger_id=charger_id, at_ms=site.now_ms, epoch=1, how="silent", ours=False))
    async with browser(site, "camille") as camille:
        text = await page(camille, charger_id, "/top")
        assert "No connection: fell silent." in text
        assert f'data-since-ms="{site.now_ms}"' in text
        assert "No restart available." in text


async def test_a_restart_shows_its_wheel_and_its_story(site: Site) -> None:
    charger_id = await site.online_charger()
    restart_id = await site.request(charger_id)
    await site.send(charger_id)
    async with browser(site, "camille") as camille:
        text = await page(camille, charger_id)
        assert "data-arc-from-ms" in text
        assert "usually comes back within" in text
        assert f'data-live="restart:{restart_id}"' in text


async def test_out_of_reach_is_not_found_for_every_address(site: Site) -> None:
    charger_id = await site.online_charger("B", location_id=site.nantes_id)
    paths = ("", "/top", "/timeline", "/frames", "/edit", "/delete", "/waiting")
    async with browser(site, "ali") as ali, browser(site, "zoe") as zoe:
        for client in (ali, zoe):
            for path in paths:
                assert (await client.get(f"/chargers/{charger_id}{path}")).status_code == 404, path
            for path in ("/edit", "/password", "/disable", "/enable", "/delete"):
                assert (await post(client, f"/chargers/{charger_id}{path}", name="X")).status_code == 404, path
    row = await chargers.by_id(site.portal.db, site.organisation_id, charger_id)
    assert row is not None
    assert (row.name, row.disabled) == ("B", 0)


async def test_a_user_sees_the_charger_but_neither_frames_nor_addresses(site: Site) -> None:
    charger_id = await site.online_charger()
    async with site.portal.db.transaction() as tx:
        await tx.insert_many(assignments, ("person_id", "charger_id"), [(site.zoe_id, charger_id)])
    async with browser(site, "zoe") as zoe:
        text = await page(zoe, charger_id)
        assert "Quai 4" in text
        assert "10.0.0.9" not in text
        assert 'id="frames"' not in text
        assert f"/chargers/{charger_id}/edit" not in text
        for path in ("/frames", "/edit", "/delete"):
            assert (await zoe.get(f"/chargers/{charger_id}{path}")).status_code == 404
        assert (await post(zoe, f"/chargers/{charger_id}/delete")).status_code == 404


async def test_the_timeline_pages_and_grows(site: Site) -> None:
    charger_id = await site.online_charger()
    for number in range(30):
        site.later(60)
        await site.status(charger_id, 1, "charging" if number % 2 else "available")
    async with browser(site, "camille") as camille:
        text = await page(camille, charger_id)
        assert len(re.findall(r"Connector 1: ", text)) == 20
        older = re.search(r'hx-get="(/chargers/\d+/timeline\?before=\d+)"', text)
        newest = re.search(r'hx-get="(/chargers/\d+/timeline\?oldest=\d+)"', text)
        assert older
        assert newest
        rest = (await camille.get(older[1], headers=HTMX)).text
        assert "Booted" in rest
        assert "Connected" in rest
        await site.status(charger_id, 1, "faulted")
        grown = (await camille.get(newest[1], headers=HTMX)).text
        assert len(re.findall(r"Connector 1: ", grown)) == 21
        assert grown.index("Connector 1: Fault") < grown.index("Connector 1: Charging")


async def test_frames_are_shown_as_text_and_filtered(site: Site, tmp_path: Path) -> None:
    charger_id, other_id = await site.online_charger(), await site.online_charger("Other")
    log = FrameLog(tmp_path / "frames")
    await log.open()
    site.portal.services.frame_log = log
    now_ms = time.time_ns() // 1_000_000  # the log forgets by the real clock
    log.record(charger_id, now_ms, "in", '[2,"1","BootNotification",{"chargePointVendor":"<script>alert(1)</script>"}]')
    log.record(charger_id, now_ms + 1, "out", '[3,"1",{"status":"Accepted"}]')
    log.record(other_id, now_ms + 2, "in", '[2,"9","Heartbeat",{}]')
    try:
        async with browser(site, "camille") as camille:
            text = await page(camille, charger_id, "/frames")
            assert "BootNotification · 1" in text
            assert "&lt;script&gt;" in text
            assert "<script>" not in text
            assert "Heartbeat" not in text
            assert text.index("CALLRESULT") < text.index("BootNotification · 1")
            only = await page(camille, charger_id, "/frames?kind=ACCEPTED")
            assert "CALLRESULT" in only
            assert "BootNotification · 1" not in only
    finally:
        await log.close()


def test_frames_that_are_no_ocpp_are_shown_as_they_came() -> None:
    for text in ("not json", "{}", "[2]", '[9,"1","X",{}]', "null"):
        line = frame_line(0, "in", text)
        assert (line.kind, line.text) == ("?", text)
    assert frame_line(0, "in", '[4,"7","NotSupported","no",{}]').kind == "CALLERROR NotSupported · 7"


async def test_details_are_changed_and_kept_when_wrong(site: Site) -> None:
    charger_id = await site.online_charger("Old")
    kind = {"model": "other", "vendor": "Acme", "model_name": "X1"}
    fields = {"name": "New", "serial": "S9", "location": str(site.nantes_id), **kind}
    async with browser(site, "camille") as camille:
        wrong = await post(camille, f"/chargers/{charger_id}/edit", **{**fields, "location": "99", "name": "N" * 101})
        assert wrong.status_code == 422
        assert "100 characters at most." in wrong.text
        assert "Choose the location where it stands." in wrong.text
        assert 'value="Acme"' in wrong.text
        row = await chargers.by_id(site.portal.db, site.organisation_id, charger_id)
        assert row is not None
        assert row.name == "Old"
        assert (await post(camille, f"/chargers/{charger_id}/edit", **fields)).status_code == 303
        text = await page(camille, charger_id)
        for words in ("New", "Acme X1", "S9", "Nantes, Entrepôt", "Details changed by Camille"):
            assert words in text, words


async def test_an_admin_moves_chargers_only_between_own_locations(site: Site) -> None:
    charger_id = await site.online_charger("Mine")
    async with browser(site, "ali") as ali:
        fields = {"name": "Mine", "model": "copper", "location": str(site.nantes_id)}
        assert (await post(ali, f"/chargers/{charger_id}/edit", **fields)).status_code == 422
        row = await chargers.by_id(site.portal.db, site.organisation_id, charger_id)
        assert row is not None
        assert row.location_id == site.lyon_id


async def test_disabling_enabling_and_a_new_password(site: Site) -> None:
    charger_id = await site.online_charger()
    async with browser(site, "ali") as ali:
        assert (await post(ali, f"/chargers/{charger_id}/disable")).status_code == 303
        assert "This charger is disabled" in await page(ali, charger_id)
        assert (await post(ali, f"/chargers/{charger_id}/enable")).status_code == 303
        shown = await post(ali, f"/chargers/{charger_id}/password")
        password = re.search(r'id="charger-password">([^<]+)<', shown.text)
        assert password
        row = await chargers.by_id(site.portal.db, site.organisation_id, charger_id)
        assert row is not None
        assert row.disabled == 0
        assert row.secret_hash is not None
        assert password[1] not in await page(ali, charger_id)
        assert password[1] not in await page(ali, charger_id, "/edit")


async def test_deleting_asks_first_and_leaves_nothing_to_see(site: Site) -> None:
    charger_id = await site.online_charger("Gone")
    async with browser(site, "camille") as camille:
        assert "Delete Gone?" in await page(camille, charger_id, "/delete")
        assert (await camille.get(f"/chargers/{charger_id}")).status_code == 200
        answer = await post(camille, f"/chargers/{charger_id}/delete")
        assert answer.headers["location"] == "/chargers"
        gone = await camille.get(f"/chargers/{charger_id}")
        assert gone.headers["location"] == f"/chargers/archived/{charger_id}", "its history stays"
