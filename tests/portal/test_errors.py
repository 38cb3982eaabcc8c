"""What pages say when something is wrong."""

import json
from pathlib import Path

import pytest

from tests.portal.test_access import More
from tests.support.portal import Portal, csrf, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE = "camille@demo.test"


async def with_camille(portal: Portal) -> None:
    organisation_id, _ = await portal.add_organisation()
    await portal.add_person(CAMILLE, (organisation_id, "super-admin"))


@pytest.mark.parametrize(("language", "words"), [("en", "There is nothing here"), ("fr", "Il n’y a rien ici")])
async def test_not_found_in_the_frame_and_in_the_language(tmp_path: Path, language: str, words: str) -> None:
    async with running_portal(tmp_path) as portal, portal.client(**{"accept-language": language}) as browser:
        await with_camille(portal)
        outside = await browser.get("/nothing")
        assert outside.status_code == 404
        assert words in outside.text
        assert '<nav class="rail"' not in outside.text
        await log_in(browser, CAMILLE)
        inside = await browser.get("/nothing/at/all")
        assert words in inside.text
        assert '<nav class="rail"' in inside.text


async def test_a_mistake_tells_no_detail(tmp_path: Path) -> None:
    async with running_portal(tmp_path, [More]) as portal, portal.client() as browser:
        await with_camille(portal)
        answer = await browser.get("/breaks")
        assert answer.status_code == 500
        assert "Borne made a mistake" in answer.text
        assert "secret detail" not in answer.text
        assert answer.headers["content-security-policy"]


async def test_a_failing_storage_is_said_and_is_not_called_a_mistake(tmp_path: Path) -> None:
    async with running_portal(tmp_path, [More], storage_failing=lambda: True) as portal, portal.client() as browser:
        await with_camille(portal)
        assert (await browser.get("/healthz")).status_code == 503
        assert (await browser.get("/breaks")).status_code == 503
        await log_in(browser, CAMILLE)
        assert "Read only for now." in (await browser.get("/account")).text


async def test_a_wrong_method_and_too_much_are_refused_in_words(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        wrong = await browser.delete("/account", headers={"x-csrftoken": await csrf(browser)})
        assert wrong.status_code == 405
        assert "That cannot be done here" in wrong.text
        huge = await post(browser, "/account/name", name="x" * 3_000_000)
        assert huge.status_code == 413
        assert "That is too large" in huge.text


async def test_htmx_gets_a_toast_and_swaps_nothing(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client(**{"hx-request": "true"}) as browser:
        await with_camille(portal)
        browser.headers["accept-language"] = "fr"
        answer = await browser.get("/nothing")
        assert answer.status_code == 404
        assert answer.headers["hx-reswap"] == "none"
        toast = json.loads(answer.headers["hx-trigger"])["toast"]
        assert toast["kind"] == "bad"
        assert toast["text"].startswith("Il n’y a rien ici")
        assert "<" not in answer.text


async def test_a_form_that_is_too_old_says_what_to_do(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        answer = await browser.post("/account/name", data={"name": "X", "_csrf_token": "old"})
        assert answer.status_code == 403
        assert "no longer valid" in answer.text
        assert '<nav class="rail"' in answer.text
