"""The icon, the modal CHARGER RESTART, OKAY, withdrawing, the live story."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from borne.portal.restart_view import instant_at
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


def field_of(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', text)
    assert found is not None
    return found[1]


async def open_modal(client: Any, charger_id: int) -> Any:
    return await client.get(f"/chargers/{charger_id}/restart", headers=HTMX)


async def okay(client: Any, charger_id: int, key: str = "k1", **fields: Any) -> Any:
    """OKAY as htmx sends it."""
    data = {"key": key, "when": "now", **fields}
    headers = {**HTMX, "x-csrftoken": await csrf(client)}
    return await client.post(f"/chargers/{charger_id}/restart", data=data, headers=headers, follow_redirects=False)


# ---- the icon ----------------------------------------------------------------------------------------------------


async def test_icon_is_green_where_a_restart_is_available(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    text = (await camille.get(f"/chargers/{charger_id}/restart/icon")).text
    assert 'role="tooltip"' in text
    assert "Restart Available" in text
    assert 'data-restart="available"' in text
    assert "aria-disabled" not in text
    french = (await camille.get(f"/chargers/{charger_id}/restart/icon", headers={"accept-language": "fr"})).text
    assert "Redémarrage disponible" in french


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("offline", "This charger is offline"),
        ("never", "has never connected"),
        ("model", "The Pulsar cannot be restarted remotely"),
        ("plan", "The Basic plan does not include remote restarts. The Standard plan does."),
        ("restarting", "is restarting already"),
    ],
)
async def test_grey_icon_says_why_and_can_be_focused(site: Site, camille: Any, spoil: str, words: str) -> None:
    charger_id = await site.add_charger(model="pulsar" if spoil == "model" else "commander-2")
    if spoil != "never":
        await site.connect(charger_id)
    if spoil == "offline":
        await site.leave(charger_id)
    if spoil == "restarting":
        await site.request(charger_id)
    if spoil == "plan":
        await site.set_plan("basic")
        site.portal.app.state.access.forget_person(site.camille_id)
    text = (await camille.get(f"/chargers/{charger_id}/restart/icon")).text
    assert words in text
    assert 'aria-disabled="true"' in text
    assert " disabled" not in text
    assert "hx-get" not in text
    assert ("turning" in text) == (spoil == "restarting")
    asked = (await open_modal(camille, charger_id)).text
    assert words in asked
    assert "data-okay" not in asked


# ---- the modal ---------------------------------------------------------------------------------------------------


async def test_modal_tells_what_will_happen(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    text = (await open_modal(camille, charger_id)).text
    assert text.startswith('<dialog class="restart-modal" closedby="any"')
    assert "CHARGER RESTART" in text
    assert "Restart Quai 4?" in text
    assert "catalogue’s figure" in text
    assert "none running" in text
    assert "Europe/Paris" in text
    assert 'value="now" checked' in text
    assert 'value="soft" checked' in text
    assert "OKAY" in text
    assert "Cancel" in text
    assert await site.rows() == []


async def test_modal_is_a_page_for_whoever_opens_its_address(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    text = (await camille.get(f"/chargers/{charger_id}/restart")).text
    assert "<!doctype html>" in text
    assert "<dialog" not in text
    assert "data-okay" in text


async def test_french_labels(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    text = (await camille.get(f"/chargers/{charger_id}/restart", headers={**HTMX, "accept-language": "fr"})).text
    assert "REDÉMARRAGE DU CHARGEUR" in text
    assert re.search(r"data-okay[^>]*>OK</button>", text)


async def test_running_session_warns_and_offers_when_it_is_free(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    await site.start_session(charger_id)
    text = (await open_modal(camille, charger_id)).text
    assert "A session runs on this charger." in text
    assert 'value="free" checked' in text


async def test_usual_duration_is_the_median_of_what_was_seen(site: Site, camille: Any) -> None:
    for number, away_s in enumerate((10, 20, 30, 40, 50)):
        charger_id = await site.online_charger(f"Quai {number}")
        await site.request(charger_id)
        await site.send(charger_id)
        await site.succeed(charger_id, away_s=away_s)
    text = (await open_modal(camille, charger_id)).text
    assert "40 s" in text.replace("\u00a0", " ")  # 10 s until it left, 30 s away
    assert "median of the last 5 successes here" in text


async def test_single_evse_is_offered_on_2x_alone(site: Site, camille: Any) -> None:
    old, new = await site.online_charger("Old"), await site.add_charger("New")
    epoch = await site.connect(new, protocol="2.0.1")
    await site.status(new, epoch, "available", evse=2)
    assert "Outlet 2 alone" not in (await open_modal(camille, old)).text
    assert "Outlet 2 alone" in (await open_modal(camille, new)).text
    assert (await okay(camille, new, evse="3")).status_code == 422
    assert (await okay(camille, new, evse="2", kind="hard")).status_code == 200
    (row,) = await site.rows()
    assert (row.evse, row.kind) == (2, "hard")


# ---- OKAY --------------------------------------------------------------------------------------------------------


async def test_okay_starts_one_restart_however_often(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    key = field_of((await open_modal(camille, charger_id)).text, "key")
    first = await okay(camille, charger_id, key=key, why=" hangs  since noon ")
    again = await okay(camille, charger_id, key=key)
    other = await okay(camille, charger_id, key="another")
    assert [answer.status_code for answer in (first, again, other)] == [200, 200, 200]
    assert f'data-restart-done="{charger_id}"' in first.text
    assert "requested" in again.text
    assert "under way already" in other.text
    (row,) = await site.rows()
    assert (row.why, row.kind, row.person_name, row.phase) == ("hangs since noon", "soft", "Camille", "requested")


async def test_without_scripts_okay_leads_to_the_charger(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    answer = await post(camille, f"/chargers/{charger_id}/restart", key="k", when="now")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/chargers/{charger_id}")


async def test_refused_at_okay_says_which_condition_and_sends_nothing(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    await open_modal(camille, charger_id)
    await site.set_plan("basic")  # between the modal and OKAY, and the login still remembers the old plan
    answer = await okay(camille, charger_id)
    assert answer.status_code == 409
    assert "Nothing was sent to the charger." in answer.text
    assert "plan does not include" in answer.text
    assert await site.rows() == []


async def test_at_a_time_is_the_locations_time(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    local = datetime.fromtimestamp(site.now_ms / 1000 + 2 * 3600, UTC).strftime("%Y-%m-%dT%H:%M")
    assert (
        await okay(camille, charger_id, when="at", at=local)
    ).status_code == 422  # two hours ago in Paris, in summer
    later = datetime.fromtimestamp(site.now_ms / 1000 + 5 * 3600, UTC)
    answer = await okay(camille, charger_id, when="at", at=later.strftime("%Y-%m-%dT%H:%M"))
    assert answer.status_code == 200, answer.text
    (row,) = await site.rows()
    assert row.phase == "waiting"
    assert row.not_before_ms == round(later.replace(second=0, microsecond=0).timestamp() * 1000) - 2 * 3_600_000


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("", "Choose the day"),
        ("soon", "Choose the day"),
        ("2020-01-01T10:00", "already past"),
        ("2399-01-01T10:00", "30 days"),
    ],
)
async def test_impossible_times_are_said(site: Site, camille: Any, at: str, words: str) -> None:
    charger_id = await site.online_charger()
    answer = await okay(camille, charger_id, when="at", at=at, why="kept")
    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="kept"' in answer.text
    assert await site.rows() == []


def test_clocks_that_jump() -> None:
    skipped = instant_at("2026-03-29T02:30", "Europe/Paris")
    assert skipped == round(datetime(2026, 3, 29, 1, 30, tzinfo=UTC).timestamp() * 1000)
    assert instant_at("2026-03-29T02:30+02:00", "Europe/Paris") is None
    assert (instant_at("0001-01-01T00:00", "Asia/Tokyo") or 0) <= 0  # no error


async def test_waiting_restart_is_shown_and_withdrawn(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    await site.start_session(charger_id)
    assert (await okay(camille, charger_id, when="free")).status_code == 200
    asked = (await open_modal(camille, charger_id)).text
    assert "is waiting already" in asked
    assert "data-okay" not in asked
    assert (await okay(camille, charger_id, key="other")).status_code == 409
    (row,) = await site.rows()
    panel = (await camille.get(f"/restarts/{row.id}/panel")).text
    assert "Waits until the charger is free." in panel
    assert ">Withdraw<" in panel
    headers = {**HTMX, "x-csrftoken": await csrf(camille)}
    answer = await camille.post(f"/restarts/{row.id}/withdraw", data={}, headers=headers)
    assert "Withdrawn." in answer.text
    (row,) = await site.rows()
    assert (row.verdict, row.reason) == ("not_sent", "withdrawn")


async def test_sent_restart_cannot_be_withdrawn(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    restart_id = await site.request(charger_id)
    await site.send(charger_id)
    assert "Withdraw" not in (await camille.get(f"/restarts/{restart_id}/panel")).text
    answer = await post(camille, f"/restarts/{restart_id}/withdraw")
    assert answer.status_code == 303
    (row,) = await site.rows()
    assert row.verdict is None


# ---- the story ---------------------------------------------------------------------------------------------------


async def test_story_tells_each_step_and_then_the_verdict(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    restart_id = await site.request(charger_id, why="hangs")
    await site.send(charger_id)
    await site.leave(charger_id)
    text = (await camille.get(f"/restarts/{restart_id}/panel")).text
    titles = re.findall(r"<li class=\"(\w+)[^>]*><span><b>([^<]+)</b>", text)
    assert titles == [
        ("done", "Requested"), ("done", "Sent"), ("done", "Accepted"), ("done", "Left"), ("now", "Back and booted"),
        ("next", "Ready"),
    ]  # fmt: skip
    assert "+0.31 s" in text
    assert "connection cut without a goodbye" in text
    assert "expected about" in text
    assert "“did not come back”" in text
    assert "Restarting" in text
    site.later(60)
    await site.connect(charger_id)
    text = (await camille.get(f"/restarts/{restart_id}/panel")).text
    assert 'data-verdict="succeeded"' in text
    assert "It left its connection 10 s after the command and announced a boot after 1 min 10 s." in text
    assert 'class="next' not in text


async def test_scheduled_stands_beside_the_real_status(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    await site.start_session(charger_id)
    restart_id = await site.request(charger_id)
    await site.send(charger_id)
    text = (await camille.get(f"/restarts/{restart_id}/panel")).text
    assert "Restart scheduled" in text
    assert "can no longer be called back" in text
    assert "busy" not in text


async def test_raised_verdict_keeps_the_first_one_visible(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    restart_id = await site.request(charger_id)
    await site.send(charger_id)
    await site.leave(charger_id)
    await site.wake(charger_id, 600)
    assert "Did not come back." in (await camille.get(f"/restarts/{restart_id}/panel")).text
    site.later(1800)
    await site.connect(charger_id)
    text = (await camille.get(f"/restarts/{restart_id}/panel")).text
    assert "Succeeded." in text
    assert "data-first-verdict" in text
    assert "Did not come back." in text


async def test_markup_from_a_charger_is_text(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger("<img src=x onerror=alert(1)>")
    restart_id = await site.request(charger_id, why="<script>alert(2)</script>")
    await site.send(charger_id, answer="error", code="<b>Not</b>")
    for path in (f"/restarts/{restart_id}/panel", "/restarts", f"/chargers/{charger_id}/restart", "/restarts.csv"):
        text = (await camille.get(path)).text
        if path != "/restarts.csv":
            assert "<img src=x" not in text
            assert "<script>alert" not in text
            assert "<b>Not" not in text


# ---- who ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("email", ["zoe@a.test", "stranger@b.test", None])
async def test_denied_looks_like_not_found(site: Site, email: str | None) -> None:
    charger_id = await site.online_charger()
    restart_id = await site.request(charger_id)
    other_id, _ = await site.portal.add_organisation("Other")
    await site.portal.add_person("stranger@b.test", (other_id, "super-admin"))
    async with site.portal.client() as client:
        if email:
            await log_in(client, email)
        for path in (
            f"/chargers/{charger_id}/restart",
            f"/chargers/{charger_id}/restart/icon",
            f"/chargers/{charger_id}/restarts",
            f"/chargers/{charger_id}/restarts/last",
            f"/restarts/{restart_id}/panel",
        ):
            assert (await client.get(path, follow_redirects=False)).status_code == (404 if email else 303), path
        for path in (f"/chargers/{charger_id}/restart", f"/restarts/{restart_id}/withdraw"):
            assert (await post(client, path, key="k", when="now")).status_code == (404 if email else 401), path
    (row,) = await site.rows()
    assert row.verdict is None


async def test_a_user_sees_the_charger_but_may_not_restart_it(site: Site) -> None:
    charger_id = await site.online_charger()
    await site.portal.add_person("uma@a.test", (site.organisation_id, "user"), charger_ids=(charger_id,))
    async with site.portal.client() as client:
        await log_in(client, "uma@a.test")
        icon = (await client.get(f"/chargers/{charger_id}/restart/icon")).text
        assert "Only the super-admin, or an admin of this charger’s location" in icon
        answer = await okay(client, charger_id)
        assert answer.status_code == 409
        assert "Only the super-admin" in answer.text
    assert await site.rows() == []


async def test_an_admin_reaches_their_location_alone(site: Site) -> None:
    here = await site.online_charger("Here")
    there = await site.online_charger("There", location_id=site.nantes_id)
    async with site.portal.client() as client:
        await log_in(client, "ali@a.test")
        assert (await okay(client, here)).status_code == 200
        assert (await okay(client, there, key="k2")).status_code == 404


async def test_without_the_token_of_the_form_nothing_is_sent(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    answer = await camille.post(f"/chargers/{charger_id}/restart", data={"key": "k", "when": "now"})
    assert answer.status_code == 403
    assert await site.rows() == []
