"""The first account of an empty installation."""

import asyncio
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from borne.store.schema import locations, memberships, organisations, people
from tests.support.portal import PASSWORD, Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
ANSWERS = {
    "code": "abcd efgh",
    "organisation": "Atelier Lumière",
    "location": "Lyon",
    "name": "Camille Roux",
    "email": "Camille@demo.test",
    "password": PASSWORD,
}


async def count(portal: Portal) -> int:
    return int(await portal.db.value(select(func.count()).select_from(people)))


async def test_an_empty_database_leads_every_page_to_the_setup(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        for path in ("/", "/login", "/chargers", "/account", "/nothing/here"):
            answer = await browser.get(path, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (303, "/setup"), path
        assert (await browser.get("/healthz")).text == "ok"
        assert (await browser.get("/setup")).status_code == 200


async def test_the_setup_makes_organisation_location_and_super_admin(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        answer = await post(browser, "/setup", **ANSWERS)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        organisation = await portal.db.first(select(organisations))
        assert organisation is not None
        assert (organisation.name, organisation.plan) == ("Atelier Lumière", "business")
        assert await portal.db.value(select(locations.c.name)) == "Lyon"
        person = await portal.db.first(select(people))
        assert person is not None
        assert (person.email, person.operates_installation) == ("camille@demo.test", 1)
        assert await portal.db.value(select(memberships.c.role)) == "super-admin"
        assert (await browser.get("/installation/outbox")).status_code == 200  # logged in, and operating


async def test_a_wrong_code_makes_nothing_and_guessing_it_is_stopped(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        answers = [await post(browser, "/setup", **(ANSWERS | {"code": f"guess-{n}"})) for n in range(21)]
        assert [answer.status_code for answer in answers] == [422] * 20 + [429]
        assert await count(portal) == 0


async def test_without_a_code_there_is_no_setup(tmp_path: Path) -> None:
    async with running_portal(tmp_path, setup_code=None) as portal, portal.client() as browser:
        assert (await post(browser, "/setup", **(ANSWERS | {"code": ""}))).status_code == 422
        assert await count(portal) == 0


@pytest.mark.parametrize(
    ("field", "value"), [("organisation", " "), ("name", ""), ("email", "no address"), ("password", "short")]
)
async def test_what_is_missing_is_said_and_the_rest_is_kept(tmp_path: Path, field: str, value: str) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        answer = await post(browser, "/setup", **(ANSWERS | {field: value}))
        assert answer.status_code == 422
        assert f'id="{field}-note"' in answer.text
        assert 'value="Lyon"' in answer.text
        assert PASSWORD not in answer.text
        assert await count(portal) == 0


async def test_two_setups_at_once_make_one_account(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as one, portal.client() as two:
        await asyncio.gather(one.get("/setup"), two.get("/setup"))
        answers = await asyncio.gather(
            post(one, "/setup", **ANSWERS), post(two, "/setup", **(ANSWERS | {"email": "other@demo.test"}))
        )
        assert sorted(answer.headers["location"] for answer in answers) == ["/", "/login"]
        assert await count(portal) == 1


async def test_afterwards_the_setup_is_closed(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as stranger:
        await post(browser, "/setup", **ANSWERS)
        assert (await stranger.get("/setup", follow_redirects=False)).headers["location"] == "/"
        again = await post(stranger, "/setup", **(ANSWERS | {"email": "other@demo.test"}))
        assert again.headers["location"] == "/login"
        assert await count(portal) == 1
        assert (await log_in(stranger, "camille@demo.test")).status_code == 303


async def test_what_people_type_is_text(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        evil = "<img src=x onerror=alert(1)>"
        await post(browser, "/setup", **(ANSWERS | {"organisation": evil, "name": evil}))
        page: httpx.Response = await browser.get("/account")
        assert evil not in page.text
        assert "&lt;img src=x" in page.text
