"""The portal under attack: sessions, forms, odd parameters, hostile texts, headers, and people who press at the same instant."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from borne.portal.services import PortalSettings
from borne.store import people
from borne.store.db import DiskFull
from borne.store.schema import chargers
from tests.support.portal import PASSWORD, SETTINGS, Portal, csrf, log_in, post, running_portal
from tests.support.restart_site import Site, running_site
from tests.support.routes import POLICY

pytestmark = pytest.mark.anyio

CAMILLE, ALI = "camille@a.test", "ali@a.test"
MANY = 100
# What needs no token of a form: a mail program unsubscribes with one request (RFC 8058), and is known by the address alone.
NO_FORM = ("/unsubscribe/{token}",)
POSTS = sorted(path for name in POLICY if name.startswith("POST") and (path := name.split(" ", 1)[1]) not in NO_FORM)
GETS = sorted(name.split(" ", 1)[1] for name in POLICY if name.startswith("GET"))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@pytest.fixture
async def camille(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.portal.client() as client:
        await log_in(client, CAMILLE)
        yield client


def filled(path: str, number: int = 1, **ids: int) -> str:
    """An address of a route: `ids` by name, every other id as `number`."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return str(ids.get(name, number)) if name.endswith("_id") else {"columns": "all"}.get(name, "x")

    return re.sub(r"\{(\w+)\}", value, path)


def at_another_address(portal: Portal, address: str, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=portal.app, raise_app_exceptions=False, client=(address, 1))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url=portal.services.settings.public_url, headers=headers)


# ---- sessions ----------------------------------------------------------------------------------------------------------


async def test_a10_a_planted_token_is_never_anybodys(site: Site) -> None:
    """Fixation: whatever was in the browser before, the login brings a token that nobody knew."""
    planted = "a" * 43
    async with site.portal.client(cookie=f"borne_login={planted}") as attacker, site.portal.client() as victim:
        victim.cookies.set("borne_login", planted)
        answer = await log_in(victim, CAMILLE)
        assert answer.status_code == 303
        assert "borne_login=" in answer.headers["set-cookie"]
        assert planted not in answer.headers["set-cookie"]
        assert (await attacker.get("/account", follow_redirects=False)).status_code == 303


async def test_a10_every_other_login_ends_within_a_second_also_an_open_stream(site: Site) -> None:
    async with site.portal.client() as here, site.portal.client() as there:
        for browser in (here, there):
            await log_in(browser, CAMILLE)
        assert (await there.get("/account")).status_code == 200
        token = there.cookies["borne_login"]
        stream = asyncio.ensure_future(_read_stream(site, token))
        await asyncio.sleep(0.1)
        changed = await post(here, "/account/password", password=PASSWORD, new_password="another horse battery")
        assert changed.status_code == 303
        ended = time.monotonic()
        assert "event: bye" in await asyncio.wait_for(stream, 3)
        assert time.monotonic() - ended < 1.5
        assert (await there.get("/account", follow_redirects=False)).status_code == 303
        replayed = site.portal.client(cookie=f"borne_login={token}")
        assert (await replayed.get("/account", follow_redirects=False)).status_code == 303
        assert (await here.get("/account")).status_code == 200


async def _read_stream(site: Site, token: str) -> str:
    """What a browser with this token hears until its stream ends."""
    from borne.portal import live

    access = site.portal.app.state.access
    visitor = await access.visitor(token)
    stream = live.LiveStream(visitor.scope, frozenset({"chargers"}))
    login = live._Login(access, token, visitor.scope)
    parts = [part async for part in live.told(site.portal.app.state.live, stream, login, None)]
    return b"".join(parts).decode()


async def test_logging_out_makes_the_token_worthless(site: Site) -> None:
    async with site.portal.client() as browser:
        await log_in(browser, CAMILLE)
        token = browser.cookies["borne_login"]
        await post(browser, "/logout")
    async with site.portal.client(cookie=f"borne_login={token}") as thief:
        assert (await thief.get("/account", follow_redirects=False)).status_code == 303


