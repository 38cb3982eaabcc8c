"""A person's own account."""

import re
from pathlib import Path

import pytest
from sqlalchemy import select

from borne.portal.access import token_hash
from borne.portal.account import describe_agent
from borne.store.schema import people
from tests.support.portal import PASSWORD, Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE = "camille@demo.test"


async def with_camille(portal: Portal) -> int:
    organisation_id, _ = await portal.add_organisation()
    return await portal.add_person(CAMILLE, (organisation_id, "super-admin"))


async def test_a_name_is_changed(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        assert (await post(browser, "/account/name", name="  Camille   Roux ")).status_code == 303
        assert 'value="Camille Roux"' in (await browser.get("/account")).text
        assert (await post(browser, "/account/name", name="")).status_code == 422


async def test_a_new_password_ends_every_other_login_and_changes_the_token(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        await log_in(other, CAMILLE)
        before = browser.cookies["borne_login"]
        answer = await post(browser, "/account/password", password=PASSWORD, new_password="a brand new one")
        assert answer.status_code == 303
        assert browser.cookies["borne_login"] != before
        assert (await browser.get("/account")).status_code == 200
        assert (await other.get("/account", follow_redirects=False)).status_code == 303
        assert (await log_in(other, CAMILLE)).status_code == 422
        assert (await log_in(other, CAMILLE, "a brand new one")).status_code == 303


async def test_a_new_password_needs_the_old_one_and_enough_characters(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        assert (
            await post(browser, "/account/password", password="no", new_password="a brand new one")
        ).status_code == 422
        assert (await post(browser, "/account/password", password=PASSWORD, new_password="short")).status_code == 422
        assert (await log_in(browser, CAMILLE)).status_code == 303


async def test_an_open_browser_does_not_let_its_finder_guess_the_password_for_long(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        answers = [await post(browser, "/account/password", password="no", new_password="x" * 12) for _ in range(9)]
        assert [answer.status_code for answer in answers] == [422] * 8 + [429]


async def test_logins_are_listed_and_ended(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        await with_camille(portal)
        other.headers["user-agent"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/605.1"
        await log_in(other, CAMILLE)
        await log_in(browser, CAMILLE)
        page = (await browser.get("/account")).text
        assert "Safari, iPhone" in page
        named = re.search(r'name="login" value="([0-9a-f]{64})"', page)
        assert named
        assert (await post(browser, "/account/logins/end", login=named[1])).status_code == 303
        assert (await other.get("/account", follow_redirects=False)).status_code == 303
        assert (await browser.get("/account")).status_code == 200


async def test_nobody_ends_the_login_of_another(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        await with_camille(portal)
        organisation_id, _ = await portal.add_organisation("Other")
        await portal.add_person("ali@demo.test", (organisation_id, "admin"))
        await log_in(browser, CAMILLE)
        await log_in(other, "ali@demo.test")
        theirs = token_hash(browser.cookies["borne_login"]).hex()
        assert (await post(other, "/account/logins/end", login=theirs)).status_code == 404
        assert (await post(other, "/account/logins/end", login="not a hash")).status_code == 404
        assert (await browser.get("/account")).status_code == 200


async def test_the_language_follows_the_browser_until_it_is_chosen(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        person_id = await with_camille(portal)
        browser.headers["accept-language"] = "fr-CA, en;q=0.5"
        assert "<h1>Se connecter</h1>" in (await browser.get("/login")).text
        await post(browser, "/look", language="en", next="/login")
        assert "<h1>Log in</h1>" in (await browser.get("/login")).text  # this browser's choice
        await log_in(browser, CAMILLE)
        await post(browser, "/look", language="fr", next="/account")
        assert await portal.db.value(select(people.c.language).where(people.c.id == person_id)) == "fr"
        async with portal.client(**{"accept-language": "en"}) as elsewhere:
            await log_in(elsewhere, CAMILLE)
            assert "Votre compte" in (await elsewhere.get("/account")).text  # the person's choice follows them
        await post(browser, "/account/language", language="")
        browser.headers["accept-language"] = "en-US"
        assert "Your account" in (await browser.get("/account")).text


async def test_the_theme_stays_in_the_browser(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        assert "data-theme" not in (await browser.get("/login")).text
        answer = await post(browser, "/look", theme="dark", next="/login")
        assert answer.headers["location"] == "/login"
        assert 'data-theme="dark"' in (await browser.get("/login")).text
        await post(browser, "/look", theme="system", next="//evil.test")
        assert "data-theme" not in (await browser.get("/login")).text


async def test_somebody_of_two_organisations_switches_between_them_only(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        mine, _ = await portal.add_organisation("Atelier")
        also, _ = await portal.add_organisation("Port", "basic")
        other, _ = await portal.add_organisation("Stranger")
        await portal.add_person(CAMILLE, (mine, "super-admin"), (also, "user"))
        await log_in(browser, CAMILLE)
        assert (await browser.get("/account")).text.count('name="organisation_id"') == 4
        assert (await post(browser, "/organisation", organisation_id=str(also))).status_code == 303
        assert re.search(rf'value="{also}" aria-current="true"', (await browser.get("/account")).text)
        assert (await post(browser, "/organisation", organisation_id=str(other))).status_code == 404


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "–"),
    ],
)
def test_a_browser_is_named_as_people_know_it(agent: str, words: str) -> None:
    assert describe_agent(agent) == words
