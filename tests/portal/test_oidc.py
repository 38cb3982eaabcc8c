"""Logging in with the account of one's organisation, against a real provider: who gets in, where to, and who does not."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pyotp
import pytest
from sqlalchemy import select, update

from borne.engine.second_factor import new_secret
from borne.store import identity_providers as store
from borne.store import invitations, second_factor
from borne.store.invitations import NewInvitation
from borne.store.schema import (
    audit_log,
    identities,
    identity_providers,
    login_steps,
    logins,
    memberships,
    organisations,
    people,
)
from tests.support.identity import log_in_there, put_user, running_provider
from tests.support.portal import SETTINGS, Portal, log_in, post, running_portal

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")]
ZOE = "zoe@a.test"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with running_provider() as address:
        yield address


@dataclass
class Firm:
    """Atelier, whose provider is on; Zoé is a user of it, and super-admin of Elsewhere."""

    portal: Portal
    issuer: str
    organisation_id: int
    elsewhere_id: int
    zoe_id: int
    provider_id: int = 0
    slug: str = ""

    async def add_provider(self, organisation_id: int, **changes: Any) -> tuple[int, str]:
        slug = f"slug{organisation_id}{len(changes)}{time.monotonic_ns()}"
        secret = self.portal.services.box.close("secret")
        values = {"slug": slug, "name": "Atelier ID", "issuer": self.issuer, "client_id": "borne", "client_secret": secret,
                  "covers_second_factor": False, "now_ms": 1}  # fmt: skip
        async with self.portal.db.transaction() as tx:
            provider_id = await store.add(tx, organisation_id, **{**values, **changes})  # type: ignore[arg-type]
            await store.set_disabled(tx, organisation_id, provider_id, False)
        return provider_id, slug

    async def there(self, browser: httpx.AsyncClient, slug: str = "", onward: str = "") -> str:
        """Off to the provider; the address there."""
        query = f"?next={onward}" if onward else ""
        answer = await browser.get(f"/login/with/{slug or self.slug}/go{query}", follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def come(
        self, browser: httpx.AsyncClient, subject: str = "zoe", slug: str = "", onward: str = ""
    ) -> httpx.Response:
        """The whole way of a person."""
        back = await log_in_there(await self.there(browser, slug, onward), subject)
        return await browser.get(back, follow_redirects=False)

    async def set(self, table: Any, where: Any, **values: Any) -> None:
        async with self.portal.db.transaction() as tx:
            await tx.run(update(table).where(where).values(**values))
        self.portal.app.state.access.changed(self.zoe_id)


@pytest.fixture
async def firm(tmp_path: Path, issuer: str) -> AsyncIterator[Firm]:
    settings = msgspec.structs.replace(SETTINGS, private_providers=True)
    async with running_portal(tmp_path, settings=settings) as portal:
        portal.clock.at_ms = time.time_ns() // 1_000_000  # the provider's tokens are of now
        here, _ = await portal.add_organisation("Atelier")
        elsewhere, _ = await portal.add_organisation("Elsewhere")
        zoe_id = await portal.add_person(ZOE, (here, "user"), (elsewhere, "super-admin"), operates=True)
        await portal.add_person("boss@a.test", (here, "super-admin"))
        firm = Firm(portal, issuer, here, elsewhere, zoe_id)
        firm.provider_id, firm.slug = await firm.add_provider(here)
        yield firm


@pytest.fixture
async def browser(firm: Firm) -> AsyncIterator[httpx.AsyncClient]:
    async with firm.portal.client() as one:
        yield one


async def who(browser: httpx.AsyncClient, firm: Firm) -> Any:
    token = browser.cookies.get("borne_login")
    return await firm.portal.app.state.access.visitor(token)


def failed(answer: httpx.Response, text: str) -> None:
    assert answer.status_code in {403, 409, 502}, answer.text
    assert "You are not logged in" in answer.text
    assert text in re.sub(r"\s+", " ", answer.text)
    assert "borne_login" not in answer.headers.get("set-cookie", "")


# ---- who gets in ---------------------------------------------------------------------------------------------------------


async def test_a_member_with_a_verified_address_gets_in_and_is_known_from_then_on(
    firm: Firm, browser: httpx.AsyncClient
) -> None:
    page = await browser.get(f"/login/with/{firm.slug}")
    assert "Continue with Atelier ID" in page.text
    assert "Log in to Atelier" in page.text
    answer = await firm.come(browser, onward="/chargers?q=x")
    assert (answer.status_code, answer.headers["location"]) == (303, "/chargers?q=x")
    visitor = await who(browser, firm)
    assert (visitor.person_id, visitor.organisation.id, visitor.provider_id) == (
        firm.zoe_id,
        firm.organisation_id,
        firm.provider_id,
    )
    kept = await firm.portal.db.all(select(identities.c.provider_id, identities.c.subject, identities.c.person_id))
    assert [tuple(row) for row in kept] == [(firm.provider_id, "zoe", firm.zoe_id)]
    actions = [row.action for row in await firm.portal.db.all(select(audit_log.c.action).order_by(audit_log.c.seq))]
    assert actions[-2:] == ["person.identity_linked", "login.started"]
    async with firm.portal.client() as another:  # known by the subject: the address may change on either side
        await firm.set(people, people.c.id == firm.zoe_id, email="zoe.new@a.test")
        assert (await firm.come(another)).status_code == 303
        assert (await who(another, firm)).person_id == firm.zoe_id


async def test_this_browser_is_offered_it_again_and_no_other_one(firm: Firm, browser: httpx.AsyncClient) -> None:
    await firm.come(browser)
    await post(browser, "/logout")
    assert "Continue with Atelier ID" in (await browser.get("/login")).text
    async with firm.portal.client() as stranger:
        assert "Atelier" not in (await stranger.get("/login")).text
    await firm.set(identity_providers, identity_providers.c.id == firm.provider_id, disabled=1)
    assert "Atelier" not in (await browser.get("/login")).text


async def test_somebody_invited_accepts_by_it(firm: Firm, browser: httpx.AsyncClient) -> None:
    await put_user(firm.issuer, "new", email="New@A.test", email_verified=True, name="Nina New")
    failed(await firm.come(browser, "new"), "has not let you in here")
    async with firm.portal.db.transaction() as tx:
        await invitations.add_many(
            tx, firm.organisation_id, [NewInvitation(email="new@a.test", role="operator")], [b"x" * 32], person_id=None,
            person_name="Boss", now_ms=firm.portal.clock.at_ms, expires_ms=firm.portal.clock.at_ms + 1_000_000,
        )  # fmt: skip
    assert (await firm.come(browser, "new")).status_code == 303
    visitor = await who(browser, firm)
    assert (visitor.name, visitor.email, visitor.organisation.role) == ("Nina New", "new@a.test", "operator")
    async with firm.portal.client() as another:
        assert (await firm.come(another, "new")).status_code == 303
    found = await firm.portal.db.all(select(people.c.password_hash).where(people.c.email == "new@a.test"))
    assert [row.password_hash for row in found] == [None]


async def test_the_provider_alone_makes_nobody_a_member(firm: Firm, browser: httpx.AsyncClient) -> None:
    await put_user(firm.issuer, "eve", email="eve@a.test", email_verified=True)
    before = [tuple(row) for row in await firm.portal.db.all(select(memberships))]
    failed(await firm.come(browser, "eve"), "Ask an admin of Atelier to invite you.")
    assert [tuple(row) for row in await firm.portal.db.all(select(memberships))] == before
    assert await firm.portal.db.all(select(people.c.id).where(people.c.email == "eve@a.test")) == []


async def test_an_address_that_is_not_verified_opens_nothing(firm: Firm, browser: httpx.AsyncClient) -> None:
    await firm.portal.add_person("ali@a.test", (firm.organisation_id, "admin"))
    failed(await firm.come(browser, "ali"), "does not say that your e-mail address is verified")
    await put_user(firm.issuer, "mute", name="Mute")
    failed(await firm.come(browser, "mute"), "did not tell your e-mail address")


async def test_whoever_left_is_out_also_when_the_provider_still_knows_them(
    firm: Firm, browser: httpx.AsyncClient
) -> None:
    assert (await firm.come(browser)).status_code == 303
    mine = (memberships.c.person_id == firm.zoe_id) & (memberships.c.organisation_id == firm.organisation_id)
    for table, where, change, back in (
        (memberships, mine, {"expires_ms": firm.portal.clock.at_ms - 1}, {"expires_ms": None}),
        (people, people.c.id == firm.zoe_id, {"disabled": 1}, {"disabled": 0}),
        (memberships, mine, {"organisation_id": 99}, {}),
    ):
        await firm.set(table, where, **change)
        assert (await browser.get("/chargers", follow_redirects=False)).status_code in {303, 404}
        async with firm.portal.client() as another:
            failed(await firm.come(another), "has not let you in here")
        if back:
            await firm.set(table, where, **back)
            assert (await firm.come(browser)).status_code == 303


async def test_an_address_given_to_somebody_else_does_not_open_what_the_one_before_had(
    firm: Firm, browser: httpx.AsyncClient
) -> None:
    await firm.come(browser)
    await put_user(firm.issuer, "zoe-two", email=ZOE, email_verified=True)
    async with firm.portal.client() as another:
        failed(await firm.come(another, "zoe-two"), "belongs to another account of Atelier ID")
        async with firm.portal.db.transaction() as tx:
            assert await store.forget(tx, firm.organisation_id, firm.provider_id, ZOE)
        assert (await firm.come(another, "zoe-two")).status_code == 303


async def test_two_at_once_are_one_person(firm: Firm) -> None:
    async with firm.portal.client() as one, firm.portal.client() as two:
        answers = await asyncio.gather(firm.come(one), firm.come(two))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert len(await firm.portal.db.all(select(identities.c.subject))) == 1


# ---- what such a login reaches ----------------------------------------------------------------------------------------------


async def test_it_reaches_that_organisation_alone_and_nothing_of_ones_own(
    firm: Firm, browser: httpx.AsyncClient
) -> None:
    """Whoever runs the provider of Atelier could be anybody there: never in another organisation, nor in the account."""
    await firm.come(browser)
    visitor = await who(browser, firm)
    assert [one.name for one in visitor.organisations] == ["Atelier"]
    assert not visitor.operates_installation
    assert (await post(browser, "/organisation", organisation_id=str(firm.elsewhere_id))).status_code == 404
    await firm.set(logins, logins.c.person_id == firm.zoe_id, organisation_id=firm.elsewhere_id)
    assert (await who(browser, firm)).organisation.name == "Atelier"
    allowed = {"/", "/logout", "/organisation", "/account/language", "/invitations/{token}/switch"}
    asked = 0
    for route in firm.portal.app.routes:
        for method, (handler, _) in route.route_handler_map.items():  # type: ignore[union-attr]
            may = handler.opt.get("may")
            is_own = may == "person" or route.path_format.startswith("/account")
            if method == "OPTIONS" or not (is_own or may == "installation"):
                continue
            if route.path_format in allowed:
                continue
            answer = await browser.request(
                method, re.sub(r"\{\w+\}", "1", route.path_format), headers={"x-csrftoken": browser.cookies["borne_csrf"]},
                follow_redirects=False,
            )  # fmt: skip
            asked += 1
            assert answer.status_code == (403 if is_own else 404), route.path_format
            assert "elsewhere" not in answer.text.casefold()
    assert asked > 20
    assert "Your account is your own" in (await browser.get("/account")).text
    await post(browser, "/logout")
    await log_in(browser, ZOE)  # her own login reaches all
    assert len((await who(browser, firm)).organisations) == 2


async def test_without_the_membership_nothing_else_is_shown_instead(firm: Firm, browser: httpx.AsyncClient) -> None:
    await firm.come(browser)
    async with firm.portal.db.transaction() as tx:
        await tx.run(memberships.delete().where(memberships.c.organisation_id == firm.organisation_id))
    firm.portal.app.state.access.changed(firm.zoe_id)
    visitor = await who(browser, firm)
    assert (visitor.organisation, visitor.scope, visitor.organisations) == (None, None, ())


@pytest.mark.parametrize("how", ["disable", "remove"])
async def test_turning_it_off_ends_the_logins_that_came_by_it(firm: Firm, browser: httpx.AsyncClient, how: str) -> None:
    await firm.come(browser)
    async with firm.portal.client() as boss, firm.portal.client() as zoe:
        await log_in(boss, "boss@a.test")
        await log_in(zoe, ZOE)
        assert (await post(boss, f"/organisation/sign-in/{firm.provider_id}/{how}")).status_code == 303
        firm.portal.app.state.access.changed(firm.zoe_id)
        assert await who(browser, firm) is None
        assert await who(zoe, firm) is not None
    assert (await browser.get(f"/login/with/{firm.slug}")).status_code == 404


async def test_a_login_of_a_provider_that_is_gone_is_none(firm: Firm, browser: httpx.AsyncClient) -> None:
    """Also where the row of the login is still there."""
    await firm.come(browser)
    await firm.set(identity_providers, identity_providers.c.id == firm.provider_id, disabled=1)
    assert await who(browser, firm) is None


# ---- second factors ----------------------------------------------------------------------------------------------------------


async def give_zoe_an_app(firm: Firm) -> str:
    secret = new_secret()
    async with firm.portal.db.transaction() as tx:
        await second_factor.set_totp(tx, firm.zoe_id, firm.portal.services.box.close(secret), 1)
    return secret


async def test_the_persons_own_second_factor_is_asked_for_and_the_login_stays_narrow(
    firm: Firm, browser: httpx.AsyncClient
) -> None:
    secret = await give_zoe_an_app(firm)
    answer = await firm.come(browser)
    assert answer.headers["location"] == "/login/second"
    assert await who(browser, firm) is None
    code = pyotp.TOTP(secret).at(firm.portal.clock.at_ms // 1000)
    assert (await post(browser, "/login/second", code=code)).status_code == 303
    visitor = await who(browser, firm)
    assert (visitor.second_factor, visitor.provider_id, len(visitor.organisations)) == (True, firm.provider_id, 1)


async def test_a_provider_that_covers_it_is_believed_in_its_organisation(
    firm: Firm, browser: httpx.AsyncClient
) -> None:
    await give_zoe_an_app(firm)
    await firm.set(organisations, organisations.c.id > 0, requires_second_factor=1)
    await firm.set(identity_providers, identity_providers.c.id == firm.provider_id, covers_second_factor=1)
    assert (await firm.come(browser)).headers["location"] == "/"
    assert (await who(browser, firm)).second_factor
    assert (await browser.get("/chargers")).status_code == 200


async def test_one_that_does_not_cover_it_opens_nothing_where_one_is_required(
    firm: Firm, browser: httpx.AsyncClient
) -> None:
    await firm.set(organisations, organisations.c.id > 0, requires_second_factor=1)
    assert (await firm.come(browser)).status_code == 303
    answer = await browser.get("/chargers", follow_redirects=True)
    assert answer.status_code == 403
    assert "Your account is your own" in answer.text


# ---- attacks on the way ----------------------------------------------------------------------------------------------------


async def test_a_state_works_once(firm: Firm, browser: httpx.AsyncClient) -> None:
    back = await log_in_there(await firm.there(browser), "zoe")
    assert (await browser.get(back, follow_redirects=False)).status_code == 303
    failed(await browser.get(back, follow_redirects=False), "was done already")
    assert await firm.portal.db.all(select(login_steps)) == []


async def test_two_tabs_at_once(firm: Firm, browser: httpx.AsyncClient) -> None:
    first, _second = await firm.there(browser), await firm.there(browser)
    back = await log_in_there(first, "zoe")
    assert (await browser.get(back, follow_redirects=False)).status_code == 303


async def test_of_two_with_the_same_answer_one_gets_in(firm: Firm, browser: httpx.AsyncClient) -> None:
    back = await log_in_there(await firm.there(browser), "zoe")
    answers = await asyncio.gather(*(browser.get(back, follow_redirects=False) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [303, 403, 403]


async def test_the_answer_for_one_browser_does_not_log_another_one_in(firm: Firm, browser: httpx.AsyncClient) -> None:
    """Login CSRF: an attacker sends their own answer to a victim."""
    back = await log_in_there(await firm.there(browser), "zoe")
    async with firm.portal.client() as victim:
        failed(await victim.get(back, follow_redirects=False), "Log in again.")
        back = await log_in_there(await firm.there(browser), "zoe")
        await firm.there(victim)  # on its way by itself
        failed(await victim.get(back, follow_redirects=False), "Log in again.")
        assert await who(victim, firm) is None


async def test_a_stolen_code_is_worth_nothing_in_another_visit(firm: Firm, browser: httpx.AsyncClient) -> None:
    """The code of Zoé's visit, with the state of the thief's: the token's nonce is of another visit."""
    code = parse_qs(urlsplit(await log_in_there(await firm.there(browser), "zoe")).query)["code"][0]
    async with firm.portal.client() as thief:
        state = parse_qs(urlsplit(await firm.there(thief)).query)["state"][0]
        answer = await thief.get(f"/login/with/{firm.slug}/back?code={code}&state={state}", follow_redirects=False)
        failed(answer, "did not work")
        assert await who(thief, firm) is None