async def test_every_cookie_is_out_of_reach_over_https(tmp_path: Path) -> None:
    settings = replace_settings(public_url="https://portal.test")
    async with running_portal(tmp_path, settings=settings) as portal, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation()
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        seen: list[str] = []
        for answer in (
            await browser.get("/login"), await log_in(browser, CAMILLE), await post(browser, "/look", theme="dark",
            language="fr"),
            await post(browser, "/account/name",
            name="C"), await browser.get("/account"), await post(browser, "/account/language"),
            await post(browser, "/logout"),
        ):  # fmt: skip
            seen += answer.headers.get_list("set-cookie")
            assert answer.headers["strict-transport-security"]
        assert {cookie.partition("=")[0] for cookie in seen} >= {
            "__Host-borne_login",
            "__Host-borne_csrf",
            "borne_theme",
        }
        for cookie in seen:
            flags = {flag.strip().casefold() for flag in cookie.split(";")[1:]}
            assert {"secure", "httponly", "samesite=lax", "path=/"} <= flags, cookie
            assert not any(flag.startswith("domain") for flag in flags), cookie


def replace_settings(**changes: Any) -> PortalSettings:
    from msgspec.structs import replace as replaced

    return replaced(SETTINGS, **changes)


# ---- forms -------------------------------------------------------------------------------------------------------------


FOREIGN_BODIES = (
    ("text/plain", b"when=now"),
    ("application/json", b'{"when":"now","_csrf_token":"x"}'),
    ("multipart/form-data; boundary=x", b'--x\r\ncontent-disposition: form-data; name="when"\r\n\r\nnow\r\n--x--\r\n'),
)


async def test_a6_no_form_without_its_own_token(site: Site, camille: httpx.AsyncClient) -> None:
    """None, a made-up one, one of another browser, one in the cookie alone, and bodies that a foreign page may send."""
    charger_id = await site.online_charger()
    async with site.portal.client() as other:
        foreign = await csrf(other)
    before = [tuple(row) for row in await site.portal.db.all(select(chargers))]
    for path in POSTS:
        address = filled(path, charger_id=charger_id)
        for token in (None, "0" * 128, foreign):
            answer = await camille.post(address, data={"_csrf_token": token} if token else {}, follow_redirects=False)
            assert answer.status_code == 403, (path, token)
            answer = await camille.post(address, headers={"x-csrftoken": token or ""}, follow_redirects=False)
            assert answer.status_code == 403, (path, token)
        for kind, body in FOREIGN_BODIES:
            answer = await camille.post(address, content=body, headers={"content-type": kind})
            assert answer.status_code == 403, (path, kind)
    assert [tuple(row) for row in await site.portal.db.all(select(chargers))] == before
    assert await site.rows() == []
    assert (await camille.get("/account", follow_redirects=False)).status_code == 200, "nobody was logged out"


async def test_a11_guesses_sent_at_once_are_counted_each(site: Site) -> None:
    """A hundred connections at the same instant get no more guesses than one after the other would."""
    looked_at = count_verifications(site.portal)
    async with site.portal.client() as guesser:
        token = await csrf(guesser)
        forms = [{"_csrf_token": token, "email": CAMILLE, "password": f"guess number {n}"} for n in range(MANY)]
        answers = await asyncio.gather(*(guesser.post("/login", data=form) for form in forms))
    assert Counter(answer.status_code for answer in answers) == {422: 8, 429: MANY - 8}
    assert len(looked_at) == 8


async def test_a11_the_same_for_the_password_of_an_open_browser(site: Site, camille: httpx.AsyncClient) -> None:
    looked_at = count_verifications(site.portal)
    token = await csrf(camille)
    forms = [{"_csrf_token": token, "password": f"guess number {n}", "new_password": "x" * 12} for n in range(MANY)]
    answers = await asyncio.gather(*(camille.post("/account/password", data=form) for form in forms))
    assert Counter(answer.status_code for answer in answers) == {422: 8, 429: MANY - 8}
    assert len(looked_at) == 8


async def test_a11_who_was_not_looked_at_is_not_punished(site: Site) -> None:
    """The queue of passwords is full: people are told to come back, and their next try counts as the first."""
    async with site.portal.client() as browser:
        site.portal.services.passwords._waiting = 10**6  # type: ignore[attr-defined]
        assert {(await log_in(browser, CAMILLE)).status_code for _ in range(12)} == {503}
        site.portal.services.passwords._waiting = 0  # type: ignore[attr-defined]
        assert (await log_in(browser, CAMILLE)).status_code == 303


