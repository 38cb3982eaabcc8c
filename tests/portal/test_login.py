"""Logging in and out, and a forgotten password."""

import asyncio
import hashlib
import re
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from borne.engine.passwords import Passwords
from borne.portal import rate_limit
from borne.portal.services import PortalSettings
from borne.store.schema import logins, password_resets, people
from tests.support.portal import PASSWORD, SETTINGS, Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE = "camille@demo.test"
LOGIN = "borne_login"


async def with_camille(portal: Portal, **options: Any) -> int:
    organisation_id, _ = await portal.add_organisation()
    return await portal.add_person(CAMILLE, (organisation_id, "super-admin"), **options)


def look_again(portal: Portal) -> None:
    """Forget what the portal knew of logins within the last second."""
    portal.app.state.access.forget_person(1)


def shape(answer: httpx.Response) -> str:
    """A page without what belongs to its request alone."""
    return re.sub(r"[0-9a-f]{64,}", "…", answer.text).replace("nobody@demo.test", "X").replace(CAMILLE, "X")


async def test_the_right_password_opens_the_portal(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        answer = await log_in(browser, "Camille@Demo.test ")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert (await browser.get("/account")).status_code == 200


async def test_the_cookie_is_out_of_reach_of_scripts_and_its_token_is_not_in_the_database(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        answer = await log_in(browser, CAMILLE)
        cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(LOGIN))
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Secure" not in cookie
        token = browser.cookies[LOGIN]
        assert len(token) >= 43  # 256 bits
        stored = await portal.db.value(select(logins.c.token_hash))
        assert stored == hashlib.sha256(token.encode()).digest()
        assert token.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def test_over_https_the_cookies_are_secure_and_bound_to_the_host(tmp_path: Path) -> None:
    settings = PortalSettings(csrf_secret="s", public_url="https://portal.test")
    async with running_portal(tmp_path, settings=settings) as portal, portal.client() as browser:
        await with_camille(portal)
        answer = await log_in(browser, CAMILLE)
        cookie = next(line for line in answer.headers.get_list("set-cookie") if "borne_login" in line)
        assert cookie.startswith("__Host-borne_login=")
        assert "Secure" in cookie
        assert answer.headers["strict-transport-security"]


async def test_unknown_disabled_and_wrong_look_the_same(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        wrong = await log_in(browser, CAMILLE, "not the password")
        unknown = await log_in(browser, "nobody@demo.test", "not the password")
        async with portal.db.transaction() as tx:
            await tx.run(update(people).values(disabled=1))
        disabled = await log_in(browser, CAMILLE)
        assert wrong.status_code == unknown.status_code == disabled.status_code == 422
        assert shape(wrong) == shape(unknown) == shape(disabled)
        assert LOGIN not in browser.cookies


async def test_unknown_takes_as_long_as_wrong(tmp_path: Path) -> None:
    slow = Passwords(PasswordHasher(time_cost=2, memory_cost=20_000, parallelism=1))
    async with running_portal(tmp_path, passwords=slow) as portal, portal.client() as browser:
        await with_camille(portal)
        async with portal.db.transaction() as tx:
            await tx.run(update(people).values(password_hash=await slow.hash(PASSWORD)))
        await log_in(browser, "first@demo.test", "wrong")  # makes the decoy
        times: dict[str, list[float]] = {CAMILLE: [], "nobody@demo.test": []}
        for _ in range(5):
            for email, taken in times.items():
                began = time.perf_counter()
                await log_in(browser, email, "wrong")
                taken.append(time.perf_counter() - began)
        known, unknown = (statistics.median(taken) for taken in times.values())
        assert 0.5 < known / unknown < 2
        slow.close()


async def test_a_login_brings_a_new_token_and_ends_the_old_one(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as thief:
        await with_camille(portal)
        thief.cookies.set(LOGIN, "planted", domain="portal.test")
        assert (await thief.get("/account", follow_redirects=False)).status_code == 303
        await log_in(browser, CAMILLE)
        first = browser.cookies[LOGIN]
        await log_in(browser, CAMILLE)
        assert browser.cookies[LOGIN] != first
        thief.cookies.set(LOGIN, first, domain="portal.test")
        assert (await thief.get("/account", follow_redirects=False)).headers["location"].startswith("/login")


async def test_logging_out_ends_the_login_at_once(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as copy:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        copy.cookies.set(LOGIN, browser.cookies[LOGIN], domain="portal.test")
        assert (await copy.get("/account")).status_code == 200
        await post(browser, "/logout")
        assert LOGIN not in browser.cookies
        assert (await copy.get("/account", follow_redirects=False)).status_code == 303


async def test_a_login_that_ends_elsewhere_is_refused_within_a_second(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        assert (await browser.get("/account")).status_code == 200
        async with portal.db.transaction() as tx:  # another node's doing: no hint reaches this one
            await tx.run(logins.delete())
        await asyncio.sleep(1.05)
        assert (await browser.get("/account", follow_redirects=False)).status_code == 303


async def test_a_login_slides_while_it_is_used_and_ends_when_it_is_not(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        for _ in range(3):
            portal.clock.at_ms += 10 * 86_400_000
            look_again(portal)
            assert (await browser.get("/account", follow_redirects=False)).status_code == 200
        portal.clock.at_ms += 15 * 86_400_000
        look_again(portal)
        assert (await browser.get("/account", follow_redirects=False)).status_code == 303


@pytest.mark.parametrize(
    ("asked", "reached"),
    [
        ("/chargers/7?tab=frames", "/chargers/7?tab=frames"),
        ("https://evil.test/", "/"),
        ("//evil.test", "/"),
        ("/\\evil.test", "/"),
        ("/ok\\..\\evil", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nLocation: b", "/a%20Location:%20b"),
    ],
)
async def test_after_the_login_only_paths_of_the_portal_follow(tmp_path: Path, asked: str, reached: str) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        answer = await post(browser, "/login", email=CAMILLE, password=PASSWORD, next=asked)
        assert answer.headers["location"] == reached


async def test_guessing_is_refused_for_the_guesser_alone(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        answers = [await log_in(browser, CAMILLE, "wrong") for _ in range(9)]
        assert [answer.status_code for answer in answers] == [422] * 8 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert (await log_in(browser, CAMILLE)).status_code == 429  # even the right one, from here
        transport = httpx.ASGITransport(app=portal.app, client=("198.51.100.4", 1))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://portal.test") as home:
            assert (await log_in(home, CAMILLE)).status_code == 303
        portal.clock.at_ms += 10 * 60_000
        assert (await log_in(browser, CAMILLE)).status_code == 303


async def test_a_stranger_slows_an_account_but_never_shuts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "SLOWEST_S", 0.2)
    settings = PortalSettings(csrf_secret="s", public_url="http://portal.test", trusted_proxies=("192.0.2.0/24",))
    async with running_portal(tmp_path, settings=settings) as portal, portal.client() as browser:
        await with_camille(portal)
        for number in range(30):  # each guess from another address
            browser.headers["x-forwarded-for"] = f"203.0.113.{number}"
            assert (await log_in(browser, CAMILLE, "wrong")).status_code == 422
        browser.headers["x-forwarded-for"] = "198.51.100.9"
        began = time.perf_counter()
        assert (await log_in(browser, CAMILLE)).status_code == 303
        assert time.perf_counter() - began >= 0.2


async def test_a_form_without_its_token_changes_nothing(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await browser.get("/login")
        answer = await browser.post("/login", data={"email": CAMILLE, "password": PASSWORD})
        assert answer.status_code == 403
        assert "no longer valid" in answer.text
        forged = await browser.post("/login", data={"email": CAMILLE, "password": PASSWORD, "_csrf_token": "a" * 128})
        assert forged.status_code == 403
        assert LOGIN not in browser.cookies


async def test_a_token_in_the_header_is_as_good(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await browser.get("/login")
        token = browser.cookies["borne_csrf"]
        answer = await browser.post(
            "/login", data={"email": CAMILLE, "password": PASSWORD}, headers={"x-csrftoken": token}
        )
        assert answer.status_code == 303


async def test_a_hash_made_with_weaker_parameters_is_renewed(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        weaker = PasswordHasher(time_cost=1, memory_cost=16, parallelism=2).hash(PASSWORD)
        async with portal.db.transaction() as tx:
            await tx.run(update(people).values(password_hash=weaker))
        assert (await log_in(browser, CAMILLE)).status_code == 303
        assert await portal.db.value(select(people.c.password_hash)) != weaker
        assert (await log_in(browser, CAMILLE)).status_code == 303


# ---- forgotten password


async def link_of(portal: Portal, browser: httpx.AsyncClient) -> str:
    await post(browser, "/forgotten", email=CAMILLE)
    found = re.search(r"http://portal\.test(/reset/\S+)", portal.mail.sent[-1]["body"])
    assert found
    return found[1]


async def test_a_forgotten_password_is_replaced_once(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        await with_camille(portal)
        await log_in(other, CAMILLE)
        link = await link_of(portal, browser)
        assert (await browser.get(link)).status_code == 200
        short = await post(browser, link, password="short")
        assert short.status_code == 422
        done = await post(browser, link, password="a brand new one")
        assert done.status_code == 303
        assert (await browser.get("/account")).status_code == 200
        assert (await other.get("/account", follow_redirects=False)).status_code == 303  # all other logins ended
        assert (await browser.get(link)).status_code == 404
        assert (await post(browser, link, password="yet another one")).status_code == 404
        assert (await log_in(other, CAMILLE)).status_code == 422
        assert (await log_in(other, CAMILLE, "a brand new one")).status_code == 303


async def test_the_link_is_for_the_configured_host_whatever_the_request_says(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client(host="evil.test") as browser:
        await with_camille(portal)
        browser.headers["x-forwarded-host"] = "evil.test"
        token = (await browser.get("/forgotten")).cookies["borne_csrf"]
        browser.cookies.set("borne_csrf", token, domain="portal.test")
        await browser.post("/forgotten", data={"email": CAMILLE, "_csrf_token": token})
        assert f"{SETTINGS.public_url}/reset/" in portal.mail.sent[0]["body"]
        assert "evil" not in portal.mail.sent[0]["body"]


async def test_a_link_expires_and_a_newer_one_replaces_it(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        first = await link_of(portal, browser)
        second = await link_of(portal, browser)
        assert (await browser.get(first)).status_code == 404
        assert (await browser.get(second)).status_code == 200
        portal.clock.at_ms += 61 * 60_000
        assert (await browser.get(second)).status_code == 404
        assert (await post(browser, second, password="a brand new one")).status_code == 404


async def test_two_uses_of_one_link_at_once_set_one_password(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        await with_camille(portal)
        link = await link_of(portal, browser)
        await other.get("/login")
        answers = await asyncio.gather(
            post(browser, link, password="the first of the two"), post(other, link, password="the second of the two")
        )
        assert sorted(answer.status_code for answer in answers) == [303, 404]


async def test_only_the_hash_of_a_link_is_kept(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        link = await link_of(portal, browser)
        token = link.removeprefix("/reset/")
        assert await portal.db.value(select(password_resets.c.token_hash)) == hashlib.sha256(token.encode()).digest()


async def test_asking_for_a_link_says_nothing_about_who_has_an_account(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        known = await post(browser, "/forgotten", email=CAMILLE)
        unknown = await post(browser, "/forgotten", email="nobody@demo.test")
        assert known.status_code == unknown.status_code == 200
        assert shape(known) == shape(unknown)
        assert [mail["recipient"] for mail in portal.mail.sent] == [CAMILLE]


async def test_nobody_is_flooded_with_mails(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        answers = [await post(browser, "/forgotten", email=CAMILLE) for _ in range(6)]
        assert {answer.status_code for answer in answers} == {200}
        assert len(portal.mail.sent) == 3


async def test_the_mail_speaks_the_language_of_the_page(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        browser.headers["accept-language"] = "fr-FR,fr;q=0.9,en;q=0.8"
        await link_of(portal, browser)
        assert portal.mail.sent[0]["subject"] == "Choisissez un nouveau mot de passe pour Borne"
        assert "1\u202fh" in portal.mail.sent[0]["body"] or "1 h" in portal.mail.sent[0]["body"]
