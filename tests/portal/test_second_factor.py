"""The second factor at the door: no login before it, each step and code once, guessing shut, organisations that require it."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from sqlalchemy import select, update

from borne.engine.second_factor import STEP_MS
from borne.store.schema import audit_log, login_steps, logins, organisations, people, recovery_codes
from tests.support.portal import PASSWORD, Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE = "camille@demo.test"
LOGIN, STEP = "borne_login", "borne_second"


async def with_camille(portal: Portal) -> int:
    organisation_id, _ = await portal.add_organisation()
    return await portal.add_person(CAMILLE, (organisation_id, "super-admin"))


async def set_up(portal: Portal, browser: httpx.AsyncClient) -> tuple[pyotp.TOTP, list[str]]:
    """Turn the authenticator app on in a browser that is logged in; the app, and the recovery codes."""
    page = (await browser.get("/account/totp")).text
    key = re.search(r'id="totp-key">([A-Z2-7 ]+)<', page)
    sealed = re.search(r'name="setup" value="([^"]+)"', page)
    assert key
    assert sealed
    app = pyotp.TOTP(key[1].replace(" ", ""))
    shown = await post(browser, "/account/totp", setup=sealed[1], code=app.at(portal.clock.at_ms // 1000))
    assert shown.status_code == 200
    codes = re.findall(r"\b\w{4}-\w{4}-\w{4}-\w{4}\b", shown.text)
    portal.clock.at_ms += STEP_MS
    return app, codes


def now(portal: Portal, app: pyotp.TOTP, steps: int = 0) -> str:
    return app.at(portal.clock.at_ms // 1000 + 30 * steps)


async def is_in(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/account", follow_redirects=False)).status_code == 200


async def login_rows(portal: Portal) -> list[Any]:
    return await portal.db.all(select(logins))


async def test_a_password_alone_makes_no_login(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, codes = await set_up(portal, browser)
        assert len(set(codes)) == 10
        before = await login_rows(portal)
        answer = await log_in(other, CAMILLE)
        assert answer.headers["location"] == "/login/second"
        assert LOGIN not in other.cookies
        assert await login_rows(portal) == before
        assert not await is_in(other)
        page = (await other.get("/login/second")).text
        assert "Code of your authenticator app" in page
        done = await post(other, "/login/second", code=now(portal, app))
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert await is_in(other)
        assert [row.second_factor for row in await login_rows(portal)] == [1, 1]


async def test_after_the_second_factor_the_way_goes_on(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, _ = await set_up(portal, browser)
        await post(browser, "/logout")
        await post(browser, "/login", email=CAMILLE, password=PASSWORD, next="/chargers/7")
        done = await post(browser, "/login/second", code=now(portal, app))
        assert done.headers["location"] == "/chargers/7"


async def test_a_code_may_be_one_step_early_or_late(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, _ = await set_up(portal, browser)
        for steps, status in ((-2, 422), (-1, 303), (0, 303), (1, 303), (2, 422)):
            portal.clock.at_ms += 10 * STEP_MS
            await post(browser, "/logout")
            await log_in(browser, CAMILLE)
            assert (await post(browser, "/login/second", code=now(portal, app, steps))).status_code == status, steps


async def test_a_code_that_was_used_is_worth_nothing(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as thief:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, _ = await set_up(portal, browser)
        await log_in(thief, CAMILLE)
        await post(browser, "/logout")
        await log_in(browser, CAMILLE)
        code = now(portal, app)
        assert (await post(browser, "/login/second", code=code)).status_code == 303
        seen = await post(thief, "/login/second", code=code)
        assert seen.status_code == 422
        assert "used before" in seen.text
        assert not await is_in(thief)
        earlier = await post(thief, "/login/second", code=now(portal, app, -1))  # nor one from before it
        assert earlier.status_code == 422


async def test_the_same_code_twice_at_once_lets_one_in(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as one, portal.client() as two:
        await with_camille(portal)
        await log_in(one, CAMILLE)
        app, _ = await set_up(portal, one)
        await post(one, "/logout")
        for browser in (one, two):
            await log_in(browser, CAMILLE)
        code = now(portal, app)
        answers = await asyncio.gather(*(post(browser, "/login/second", code=code) for browser in (one, two)))
        assert sorted(answer.status_code for answer in answers) == [303, 422]


async def test_a_step_is_spent_by_its_login_and_over_after_ten_minutes(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as thief:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, _ = await set_up(portal, browser)
        await log_in(browser, CAMILLE)
        thief.cookies.set(STEP, browser.cookies[STEP], domain="portal.test")
        assert (await post(browser, "/login/second", code=now(portal, app))).headers["location"] == "/"
        portal.clock.at_ms += STEP_MS
        replayed = await post(thief, "/login/second", code=now(portal, app))
        assert replayed.headers["location"] == "/login"
        assert not await is_in(thief)
        await log_in(browser, CAMILLE)
        portal.clock.at_ms += 10 * 60_000
        late = await post(browser, "/login/second", code=now(portal, app))
        assert late.headers["location"] == "/login"


async def test_the_token_of_a_step_is_no_login_and_is_kept_as_a_hash(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as thief:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        await set_up(portal, browser)
        await post(browser, "/logout")
        answer = await log_in(browser, CAMILLE)
        cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(STEP))
        assert "HttpOnly" in cookie
        thief.cookies.set(LOGIN, browser.cookies[STEP], domain="portal.test")
        assert not await is_in(thief)
        stored = await portal.db.value(select(login_steps.c.token_hash))
        assert browser.cookies[STEP].encode() not in stored
        assert len(stored) == 32


async def test_guessing_codes_shuts_that_account_and_tells_its_owner_once(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as thief:
        person_id = await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, codes = await set_up(portal, browser)
        portal.mail.sent.clear()
        answers = []
        for number in range(12):
            await log_in(thief, CAMILLE)  # the right password forgives no wrong code
            answers.append(await post(thief, "/login/second", code=f"{number:06}"))
        assert [answer.status_code for answer in answers] == [422] * 10 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) > 0
        assert (await post(thief, "/login/second", code=now(portal, app))).status_code == 429  # even the right one
        assert [mail["key"] for mail in portal.mail.sent] == [
            f"wrong codes {person_id} {portal.clock.at_ms // 86_400_000}"
        ]
        failed = [row.action for row in await portal.db.all(select(audit_log.c.action)) if row.action == "login.failed"]
        assert len(failed) == 10
        elsewhere = httpx.ASGITransport(app=portal.app, client=("198.51.100.4", 1))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=elsewhere, base_url="http://portal.test") as other:
            await log_in(other, CAMILLE)
            assert (await post(other, "/login/second", code=now(portal, app))).status_code == 429  # from anywhere
            assert (await post(other, "/login/second", recovery=codes[0])).status_code == 303  # but not shut out
        portal.clock.at_ms += 15 * 60_000
        await log_in(thief, CAMILLE)
        assert (await post(thief, "/login/second", code=now(portal, app))).status_code == 303


async def test_whoever_guesses_is_not_forgiven_because_the_owner_came_by(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as thief:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, _ = await set_up(portal, browser)
        await log_in(thief, CAMILLE)
        for number in range(9):
            assert (await post(thief, "/login/second", code=f"{number:06}")).status_code == 422
        await log_in(browser, CAMILLE)
        assert (await post(browser, "/login/second", code=now(portal, app))).status_code == 303
        assert (await post(thief, "/login/second", code="000009")).status_code == 422
        assert (await post(thief, "/login/second", code="000010")).status_code == 429


async def test_a_day_of_patient_guessing_is_bounded(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as thief:
        await with_camille(portal)
        await log_in(thief, CAMILLE)
        await set_up(portal, thief)
        looked_at = 0
        for _ in range(8):
            await log_in(thief, CAMILLE)
            for number in range(10):
                looked_at += (await post(thief, "/login/second", code=f"{number:06}")).status_code == 422
            portal.clock.at_ms += 16 * 60_000
        assert looked_at == 40


async def test_recovery_codes_work_once_each_however_typed(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        _, codes = await set_up(portal, browser)
        hashes = [row.code_hash for row in await portal.db.all(select(recovery_codes))]
        assert not any(code.encode() in one for code in codes for one in hashes)
        await post(browser, "/logout")
        portal.mail.sent.clear()
        await log_in(browser, CAMILLE)
        typed = codes[3].upper().replace("-", "  ")
        assert (await post(browser, "/login/second", recovery=typed)).status_code == 303
        assert "recovery code was used" in portal.mail.sent[-1]["body"]
        assert "9 left" in (await browser.get("/account")).text
        await post(browser, "/logout")
        await log_in(browser, CAMILLE)
        again = await post(browser, "/login/second", recovery=codes[3])
        assert again.status_code == 422
        assert "no recovery code" in again.text
        for nonsense in ("x" * 39, "\0", "0000-0000-0000-0000"):
            assert (await post(browser, "/login/second", recovery=nonsense)).status_code == 422


async def test_new_recovery_codes_end_the_old_ones(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        _, old = await set_up(portal, browser)
        new = re.findall(r"\b\w{4}-\w{4}-\w{4}-\w{4}\b", (await post(browser, "/account/recovery-codes")).text)
        assert len(new) == 10
        assert not set(new) & set(old)
        await post(browser, "/logout")
        await log_in(browser, CAMILLE)
        assert (await post(browser, "/login/second", recovery=old[0])).status_code == 422
        assert (await post(browser, "/login/second", recovery=new[0])).status_code == 303


async def test_a_reset_password_does_not_go_round_the_second_factor(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as waiting:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, _ = await set_up(portal, browser)
        await log_in(waiting, CAMILLE)  # knows the old password, and stands before the second factor
        await post(browser, "/logout")
        await post(browser, "/forgotten", email=CAMILLE)
        link = re.search(r"http://portal\.test(/reset/\S+)", portal.mail.sent[-1]["body"])
        assert link
        done = await post(browser, link[1], password="a brand new one")
        assert done.headers["location"] == "/login/second"
        assert not await is_in(browser)
        code = now(portal, app)
        assert (await post(waiting, "/login/second", code=code)).headers["location"] == "/login"
        assert (await post(browser, "/login/second", code=code)).headers["location"] == "/"


async def test_the_secret_is_closed_in_the_database(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, codes = await set_up(portal, browser)
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
        assert app.secret.encode() not in files
        assert not any(code.encode() in files for code in codes)


# ---- setting up, removing, showing again who one is -------------------------------------------------------------------


async def test_a_set_up_needs_a_right_code_and_is_ones_own(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        organisation_id, _ = await portal.add_organisation()
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        await portal.add_person("ali@demo.test", (organisation_id, "admin"))
        await log_in(browser, CAMILLE)
        await log_in(other, "ali@demo.test")
        page = (await browser.get("/account/totp")).text
        key, sealed = re.search(r'totp-key">([A-Z2-7 ]+)<', page), re.search(r'name="setup" value="([^"]+)"', page)
        assert key
        assert sealed
        app = pyotp.TOTP(key[1].replace(" ", ""))
        wrong = await post(browser, "/account/totp", setup=sealed[1], code="000000")
        assert wrong.status_code == 422
        assert key[1] in wrong.text, "the same key, to try again"
        code = app.at(portal.clock.at_ms // 1000)
        assert (await post(other, "/account/totp", setup=sealed[1], code=code)).status_code == 303  # not Ali's
        assert (await post(browser, "/account/totp", setup=sealed[1][:-4] + "AAAA", code=code)).status_code == 303
        assert await portal.db.all(select(people.c.id).where(people.c.totp_secret.is_not(None))) == []
        portal.clock.at_ms += 9 * 60_000
        late = app.at(portal.clock.at_ms // 1000)
        assert (await post(browser, "/account/totp", setup=sealed[1], code=late)).status_code == 200
        assert (await post(browser, "/account/totp", setup=sealed[1], code=late)).status_code == 303  # once


async def test_a_login_gets_a_new_token_when_it_passes_more(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as copy:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        copy.cookies.set(LOGIN, browser.cookies[LOGIN], domain="portal.test")
        await set_up(portal, browser)
        assert await is_in(browser)
        assert not await is_in(copy)


async def test_removing_ends_other_logins_and_is_told(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        app, _ = await set_up(portal, browser)
        await log_in(other, CAMILLE)
        await post(other, "/login/second", code=now(portal, app))
        waiting = portal.client()
        await log_in(waiting, CAMILLE)
        assert (await post(browser, "/account/totp/remove")).headers["location"] == "/account"
        assert await is_in(browser)
        assert not await is_in(other)
        assert (await post(waiting, "/login/second", code=now(portal, app))).headers["location"] == "/login"
        await waiting.aclose()
        assert "authenticator app was removed" in portal.mail.sent[-1]["body"]
        actions = {row.action for row in await portal.db.all(select(audit_log.c.action))}
        assert {"person.totp_added", "person.totp_removed"} <= actions
        assert await portal.db.all(select(recovery_codes)) == []
        assert [row.second_factor for row in await login_rows(portal)] == [0]
        assert (await log_in(other, CAMILLE)).headers["location"] == "/"


GUARDED = (
    "GET /account/totp", "POST /account/totp", "POST /account/totp/remove", "GET /account/passkeys",
    "POST /account/passkeys/options", "POST /account/passkeys", "POST /account/passkeys/remove",
    "GET /account/recovery-codes", "POST /account/recovery-codes", "GET /account/tokens", "POST /account/tokens",
)  # fmt: skip


async def test_what_keeps_others_out_asks_again_who_it_is(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        portal.clock.at_ms += 11 * 60_000
        for route in GUARDED:
            method, path = route.split()
            ask = browser.get(path, follow_redirects=False) if method == "GET" else post(browser, path)
            assert (await ask).headers["location"].startswith("/account/confirm?next=/account/"), route


async def test_showing_again_who_one_is(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        await log_in(browser, CAMILLE)
        portal.clock.at_ms += 11 * 60_000
        page = (await browser.get("/account/totp", follow_redirects=True)).text
        assert "Is it you?" in page
        assert 'name="next" value="/account/totp"' in page
        before = browser.cookies[LOGIN]
        wrong = await post(browser, "/account/confirm", password="no", next="/account/totp")
        assert wrong.status_code == 422
        right = await post(browser, "/account/confirm", password=PASSWORD, next="/account/totp")
        assert right.headers["location"] == "/account/totp"
        assert browser.cookies[LOGIN] != before
        assert (await browser.get("/account/totp", follow_redirects=False)).status_code == 200
        out = await post(browser, "/account/confirm", password=PASSWORD, next="//evil.test")
        assert out.headers["location"] == "/account"
        answers = [await post(browser, "/account/confirm", password="no") for _ in range(9)]
        assert answers[-1].status_code == 429


async def test_an_old_login_that_passed_no_factor_needs_it_to_change_factors(tmp_path: Path) -> None:
    """Somebody who found a browser and knows the password still removes nothing."""
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as found:
        await with_camille(portal)
        await log_in(found, CAMILLE)
        await log_in(browser, CAMILLE)
        app, _ = await set_up(portal, browser)
        refused = await post(found, "/account/totp/remove")
        assert refused.headers["location"].startswith("/account/confirm")
        asked = await post(found, "/account/confirm", password=PASSWORD, next="/account/totp")
        assert asked.headers["location"] == "/login/second"
        assert (await post(found, "/account/totp/remove")).headers["location"].startswith("/account/confirm")
        assert (await post(found, "/login/second", code=now(portal, app))).headers["location"] == "/account/totp"
        assert (await post(found, "/account/totp/remove")).headers["location"] == "/account"


# ---- organisations that require it ------------------------------------------------------------------------------------


async def require(portal: Portal, organisation_id: int) -> None:
    async with portal.db.transaction() as tx:
        where = organisations.c.id == organisation_id
        await tx.run(update(organisations).where(where).values(requires_second_factor=1))


async def test_a_member_without_one_is_led_to_set_it_up(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        mine, _ = await portal.add_organisation("Atelier")
        also, _ = await portal.add_organisation("Port")
        await portal.add_person(CAMILLE, (mine, "super-admin"), (also, "admin"))
        await require(portal, mine)
        await log_in(browser, CAMILLE)
        for path in ("/chargers", "/restarts", "/chargers/1", "/live?topics=chargers"):
            answer = await browser.get(path, follow_redirects=False)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/account/second-factor?next=/"), path
        part = await browser.get("/chargers/rows", headers={"hx-request": "true"})
        assert (part.status_code, part.headers["hx-redirect"]) == (403, "/account/second-factor")
        stream = await browser.get("/live", headers={"accept": "text/event-stream"})
        assert stream.status_code == 403
        assert (await post(browser, "/chargers/add", name="X")).status_code == 403
        assert (await post(browser, "/account/tokens", name="X", kind="token", days="30")).status_code == 403
        assert (await browser.get("/", follow_redirects=True)).url.path == "/account/second-factor"
        page = (await browser.get("/account/second-factor")).text
        assert "Atelier asks everybody for a second factor" in page
        assert "/chargers" not in re.findall(r'href="([^"]+)"', page)
        assert await is_in(browser)
        assert (await post(browser, "/organisation", organisation_id=str(also))).status_code == 303
        assert (await browser.get("/chargers", follow_redirects=False)).status_code == 200
        assert (await post(browser, "/organisation", organisation_id=str(mine))).status_code == 303
        assert (await browser.get("/chargers", follow_redirects=False)).status_code == 303
        await set_up(portal, browser)
        assert (await browser.get("/chargers", follow_redirects=False)).status_code == 200
        assert (await post(browser, "/logout")).status_code == 303


async def test_a_login_that_passed_none_is_asked_for_it(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as early, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation("Atelier")
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        await log_in(early, CAMILLE)
        await log_in(browser, CAMILLE)
        app, _ = await set_up(portal, browser)
        assert (await early.get("/chargers", follow_redirects=False)).status_code == 200
        await require(portal, organisation_id)
        portal.app.state.access.changed(1)
        led = await early.get("/chargers?q=quai", follow_redirects=False)
        assert led.headers["location"].startswith("/account/second-factor")
        asked = await early.get(led.headers["location"], follow_redirects=False)
        assert asked.headers["location"] == "/login/second"
        early.cookies.set(STEP, asked.cookies[STEP], domain="portal.test")
        done = await post(early, "/login/second", code=now(portal, app))
        assert done.headers["location"] == "/chargers?q=quai"
        assert (await early.get("/chargers", follow_redirects=False)).status_code == 200
        assert (await browser.get("/chargers", follow_redirects=False)).status_code == 200


async def test_removing_the_last_one_closes_the_organisation_again(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation("Atelier")
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        await require(portal, organisation_id)
        await log_in(browser, CAMILLE)
        await set_up(portal, browser)
        assert (await browser.get("/chargers", follow_redirects=False)).status_code == 200
        await post(browser, "/account/totp/remove")
        assert (await browser.get("/chargers", follow_redirects=False)).status_code == 303


async def test_the_mail_speaks_the_persons_language(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation()
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"), language="fr")
        await log_in(browser, CAMILLE)
        await set_up(portal, browser)
        assert portal.mail.sent[-1]["subject"] == "La sécurité de votre compte Borne"
        assert "Une application d’authentification" in portal.mail.sent[-1]["body"]