def count_verifications(portal: Portal) -> list[str]:
    looked_at: list[str] = []
    verify = portal.services.passwords.verify

    async def counted(password_hash: str | None, password: str) -> bool:
        looked_at.append(password)
        return await verify(password_hash, password)

    portal.services.passwords.verify = counted  # type: ignore[method-assign]
    return looked_at


async def test_a_forwarded_address_counts_from_a_trusted_proxy_only(site: Site) -> None:
    async with at_another_address(site.portal, "203.0.113.9") as guesser:
        answers = []
        for number in range(10):
            guesser.headers["x-forwarded-for"] = f"198.51.100.{number}"
            guesser.headers["forwarded"] = f"for=198.51.100.{number}"
            guesser.headers["x-real-ip"] = f"198.51.100.{number}"
            answers.append((await log_in(guesser, CAMILLE, "wrong")).status_code)
        assert answers == [422] * 8 + [429] * 2


async def test_the_setup_code_is_not_guessed(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as guesser:
        token = await csrf(guesser, "/setup")
        form = {"_csrf_token": token, "organisation": "O", "name": "N", "email": "n@o.test", "password": PASSWORD}
        guesses = [{**form, "code": f"{n:04}-0000-0000"} for n in range(60)]
        answers = await asyncio.gather(*(guesser.post("/setup", data=one) for one in guesses))
        assert Counter(answer.status_code for answer in answers) == {422: 20, 429: 40}
        assert not await people.exist(portal.db)
        right = await guesser.post("/setup", data={**form, "code": "ABCD-EFGH"})
        assert right.status_code == 429  # from there even the right one has to wait


async def test_a20_a_reset_link_is_for_one_use_one_hour_and_our_host(site: Site) -> None:
    async with site.portal.client(host="evil.test", **{"x-forwarded-host": "evil.test"}) as browser:
        await post(browser, "/forgotten", email=CAMILLE)
        body = await until_mailed(site.portal)
        assert "evil" not in body
        path = re.findall(r"http://portal\.test(/reset/\S+)", body)[0]
        first = await post(browser, path, password="first new password")
        again = await post(browser, path, password="second new password")
        assert (first.status_code, again.status_code) == (303, 404)
        await post(browser, "/forgotten", email=ALI)
        path = re.findall(r"(/reset/\S+)", await until_mailed(site.portal, 2))[0]
        site.later(3_601)
        assert (await post(browser, path, password="third new password")).status_code == 404
        assert (await browser.get(path)).status_code == 404


async def until_mailed(portal: Portal, count: int = 1) -> str:
    for _ in range(100):
        if len(portal.mail.sent) == count:
            return portal.mail.sent[-1]["body"]
        await asyncio.sleep(0.01)
    raise AssertionError("no mail")


async def test_a13_a_failure_puts_no_token_into_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.portal.client() as browser:
        await post(browser, "/forgotten", email=CAMILLE)
        path = re.findall(r"(/reset/\S+)", await until_mailed(site.portal))[0]

        async def full(*_: object) -> str:
            raise DiskFull("no space left")

        site.portal.services.passwords.hash = full  # type: ignore[method-assign]
        with caplog.at_level(logging.DEBUG):
            assert (await post(browser, path, password="first new password")).status_code == 500
    ours = [record for record in caplog.records if record.name.startswith("borne")]
    text = "\n".join(logging.Formatter().format(record) for record in ours)
    assert "a page failed: POST /reset/{token}" in text
    assert path.rpartition("/")[2] not in text


ELSEWHERE = (
    "//evil.test", "/\\evil.test", "\\\\evil.test", "https://evil.test", "https:evil.test", "javascript:alert(1)",
    "/\t/evil.test",
    "//evil.test/%2f..", " //evil.test", "/\r\nlocation: //evil.test", "evil.test", "///evil.test",
    "/%00//evil.test", "\x00//evil.test",
    "/\u2028", "/é😀", "/" + "a" * 5_000, "data:text/html,x", "/x\nset-cookie: a=b",
)  # fmt: skip


async def test_no_next_leads_out_of_the_portal_or_into_a_header(site: Site) -> None:
    async with site.portal.client() as browser:
        for onward in ELSEWHERE:
            browser.cookies.clear()
            assert (await browser.get("/login", params={"next": onward})).status_code == 200
            answers = [
                await post(browser, "/look", theme="dark", next=onward),
                await post(browser, "/login", email=CAMILLE, password=PASSWORD, next=onward),
                await browser.get("/login", params={"next": onward}, follow_redirects=False),
            ]
            for answer in answers:
                assert answer.status_code == 303, onward
                target = httpx.URL("http://portal.test/there").join(answer.headers["location"])
                assert (target.scheme, target.host) == ("http", "portal.test"), onward
                assert answer.headers["location"].isascii()
                assert "a" not in answer.cookies


# ---- odd parameters (A19) ------------------------------------------------------------------------------------------------

BIG = "9" * 30
ODD_ADDRESSES = (
    "/chargers?page=1000000000000&sort=__class__", "/chargers?page=-1&sort=--name&status[]=x",
    f"/chargers?location={BIG}&page={BIG}",
    "/chargers?q=" + "a" * 60_000, "/chargers?q=" + "%25" * 10_000, "/chargers?q=%00%ff%ed%a0%80",
    "/chargers?q=" + "a " * 5_000,
    "/chargers/rows?ids=" + "1," * 30_000, f"/chargers/rows?ids={BIG},-1,x,1e9,0x1,%D9%A1",
    "/restarts/rows/all?ids=" + "1," * 30_000,
    f"/restarts/rows/all?ids={BIG}", "/restarts/rows/__class__?ids=1",
    f"/restarts?charger={BIG}&location={BIG}&older={BIG}",
    f"/restarts?older={'9' * 18}&newer={'9' * 18}", "/restarts?from=9999-12-31&to=9999-12-31",
    "/restarts?from=0001-01-01&to=x",
    "/restarts?verdict=__class__&person=%00", f"/restarts.csv?charger={'9' * 18}&from=%F0%9F%98%80",
    f"/live?topics=charger:{BIG}",
    "/live?topics=" + "charger:1," * 5_000, f"/live?topics=x&since={BIG}", f"/chargers/add?location={BIG}",
    "/reset/%00", "/reset/" + "x" * 9_000,
    "/%ff", "/chargers/%00", "/chargers/" + "9" * 5_000, "/chargers/-1", "/login?next=%ff%fe",
    "/x" * 5_000, "/static/../../etc/passwd",
    "/static/x/..%2f..%2f..%2fetc%2fpasswd",
)  # fmt: skip


async def test_a19_odd_addresses_cost_little_and_break_nothing(camille: httpx.AsyncClient) -> None:
    for address in ODD_ADDRESSES:
        began = time.perf_counter()
        answer = await camille.get(address, follow_redirects=False)
        assert answer.status_code in {200, 303, 400, 404}, address[:60]
        assert time.perf_counter() - began < 3, address[:60]
        assert len(answer.content) < 500_000, address[:60]


async def test_a19_ids_that_no_row_can_have_are_not_there(camille: httpx.AsyncClient) -> None:
    for path in [path for path in GETS if "_id}" in path]:
        for number in (10**30, 2**63, -1, 0):
            assert (await camille.get(filled(path, number))).status_code == 404, (path, number)


async def test_a19_pages_that_begin_nowhere(site: Site, camille: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger()
    for path in ("", "/timeline", "/frames", "/waiting"):
        for query in ("before", "since", "oldest"):
            for number in (BIG, "-" + BIG, "-1", "x", "1e9", "", "%00"):
                answer = await camille.get(f"/chargers/{charger_id}{path}?{query}={number}")
                assert answer.status_code in {200, 400, 404}, (path, query, number)


FIELDS = (
    "name", "serial", "model", "vendor", "model_name", "location", "identity", "when", "at", "kind", "evse", "why", "key",
    "charger", "all", "q", "status", "language", "theme", "next", "login", "organisation_id", "answer", "code", "email",
)  # fmt: skip
ODD_VALUES = (
    "", "\x00", "x" * 50_000, BIG, "-1", "__class__", "<img src=x>", "\u202e\ud83d", "9999-12-31T23:59", "0001-01-01T00:00", "'",
)  # fmt: skip
NO_FORMS = (
    ("application/json", b"{"),
    ("application/x-www-form-urlencoded", b"\xff\xfe=%ff&%"),
    ("multipart/form-data; boundary=x", b"--x"),
    ("application/x-www-form-urlencoded; charset=utf-16", b"a=b"),
    ("application/x-www-form-urlencoded", b"&" * 100_000),
)


async def test_a19_odd_forms_break_nothing(site: Site, camille: httpx.AsyncClient) -> None:
    """Each odd value in every field of each form; bodies that are no forms; nothing is an error of ours."""
    charger_id = await site.online_charger()
    for path in POSTS:
        if path in ("/logout", "/chargers/{charger_id}/delete"):
            continue
        address = filled(path, charger_id=charger_id)
        for value in ODD_VALUES:
            form = {name: value.encode("utf-8", "surrogatepass") for name in FIELDS}
            assert (await _sent(camille, address, data=form)).status_code < 500, (path, value[:20])
        for kind, body in NO_FORMS:
            answer = await _sent(camille, address, content=body, headers={"content-type": kind})
            assert answer.status_code < 500, (path, kind)


async def _sent(
    client: httpx.AsyncClient, address: str, headers: dict[str, str] | None = None, **what: Any
) -> httpx.Response:
    """Send it with the browser's token, logged in again where a login or a new password has ended the last one."""
    if (await client.get("/account", follow_redirects=False)).status_code != 200:
        await log_in(client, CAMILLE)
    return await client.post(
        address, headers={**(headers or {}), "x-csrftoken": await csrf(client)}, follow_redirects=False, **what
    )


async def test_a19_a_list_of_100000_ids(site: Site, camille: httpx.AsyncClient) -> None:
    await site.online_charger()
    began = time.process_time()
    for path in ("/restarts/batch/new", "/restarts/batch"):
        answer = await post(camille, path, charger=[str(number) for number in range(100_000)])
        assert answer.status_code in {200, 303}
    assert time.process_time() - began < 5, "seconds of processor time"


async def test_a_time_that_is_no_word_of_the_form_sends_nothing(site: Site, camille: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger()
    for when in ("tomorrow", "AT", "1", "now;drop"):
        assert (await post(camille, f"/chargers/{charger_id}/restart", when=when)).status_code == 422
    assert await site.rows() == []


async def test_the_key_of_a_form_counts_for_its_charger_alone(site: Site, camille: httpx.AsyncClient) -> None:
    """The same key for another charger must not be told that its restart is under way."""
    for charger_id in (await site.online_charger("One"), await site.online_charger("Two")):
        await post(camille, f"/chargers/{charger_id}/restart", when="now", key="the same")
    assert len(await site.rows()) == 2


# ---- headers -------------------------------------------------------------------------------------------------------------


async def test_every_answer_of_every_route_carries_the_headers(site: Site, camille: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger()
    async with site.portal.client() as stranger:
        for name in POLICY:
            method, path = name.split(" ", 1)
            if path == "/live":
                path = "/live?topics=nonsense"
            for client in (stranger, camille):
                for number in (charger_id, 10**30):
                    address = filled(path, charger_id=number, restart_id=number, batch_id=number)
                    check_headers(name, await client.request(method, address, follow_redirects=False))
                check_headers(name, await client.request("PUT", filled(path)))
                check_headers(name, await client.request("OPTIONS", filled(path)))


def check_headers(name: str, answer: httpx.Response) -> None:
    headers = answer.headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert "unsafe" not in headers["content-security-policy"], name
    assert policy["default-src"] == "'none'", name
    assert policy["script-src"] == "'self'", name
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'", name
    assert policy["form-action"] == "'self'", name
    assert headers["x-content-type-options"] == "nosniff", name
    assert headers["referrer-policy"] == "same-origin", name
    if not name.startswith(("GET /static", "GET /favicon")):
        assert headers["cache-control"] == "no-store", name
    assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(headers), name
