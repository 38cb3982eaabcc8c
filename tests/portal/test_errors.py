"""What pages say when something is wrong."""

import json
from pathlib import Path
from typing import Any

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


async def test_who_goes_away_within_a_body_fills_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can hang up: a page of trace each time would bury what went wrong."""
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": b"email=", "more_body": True}, {"type": "http.disconnect"}]
    headers = [(b"host", b"portal.test"), (b"content-type", b"application/x-www-form-urlencoded")]
    scope = {
        "type": "http", "method": "POST", "path": "/login", "raw_path": b"/login", "query_string": b"", "headers": headers,
        "client": ("192.0.2.7", 1), "server": ("portal.test", 80), "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async with running_portal(tmp_path) as portal:
        await with_camille(portal)
        with caplog.at_level("WARNING"):
            await portal.app(scope, receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    assert caplog.records == []


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Zo\u202eé", "Zoé"),
        ("\u2066Ali\u2069\u200b", "Ali"),
        ("سارا \u200cها", "سارا \u200cها"),
        ("👩\u200d🔧 Léa", "👩\u200d🔧 Léa"),
    ],
)
async def test_a_name_is_what_one_sees_of_it(tmp_path: Path, typed: str, kept: str) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        assert (await post(browser, "/account/name", name=typed)).status_code == 303
        assert kept in (await browser.get("/account")).text
        for nothing in ("\u200b", "\u200d\u2060 \u202e", "\x00\x1b"):
            assert (await post(browser, "/account/name", name=nothing)).status_code == 422


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