async def test_a_code_works_once(firm: Firm, browser: httpx.AsyncClient) -> None:
    back = await log_in_there(await firm.there(browser), "zoe")
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert (await browser.get(back, follow_redirects=False)).status_code == 303
    state = parse_qs(urlsplit(await firm.there(browser)).query)["state"][0]
    failed(await browser.get(f"/login/with/{firm.slug}/back?code={code}&state={state}"), "did not work")


async def test_the_answer_of_one_provider_is_not_taken_at_another(firm: Firm, browser: httpx.AsyncClient) -> None:
    """Mix-up: each provider has an address of its own to come back to, and the state belongs to it."""
    _, other = await firm.add_provider(firm.elsewhere_id)
    back = await log_in_there(await firm.there(browser), "zoe")
    failed(await browser.get(back.replace(firm.slug, other), follow_redirects=False), "Log in again.")
    failed(await browser.get(back, follow_redirects=False), "Log in again.")  # spent


async def test_a_visit_is_over_after_a_quarter_of_an_hour(firm: Firm, browser: httpx.AsyncClient) -> None:
    back = await log_in_there(await firm.there(browser), "zoe")
    firm.portal.clock.at_ms += 15 * 60_000
    failed(await browser.get(back, follow_redirects=False), "took too long")


async def test_the_next_page_is_one_of_ours(firm: Firm, browser: httpx.AsyncClient) -> None:
    assert (await firm.come(browser, onward="//evil.test/x")).headers["location"] == "/"


