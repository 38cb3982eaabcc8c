"""The plan page, its changes, and the gate on the server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import get_args

import httpx
import pytest
from sqlalchemy import select, update

from borne.core import bill
from borne.core.bill import BilledDay
from borne.core.plans import COMING, FEATURES, LIMITED, PLANS, Feature
from borne.core.policy import POLICY
from borne.portal import plan_words
from borne.portal.formats import Formats
from borne.store import plans as store
from borne.store.schema import audit_log, organisations
from tests.support.portal import START_MS, Portal, log_in, post, running_portal
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
CAMILLE, ALI, ZOE = "camille@a.test", "ali@a.test", "zoe@a.test"
TODAY = bill.day_of(START_MS)
NEXT_MONTH_MS = bill.next_month_ms(START_MS)


@dataclass
class Shop:
    site: Site
    browser: httpx.AsyncClient

    @property
    def portal(self) -> Portal:
        return self.site.portal

    async def page(self, path: str = "/plan") -> str:
        answer = await self.browser.get(path)
        assert answer.status_code == 200
        return re.sub(r"\s+", " ", answer.text)

    async def plan(self) -> tuple[str, str | None]:
        row = await store.of_organisation(self.portal.db, self.site.organisation_id)
        assert row is not None
        return row.plan, row.next_plan

    async def bill(self, *days: BilledDay) -> None:
        async with self.portal.db.transaction() as tx:
            await store.add_days(tx, self.site.organisation_id, days)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Camille, super-admin, looks at a plan; there are two locations and two chargers."""
    async with running_site(tmp_path) as site, site.portal.client() as browser:
        await site.set_plan("standard")
        for name in ("One", "Two"):
            await site.add_charger(name)
        await log_in(browser, CAMILLE)
        yield Shop(site, browser)


# ---- words ---------------------------------------------------------------------------------------------------------------


def test_every_feature_and_limit_has_words() -> None:
    assert set(plan_words.FEATURES) == set(get_args(Feature)) == set(FEATURES)
    assert all(title and meaning for title, meaning in plan_words.FEATURES.values())
    assert set(plan_words.LIMITS) == set(LIMITED)


def test_prices_are_read_as_in_the_language() -> None:
    english, french = (Formats(language, lambda: 0) for language in ("en", "fr"))
    assert plan_words.money(english, 123_456) == "€1,234.56"
    assert plan_words.money(french, 400).replace("\xa0", " ") == "4,00 €"


# ---- the page --------------------------------------------------------------------------------------------------------------


async def test_the_comparison_is_made_of_the_plans(shop: Shop) -> None:
    page = await shop.page()
    table = page[page.index("<table") : page.index("</table>")]
    rows = re.findall(r"<tr><th scope=\"row\"><b>(.*?)</b>(.*?)<span.*?</tr>", table)
    there = [plan_words.FEATURES[one][0] for one in plan_words.FEATURES if one not in COMING]
    later = [plan_words.FEATURES[one][0] for one in plan_words.FEATURES if one in COMING]
    assert [name for name, _ in rows] == ["People", "Locations", *there, *later]
    assert re.findall(r"<b>([^<]*)</b> <span class=\"badge\">Coming</span>", table) == later, (
        "nobody takes them for built"
    )
    for feature, (title, _) in plan_words.FEATURES.items():
        row = re.search(rf"<b>{title}</b>.*?</tr>", table)
        assert row
        cells = [cell == "included" for cell in re.findall(r">(included|not included)<", row[0])]
        assert cells == [feature in plan.features for plan in PLANS.values()], feature
    for shown in (
        "€8.00",
        "€4.00 a charger",
        "Your plan",
        'href="/plan/change?to=business"',
        'href="/plan/change?to=basic"',
    ):
        assert shown in table
    assert "Nothing is billed yet." in page


async def test_the_bill_adds_up_and_says_what_is_uncertain(shop: Shop) -> None:
    first = TODAY.replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    await shop.bill(
        BilledDay(before, "basic", 3, 0),
        BilledDay(before + timedelta(days=1), "business", 3, 900),
        BilledDay(first, "standard", 1, 400),
        BilledDay(first + timedelta(days=1), "standard", 1, 400),
        BilledDay(first + timedelta(days=4), "standard", 7, 400, late=True),
    )
    page = await shop.page()
    bills = re.findall(r"<table class=\"bill\">.*?</table>", page)
    assert len(bills) == 2
    for shown in bills:
        *lines, total = [round(float(one) * 100) for one in re.findall(r"€([\d.]+)(?=</td></tr>)", shown)]
        assert sum(lines) == total
    in_month = bill.days_in(first)
    assert f"€{(2 * 400 + 7 * 400) / in_month / 100:.2f}" in bills[0]
    assert "2 days are missing" in page
    assert "Borne was not running as these days began." in page


