"""Who may: from the login to the scope, and the guard before every route."""

from pathlib import Path
from typing import Any

import pytest
from litestar import Response, get
from litestar import post as post_route
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import update

from borne.core.policy import ACTIONS, POLICY
from borne.portal.access import MAY, access_of
from borne.portal.frame import Page
from borne.store import chargers
from borne.store.chargers import NewCharger
from borne.store.schema import memberships
from tests.support.portal import Portal, log_in, running_portal

pytestmark = pytest.mark.anyio
CAMILLE = "camille@demo.test"


def routes() -> list[HTTPRouteHandler]:
    """One route for each word of May, one that forgot its word, one that says what scope it got."""

    def of(may: str) -> HTTPRouteHandler:
        @get(f"/may/{may}", may=may)
        async def handler() -> str:
            return "in"

        return handler

    @get("/may/forgotten")
    async def forgotten() -> str:
        return "in"

    @get("/scope", may="member")
    async def scope(page: Page) -> dict[str, Any]:
        found = page.scope
        return {"role": found.role, "plan": found.plan, "locations": found.location_ids, "chargers": found.charger_ids}

    @get("/breaks", may="anyone")
    async def breaks(page: Page) -> Response[str]:
        raise RuntimeError("a secret detail")

    @post_route("/change", may="member")
    async def change(page: Page) -> str:
        return "changed"

    return [*(of(may) for may in MAY), forgotten, scope, breaks, change]


class More:
    ROUTES = routes()


def actions(role: str) -> set[str]:
    return {action for action, rule in POLICY.items() if role in rule.roles}


WHO = {
    "nobody": {"anyone"},
    "without": {"anyone", "person"},
    "user": {"anyone", "person", "member", *actions("user")},
    "operator": {"anyone", "person", "member", *actions("operator")},
    "admin": {"anyone", "person", "member", *actions("admin")},
    "super-admin": {"anyone", "person", "member", *ACTIONS},
    "installer": {"anyone", "person", "installation"},
}


def charger(name: str, organisation_id: int, location_id: int) -> NewCharger:
    return NewCharger(
        organisation_id=organisation_id, location_id=location_id, name=name, identity=name, secret_hash=None
    )


async def with_everybody(portal: Portal) -> tuple[int, int]:
    organisation_id, location_id = await portal.add_organisation(plan="business")
    async with portal.db.transaction() as tx:
        charger_ids = tuple(
            [await chargers.create(tx, charger(name, organisation_id, location_id), 0) for name in "AB"]
        )
    for role in ("user", "operator", "admin", "super-admin"):
        await portal.add_person(
            f"{role}@demo.test", (organisation_id, role), location_ids=(location_id,), charger_ids=charger_ids
        )
    await portal.add_person("without@demo.test")
    await portal.add_person("installer@demo.test", operates=True)
    return organisation_id, location_id


@pytest.mark.parametrize("who", WHO)
async def test_each_word_lets_in_whom_it_names(tmp_path: Path, who: str) -> None:
    async with running_portal(tmp_path, [More]) as portal, portal.client() as browser:
        await with_everybody(portal)
        if who != "nobody":
            assert (await log_in(browser, f"{who}@demo.test")).status_code == 303
        for may in MAY:
            answer = await browser.get(f"/may/{may}", follow_redirects=False)
            denied = 303 if who == "nobody" else 404
            assert answer.status_code == (200 if may in WHO[who] else denied), may
        assert (await browser.get("/may/forgotten")).status_code == 404


async def test_denied_looks_like_not_found(tmp_path: Path) -> None:
    async with running_portal(tmp_path, [More]) as portal, portal.client() as browser:
        await with_everybody(portal)
        await log_in(browser, "user@demo.test")
        denied, absent = await browser.get("/installation/outbox"), await browser.get("/installation/outboy")
        assert denied.status_code == absent.status_code == 404
        assert denied.text.replace("outbox", "outboy") == absent.text


async def test_every_route_says_who_may_use_it(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal:
        silent = [
            f"{method} {route.path}"
            for route in portal.app.routes
            for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
            if method != "OPTIONS" and handler.opt.get("may") not in MAY
        ]
        assert silent == []
        assert len(portal.app.routes) > 10


async def test_every_route_that_changes_something_needs_the_token(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_everybody(portal)
        await log_in(browser, "super-admin@demo.test")
        tried = 0
        for route in portal.app.routes:
            for method in set(route.methods) - {"GET", "HEAD", "OPTIONS"}:  # type: ignore[attr-defined]
                answer = await browser.request(
                    method, route.path.replace(":int", "").replace("{", "1").replace("}", "")
                )
                assert answer.status_code in {403, 404, 405}, f"{method} {route.path}"
                tried += answer.status_code == 403
        assert tried >= 5


@pytest.mark.parametrize(
    ("role", "sees_location", "sees_chargers"),
    [("super-admin", None, None), ("admin", True, None), ("operator", True, None), ("user", None, [1, 2])],
)
async def test_the_scope_of_each_role(
    tmp_path: Path, role: str, sees_location: bool | None, sees_chargers: Any
) -> None:
    async with running_portal(tmp_path, [More]) as portal, portal.client() as browser:
        _, location_id = await with_everybody(portal)
        await log_in(browser, f"{role}@demo.test")
        found = (await browser.get("/scope")).json()
        assert found["role"] == role
        assert found["plan"] == "business"
        assert found["locations"] == ([location_id] if sees_location else None)
        assert found["chargers"] == sees_chargers


async def test_an_admin_without_locations_reaches_none(tmp_path: Path) -> None:
    async with running_portal(tmp_path, [More]) as portal, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation()
        await portal.add_person(CAMILLE, (organisation_id, "admin"))
        await log_in(browser, CAMILLE)
        assert (await browser.get("/scope")).json()["locations"] == []


async def test_a_role_that_is_taken_away_is_gone_within_a_second(tmp_path: Path) -> None:
    async with running_portal(tmp_path, [More]) as portal, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation()
        person_id = await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        await log_in(browser, CAMILLE)
        assert (await browser.get("/may/see_audit")).status_code == 200
        async with portal.db.transaction() as tx:
            await tx.run(update(memberships).values(role="user"))
        access_of(_connection(portal)).changed(person_id)
        assert (await browser.get("/may/see_audit")).status_code == 404


def _connection(portal: Portal) -> Any:
    class Connection:
        app = portal.app

    return Connection()


async def test_anonymous_pages_lead_to_the_login_and_back(tmp_path: Path) -> None:
    async with running_portal(tmp_path, [More]) as portal, portal.client() as browser:
        await with_everybody(portal)
        answer = await browser.get("/scope?a=1&b=2", follow_redirects=False)
        assert answer.headers["location"] == "/login?next=/scope%3Fa%3D1%26b%3D2"
        fragment = await browser.get("/scope", headers={"hx-request": "true"}, follow_redirects=False)
        assert (fragment.status_code, fragment.headers["hx-redirect"]) == (401, "/login")
        assert fragment.text == ""