async def test_denied_there_is_said_here(firm: Firm, browser: httpx.AsyncClient) -> None:
    state = parse_qs(urlsplit(await firm.there(browser)).query)["state"][0]
    answer = await browser.get(f"/login/with/{firm.slug}/back?error=access_denied&state={state}")
    failed(answer, "Atelier ID did not log you in.")
    assert "access_denied" in answer.text


async def test_nonsense_that_comes_back(firm: Firm, browser: httpx.AsyncClient) -> None:
    for query in (
        "",
        "?code=x",
        "?state=x",
        "?code=x&state=" + "y" * 5000,
        "?state=%00&code=%00",
        "?code=a&code=b&state=c",
    ):
        answer = await browser.get(f"/login/with/{firm.slug}/back{query}", follow_redirects=False)
        failed(answer, "Log in again.")


async def test_a_provider_that_is_down_is_said_to_be(firm: Firm, browser: httpx.AsyncClient) -> None:
    _, slug = await firm.add_provider(firm.organisation_id, issuer="http://127.0.0.1:9")
    failed(await browser.get(f"/login/with/{slug}/go", follow_redirects=False), "tell a super-admin of Atelier")


async def test_visits_from_one_address_are_bounded(firm: Firm, browser: httpx.AsyncClient) -> None:
    for _ in range(60):
        await firm.there(browser)
    assert (await browser.get(f"/login/with/{firm.slug}/go", follow_redirects=False)).status_code == 429


# ---- what a stranger learns ------------------------------------------------------------------------------------------------


async def test_every_address_gets_the_same_answer_and_members_get_a_mail(
    firm: Firm, browser: httpx.AsyncClient
) -> None:
    pages = []
    for email in (ZOE, "nobody@a.test", "x" * 200 + "@a.test", "boss@a.test"):
        answer = await post(browser, "/login/organisation", email=email)
        pages.append((answer.status_code, answer.text.replace(email, "EMAIL")))
    assert len(set(pages)) == 1
    assert [mail["recipient"] for mail in firm.portal.mail.sent] == [ZOE, "boss@a.test"]
    assert f"http://portal.test/login/with/{firm.slug}" in firm.portal.mail.sent[0]["body"]
    for _ in range(5):
        await post(browser, "/login/organisation", email=ZOE)
    assert len(firm.portal.mail.sent) <= 5


async def test_no_number_leads_to_a_provider(firm: Firm, browser: httpx.AsyncClient) -> None:
    missing = await browser.get("/login/with/no-such-page")
    assert missing.status_code == 404
    for word in (str(firm.provider_id), "1", firm.slug.upper(), firm.slug + "x"):
        assert (await browser.get(f"/login/with/{word}")).status_code == 404
