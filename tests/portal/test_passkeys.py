"""Passkeys, with an authenticator in software that can also lie: each refusal is one that the standard asks for."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from borne.portal.services import PortalSettings
from borne.store.schema import logins, passkeys, people
from tests.support.authenticator import Authenticator, add_passkey, options_of, use_passkey
from tests.support.portal import Portal, csrf, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE, ALI = "camille@demo.test", "ali@demo.test"
LOGIN = "borne_login"


async def with_people(portal: Portal) -> None:
    organisation_id, _ = await portal.add_organisation()
    await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
    await portal.add_person(ALI, (organisation_id, "admin"))


async def with_passkey(portal: Portal, browser: httpx.AsyncClient, email: str = CAMILLE) -> Authenticator:
    """Log in, add a passkey, log out."""
    device = Authenticator()
    await log_in(browser, email)
    added = await add_passkey(browser, device)
    assert added.status_code == 200
    assert "Keep these codes" in added.text
    await post(browser, "/logout")
    return device


async def is_in(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/account", follow_redirects=False)).status_code == 200


async def test_a_passkey_logs_in_without_a_password_and_as_a_second_factor(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_people(portal)
        device = await with_passkey(portal, browser)
        assert (await options_of(browser, "/login/passkey"))["allowCredentials"] == []  # tells nothing about accounts
        done = await use_passkey(browser, device, next="/chargers")
        assert (done.status_code, done.headers["location"]) == (303, "/chargers")
        assert await portal.db.value(select(logins.c.second_factor)) == 1
        await post(browser, "/logout")
        assert (await log_in(browser, CAMILLE)).headers["location"] == "/login/second"
        assert "Use a passkey" in (await browser.get("/login/second")).text
        assert (await use_passkey(browser, device, "/login/second/passkey")).headers["location"] == "/"
        assert await is_in(browser)
        assert (await portal.db.first(select(passkeys.c.sign_count, passkeys.c.used_ms))) == (2, portal.clock.at_ms)


@pytest.mark.parametrize("lie", ["origin", "unverified", "signature", "count", "key", "replayed"])
async def test_an_answer_that_proves_nothing_is_refused(tmp_path: Path, lie: str) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_people(portal)
        device = await with_passkey(portal, browser)
        assert (await use_passkey(browser, device)).status_code == 303
        await post(browser, "/logout")
        options = await options_of(browser, "/login/passkey")
        match lie:
            case "origin":
                device.origin = "http://portal.test.evil.test"
            case "unverified":
                device.verifies = False
            case "count":
                device.count = 0
            case "key":
                device.key = Authenticator().key
        answer = device.get(options)
        if lie == "signature":
            answer = answer.replace('"signature": "', '"signature": "AAAA')
        if lie == "replayed":
            assert (await post(browser, "/login/passkey", credential=answer)).status_code == 303
            await post(browser, "/logout")
        refused = await post(browser, "/login/passkey", credential=answer)
        assert refused.status_code == 422
        assert "was not accepted" in refused.text
        assert not await is_in(browser)
        assert LOGIN not in browser.cookies


async def test_a_challenge_is_for_one_browser_one_answer_and_five_minutes(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        await with_people(portal)
        device = await with_passkey(portal, browser)
        answer = device.get(await options_of(browser, "/login/passkey"))
        await options_of(other, "/login/passkey")
        assert (await post(other, "/login/passkey", credential=answer)).status_code == 422
        assert (await post(browser, "/login/passkey", credential="nonsense")).status_code == 422  # spends it
        assert (await post(browser, "/login/passkey", credential=answer)).status_code == 422
        late = device.get(await options_of(browser, "/login/passkey"))
        portal.clock.at_ms += 5 * 60_000
        assert (await post(browser, "/login/passkey", credential=late)).status_code == 422


async def test_one_answer_twice_at_once_logs_in_once(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_people(portal)
        device = await with_passkey(portal, browser)
        answer = device.get(await options_of(browser, "/login/passkey"))
        await csrf(browser)
        answers = await asyncio.gather(*(post(browser, "/login/passkey", credential=answer) for _ in range(2)))
        assert sorted(answer.status_code for answer in answers) == [303, 422]


async def test_the_passkey_of_another_is_no_second_factor(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as ali:
        await with_people(portal)
        device = await with_passkey(portal, browser)
        theirs = await with_passkey(portal, ali, ALI)
        await log_in(browser, CAMILLE)
        options = await options_of(browser, "/login/second/passkey")
        assert len(options["allowCredentials"]) == 1
        assert (await post(browser, "/login/second/passkey", credential=theirs.get(options))).status_code == 422
        crossed = await options_of(browser, "/login/passkey")  # a challenge of one kind answers no other
        assert (await post(browser, "/login/second/passkey", credential=device.get(crossed))).status_code == 422
        assert not await is_in(browser)
        device.user_handle = theirs.user_handle
        assert (await use_passkey(browser, device)).status_code == 422


async def test_a_passkey_has_one_owner(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as ali:
        await with_people(portal)
        device = await with_passkey(portal, browser)
        await log_in(ali, ALI)
        stolen = await add_passkey(ali, device)
        assert stolen.status_code == 422
        assert "known already" in stolen.text
        assert len(await portal.db.all(select(passkeys))) == 1


@pytest.mark.parametrize("lie", ["origin", "unverified", "nonsense", "spent"])
async def test_a_passkey_that_proves_nothing_is_not_added(tmp_path: Path, lie: str) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_people(portal)
        device = Authenticator(verifies=lie != "unverified")
        await log_in(browser, CAMILLE)
        device.origin = "http://evil.test" if lie == "origin" else device.origin
        credential = device.create(await options_of(browser, "/account/passkeys"))
        if lie == "spent":
            await post(browser, "/account/passkeys", credential="x")
        sent = "{" if lie == "nonsense" else credential
        answer = await post(browser, "/account/passkeys", credential=sent, name="Mine")
        assert answer.status_code == 422
        assert 'value="Mine"' in answer.text
        assert await portal.db.all(select(passkeys)) == []


async def test_several_are_listed_by_name_and_removed_one_by_one(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        await with_people(portal)
        first = await with_passkey(portal, browser)
        await log_in(other, ALI)
        await use_passkey(browser, first)
        second = Authenticator()
        assert (await add_passkey(browser, second, "Key <b>")).status_code == 303  # codes were shown with the first
        page = (await browser.get("/account/passkeys")).text
        assert "Phone" in page
        assert "Key &lt;b&gt;" in page
        assert {one["id"] for one in (await options_of(browser, "/account/passkeys"))["excludeCredentials"]}
        named = re.findall(r'Phone.*?name="passkey" value="([0-9a-f]+)"', page, re.DOTALL)
        assert (await post(other, "/account/passkeys/remove", passkey=named[0])).status_code == 404  # not Ali's
        assert (await post(browser, "/account/passkeys/remove", passkey="zz")).status_code == 404
        assert (await post(browser, "/account/passkeys/remove", passkey=named[0])).status_code == 303
        assert "second factor less" in portal.mail.sent[-1]["body"]
        assert await is_in(browser)
        assert (await post(browser, "/logout")).status_code == 303
        assert (await use_passkey(browser, first)).status_code == 422
        assert (await use_passkey(browser, second)).status_code == 303


async def test_whoever_is_disabled_comes_in_by_no_passkey(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_people(portal)
        device = await with_passkey(portal, browser)
        async with portal.db.transaction() as tx:
            await tx.run(update(people).where(people.c.email == CAMILLE).values(disabled=1))
        assert (await use_passkey(browser, device)).status_code == 422


async def test_a_passkey_confirms_and_renews_the_login(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_people(portal)
        device = await with_passkey(portal, browser)
        await use_passkey(browser, device)
        before = browser.cookies[LOGIN]
        portal.clock.at_ms += 11 * 60_000
        assert (await browser.get("/account/passkeys", follow_redirects=False)).status_code == 303
        done = await use_passkey(browser, device, "/account/confirm/passkey", next="/account/passkeys")
        assert done.headers["location"] == "/account/passkeys"
        assert browser.cookies[LOGIN] != before
        assert (await browser.get("/account/passkeys", follow_redirects=False)).status_code == 200


async def test_challenges_are_given_out_in_bounds(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_people(portal)
        headers = {"x-csrftoken": await csrf(browser)}
        codes = [(await browser.post("/login/passkey/options", headers=headers)).status_code for _ in range(61)]
        assert codes == [200] * 60 + [429]


async def test_an_address_that_is_a_number_offers_none_and_says_why(tmp_path: Path) -> None:
    settings = PortalSettings(csrf_secret="s", public_url="http://192.0.2.1:8080")
    async with running_portal(tmp_path, settings=settings) as portal, portal.client() as browser:
        await with_people(portal)
        assert "data-passkey" not in (await browser.get("/login")).text
        await log_in(browser, CAMILLE)
        assert "need an address with a name" in (await browser.get("/account/passkeys")).text
        answer = await browser.post("/login/passkey/options", headers={"x-csrftoken": await csrf(browser)})
        assert answer.status_code == 422
