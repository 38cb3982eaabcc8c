"""Every route of the API x everybody x own, other location, other organisation: denied is what a missing one gives (A1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from sqlalchemy import select, text

from borne.api.app import create_api
from borne.api.sign_in import guard
from borne.core.api_scopes import API_SCOPES
from borne.store.schema import audit_log, memberships, people, restarts
from tests.support.api import api_of, client, make_token
from tests.support.estate import Estate, running_estate
from tests.support.routes import ADMIN, EVERYBODY, MEMBERS, MISSING, OPERATOR, REACH, REACH_AS_ADMIN, SUPER

pytestmark = pytest.mark.anyio
KEY = {"idempotency-key": "matrix"}
IDS = ("charger_id", "restart_id", "location_id")


@dataclass(frozen=True)
class Rule:
    """Who gets `status`; `says`: who sees the charger and is told why not; everybody else with a token: 404."""

    who: frozenset[str]
    status: int
    scope: str = "read"
    says: frozenset[str] = frozenset()
    body: dict[str, Any] | None = None


METERED = {"values": [{"start": "2026-03-01T00:00:00Z", "import_wh": 1, "solar_wh": 2}]}
POLICY = {
    "GET /me": Rule(MEMBERS, 200),
    "GET /chargers": Rule(MEMBERS, 200),
    "GET /chargers/{charger_id}": Rule(REACH, 200),
    "POST /chargers/{charger_id}/restart": Rule(REACH_AS_ADMIN, 202, "restart", says=REACH - REACH_AS_ADMIN),
    "GET /restarts/{restart_id}": Rule(REACH, 200),
    "POST /locations/{location_id}/site-meter": Rule(
        REACH_AS_ADMIN, 200, "meter", says=frozenset((OPERATOR,)), body=METERED
    ),
}


class Programs:
    """A program for everybody, each with a token of all scopes."""

    def __init__(self, estate: Estate, api: Litestar) -> None:
        self.estate, self.api = estate, api
        self._tokens: dict[tuple[str, Any], str] = {}

    async def token(self, who: str, scopes: tuple[str, ...] = API_SCOPES) -> str:
        """ "" for somebody of no organisation."""
        if (who, scopes) not in self._tokens:
            portal = self.estate.site.portal
            row = await portal.db.first(
                select(memberships.c.person_id, memberships.c.organisation_id).where(
                    people.c.email == who, memberships.c.person_id == people.c.id
                )
            )
            self._tokens[who, scopes] = "" if row is None else await make_token(portal, *row, scopes=scopes)
        return self._tokens[who, scopes]

    async def ask(
        self, who: str, name: str, ids: dict[str, int], scopes: tuple[str, ...] = API_SCOPES
    ) -> httpx.Response:
        method, path = name.format(**ids).split()
        token = await self.token(who, scopes)
        async with client(self.api, f"Bearer {token}" if token else "") as program:
            body = POLICY[name].body if name in POLICY else None
            return await program.request(method, path, headers=KEY if method == "POST" else {}, json=body)


@pytest.fixture
async def programs(tmp_path: Path) -> AsyncIterator[Programs]:
    async with running_estate(tmp_path) as estate:
        yield Programs(estate, api_of(estate.site.portal))


async def thing(programs: Programs) -> dict[str, int]:
    """A charger in Lyon that can be restarted now, assigned to Uma; and a restart of another one there."""
    site = programs.estate.site
    free_id, other_id = await site.online_charger("Zebra free"), await site.online_charger("Zebra busy")
    for charger_id in (free_id, other_id):
        await programs.estate.assign(charger_id)
    return {"charger_id": free_id, "restart_id": await site.request(other_id), "location_id": site.lyon_id}


def routes_of(api: Litestar) -> Iterator[str]:
    for route in api.routes:
        for method in route.route_handler_map:  # type: ignore[union-attr]
            if method != "OPTIONS" and "/openapi.json" not in route.path_format:
                yield f"{method} {route.path_format.removeprefix('/api/v1')}"


async def test_every_route_has_its_row_and_names_its_scope(programs: Programs) -> None:
    assert sorted(routes_of(programs.api)) == sorted(POLICY)
    for name, rule in POLICY.items():
        if rule.scope != "read":
            refused = await programs.ask(SUPER, name, dict.fromkeys(IDS, 1), ("read",))
            assert refused.status_code == 403, name


async def test_a_route_without_a_scope_is_closed(programs: Programs) -> None:
    @get("/open", guards=[guard])
    async def forgotten() -> str:
        return "everything"

    app = create_api(programs.api.state.services)
    app.register(forgotten)
    async with client(app, f"Bearer {await programs.token(SUPER)}") as program:
        assert (await program.get("/open")).status_code == 404


@pytest.mark.parametrize("who", EVERYBODY, ids=lambda who: who.partition("@")[0] or "anonymous")
async def test_everybody_at_every_route(programs: Programs, who: str) -> None:
    ids, has_token = await thing(programs), bool(await programs.token(who))
    missing = dict.fromkeys(ids, MISSING)
    before = len(await programs.estate.site.rows())
    for name, rule in POLICY.items():
        if who in rule.who:
            continue
        answer = await programs.ask(who, name, ids)
        expected = 401 if not has_token else 403 if who in rule.says else 404
        assert answer.status_code == expected, name
        assert answer.headers["content-type"] == "application/problem+json"
        if expected != 403:
            assert "Zebra" not in answer.text
            same = await programs.ask(who, name, missing)
            assert (answer.status_code, answer.text, answer.headers) == (same.status_code, same.text, same.headers), (
                name
            )
    assert len(await programs.estate.site.rows()) == before, "who is denied changes nothing"
    for name, rule in POLICY.items():
        if who in rule.who:
            assert (await programs.ask(who, name, ids)).status_code == rule.status, name


async def test_lists_hold_what_is_in_reach(programs: Programs) -> None:
    await thing(programs)
    for who in MEMBERS:
        found = [one["name"] for one in (await programs.ask(who, "GET /chargers", {})).json()["chargers"]]
        assert found == (["Zebra busy", "Zebra free"] if who in REACH else []), who


async def test_a_token_never_may_more_than_its_person_may_now(programs: Programs) -> None:
    ids, site = await thing(programs), programs.estate.site
    assert (await programs.ask(ADMIN, "GET /chargers/{charger_id}", ids)).status_code == 200
    async with site.portal.db.transaction() as tx:
        await tx.run(text(f"DELETE FROM membership_locations WHERE person_id = {site.ali_id}"))
    for name in ("GET /chargers/{charger_id}", "POST /chargers/{charger_id}/restart", "GET /restarts/{restart_id}"):
        assert (await programs.ask(ADMIN, name, ids)).status_code == 404, name


async def test_the_restart_of_a_program_is_recorded_as_its_persons(programs: Programs) -> None:
    ids, db = await thing(programs), programs.estate.site.portal.db
    await programs.ask(SUPER, "POST /chargers/{charger_id}/restart", ids)
    row = await db.first(select(restarts.c.person_name).where(restarts.c.charger_id == ids["charger_id"]))
    assert row is not None
    assert row.person_name == "Camille"
    rows = await db.all(
        select(audit_log.c.action, audit_log.c.details).where(audit_log.c.object_id == ids["charger_id"])
    )
    told = [one.details for one in rows if one.action == "restart.requested"]
    assert len(told) == 1
    assert "192.0.2.7" in told[0]
