"""Hostile texts (A7, A8): whatever anybody can store or a charger can say is text on every page and in every export."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from sqlalchemy import update

from borne.core.facts import Booted, LinkLost, Noted, RestartAnswered, StatusChanged
from borne.engine.restarts import NewRestart
from borne.gateway.attempts import Attempts
from borne.store import mails
from borne.store.frame_log import FrameLog
from borne.store.schema import chargers, locations, organisations, people
from tests.portal.test_attacks import GETS, filled
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@pytest.fixture
async def camille(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.portal.client() as client:
        await log_in(client, "camille@a.test")
        yield client


IMG = "<img src=x onerror=alert(1)>"
HOSTILE = f"{IMG}\"'><script>alert(1)</script>{{{{7*7}}}}%(name)s&lt;\u202e"


async def hostile_site(site: Site, folder: Path) -> dict[str, int]:
    """Markup in everything that anybody can store or say."""
    portal, db = site.portal, site.portal.db
    async with db.transaction() as tx:
        await tx.run(update(organisations).values(name="O" + HOSTILE))
        await tx.run(update(locations).values(name="L" + HOSTILE, address=HOSTILE))
        await tx.run(update(people).values(name="P" + HOSTILE))
        await mails.add(tx, recipient=HOSTILE, subject=HOSTILE, body=HOSTILE, now_ms=site.now_ms)
    charger_id = await site.add_charger("C" + HOSTILE)
    texts = {"serial": HOSTILE, "vendor": HOSTILE, "model_name": HOSTILE, "model": "other", "firmware": HOSTILE}
    async with db.transaction() as tx:
        await tx.run(update(chargers).where(chargers.c.id == charger_id).values(identity=HOSTILE, **texts))
    site.engine.forget(charger_id)
    epoch = await site.connect(charger_id)
    common: dict[str, Any] = {"charger_id": charger_id, "epoch": epoch}
    said = {"error": HOSTILE, "vendor_error": HOSTILE, "info": HOSTILE}
    await site.engine.apply(
        Booted(
            **common, at_ms=site.now_ms, vendor=HOSTILE, model=HOSTILE, firmware=HOSTILE, serial=HOSTILE, reason=HOSTILE
        )
    )
    for connector, status in ((1, "faulted"), (2, "available")):
        await site.engine.apply(
            StatusChanged(**common, at_ms=site.now_ms, evse=connector, connector=1, status=status, **said)  # type: ignore[arg-type]
        )
    for kind in ("security_event", "diagnostics", "firmware", HOSTILE):
        details: dict[str, Any] = {"type": HOSTILE, "info": HOSTILE, "status": HOSTILE, HOSTILE: HOSTILE}
        await site.engine.apply(Noted(**common, at_ms=site.now_ms, kind=kind, details=details))
    restart_id = await site.request(charger_id, why=HOSTILE)
    await site.send(charger_id, epoch, answer=None)
    await site.engine.apply(
        RestartAnswered(
            **common, at_ms=site.now_ms, restart_id=restart_id, status="error", code=HOSTILE[:60], text=HOSTILE
        )
    )
    await site.engine.apply(LinkLost(**common, at_ms=site.now_ms, how="dropped", ours=False))
    other_id = await site.online_charger("D" + HOSTILE)
    gone_id = await site.add_charger("E" + HOSTILE)
    batch_id = await site.batches.request(site.scope, [other_id, gone_id], why=HOSTILE, kind=None, idempotency_key="k")
    assert batch_id is not None
    await site.fill(batch_id)
    attempts = Attempts()
    attempts.note(site.now_ms, HOSTILE, HOSTILE, "password", None)
    portal.services.attempts = attempts
    log = FrameLog(folder / "frames")
    await log.open()
    log.record(charger_id, time.time_ns() // 1_000_000, "in", f'[2,"{IMG}","{IMG}",{{"{IMG}":"{IMG}"}}]')
    log.record(charger_id, time.time_ns() // 1_000_000, "in", HOSTILE)
    portal.services.frame_log = log
    return {"charger_id": charger_id, "restart_id": restart_id, "batch_id": batch_id}


async def test_a7_no_stored_text_is_markup_on_any_page(site: Site, tmp_path: Path) -> None:
    ids = await hostile_site(site, tmp_path)
    seen = 0
    async with site.portal.client(**{"user-agent": HOSTILE.encode("ascii", "ignore").decode()}) as browser:
        await site.portal.add_person("ines@a.test", (site.organisation_id, "super-admin"), operates=True)
        await log_in(browser, "ines@a.test")
        for path in GETS:
            if path in ("/live", "/static/{tree}/{path}"):
                continue
            for headers in ({}, {"hx-request": "true"}):
                answer = await browser.get(filled(path, **ids), headers=headers)
                assert answer.status_code < 500, path
                if not answer.headers.get("content-type", "").startswith("text/html"):
                    continue
                assert "<img" not in answer.text, path
                assert "<script>alert" not in answer.text, path
                assert "{{" not in answer.text or "7*7" in answer.text, path
                seen += "&lt;img" in answer.text
        for query in ("?q=" + IMG, "?status=" + IMG, f"?next={IMG}"):
            for path in ("/chargers", "/login", "/restarts", "/nowhere" + IMG):
                assert "<img" not in (await browser.get(path + query)).text
        toasted = await post(browser, f"/chargers/{ids['charger_id']}/disable")
        assert toasted.status_code == 303
        assert "<img" not in (await browser.get("/chargers")).text
    await site.portal.services.frame_log.close()
    assert seen > 25, "texts were shown at all"


async def test_a8_no_cell_of_the_export_is_a_formula(site: Site, camille: httpx.AsyncClient) -> None:
    starts = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", '"=1', "a\n=1", ",=1")
    for number, text in enumerate(starts):
        charger_id = await site.online_charger(text)
        async with site.portal.db.transaction() as tx:
            await tx.run(update(chargers).where(chargers.c.id == charger_id).values(serial=f"{text}{number}"))
        await site.restarts.request(replace(site.scope, person_name=text), charger_id, NewRestart(why=text))
    exported = (await camille.get("/restarts.csv")).text
    rows = list(csv.reader(io.StringIO(exported)))
    assert len(rows) == 1 + len(starts)
    assert {len(row) for row in rows} == {len(rows[0])}
    for row in rows[1:]:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), cell


async def test_attempts_of_another_charger_are_not_told_however_alike(site: Site, camille: httpx.AsyncClient) -> None:
    """Whoever picks an identity like that of somebody else's charger must not learn who dials as that one."""
    attempts = Attempts()
    site.portal.services.attempts = attempts
    mine, other = await site.add_charger("Mine"), await site.add_charger("Other")
    async with site.portal.db.transaction() as tx:
        await tx.run(update(chargers).where(chargers.c.id == mine).values(identity="K7QM-3XWA"))
        await tx.run(update(chargers).where(chargers.c.id == other).values(identity="K7QM-3XWB"))

    class Known:
        charger_id, organisation_id, location_id = other, site.organisation_id, site.nantes_id

    attempts.note(site.now_ms, "198.51.100.77", "K7QM-3XWB", "password", Known())  # type: ignore[arg-type]
    attempts.note(site.now_ms, "198.51.100.78", "K7QM-3XWX", "identity", None)
    shown = (await camille.get(f"/chargers/{mine}/waiting?since=0")).text
    assert "198.51.100.77" not in shown
    assert "198.51.100.78" in shown


async def test_addresses_are_for_admins(site: Site, camille: httpx.AsyncClient) -> None:
    """Where a charger dialled from, or somebody in its name, is no business of its users."""
    charger_id = await site.online_charger()
    storm = Noted(
        charger_id=charger_id, at_ms=site.now_ms, epoch=1, kind="link_storm", details={"address": "198.51.100.77"}
    )
    await site.engine.apply(storm)
    await site.portal.add_person("uma@a.test", (site.organisation_id, "user"), charger_ids=(charger_id,))
    async with site.portal.client() as uma:
        await log_in(uma, "uma@a.test")
        for path in ("", "/timeline", "/top"):
            assert "198.51.100.77" not in (await uma.get(f"/chargers/{charger_id}{path}")).text, path
            assert "10.0.0.9" not in (await uma.get(f"/chargers/{charger_id}{path}")).text, path
    assert "198.51.100.77" in (await camille.get(f"/chargers/{charger_id}/timeline")).text
