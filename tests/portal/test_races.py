"""At the same instant: two people, a click and its retry, a withdrawal and the sending, a charger that goes while it restarts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from borne.core.actor import BORNE
from borne.core.facts import LinkLost
from borne.engine.devices import Devices
from borne.store import rooms
from borne.store.schema import batches
from tests.support.portal import csrf, log_in, post
from tests.support.restart_site import Site, running_site

CAMILLE, ALI = "camille@a.test", "ali@a.test"

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


async def test_r10_two_people_press_okay_at_the_same_instant(site: Site) -> None:
    """Fifty times: one restart, and both see that one."""
    async with site.portal.client() as camille, site.portal.client() as ali:
        await log_in(camille, CAMILLE)
        await log_in(ali, ALI)
        tokens = {client: await csrf(client) for client in (camille, ali)}
        for number in range(50):
            charger_id = await site.online_charger(f"Both {number}")
            answers = await asyncio.gather(
                *(
                    client.post(f"/chargers/{charger_id}/restart", data={"_csrf_token": token, "when": "now"})
                    for client, token in tokens.items()
                )
            )
            assert [answer.status_code for answer in answers] == [303, 303] or all(a.is_success for a in answers)
        rows = await site.rows()
        assert len(rows) == 50
        assert len({row.charger_id for row in rows}) == 50


async def test_r10_single_batch_and_retry_at_once_are_one_restart_a_charger(site: Site) -> None:
    async with site.portal.client() as camille:
        await log_in(camille, CAMILLE)
        token = await csrf(camille)
        ids = [await site.online_charger(f"Race {number}") for number in range(8)]
        form = {"_csrf_token": token, "charger": [str(one) for one in ids], "key": "batch"}
        one = {"_csrf_token": token, "when": "now", "key": "single"}
        await asyncio.gather(
            *(camille.post("/restarts/batch", data=form) for _ in range(3)),
            *(camille.post(f"/chargers/{charger_id}/restart", data=one) for charger_id in ids[:4] for _ in range(2)),
        )
        (batch_id,) = [row.id for row in await site.portal.db.all(select(batches.c.id))]
        await site.fill(batch_id)
        rows = await site.rows()
        assert sorted(row.charger_id for row in rows) == ids
        left_out = (await camille.get(f"/batches/{batch_id}")).text
        assert left_out.count("is restarting already") >= 1


async def test_withdrawing_and_sending_at_once_are_never_both(site: Site, camille: httpx.AsyncClient) -> None:
    token, outcomes = await csrf(camille), Counter[str]()
    for number in range(30):
        charger_id = await site.online_charger(f"Late {number}")
        restart_id = await site.request(charger_id)

        async def send(after_s: float, charger_id: int = charger_id) -> Any:
            await asyncio.sleep(after_s)
            return await site.restarts.take(charger_id, 1)

        withdrawal = camille.post(f"/restarts/{restart_id}/withdraw", data={"_csrf_token": token})
        _, due = await asyncio.gather(withdrawal, send(number / 2_000))
        row = (await site.rows())[-1]
        assert (row.verdict == "not_sent") == (due is None)
        assert row.phase == ("ended" if due is None else "sent")
        outcomes[row.phase] += 1
    assert set(outcomes) == {"ended", "sent"}, "both orders happened"


PHASES = ("waiting", "requested", "sent", "accepted", "left", "back")


async def restarting(site: Site, phase: str, name: str = "Gone") -> int:
    """A charger whose restart has come so far."""
    charger_id = await site.online_charger(name)
    await site.request(charger_id, when=site.now_ms + 3_600_000 if phase == "waiting" else "now")
    if phase in ("waiting", "requested"):
        return charger_id
    await site.send(charger_id, answer=None if phase == "sent" else "accepted")
    if phase in ("left", "back"):
        await site.leave(charger_id)
    if phase == "back":
        await site.connect(charger_id, boots=False)
    return charger_id


@pytest.mark.parametrize("phase", PHASES)
async def test_a_charger_deleted_while_it_restarts(site: Site, camille: httpx.AsyncClient, phase: str) -> None:
    """Its restart ends at once, is due no more, and stays in the history; nothing is sent any more."""
    charger_id = await restarting(site, phase)
    assert (await post(camille, f"/chargers/{charger_id}/delete")).status_code == 303
    (row,) = await site.rows()
    before = phase in ("waiting", "requested")
    assert (row.verdict, row.reason) == ("not_sent" if before else "unknown", "deleted")
    assert (row.is_open, row.watches, row.wake_at_ms) == (0, 0, None)
    assert await site.restarts.take(charger_id, 1) is None
    site.later(86_400)
    assert await rooms.due_chargers(site.portal.db, site.now_ms) == []
    history = (await camille.get("/restarts")).text
    assert (
        "The charger was deleted before" in history
        or (await camille.get(f"/restarts/{row.id}/panel")).status_code == 200
    )
    assert "Gone" in (await camille.get(f"/chargers/{charger_id}", follow_redirects=True)).text, "among those that left"
    assert (await post(camille, f"/chargers/{charger_id}/restart", when="now")).status_code == 404


async def test_a_batch_goes_on_when_its_chargers_are_deleted(site: Site, camille: httpx.AsyncClient) -> None:
    ids = [await site.online_charger(f"Batch {number}") for number in range(12)]
    batch_id = await site.batches.request(site.scope, ids, why="", kind=None, idempotency_key="k")
    assert batch_id is not None
    await site.fill(batch_id)
    services = site.portal.services
    devices = Devices(services.engine, services.audit, services.charger_key)
    for charger_id in ids:
        assert await devices.archive(BORNE, site.organisation_id, charger_id, "deleted")
    assert {row.verdict for row in await site.rows()} == {"not_sent"}
    (batch,) = await site.portal.db.all(select(batches))
    assert batch.phase == "done"
    assert (await camille.get(f"/batches/{batch_id}")).status_code == 200


@pytest.mark.parametrize("phase", PHASES)
async def test_a_charger_disabled_while_it_restarts(site: Site, camille: httpx.AsyncClient, phase: str) -> None:
    """We end its link, so nothing that follows proves anything: never a success, never a failure."""
    charger_id = await restarting(site, phase)
    assert (await post(camille, f"/chargers/{charger_id}/disable")).status_code == 303
    site.engine.forget(charger_id)
    assert await site.restarts.take(charger_id, 1) is None
    await site.engine.apply(
        LinkLost(charger_id=charger_id, at_ms=site.now_ms, epoch=2 if phase == "back" else 1, how="removed", ours=True)
    )
    await site.wake(charger_id, 86_500)
    await site.wake(charger_id, 300)  # one that was planned had its two minutes to find a link
    (row,) = await site.rows()
    expected = {"waiting": {"not_sent"}, "requested": {"not_sent"}, "left": {"failed"}}.get(phase, {"unknown"})
    assert row.verdict in expected, row.reason
    assert (await camille.get(f"/chargers/{charger_id}")).status_code == 200


@pytest.mark.parametrize("phase", PHASES[2:])
async def test_a_charger_moved_while_it_restarts(site: Site, camille: httpx.AsyncClient, phase: str) -> None:
    """The restart goes on and gets its verdict; who saw it before still does, the admin of the new place sees the charger."""
    charger_id = await restarting(site, phase)
    await site.portal.add_person("nadia@a.test", (site.organisation_id, "admin"), location_ids=(site.nantes_id,))
    moved = await post(
        camille, f"/chargers/{charger_id}/edit", name="Gone", model="commander-2", location=str(site.nantes_id)
    )
    assert moved.status_code == 303
    site.engine.forget(charger_id)
    if phase in ("sent", "accepted"):
        await site.leave(charger_id)
    if phase == "back":
        await site.boot(charger_id, 2)
    else:
        await site.connect(charger_id)
    (row,) = await site.rows()
    assert (row.verdict, row.location_id) == ("succeeded", site.lyon_id)
    async with site.portal.client() as ali, site.portal.client() as nadia:
        await log_in(ali, ALI)
        await log_in(nadia, "nadia@a.test")
        seen = [(await client.get(f"/restarts/{row.id}/panel")).status_code for client in (ali, nadia)]
        assert seen == [200, 404]
        seen = [(await client.get(f"/chargers/{charger_id}")).status_code for client in (ali, nadia)]
        assert seen == [404, 200]
        assert "Gone" not in (await nadia.get("/restarts.csv")).text
