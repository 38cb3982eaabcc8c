"""Every route, for everybody it is not for: generated from the routes themselves, so that a new one is covered by being there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.portal import Portal, csrf, log_in
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    may: str


def routes_of(portal: Portal) -> Iterator[Route]:
    for route in portal.app.routes:
        for method, (handler, _) in route.route_handler_map.items():  # type: ignore[attr-defined]
            if method != "OPTIONS":
                yield Route(method, route.path_format, handler.opt["may"])


@dataclass
class Estate:
    """A site whose charger stands in Nantes, with a restart and a batch of it."""

    site: Site
    ids: dict[str, int]

    def address(self, path: str) -> str:
        values = {"columns": "all", "token": "x", "tree": "x", "path": "x", **self.ids}
        return path.format(**values)

    def of_things(self) -> list[Route]:
        """The routes that name a charger, a restart or a batch."""
        return [route for route in routes_of(self.site.portal) if any(f"{{{name}}}" in route.path for name in self.ids)]


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[Estate]:
    async with running_site(tmp_path) as site:
        charger_id = await site.online_charger(location_id=site.nantes_id)
        restart_id = await site.request(charger_id)
        other_id = await site.online_charger("Quai 5", location_id=site.nantes_id)
        batch_id = await site.batches.request(site.scope, [other_id], why="", kind=None, idempotency_key="k")
        assert batch_id is not None
        await site.fill(batch_id)
        yield Estate(site, {"charger_id": charger_id, "restart_id": restart_id, "batch_id": batch_id})


async def ask(client: httpx.AsyncClient, route: Route, address: str) -> httpx.Response:
    headers = {} if route.method == "GET" else {"x-csrftoken": await csrf(client)}
    return await client.request(route.method, address, headers=headers, follow_redirects=False)


def main_of(answer: httpx.Response) -> str:
    """The page without its frame (the menu marks where one is)."""
    return answer.text[answer.text.index("<main") :]


async def test_nobody_reaches_what_is_for_people(estate: Estate) -> None:
    async with estate.site.portal.client() as stranger:
        tried = 0
        for route in routes_of(estate.site.portal):
            if route.may == "anyone":
                continue
            answer = await ask(stranger, route, estate.address(route.path))
            if route.method == "GET" and "live" not in route.path:
                assert answer.status_code == 303, route
                assert answer.headers["location"].startswith("/login"), route
            else:
                assert answer.status_code in {401, 303}, route
                assert answer.headers.get("location", "/login").startswith("/login"), route
            tried += 1
        assert tried > 30


@pytest.mark.parametrize("who", ["stranger@b.test", "ali@a.test", "zoe@a.test"])
async def test_a_charger_of_others_its_restarts_and_batches_are_not_there(estate: Estate, who: str) -> None:
    """A super-admin of another organisation, an admin of another location, a user to whom nothing is assigned."""
    portal = estate.site.portal
    other_id, _ = await portal.add_organisation("Other")
    await portal.add_person("stranger@b.test", (other_id, "super-admin"))
    before = [tuple(row) for row in await estate.site.rows()]
    async with portal.client() as client:
        await log_in(client, who)
        absent = await client.get("/chargers/999999")
        routes = estate.of_things()
        assert len(routes) > 20
        for route in routes:
            answer = await ask(client, route, estate.address(route.path))
            assert answer.status_code == 404, route
            if route.method == "GET":
                assert main_of(answer) == main_of(absent), route
    assert [tuple(row) for row in await estate.site.rows()] == before


async def test_their_own_super_admin_reaches_each_of_them(estate: Estate) -> None:
    """The control: what the others are refused is really there."""
    async with estate.site.portal.client() as client:
        await log_in(client, "camille@a.test")
        for route in estate.of_things():
            if route.method == "GET":
                answer = await ask(client, route, estate.address(route.path))
                assert answer.status_code in {200, 303}, route


async def test_what_is_for_admins_is_not_there_for_users(estate: Estate) -> None:
    async with estate.site.portal.client() as client:
        await log_in(client, "zoe@a.test")
        for route in routes_of(estate.site.portal):
            if route.may in {"staff", "admin", "super-admin", "installation"}:
                assert (await ask(client, route, estate.address(route.path))).status_code == 404, route
