"""Restarting many: the confirmation, what is left out, OKAY, the page that follows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from borne.store.schema import batches, restarts
from tests.support.portal import csrf, log_in, post
from tests.support.restart_site import Site, running_site

HTMX = {"hx-request": "true"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@pytest.fixture
async def camille(site: Site) -> AsyncIterator[Any]:
    async with site.portal.client() as client:
        await log_in(client, "camille@a.test")
        yield client


def ticked(text: str) -> list[int]:
    return [int(found) for found in re.findall(r'name="charger" value="(\d+)" checked', text)]


def left_out(text: str) -> str:
    return text[text.index("data-left-out") :]


async def begin(client: Any, ids: list[int], key: str = "b1", **fields: Any) -> int:
    answer = await post(client, "/restarts/batch", charger=ids, key=key, **fields)
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rsplit("/", 1)[1])


async def test_confirmation_lists_who_restarts_and_who_is_left_out(site: Site, camille: Any) -> None:
    good = await site.online_charger("Good")
    busy = await site.online_charger("Busy")
    await site.start_session(busy)
    gone = await site.online_charger("Gone")
    await site.leave(gone)
    old = await site.online_charger("Old", model="pulsar")
    waiting = await site.online_charger("Waiting")
    await site.start_session(waiting)
    await site.request(waiting, when="free")
    ids = [good, busy, gone, old, waiting, 99_999]
    text = (await post(camille, "/restarts/batch/new", charger=ids)).text
    assert ticked(text) == [good, busy]
    assert "Restart 2 chargers?" in text
    assert "A session runs on 1 of them." in text
    for words in ("Gone", "is offline", "Old", "The Pulsar cannot", "Waiting", "is waiting already"):
        assert words in left_out(text)
    assert await site.portal.db.value(_count()) == 0


def _count() -> Any:
    return select(func.count()).select_from(batches)


async def test_all_that_match_a_filter(site: Site, camille: Any) -> None:
    lyon = [await site.online_charger(f"Cour {number}") for number in range(3)]
    await site.online_charger("Quai", location_id=site.nantes_id)
    text = (await post(camille, "/restarts/batch/new", all="1", location=str(site.lyon_id), q="cour")).text
    assert sorted(ticked(text)) == lyon


async def test_single_ones_can_be_removed_and_okay_begins_once(site: Site, camille: Any) -> None:
    ids = [await site.online_charger(f"C{number}") for number in range(3)]
    batch_id = await begin(camille, ids[:2], why="new settings")
    assert await begin(camille, ids[:2], why="new settings") == batch_id
    await site.fill(batch_id)
    assert [(row.charger_id, row.batch_id, row.why) for row in await site.rows()] == [
        (ids[0], batch_id, "new settings"),
        (ids[1], batch_id, "new settings"),
    ]
    text = (await camille.get(f"/batches/{batch_id}")).text
    assert "new settings" in text
    assert text.count("data-restart-row") == 2


async def test_nothing_chosen_begins_nothing(site: Site, camille: Any) -> None:
    assert (await post(camille, "/restarts/batch", key="k")).status_code == 422
    assert await site.portal.db.value(_count()) == 0


@pytest.mark.parametrize("plan", ["standard", "basic"])
async def test_without_the_plan_the_page_says_how_to_get_it(site: Site, camille: Any, plan: str) -> None:
    charger_id = await site.online_charger()
    await site.set_plan(plan)
    site.portal.app.state.access.forget_person(site.camille_id)
    answer = await post(camille, "/restarts/batch/new", charger=[charger_id])
    assert answer.status_code == 403
    assert "comes with the Business plan" in answer.text
    answer = await post(camille, "/restarts/batch", charger=[charger_id], key="k")
    assert answer.status_code == 403
    assert await site.portal.db.value(_count()) == 0


async def test_plan_that_lapsed_before_okay(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    await post(camille, "/restarts/batch/new", charger=[charger_id])
    await site.set_plan("basic")
    answer = await post(camille, "/restarts/batch", charger=[charger_id], key="k")
    assert answer.status_code == 403
    assert "Nothing was sent." in answer.text


async def test_counts_and_pause_and_continue(site: Site, camille: Any) -> None:
    ids = [await site.online_charger(f"C{number}") for number in range(8)]
    batch_id = await begin(camille, ids)
    await site.fill(batch_id)
    for charger_id in ids[:3]:
        await site.send(charger_id, answer="rejected")
    text = (await camille.get(f"/batches/{batch_id}/summary")).text
    assert 'data-phase="paused"' in text
    assert "Paused after 3 failures in a row." in text
    assert counts(text) == {"failed": 3, "running": 4, "queued": 1, "succeeded": 0}
    answer = await post(camille, f"/batches/{batch_id}/answer", answer="continue")
    assert answer.status_code == 303
    text = (await camille.get(f"/batches/{batch_id}/summary")).text
    assert 'data-phase="running"' in text
    assert counts(text) == {"failed": 3, "running": 5, "succeeded": 0}


async def test_stop_withdraws_the_rest(site: Site, camille: Any) -> None:
    ids = [await site.online_charger(f"C{number}") for number in range(8)]
    batch_id = await begin(camille, ids)
    await site.fill(batch_id)
    headers = {**HTMX, "x-csrftoken": await csrf(camille)}
    answer = await camille.post(f"/batches/{batch_id}/answer", data={"answer": "stop"}, headers=headers)
    assert 'data-phase="stopped"' in answer.text
    assert counts(answer.text)["not_sent"] == 3
    items = (await camille.get(f"/batches/{batch_id}/items?show=not_sent")).text
    assert items.count("data-restart-row") == 3


def counts(text: str) -> dict[str, int]:
    return {bucket: int(n) for bucket, n in re.findall(r'data-bucket="(\w+)"><b class="num">(\d+)', text)}


async def test_2000_chargers_are_no_problem_for_the_page(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    batch_id = await begin(camille, [charger_id])
    await site.add_history(charger_id, 2_000)
    async with site.portal.db.transaction() as tx:
        await tx.run(update(restarts).values(batch_id=batch_id))
    text = (await camille.get(f"/batches/{batch_id}")).text
    assert text.count("data-restart-row") == 50
    assert "2,000" in text
    assert "Page 1" in text
    last = (await camille.get(f"/batches/{batch_id}?show=not_sent&page=40")).text
    assert last.count("data-restart-row") == 50
    assert 'rel="next"' not in last
    assert (await camille.get(f"/batches/{batch_id}?page=zero&show=x")).status_code == 200


async def test_who_sees_and_who_answers(site: Site, camille: Any) -> None:
    here, there = await site.online_charger("Here"), await site.online_charger("There", location_id=site.nantes_id)
    both, nantes = await begin(camille, [here, there]), await begin(camille, [there], key="b2")
    for batch_id in (both, nantes):
        await site.fill(batch_id)
    async with site.portal.client() as ali:
        await log_in(ali, "ali@a.test")
        text = (await ali.get(f"/batches/{both}")).text
        assert "Here" in text
        assert "There" not in text
        assert "Stop the rest" not in text
        assert (await ali.get(f"/batches/{nantes}")).status_code == 404
        assert (await post(ali, f"/batches/{both}/answer", answer="stop")).status_code == 404
        confirm = (await post(ali, "/restarts/batch/new", charger=[here, there])).text
        assert "There" not in confirm
        mine = await begin(ali, [here, there], key="b3")
        await site.fill(mine)
        assert all(row.charger_id == here for row in await site.rows() if row.batch_id == mine)
    async with site.portal.client() as zoe:
        await log_in(zoe, "zoe@a.test")
        assert (await zoe.get(f"/batches/{both}")).status_code == 404
        assert (await post(zoe, "/restarts/batch/new", charger=[here])).status_code == 403


async def test_left_out_at_okay_is_told_with_its_reason(site: Site, camille: Any) -> None:
    good, late = await site.online_charger("Good"), await site.online_charger("Late")
    batch_id = await begin(camille, [good, late])
    await site.leave(late)
    await site.fill(batch_id)
    text = (await camille.get(f"/batches/{batch_id}")).text
    assert "1 charger was left out at OKAY" in text
    assert "This charger is offline." in text