async def test_a_downgrade_is_asked_about_then_shown_then_withdrawn(shop: Shop) -> None:
    page = await shop.page("/plan/change?to=basic")
    for shown in ("What stops working then", "Remote restart", "This month stays billed", "€0.00"):
        assert shown in page
    assert "Many chargers at once" not in page, "Standard has not got it either"
    answer = await post(shop.browser, "/plan", **{"plan": "basic", "from": "standard"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/plan")
    assert await shop.plan() == ("standard", "basic")
    page = await shop.page()
    assert "Standard until 1 Jun 2026, then Basic." in page
    assert (await post(shop.browser, "/plan/keep")).status_code == 303
    assert await shop.plan() == ("standard", None)
    actions = [row.action for row in await shop.portal.db.all(select(audit_log.c.action).order_by(audit_log.c.seq))]
    assert actions[-2:] == ["plan.chosen", "plan.kept"]


async def test_what_is_open_and_what_has_no_room_is_listed(shop: Shop) -> None:
    site = shop.site
    charger_id = await site.online_charger("Waits")
    await site.request(charger_id, when=site.now_ms + 86_400_000)
    for number in range(9):
        await site.portal.add_person(f"p{number}@a.test", (site.organisation_id, "user"))
    page = await shop.page("/plan/change?to=basic")
    assert "1 restart waits now." in page
    assert "There are 12 people and open invitations; Basic has room for 10." in page


async def test_an_upgrade_counts_at_the_next_request(shop: Shop) -> None:
    refused = await shop.browser.post(
        "/restarts/batch/new", headers={"x-csrftoken": shop.browser.cookies["borne_csrf"]}
    )
    assert refused.status_code == 403
    page = await shop.page("/plan/change?to=business")
    assert "Many chargers at once" in page
    assert "€8.00 Standard" in page
    assert (await post(shop.browser, "/plan", **{"plan": "business", "from": "standard"})).status_code == 303
    assert await shop.plan() == ("business", None)
    assert "Business, by Camille" in await shop.page()
    answer = await post(shop.browser, "/restarts/batch/new", charger="1")
    assert answer.status_code == 200


async def test_a_form_of_a_plan_that_changed_meanwhile_changes_nothing(shop: Shop) -> None:
    """Somebody upgraded to Business; "Standard" would be a downgrade now, which this person never read about."""
    await shop.site.set_plan("business")
    answer = await post(shop.browser, "/plan", **{"plan": "standard", "from": "basic"})
    assert answer.headers["location"] == "/plan/change?to=standard"
    assert await shop.plan() == ("business", None)


async def test_two_answers_at_once_change_it_once(shop: Shop) -> None:
    form = {"plan": "business", "from": "standard"}
    await asyncio.gather(*(post(shop.browser, "/plan", **form) for _ in range(4)))
    assert len(await store.changes(shop.portal.db, shop.site.organisation_id)) == 1


@pytest.mark.parametrize("wanted", ["", "gold", "x" * 5000, "basic\0"])
async def test_nonsense_changes_nothing(shop: Shop, wanted: str) -> None:
    answer = await post(shop.browser, "/plan", **{"plan": wanted, "from": "standard", "price_cents": "0"})
    if wanted != "basic\0":
        assert answer.status_code == 303
        assert await shop.plan() == ("standard", None)
    assert (
        await shop.browser.get(f"/plan/change?to={wanted[:50].strip(chr(0))}", follow_redirects=True)
    ).status_code == 200


# ---- the gate ----------------------------------------------------------------------------------------------------------------


async def test_a_downgrade_keeps_nothing_open(tmp_path: Path) -> None:
    """Whatever an action of a feature is behind, a smaller plan shuts it at once, for those who had its page open (A5)."""
    async with running_site(tmp_path) as site, site.portal.client() as browser:
        await log_in(browser, CAMILLE)
        charger_id = await site.online_charger("Gate")
        gated = [
            (method, route.path_format, POLICY[handler.opt["may"]].feature)
            for route in site.portal.app.routes
            for method, (handler, _) in route.route_handler_map.items()  # type: ignore[union-attr]
            if method != "OPTIONS" and getattr(POLICY.get(handler.opt.get("may", "")), "feature", None)
        ]
        gated.append(("POST", "/restarts/batch/new", "BULK_ACTIONS"))
        for plan in ("standard", "basic"):
            await site.set_plan(plan)
            site.portal.app.state.access.changed(site.camille_id)
            for method, path, feature in gated:
                address = re.sub(r"\{\w+\}", str(charger_id), path)
                answer = await browser.request(
                    method, address, headers={"x-csrftoken": browser.cookies["borne_csrf"]}, follow_redirects=False
                )
                assert (answer.status_code == 403) == (feature not in PLANS[plan].features), (plan, path)
        assert (await post(browser, f"/chargers/{charger_id}/restart", when="now")).status_code == 409
        assert await site.rows() == []


async def test_a_missing_feature_says_which_plan_has_it_and_who_decides(shop: Shop) -> None:
    async with shop.portal.client() as other:
        await log_in(other, ALI)
        for who, expected in ((shop.browser, 'href="/plan"'), (other, "Camille can change the plan.")):
            answer = await post(who, "/restarts/batch/new", charger="1")
            assert answer.status_code == 403
            for shown in (
                "Many chargers at once comes with the Business plan.",
                "€9.00 for a charger and month",
                expected,
            ):
                assert shown in answer.text
        part = await other.post(
            "/restarts/batch/new", headers={"x-csrftoken": other.cookies["borne_csrf"], "hx-request": "true"}
        )
        assert part.status_code == 403
        assert part.headers["hx-reswap"] == "none"
        assert "Camille can change the plan." in part.headers["hx-trigger"]
        assert 'href="/plan"' not in (await post(other, "/restarts/batch/new", charger="1")).text


async def test_a_setup_puts_the_first_organisation_on_the_plan_of_the_settings(tmp_path: Path) -> None:
    import msgspec

    from tests.support.portal import SETTINGS

    settings = msgspec.structs.replace(SETTINGS, default_plan="basic")
    async with running_portal(tmp_path, settings=settings) as portal, portal.client() as browser:
        form = {"code": "ABCD-EFGH", "organisation": "New", "location": "Here", "name": "Me", "email": "me@x.test",
                "password": "a long enough one", "plan": "business"}  # fmt: skip
        assert (await post(browser, "/setup", **form)).status_code == 303
        assert await portal.db.value(select(organisations.c.plan)) == "basic"
        async with portal.db.transaction() as tx:
            await tx.run(update(organisations).values(plan="gone"))
        portal.app.state.access.changed(1)
        assert (await browser.get("/plan")).status_code == 200, "a plan that no longer exists is no error"
