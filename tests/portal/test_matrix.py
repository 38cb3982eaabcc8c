"""Every route x everybody x every plan x every object (A1, A2, R21), generated from the routes: one without a row fails the test.

The thing that addresses name is a charger in Lyon with a restart that waits and a batch of it, made by Camille. Whoever does not
reach it gets exactly the answer that a missing one gives: status, headers and body.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update

from borne.core import plans, policy
from borne.store.schema import chargers, logins, memberships, people
from tests.support.estate import Estate, running_estate
from tests.support.portal import Portal, post
from tests.support.routes import (
    ADMIN,
    ADMIN_ELSEWHERE,
    ANONYMOUS,
    ASSIGNED,
    EVERYBODY,
    FIRST_ID,
    GUEST,
    INSTALLER,
    MISSING,
    NOBODY,
    NOT_FOUND_BY_ANYONE,
    OF_A_THING,
    OPERATOR,
    OPERATOR_ELSEWHERE,
    POLICY,
    REACH,
    ROLES,
    STRANGER,
    SUPER,
    UNASSIGNED,
    expected,
    is_permitted,
)  # fmt: skip

pytestmark = pytest.mark.anyio
# Less than what the action of the route would allow: who has the role and yet finds nothing.
NARROWER = {"GET /chargers/archived": (ASSIGNED, UNASSIGNED)}  # what was theirs to use is no longer
PLANLESS = (ANONYMOUS, NOBODY, INSTALLER)  # whom no plan concerns
# After these the others would be answered differently.
LAST = ("POST /installation/organisations/{organisation_id}/leave", "POST /logout")


def mays_of(portal: Portal) -> dict[str, str]:
    """Whom each route is for, in the words of portal.access."""
    return {
        f"{method} {route.path_format}": handler.opt["may"]
        for route in portal.app.routes
        for method, (handler, _) in route.route_handler_map.items()  # type: ignore[union-attr]
        if method != "OPTIONS"
    }


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[Estate]:
    async with running_estate(tmp_path) as one:
        yield one


def shape(answer: httpx.Response, ids: dict[str, int]) -> tuple[Any, ...]:
    """Everything of an answer that a stranger could compare, its own ids left aside."""
    body = answer.text.replace(answer.request.url.path, "HERE")  # in the links back
    for number in ids.values():
        if number > FIRST_ID:
            body = body.replace(str(number), "ID")
    kept = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return answer.status_code, body, {**kept, "location": re.sub(r"\d+", "N", kept.get("location", ""))}


# ---- A1 ------------------------------------------------------------------------------------------------------------


async def test_every_route_has_its_row_and_every_row_its_route(estate: Estate) -> None:
    assert sorted(mays_of(estate.site.portal)) == sorted(POLICY)


async def test_the_rows_are_what_the_policy_says(estate: Estate) -> None:
    """Who gets something at a route has a role that may; who has the role gets it wherever no single thing is asked for."""
    for name, may in mays_of(estate.site.portal).items():
        for who in ROLES if name in POLICY and may in policy.POLICY else ():
            gets = expected(who, name, may) is not None
            if not is_permitted(who, name, may):
                assert not gets, (name, may, who)
            elif name not in OF_A_THING and who not in NARROWER.get(name, ()):
                assert gets or POLICY[name].status == 404, (name, may, who)


@pytest.mark.parametrize("who", [*EVERYBODY, GUEST], ids=lambda who: who.partition("@")[0] or "anonymous")
async def test_everybody_at_every_route(estate: Estate, who: str) -> None:
    """First all that is denied, and nothing has changed; then all that is allowed, each at a thing of its own."""
    mays = {name: may for name, may in mays_of(estate.site.portal).items() if name in POLICY}
    thing = await estate.thing()
    missing = dict.fromkeys(thing, MISSING) | {"home_id": thing["home_id"]}
    before = await estate.snapshot()
    for plan in ("basic", "standard", "business"):
        await estate.set_plan(plan)
        for name, may in mays.items():
            await assert_denied(estate, who, name, may, plan, (thing, missing))
    assert await estate.snapshot() == before
    for name in [name for name, may in mays.items() if expected(who, name, may) is not None]:
        if name in ("POST /account/password", *LAST):
            continue  # the password is looked at elsewhere
        rule = POLICY[name]
        answer = await estate.ask(who, name, await estate.thing() if name in OF_A_THING or rule.form else thing)
        assert answer.status_code == expected(who, name, mays[name]), (name, answer.status_code)
    if who != ANONYMOUS:
        for name in LAST:
            assert (await estate.ask(who, name, thing)).status_code == (expected(who, name, mays[name]) or 404)
        assert_sent_to_login("GET /account", await estate.ask(who, "GET /account", thing))


async def assert_denied(
    estate: Estate, who: str, name: str, may: str, plan: str, ids: tuple[dict[str, int], dict[str, int]]
) -> None:
    """What the role, the reach or the plan denies is denied; a page that is allowed shows with every plan.

    Denied looks exactly like missing; who may by role is told which plan it takes.
    """
    thing, missing = ids
    feature = policy.POLICY[may].feature if may in policy.POLICY else None
    if plan != "business" and (who in PLANLESS or (plan == "standard" and feature is None)):
        return  # nothing would be different
    lacks = feature is not None and not plans.has(plan, feature) and is_permitted(who, name, may)
    wanted = expected(who, name, may)
    if wanted is not None and not lacks:
        if name.startswith("GET ") and plan != "business":
            # the page of a change to the plan that is there leads back
            assert (await estate.ask(who, name, thing)).status_code in (wanted, 303), (name, plan)
        return
    answer = await estate.ask(who, name, thing)
    if lacks:
        assert feature
        assert answer.status_code == 403, (name, plan)
        assert plans.cheapest_with(feature).name in answer.text, (name, plan)
    elif who == ANONYMOUS and name not in NOT_FOUND_BY_ANYONE:
        assert_sent_to_login(name, answer)
    else:
        assert answer.status_code == 404, (name, plan)
    if name in OF_A_THING:
        there, not_there = (
            shape(answer, thing),
            shape(await estate.ask(who, name, missing), missing | {"restart_id": 0}),
        )
        assert there == not_there, (name, plan)


def assert_sent_to_login(name: str, answer: httpx.Response) -> None:
    if name.startswith("GET"):
        assert answer.status_code == 303, name
        assert answer.headers["location"].startswith("/login"), name
    else:
        assert answer.status_code == 401, name


async def test_who_is_told_why_changes_nothing(estate: Estate) -> None:
    """An operator and a user who see the charger are told that they may not restart it, and nothing is sent."""
    charger_id = await estate.site.online_charger("Free")
    ids = {"charger_id": charger_id, "location_id": estate.site.lyon_id, "restart_id": 0, "batch_id": 0}
    await estate.assign(charger_id)
    for who in (OPERATOR, ASSIGNED):
        answer = await estate.ask(who, "POST /chargers/{charger_id}/restart", ids)
        assert answer.status_code == 409
        assert "Only the super-admin" in answer.text
    assert await estate.site.rows() == []


# ---- plans, and what changes between the modal and OKAY (R21) --------------------------------------------------------


@pytest.mark.parametrize(("plan", "one", "many"), [("basic", 409, 403), ("standard", 303, 403), ("business", 303, 303)])
async def test_the_plan_counts_at_okay(estate: Estate, plan: str, one: int, many: int) -> None:
    site, client = estate.site, await estate.client(ADMIN)
    first, second = await site.online_charger("One"), await site.online_charger("Two")
    await client.get(f"/chargers/{first}/restart")  # the modal, while the plan still has it
    await site.set_plan(plan)
    assert (await post(client, f"/chargers/{first}/restart", when="now")).status_code == one
    assert (await post(client, "/restarts/batch", charger=str(second))).status_code == many
    assert len(await site.rows()) == (one == 303)  # the batch is filled by its job


@pytest.mark.parametrize("change", ["role", "location", "membership", "disabled", "moved", "model", "deleted"])
async def test_what_changed_before_okay_is_refused(estate: Estate, change: str) -> None:
    site, client = estate.site, await estate.client(ADMIN)
    charger_id = await site.online_charger("Changes")
    assert (await client.get(f"/chargers/{charger_id}/restart")).status_code == 200
    db, mine = site.portal.db, memberships.c.person_id == site.ali_id
    async with db.transaction() as tx:
        match change:
            case "role":
                await tx.run(update(memberships).where(mine).values(role="operator"))
            case "location":
                await tx.run(text(f"DELETE FROM membership_locations WHERE person_id = {site.ali_id}"))
            case "membership":
                await tx.run(memberships.delete().where(mine))
            case "disabled":
                await tx.run(update(people).where(people.c.id == site.ali_id).values(disabled=1))
            case "moved":
                await tx.run(update(chargers).values(location_id=site.nantes_id))
            case "model":
                await tx.run(update(chargers).values(model="pulsar"))
            case "deleted":
                await tx.run(chargers.delete())
    site.engine.forget(charger_id)
    site.portal.app.state.access.changed(site.ali_id)  # or a second later
    answer = await post(client, f"/chargers/{charger_id}/restart", when="now")
    assert answer.status_code in {"role": (409,), "model": (409,), "disabled": (401, 403)}.get(change, (404,))
    assert await site.rows() == []


@pytest.mark.parametrize("change", ["role", "location", "moved", "model", "disabled"])
async def test_what_changed_before_sending_is_not_sent(estate: Estate, change: str) -> None:
    """OKAY was said; role, ownership and charger count again when the Reset would leave."""
    site = estate.site
    charger_id = await site.online_charger("Changes")
    assert (await post(await estate.client(ADMIN), f"/chargers/{charger_id}/restart", when="now")).status_code == 303
    async with site.portal.db.transaction() as tx:
        match change:
            case "role":
                await tx.run(update(memberships).where(memberships.c.person_id == site.ali_id).values(role="user"))
            case "location":
                await tx.run(text(f"DELETE FROM membership_locations WHERE person_id = {site.ali_id}"))
            case "moved":
                await tx.run(update(chargers).values(location_id=site.nantes_id))
            case "model":
                await tx.run(update(chargers).values(model="pulsar"))
            case "disabled":
                await tx.run(update(chargers).values(disabled=1))
    site.engine.forget(charger_id)
    assert await site.restarts.take(charger_id, 1) is None
    (row,) = await site.rows()
    wanted = {"model": "model", "disabled": "disabled"}.get(change, "role")
    assert (row.verdict, row.reason) == ("not_sent", wanted)


# ---- A2: ids where no address shows them -----------------------------------------------------------------------------


@dataclass
class Smuggler:
    """Asks as somebody for things of others, whose names must never show."""

    estate: Estate
    client: httpx.AsyncClient
    thing: dict[str, int]

    async def get(self, address: str, **headers: str) -> str:
        answer = await self.client.get(address.format(**self.thing), headers=headers, follow_redirects=False)
        assert answer.status_code in {200, 404}, address
        assert "Zebra" not in answer.text, address
        return answer.text

    async def post(self, path: str, **fields: str) -> httpx.Response:
        filled = {name: value.format(**self.thing) for name, value in fields.items()}
        answer = await post(self.client, path.format(**self.thing), **filled)
        assert "Zebra" not in answer.text, path
        return answer


@pytest.fixture(
    params=[ADMIN_ELSEWHERE, OPERATOR_ELSEWHERE, UNASSIGNED, STRANGER], ids=lambda who: who.partition("@")[0]
)
async def smuggler(estate: Estate, request: pytest.FixtureRequest) -> Smuggler:
    return Smuggler(estate, await estate.client(request.param), await estate.thing())


async def test_no_query_brings_what_others_have(smuggler: Smuggler) -> None:
    for address in (
        "/chargers?q=zeb", "/chargers?location={location_id}", "/chargers?sort=__class__&page=1000000000000",
        "/chargers/tiles?location={location_id}", "/chargers/rows?ids={charger_id}", "/chargers/rows?ids=1,{charger_id},x,-1",
        "/restarts?charger={charger_id}", "/restarts?location={location_id}", "/restarts?batch={batch_id}",
        "/restarts?older={restart_id}9&newer=0", "/restarts.csv", "/restarts.csv?charger={charger_id}&location={location_id}",
        "/restarts.csv?batch={batch_id}", "/restarts/rows/all?ids={restart_id}", "/restarts/rows/batch?ids={restart_id}",
        "/restarts/rows/charger?ids={restart_id}", "/chargers/add?location={location_id}",
    ):  # fmt: skip
        await smuggler.get(address)
        await smuggler.get(address, **{"HX-Request": "true"})
    rows = await smuggler.get("/restarts.csv")
    assert len(rows.splitlines()) == 1, "the head alone"


async def test_no_form_reaches_what_others_have(smuggler: Smuggler) -> None:
    before = [(await smuggler.estate.snapshot())[name] for name in ("chargers", "restarts")]
    new = await smuggler.post("/restarts/batch/new", charger="{charger_id}")
    assert str(smuggler.thing["charger_id"]) not in new.text
    new = await smuggler.post("/restarts/batch/new", all="1", location="{location_id}", q="zeb")
    assert str(smuggler.thing["charger_id"]) not in new.text
    await smuggler.post("/restarts/batch", charger="{charger_id}")
    await smuggler.post(
        "/restarts/batch", charger="{charger_id}", organisation_id="1", location_ids="1", role="super-admin"
    )
    new = await smuggler.post("/chargers/add", name="Mine", model="other", location="{location_id}")
    assert new.status_code in {404, 422}
    new = await smuggler.post("/organisation", organisation_id=str(smuggler.estate.other_organisation_id + 7))
    assert new.status_code == 404
    assert [(await smuggler.estate.snapshot())[name] for name in ("chargers", "restarts")] == before


async def test_no_stream_tells_of_what_others_have(smuggler: Smuggler) -> None:
    """The stream says how many topics it listens to: those out of reach are none."""
    from borne.portal import live

    asked = "charger:{charger_id},restart:{restart_id},batch:{batch_id}".format(**smuggler.thing)
    token = smuggler.client.cookies["borne_login"]
    visitor = await smuggler.estate.site.portal.app.state.access.visitor(token)
    assert await live.allowed(smuggler.estate.site.portal.db, visitor.scope, live.parsed(asked)) == frozenset()


async def test_whoever_reaches_it_hears_of_it(estate: Estate) -> None:
    """The control of the streams."""
    from borne.portal import live

    thing = await estate.thing()
    asked = "charger:{charger_id},restart:{restart_id},batch:{batch_id}".format(**thing)
    for who in REACH:
        visitor = await estate.site.portal.app.state.access.visitor((await estate.client(who)).cookies["borne_login"])
        assert await live.allowed(estate.site.portal.db, visitor.scope, live.parsed(asked)) == set(asked.split(",")), (
            who
        )


async def test_a_charger_is_not_moved_to_where_its_mover_has_nothing(estate: Estate) -> None:
    thing, client = await estate.thing(), await estate.client(ADMIN)
    for foreign in (estate.site.nantes_id, estate.other_location_id, 10**12):
        answer = await post(
            client, f"/chargers/{thing['charger_id']}/edit", name="N", model="other", location=str(foreign)
        )
        assert answer.status_code in {404, 422}
    own = await estate.site.portal.db.value(select(chargers.c.location_id).where(chargers.c.id == thing["charger_id"]))
    assert own == estate.site.lyon_id


async def test_fields_that_no_form_has_are_ignored(estate: Estate) -> None:
    """Role, plan and organisation are no fields of any form (A3)."""
    client, db = await estate.client(ASSIGNED), estate.site.portal.db
    extra = {"role": "super-admin", "plan": "business", "organisation_id": "1", "operates_installation": "1", "email": "x@y.z",
             "disabled": "0", "id": "1", "password_hash": "x", "location_ids": "1"}  # fmt: skip
    before = await estate.snapshot()
    kept = select(
        people.c.id, people.c.email, people.c.operates_installation, people.c.password_hash, people.c.disabled
    )
    persons = [tuple(row) for row in await db.all(kept)]
    for path in ("/account/name", "/account/language", "/look", "/account/logins/end", "/organisation"):
        await post(client, path, name="Uma", login="others", **extra)
    assert await estate.snapshot() == before
    assert [tuple(row) for row in await db.all(kept)] == persons


async def test_nobody_ends_the_login_of_another(estate: Estate) -> None:
    db = estate.site.portal.db
    for who in (SUPER, ADMIN, STRANGER):
        await estate.client(who)
    hashes = [row.token_hash.hex() for row in await db.all(select(logins.c.token_hash))]
    await post(await estate.client(STRANGER), "/account/logins/end", login="others")
    for one in hashes:
        await post(await estate.client(STRANGER), "/account/logins/end", login=one)
    assert len(await db.all(select(logins.c.token_hash))) == len(hashes) - 1, "the stranger's own alone"
